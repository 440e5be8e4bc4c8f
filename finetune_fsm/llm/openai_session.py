"""HTTP to one server of OpenAI's ``/v1`` protocol.

The key goes only to the address the user named and into no message; no redirect is followed, no
proxy stands before this machine, and everything happens under a clock.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from itertools import chain
from typing import TYPE_CHECKING

from finetune_fsm.errors import LLMError, LLMErrorKind
from finetune_fsm.llm.base import Stop
from finetune_fsm.llm.chat_completions import events
from finetune_fsm.llm.deadlines import Connection, Timeouts, guarded
from finetune_fsm.llm.transport import (
    body_of,
    client_settings,
    error_text,
    from_httpx,
    kind_of,
    lines,
    looks_like_page,
    parsed,
    retry_after,
    shown_url,
    unexpected,
    whole,
)
from finetune_fsm.sinks import one_line

if TYPE_CHECKING:
    import httpx

KEY_VARIABLE = "OPENAI_API_KEY"
"""Environment variable that holds the key."""

_QUICK = Timeouts(30.0, 30.0, 60.0)  # for what needs no model
_UNREACHABLE = "is the server running? its address ends in /v1, as a rule"


class Session:
    """The way to one server, opened at the first request; safe across threads.

    Args:
        url: The base, without a slash at its end.
        key: Sent as bearer token; nothing when empty.
        timeouts: Limits of one request, in seconds.
        who: What people call the server.
        client: Used instead of one made here.
    """

    def __init__(
        self, url: str, key: str, *, timeouts: Timeouts, who: str, client: httpx.Client | None
    ) -> None:
        self._url = url
        self._key = key
        self._timeouts = timeouts
        self._who = who
        self._http = client
        self._lock = threading.Lock()

    def fetch(
        self, path: str, body: bytes = b"", *, stop: Stop | None = None
    ) -> Mapping[str, object]:
        """Return the object that *path* answers.

        Args:
            path: Without a slash in front.
            body: JSON to post; without it the path is only got, and soon or not at all.
            stop: Looked at while nothing comes.

        Raises:
            LLMError: no such answer.
            Cancelled: *stop* was asked for.
        """

        def stream(connection: Connection) -> Iterator[bytes]:
            return self._bytes("POST" if body else "GET", path, body, connection)

        limits = self._timeouts if body else _QUICK
        with closing(guarded(stream, timeouts=limits, who=self._who, stop=stop)) as parts:
            return parsed(whole(parts), self._who)

    def stream(
        self, path: str, body: bytes, *, stop: Stop | None = None
    ) -> Generator[Mapping[str, object] | None, None, None]:
        """Yield the events that *path* answers to *body*, and None for the end mark.

        Raises:
            LLMError: no answer, or one that breaks off, is late or says that it failed.
            Cancelled: *stop* was asked for.
        """

        def read(connection: Connection) -> Iterator[Mapping[str, object] | None]:
            return self._events(path, body, connection)

        with closing(guarded(read, timeouts=self._timeouts, who=self._who, stop=stop)) as found:
            for event in found:
                if event and event.get("error"):
                    said = self._masked(error_text(json.dumps(event)))
                    kind = kind_of(500, said)
                    raise LLMError(kind, f"{self._who} gave up within the reply: {said}")
                yield event

    def close(self) -> None:
        """Free what is open; twice is harmless, and a later request opens it again."""
        with self._lock:
            http, self._http = self._http, None
        if http is not None:
            http.close()

    def _events(
        self, path: str, body: bytes, connection: Connection
    ) -> Iterator[Mapping[str, object] | None]:
        """Yield the events of the answer; runs in the reader's thread."""
        found = lines(self._bytes("POST", path, body, connection))
        first = next(found, b"")
        if first.lstrip().startswith(b"{"):  # a server that does not stream
            yield parsed(first + b"".join(found), self._who)
        elif first:
            yield from events(chain((first,), found), self._who)

    def _bytes(
        self, method: str, path: str, body: bytes, connection: Connection
    ) -> Iterator[bytes]:
        import httpx

        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        try:
            with self._client().stream(
                method,
                f"{self._url}/{path}",
                content=body,
                headers=headers,
                extensions={"trace": connection.trace},
            ) as response:
                if response.status_code != 200:
                    raise self._refusal(response)
                yield from response.iter_bytes()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise from_httpx(error, self._who, hint=_UNREACHABLE) from error

    def _client(self) -> httpx.Client:
        import httpx

        with self._lock:
            if self._http is None:
                settings = client_settings(self._url, self._timeouts)
                try:
                    self._http = httpx.Client(**settings)  # type: ignore[arg-type]  # right kinds
                except (ImportError, ValueError) as error:
                    message = f"no way to {self._who}: {one_line(str(error))}"
                    hint = "see HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and SSL_CERT_FILE"
                    raise LLMError(LLMErrorKind.DENIED, message, hint=hint) from error
            return self._http

    def _refusal(self, response: httpx.Response) -> LLMError:
        """Return what an answer that is not 200 means; the server's own words are kept."""
        status, body = response.status_code, body_of(response)
        if response.is_redirect:
            target = shown_url(response.headers.get("location", ""))
            hint = "prompts go only to the server you name: name that one if you trust it"
            message = f"{self._who} redirects to {target}"
            return LLMError(LLMErrorKind.DENIED, message, hint=hint)
        kind, said = kind_of(status, body), self._masked(error_text(body))
        if kind is LLMErrorKind.PROTOCOL and looks_like_page(body):
            return unexpected(f"{status} {body}", self._who)
        message = f"{self._who} answered {status}" + (f": {said}" if said else "")
        wait = retry_after(response.headers.get("retry-after"))
        return LLMError(kind, message, hint=self._hint(kind), retry_after=wait)

    def _hint(self, kind: LLMErrorKind) -> str:
        match kind:
            case LLMErrorKind.DENIED if self._key:
                return f"the key in {KEY_VARIABLE} is not accepted there"
            case LLMErrorKind.DENIED:
                return f"set {KEY_VARIABLE}"
            case LLMErrorKind.CONTEXT_OVERFLOW:
                return "shorten the prompt, or take a model with a longer context"
            case LLMErrorKind.BUSY:
                return "ask less at a time"
            case LLMErrorKind.PROTOCOL:
                return _UNREACHABLE
            case _:
                return ""

    def _masked(self, text: str) -> str:
        return text.replace(self._key, "***") if self._key else text
