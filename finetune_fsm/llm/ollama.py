"""Models served by Ollama.

The official client makes the connection: it knows the headers, the key and the base address. The
request and the stream are handled here, through the client's own HTTP session, because its `chat`
(0.6.3) can neither send ``truncate: false`` and ``shift: false``, without which Ollama drops the
front of a long prompt and says nothing, nor tell a reply that broke off from a whole one; it also
has no limit on the time of a whole reply, and splits lines at separators that JSON text may hold.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from difflib import get_close_matches
from functools import partial

from finetune_fsm.errors import LLMError, LLMErrorKind
from finetune_fsm.llm.base import LLM, Completion, OnText, Request, Stop
from finetune_fsm.llm.context import SMALLEST, overflow, wider, window_for
from finetune_fsm.llm.deadlines import Timeouts
from finetune_fsm.llm.function_calls import Calls, unable
from finetune_fsm.llm.host import answers, normalise_host
from finetune_fsm.llm.ollama_format import (
    Question,
    broken_off,
    calls_in,
    completed,
    context_length,
    pieces,
    request_body,
)
from finetune_fsm.llm.ollama_session import Session
from finetune_fsm.llm.reply import Reply
from finetune_fsm.llm.retry import TRIES, with_retries
from finetune_fsm.llm.transport import error_text, kind_of, unexpected
from finetune_fsm.llm.vectors import Vectors, checked, embedded, explained
from finetune_fsm.sinks import clean, one_line

__all__ = ["OllamaLLM", "answers", "normalise_host"]


class OllamaLLM:
    """An `LLM` at an Ollama server. Making one touches no network and imports no HTTP library.

    A try that breaks off is repeated, and then `on_text` gets the pieces from the start again.
    `Request.reuse_prefix` has no effect: Ollama decides by itself what it reuses.

    Args:
        url: As `normalise_host` returns it.
        timeouts: Limits of one try, in seconds.
        sleep: Waits so many seconds; between tries.
        slots: Requests the server answers side by side. None takes OLLAMA_NUM_PARALLEL when it is
            set here, else 1, Ollama's own default: more would wait in its queue, and their time
            to the first token would run.
        tries: How often one request is sent at most.
    """

    def __init__(
        self,
        url: str,
        *,
        timeouts: Timeouts = Timeouts(),  # noqa: B008  # frozen
        sleep: Callable[[float], None] = time.sleep,
        slots: int | None = None,
        tries: int = TRIES,
    ) -> None:
        self._session = Session(url, timeouts)
        self._timeouts = timeouts
        self._sleep = sleep
        self._slots = slots or _slots_from_environment()
        self._tries = tries
        self._lock = threading.Lock()
        self._limits: dict[str, int | None] = {}  # context length by model
        self._in_use: dict[str, int] = {}  # largest num_ctx chosen so far by model
        self._cannot_think: set[str] = set()

    @property
    def name(self) -> str:
        """What people call it; shows no password."""
        return self._session.who

    @property
    def slots(self) -> int:
        """How many requests it serves at the same time."""
        return self._slots

    def complete(
        self, request: Request, *, on_text: OnText | None = None, stop: Stop | None = None
    ) -> Completion:
        """Return the whole reply to *request*; nothing is cut off its prompt.

        Raises:
            LLMError: no usable reply after all tries, or one that no further try can cure.
            Cancelled: *stop* was asked for; noticed within 0.2 s.
        """
        if stop:
            stop.check()
        question = self._question(request, self._limit(request.model, stop))
        while True:
            try:
                ask = partial(self._ask, question, on_text, stop)
                return with_retries(ask, stop=stop, sleep=self._sleep, tries=self._tries)
            except LLMError as error:
                adapted = self._adapted(question, error)
                if adapted is None:
                    self._explain(error, question)
                    raise
                question = adapted
            if stop:
                stop.again()

    def embed(self, model: str, texts: Sequence[str], *, stop: Stop | None = None) -> Vectors:
        """Return a vector for each of *texts*, in order; nothing is cut off a text.

        Raises:
            LLMError: there are none, after all tries.
            Cancelled: *stop* was asked for.
        """

        def send(batch: Sequence[str]) -> Vectors:
            body = {"model": model, "input": batch, "truncate": False}
            fetched = self._session.fetch("/api/embed", body, stop=stop, timeouts=self._timeouts)
            return checked(fetched.get("embeddings"), len(batch), self.name)

        def ask(batch: Sequence[str]) -> Vectors:
            asks = partial(send, batch)
            return with_retries(asks, stop=stop, sleep=self._sleep, tries=self._tries)

        try:
            return embedded(texts, ask, who=self.name, stop=stop)
        except LLMError as error:
            if error.kind is LLMErrorKind.MISSING_MODEL:
                hint = self._instead_of(model)
                raise LLMError(error.kind, error.message, hint=hint) from error
            raise explained(error, model) from error

    def models(self) -> tuple[str, ...]:
        """Return the names of the installed models, sorted.

        Raises:
            LLMError: the server does not answer, or not as Ollama does.
        """
        return tuple(sorted(self._installed()))

    def fingerprint(self, model: str, *, stop: Stop | None = None) -> str:
        """Return the digest that the server lists *model* with; a tag may move to other weights.

        This is what a run asks first: that there is no server is told at once.

        Raises:
            LLMError: the server does not answer, or not as Ollama does.
            Cancelled: *stop* was asked for.
        """
        ask = partial(self._installed, stop)
        try:
            installed = ask()
        except LLMError as error:
            final = error.kind is LLMErrorKind.UNREACHABLE or self._tries == 1
            if final or not error.retryable:
                raise
            installed = with_retries(ask, stop=stop, sleep=self._sleep, tries=self._tries)
        name = model if ":" in model else f"{model}:latest"
        return installed.get(name, "")

    def _installed(self, stop: Stop | None = None) -> Mapping[str, str]:
        """The digests of the installed models, by name."""
        listed = self._session.fetch("/api/tags", stop=stop).get("models")
        if not isinstance(listed, list):
            raise unexpected(json.dumps(listed), self.name)
        entries = (entry for entry in listed if isinstance(entry, dict))
        pairs = ((entry.get("name"), entry.get("digest")) for entry in entries)
        return {
            name: digest if isinstance(digest, str) else ""
            for name, digest in pairs
            if isinstance(name, str)
        }

    def close(self) -> None:
        """Free the HTTP session; calling it twice is harmless, and a later call makes a new one."""
        self._session.close()

    def _question(self, request: Request, limit: int | None) -> Question:
        with self._lock:
            in_use = self._in_use.get(request.model, SMALLEST)
            window = window_for(request, limit, at_least=in_use)
            if not window.given:
                # A context that shrinks and grows again makes Ollama load the model each time.
                self._in_use[request.model] = window.num_ctx
            may_think = request.schema is None or request.model in self._cannot_think
        return Question(request, window, may_think)

    def _adapted(self, question: Question, error: LLMError) -> Question | None:
        """Return another way to put a refused *question*, or None when there is none left."""
        request = question.request
        if error.kind is LLMErrorKind.BAD_REQUEST and "support thinking" in error.message:
            self._cannot_think.add(request.model)
            return None if question.may_think else replace(question, may_think=True)
        if error.kind is LLMErrorKind.CONTEXT_OVERFLOW:
            window = wider(request, question.window, self._limits.get(request.model))
            if window:
                self._in_use[request.model] = window.num_ctx
                return replace(question, window=window)
        return None

    def _explain(self, error: LLMError, question: Question) -> None:
        """Raise in place of *error* one that says what only this request can, if there is one."""
        model, window = question.request.model, question.window
        if error.kind is LLMErrorKind.CONTEXT_OVERFLOW:
            said, given = error.message, window.given
            raise overflow(model, window.prompt, window.num_ctx, given=given, said=said) from error
        if error.kind is LLMErrorKind.MISSING_MODEL:
            raise LLMError(error.kind, error.message, hint=self._instead_of(model)) from error
        if question.request.tools:
            raise unable(error, model) from error

    def _instead_of(self, model: str) -> str:
        pull = f"'ollama pull {one_line(model)}' installs it"
        try:
            names = self.models()
        except LLMError:
            return pull
        near = get_close_matches(model, names, n=3, cutoff=0.4) or names[:3]
        shown = ", ".join(one_line(name) for name in near)
        return f"{pull}; installed: {shown}" if shown else f"{pull}; no model is installed there"

    def _limit(self, model: str, stop: Stop | None) -> int | None:
        """Return the context length of *model* in tokens, or None when the server does not say.

        Only advice: whatever is wrong with the server, the question itself finds out, with
        retries, so no error leaves here.
        """
        with self._lock:
            if model in self._limits:
                return self._limits[model]
        try:
            shown = self._session.fetch("/api/show", {"model": model}, stop=stop)
        except LLMError as error:
            _log_debug("No context length of '{}': {}", model, error.message)
            return None
        limit = context_length(shown)
        with self._lock:
            self._limits[model] = limit
        return limit

    def _ask(self, question: Question, on_text: OnText | None, stop: Stop | None) -> Completion:
        started = time.monotonic()
        reply, calls = Reply(on_text), Calls(self.name)
        chunks = self._session.stream("/api/chat", request_body(question), stop=stop)
        with closing(chunks):
            final = self._gathered(chunks, reply, calls)
        completion = completed(final, reply, question.window.num_predict, calls.all())
        return replace(completion, seconds=time.monotonic() - started)

    def _gathered(
        self, chunks: Iterator[Mapping[str, object]], reply: Reply, calls: Calls
    ) -> Mapping[str, object]:
        """Put all pieces into *reply* and return the final chunk."""
        for chunk in chunks:
            if "error" in chunk:
                said = error_text(json.dumps(chunk))
                kind = kind_of(500, said)
                raise LLMError(kind, f"{self.name} gave up within the reply: {said}")
            content, thinking = pieces(chunk, self.name)
            reply.think(thinking)
            reply.add(content)
            reply.beside(calls.add(calls_in(chunk)))
            if chunk.get("done") is True:
                return chunk
        _log_debug("A reply that broke off: {}", reply.so_far())
        raise broken_off(self.name)


def _slots_from_environment() -> int:
    text = os.environ.get("OLLAMA_NUM_PARALLEL", "").strip()
    return max(1, int(text)) if text.isdecimal() else 1


def _log_debug(template: str, *values: str) -> None:
    from loguru import logger

    logger.debug(template, *(clean(value) for value in values))


_: type[LLM] = OllamaLLM  # the protocol is kept, and mypy says so
