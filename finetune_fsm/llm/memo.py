"""One question, one answer: no reply that has been written down is ever asked for again.

Within a run equal requests are the same question: model, turns, options (the seed among them),
schema, purpose and draw decide, `label` does not. An answer is handed to the run's journal before
anyone sees it. A run that was killed is given back the answers that it had, and asks on where it
stopped. Vectors of texts are remembered in memory alone: a knowledge base keeps its own on disk,
and to make one anew costs little and changes nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from finetune_fsm.codec import digest
from finetune_fsm.errors import FATAL, LLMError, LLMErrorKind
from finetune_fsm.llm.base import LLM, Completion, OnText, Request, Stop, Usage
from finetune_fsm.llm.layer import Layer
from finetune_fsm.llm.meter import Meter
from finetune_fsm.llm.vector_memory import VectorMemory

KEY_FORMAT = 2  # 1: all of a request but its label; 2: its draw too

_LOOK = 0.05  # seconds between two looks at the stop flag while another thread asks


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error that says something of the question, not of the world: it is an answer too."""

    kind: LLMErrorKind
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """A question and its answer.

    Attributes:
        key: Of the question.
        request: The question, its pictures left out.
        answer: What came back.
    """

    key: str
    request: Request
    answer: Completion | Refusal

    @property
    def usage(self) -> Usage:
        """What it took."""
        if isinstance(self.answer, Refusal):
            return Usage(calls=1)
        return Usage.of(self.answer)


def key_of(request: Request) -> str:
    """Return what equal questions share: a SHA-256 in hexadecimal. Pure."""
    return digest({"format": KEY_FORMAT, "request": replace(request, label="")})


def ignore(call: Call) -> None:
    """Write nothing down."""


class Memo(Layer):
    """An `LLM` that asks every question once; safe to call from several threads.

    Args:
        inner: Answers what is asked for the first time.
        meter: Is told what is used again of a session that was killed.
        record: Writes a call down; when it returns, the call is safe.
        known: Calls of earlier sessions, in order.
        pending: Keys of those among them that no finished state has used; they are counted when
            they are asked for again.
    """

    def __init__(
        self,
        inner: LLM,
        meter: Meter,
        *,
        record: Callable[[Call], None] = ignore,
        known: Iterable[Call] = (),
        pending: Iterable[str] = (),
    ) -> None:
        super().__init__(inner)
        self._meter = meter
        self._record = record
        self._calls = {call.key: call for call in known}
        self._pending = set(pending)
        self._under_way: dict[str, threading.Event] = {}
        self._vectors = VectorMemory()
        self._lock = threading.Lock()

    @property
    def pending(self) -> frozenset[str]:
        """Keys of answers from a killed session that were not asked for again so far."""
        return frozenset(self._pending)

    def complete(
        self, request: Request, *, on_text: OnText | None = None, stop: Stop | None = None
    ) -> Completion:
        """Return the answer to *request*, asking only when nobody did before.

        Raises:
            LLMError: no usable reply; one that speaks of the question is remembered.
            StorageError: the answer cannot be written down.
            Cancelled: *stop* was asked for, or a budget is spent.
        """
        key = key_of(request)
        while True:
            call, turn, mine = self._look_up(key)
            if call is not None:
                return _answer(call, on_text)
            if mine:
                return self._ask(key, request, turn, on_text, stop)
            while not turn.wait(_LOOK):
                if stop:
                    stop.check()

    def embed(
        self, model: str, texts: Sequence[str], *, stop: Stop | None = None
    ) -> tuple[tuple[float, ...], ...]:
        """Return the vectors of *texts*, asking for each only once.

        Raises:
            LLMError: there are none.
            Cancelled: *stop* was asked for, or the time is over.
        """
        ask = partial(self._inner.embed, model, stop=stop)
        return self._vectors.embed(model, texts, ask, stop=stop)

    def _look_up(self, key: str) -> tuple[Call | None, threading.Event, bool]:
        """The call with *key* if it was made; else who asks: another thread, or we."""
        with self._lock:
            call = self._calls.get(key)
            if call is not None and key in self._pending:
                self._pending.discard(key)
                self._meter.use_again(call.usage)
            mine = call is None and key not in self._under_way
            turn = self._under_way.setdefault(key, threading.Event()) if call is None else _SET
        return call, turn, mine

    def _ask(
        self,
        key: str,
        request: Request,
        turn: threading.Event,
        on_text: OnText | None,
        stop: Stop | None,
    ) -> Completion:
        try:
            try:
                answer: Completion | Refusal
                answer = self._inner.complete(request, on_text=on_text, stop=stop)
            except LLMError as error:
                if error.kind in FATAL:
                    raise
                answer = Refusal(error.kind, error.message, error.hint)
            call = Call(key, without_pictures(request), answer)
            with self._lock:  # one writer at a time
                self._record(call)
                self._calls[key] = call
        finally:
            with self._lock:
                del self._under_way[key]
            turn.set()
        return _answer(call, None)


_SET = threading.Event()
_SET.set()


def _answer(call: Call, on_text: OnText | None) -> Completion:
    if isinstance(call.answer, Refusal):
        raise LLMError(call.answer.kind, call.answer.message, hint=call.answer.hint)
    if on_text:
        on_text(call.answer.text)
    return call.answer


def without_pictures(request: Request) -> Request:
    """Return *request* without its pictures, to be written down. Pure."""
    messages = tuple(replace(message, images=()) for message in request.messages)
    return replace(request, messages=messages)


_: type[LLM] = Memo  # the protocol is kept, and mypy says so
