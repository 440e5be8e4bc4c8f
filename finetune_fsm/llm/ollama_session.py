"""HTTP to one Ollama server, through the official client's own session.

The client knows the headers, the key and the base address. What it lacks is here: no redirect is
followed, no proxy stands before this machine, everything happens under a clock, and a refusal
becomes an `LLMError` that keeps the server's words.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit, urlunsplit

from finetune_fsm.errors import LLMError, LLMErrorKind
from finetune_fsm.llm.base import Stop
from finetune_fsm.llm.deadlines import Connection, Timeouts, guarded
from finetune_fsm.llm.ollama_format import chunk_of, encoded, refusal
from finetune_fsm.llm.transport import (
    client_settings,
    from_httpx,
    lines,
    parsed,
    shown_url,
    whole,
)
from finetune_fsm.sinks import one_line

if TYPE_CHECKING:
    import httpx

_START_HINT = "start it with 'ollama serve', or name another server with -u or OLLAMA_HOST"
_QUICK = 30.0  # seconds for what needs no model


class Session:
    """The way to one server, opened at the first request; safe across threads.

    Args:
        url: As `normalise_host` returns it; its password is used and never shown.
        timeouts: Limits of one request, in seconds.

    Attributes:
        who: What people call the server.
    """

    def __init__(self, url: str, timeouts: Timeouts) -> None:
        self.who = f"Ollama at {shown_url(url)}"
        self._url = url
        self._timeouts = timeouts
        self._quick = replace(
            timeouts,
            first_token=min(_QUICK, timeouts.first_token),
            total=min(_QUICK * 2, timeouts.total),
        )
        self._lock = threading.Lock()
        self._http: httpx.Client | None = None

    def fetch(
        self,
        path: str,
        payload: Mapping[str, object] | None = None,
        *,
        stop: Stop | None = None,
        timeouts: Timeouts | None = None,
    ) -> Mapping[str, object]:
        """Return the object that *path* answers, asked with *payload* or, without one, by GET.

        Args:
            path: Begins with a slash.
            payload: What is asked.
            stop: Looked at while nothing comes.
            timeouts: Limits, in seconds; by default of what needs no model.

        Raises:
            LLMError: no such answer.
            Cancelled: *stop* was asked for.
        """
        method, body = ("GET", b"") if payload is None else ("POST", encoded(payload))
        model = "" if payload is None else str(payload.get("model", ""))

        def stream(connection: Connection) -> Iterator[bytes]:
            return self._bytes(method, path, body, connection, model)

        limits = timeouts or self._quick
        with closing(guarded(stream, timeouts=limits, who=self.who, stop=stop)) as parts:
            return parsed(whole(parts), self.who)

    def stream(
        self, path: str, payload: Mapping[str, object], *, stop: Stop | None = None
    ) -> Generator[Mapping[str, object], None, None]:
        """Yield the objects, one a line, that *path* answers to *payload*.

        Raises:
            LLMError: no answer, or one that breaks off or is late.
            Cancelled: *stop* was asked for.
        """
        body, model = encoded(payload), str(payload.get("model", ""))

        def chunks(connection: Connection) -> Iterator[Mapping[str, object]]:
            for line in lines(self._bytes("POST", path, body, connection, model)):
                yield chunk_of(line, self.who)

        with closing(guarded(chunks, timeouts=self._timeouts, who=self.who, stop=stop)) as found:
            yield from found

    def close(self) -> None:
        """Free what is open; twice is harmless, and a later request opens it again."""
        with self._lock:
            http, self._http = self._http, None
        if http is not None:
            http.close()

    def _bytes(
        self, method: str, path: str, body: bytes, connection: Connection, model: str
    ) -> Iterator[bytes]:
        """Yield the bytes of the answer; runs in the reader's thread."""
        import httpx

        extensions = {"trace": connection.trace}
        try:
            with self._client().stream(
                method, path, content=body, extensions=extensions
            ) as response:
                if response.status_code != 200:
                    raise refusal(response, self.who, model)
                yield from response.iter_bytes()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise from_httpx(error, self.who, hint=_START_HINT) from error

    def _client(self) -> httpx.Client:
        with self._lock:
            if self._http is None:
                self._http = _open(self._url, self._timeouts, self.who)
            return self._http


def _open(url: str, timeouts: Timeouts, who: str) -> httpx.Client:
    import ollama

    split = urlsplit(url)
    bare = urlunsplit(split._replace(netloc=split.netloc.rpartition("@")[2]))
    user = (unquote(split.username), unquote(split.password or "")) if split.username else None
    try:
        client = ollama.Client(host=bare, auth=user, **client_settings(url, timeouts))
    except (ImportError, ValueError) as error:
        why = one_line(str(error))
        message = f"no way to {who}: {why}"
        hint = "see HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and SSL_CERT_FILE"
        raise LLMError(LLMErrorKind.DENIED, message, hint=hint) from error
    session: httpx.Client = client._client  # noqa: SLF001  # there is no public way
    return session
