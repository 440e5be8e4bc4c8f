"""Models of any server that speaks OpenAI's ``/v1`` protocol."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from finetune_fsm.errors import LLMError, LLMErrorKind, UsageError
from finetune_fsm.llm.base import LLM, Completion, OnText, Request, Stop, ToolCall
from finetune_fsm.llm.chat_completions import (
    OPENAI,
    Dialect,
    body_for,
    broken_off,
    embeddings_body,
    listed_vectors,
    piece_of,
)
from finetune_fsm.llm.deadlines import Timeouts
from finetune_fsm.llm.function_calls import Calls, unable
from finetune_fsm.llm.openai_session import KEY_VARIABLE, Session
from finetune_fsm.llm.reply import THINK_HINT, Reply
from finetune_fsm.llm.retry import TRIES, with_retries
from finetune_fsm.llm.transport import shown_url, unexpected
from finetune_fsm.llm.vectors import BATCH_CHARACTERS, Vectors, checked, embedded, explained
from finetune_fsm.sinks import one_line

if TYPE_CHECKING:
    import httpx

_NEWER_LIMIT = "max_completion_tokens"  # what OpenAI's newer models call max_tokens


def normalise_base(text: str) -> str:
    """Return the base URL that *text* means; ``http://`` and ``/v1`` are added if missing. Pure.

    Raises:
        UsageError: no server can have this address.
    """
    text = text.strip()
    try:
        split = urlsplit(text if "://" in text else f"http://{text}")
        bad = split.scheme not in ("http", "https") or not split.hostname or split.port == 0
        bad = bad or any(c.isspace() or not c.isprintable() for c in text) or bool(split.query)
    except ValueError:
        bad = True
    if bad:
        shown = text.rpartition("@")[2]
        raise UsageError(
            f"'{one_line(shown)}' is no address of a server — "
            "it looks like 'http://localhost:8080/v1' or 'https://api.openai.com/v1'"
        )
    if "@" in split.netloc:
        raise UsageError(f"no user or password belongs into the address — set {KEY_VARIABLE}")
    path = split.path.rstrip("/").removesuffix("/chat/completions") or "/v1"
    return urlunsplit((split.scheme, split.netloc, path, "", ""))


class OpenAILLM:
    """An `LLM` behind ``/v1/chat/completions``. Making one touches no network.

    A try that breaks off is repeated, and then `on_text` gets the pieces from the start again.

    Args:
        url: The base, as `normalise_base` takes it.
        api_key: Sent as bearer token; by default what `KEY_VARIABLE` holds, if anything.
        timeouts: Limits of one try, in seconds.
        slots: Requests the server answers side by side.
        client: The session to use instead of one made here; `close` closes it.
        extra: Fields added to every request, as they are.
        model: Asked for instead of the request's.
        dialect: Options the server knows.
        name: What people call it.
        tries: How often one request is sent at most.
        sleep: Waits so many seconds; between tries.
        batch_characters: Of texts to make vectors of, how much is sent at once.
    """

    def __init__(  # noqa: PLR0913  # servers differ in all of these, and all but one have defaults
        self,
        url: str,
        *,
        api_key: str | None = None,
        timeouts: Timeouts = Timeouts(),  # noqa: B008  # frozen
        slots: int = 4,
        client: httpx.Client | None = None,
        extra: Mapping[str, object] | None = None,
        model: str | None = None,
        dialect: Dialect = OPENAI,
        name: str = "",
        tries: int = TRIES,
        sleep: Callable[[float], None] = time.sleep,
        batch_characters: int = BATCH_CHARACTERS,
    ) -> None:
        base = normalise_base(url)
        key = (api_key or os.environ.get(KEY_VARIABLE) or "").strip()
        if not all("!" <= character <= "~" for character in key):
            raise UsageError(f"the API key holds characters that no key has — see {KEY_VARIABLE}")
        self._name = name or f"the server at {shown_url(base)}"
        self._session = Session(base, key, timeouts=timeouts, who=self._name, client=client)
        self._slots = slots
        self._extra = dict(extra or {})
        self._model = model
        self._dialect = dialect
        self._tries = tries
        self._sleep = sleep
        self._batch_characters = batch_characters
        self._limit_name = "max_tokens"
        self._met = False

    @property
    def name(self) -> str:
        """What people call it."""
        return self._name

    @property
    def slots(self) -> int:
        """How many requests it serves at the same time."""
        return self._slots

    def complete(
        self, request: Request, *, on_text: OnText | None = None, stop: Stop | None = None
    ) -> Completion:
        """Return the whole reply to *request*.

        Raises:
            LLMError: no usable reply after all tries, or one that no further try can cure.
            Cancelled: *stop* was asked for; noticed within 0.2 s.
        """
        asked = replace(request, model=self._model or request.model)

        def ask() -> Completion:
            try:
                return self._ask(asked, on_text, stop)
            except LLMError as error:
                if self._limit_name == _NEWER_LIMIT or _NEWER_LIMIT not in error.message:
                    raise
            self._limit_name = _NEWER_LIMIT
            if stop:
                stop.again()
            return self._ask(asked, on_text, stop)

        try:
            return with_retries(ask, stop=stop, sleep=self._sleep, tries=self._tries)
        except LLMError as error:
            if error.kind is not LLMErrorKind.MISSING_MODEL:
                raise (unable(error, asked.model) if asked.tools else error) from error
            hint = self._instead_of(asked.model)
            raise LLMError(error.kind, error.message, hint=hint) from error

    def embed(self, model: str, texts: Sequence[str], *, stop: Stop | None = None) -> Vectors:
        """Return a vector for each of *texts*, in order.

        Raises:
            LLMError: there are none, after all tries.
            Cancelled: *stop* was asked for.
        """

        def send(batch: Sequence[str]) -> Vectors:
            fetched = self._session.fetch("embeddings", embeddings_body(model, batch), stop=stop)
            return checked(listed_vectors(fetched), len(batch), self.name)

        def ask(batch: Sequence[str]) -> Vectors:
            asks = partial(send, batch)
            return with_retries(asks, stop=stop, sleep=self._sleep, tries=self._tries)

        try:
            return embedded(texts, ask, who=self.name, stop=stop, characters=self._batch_characters)
        except LLMError as error:
            if error.kind is LLMErrorKind.MISSING_MODEL:
                hint = self._instead_of(model)
                raise LLMError(error.kind, error.message, hint=hint) from error
            raise explained(error, model) from error

    def models(self) -> tuple[str, ...]:
        """Return the names of the models it serves, sorted.

        Raises:
            LLMError: the server does not answer, or not as such a server does.
        """
        answer = self._session.fetch("models")
        listed = answer.get("data")
        if not isinstance(listed, list):
            raise unexpected(str(answer), self.name)
        names = (entry.get("id") for entry in listed if isinstance(entry, dict))
        return tuple(sorted({name for name in names if isinstance(name, str)}))

    def fingerprint(self, model: str, *, stop: Stop | None = None) -> str:
        """Return nothing: the protocol does not tell one model from another of its name.

        As a run asks this first, it is also where a server that is not there is noticed. A server
        may lack the list of models, or keep it for others: whatever it answers, it answers.

        Raises:
            LLMError: nothing answers at the address.
            Cancelled: *stop* was asked for.
        """
        del model
        if not self._met:
            try:
                self._session.fetch("models", stop=stop)
            except LLMError as error:
                if error.kind is LLMErrorKind.UNREACHABLE:
                    raise
            self._met = True
        return ""

    def close(self) -> None:
        """Free the session; calling it twice is harmless."""
        self._session.close()

    def _instead_of(self, model: str) -> str:
        try:
            names = self.models()
        except LLMError:
            return "name a model that the server has"
        near = get_close_matches(model, names, n=3, cutoff=0.4) or names[:3]
        return f"it has {', '.join(one_line(name) for name in near)}" if near else "it has none"

    def _ask(self, request: Request, on_text: OnText | None, stop: Stop | None) -> Completion:
        started = time.monotonic()
        body = body_for(
            request, dialect=self._dialect, extra=self._extra, limit_name=self._limit_name
        )
        found = self._session.stream("chat/completions", body, stop=stop)
        try:
            completion = self._gathered(found, Reply(on_text), f"call{len(request.messages):03d}")
        finally:
            found.close()
        return replace(completion, seconds=time.monotonic() - started)

    def _gathered(
        self, found: Iterator[Mapping[str, object] | None], reply: Reply, made: str
    ) -> Completion:
        calls = Calls(self.name)
        finish, usage, done = "", (0, 0), False
        try:
            for event in found:
                if event is None:
                    done = True
                    break
                piece = piece_of(event, self.name)
                reply.think(piece.thinking)
                reply.add(piece.text)
                reply.beside(calls.add(piece.calls))
                finish, usage = piece.finish or finish, piece.usage or usage
        except LLMError:
            if not finish:  # after the last word only the count of tokens is missing
                raise
        if not (done or finish):
            raise broken_off(self.name)
        return _completion(reply, finish, usage, calls.all(made=made))


def _completion(
    reply: Reply, finish: str, usage: tuple[int, int], calls: tuple[ToolCall, ...]
) -> Completion:
    """Return the reply that has ended, its time left open.

    Raises:
        LLMError: the limit came before the first word, nothing but thinking came, or a filter
            of the server took the reply away.
    """
    text = reply.text()
    cut = finish == "length"
    if finish == "content_filter":
        message = "the server's content filter took the reply away"
        raise LLMError(LLMErrorKind.EMPTY, message, hint="change the prompt")
    if cut and not text.strip() and not calls:
        message = "the limit of tokens was reached before the reply had any text"
        raise LLMError(LLMErrorKind.CUT_BY_LIMIT, message, hint=THINK_HINT)
    if reply.thought and not text.strip() and not calls:
        message = "the model thought, and then said nothing"
        raise LLMError(LLMErrorKind.EMPTY, message, hint=THINK_HINT)
    return Completion(text, *usage, cut=cut, tool_calls=calls)


_: type[LLM] = OpenAILLM  # the protocol is kept, and mypy says so
