"""What runs on a Dask worker: one question, put to the model that its machine has.

The model is chosen once in the life of the worker's process, by what the client says or else by the
worker's own environment, as ``agentmech`` on that machine would choose. A request is sent once
only: whether it may be sent again is for the client to say, who keeps the budget.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import sys
import threading
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from finetune_fsm.errors import Cancelled, FinetuneError, LLMError, LLMErrorKind
from finetune_fsm.llm.base import LLM, Completion, Request, Stop
from finetune_fsm.llm.vectors import Vectors

if TYPE_CHECKING:
    from distributed import Worker

T = TypeVar("T")

PROCESS = uuid.uuid4().hex
"""Tells this process from one that is started in its place, at the same address."""

_models: dict[str, LLM] = {}  # by the words that chose them
_digests: dict[str, str] = {}  # of files of weights, by name, size and time
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Failed:
    """An `LLMError` on its way to the client."""

    kind: LLMErrorKind
    message: str
    hint: str = ""
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Hello:
    """What a worker says of itself.

    Attributes:
        process: Which one it is.
        models: The names that the provider lists, when it was asked for no model in particular.
        weights: Fingerprint of the model that it was asked for.
        failed: Why it can say no more, or None.
    """

    process: str
    models: tuple[str, ...] = ()
    weights: str = ""
    failed: Failed | None = None


@dataclass(frozen=True, slots=True)
class Again:
    """The request has to be sent once more, to this worker: it knows now how to put it."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The process that was to answer is gone; this one, in its place, has sent nothing."""


Missed = Failed | Again | Elsewhere
"""What a task brings back instead of what it was for."""


def greet(spec: str, model: str | None) -> Hello:
    """Return what the worker's *model* is, or, for None, which there are."""
    hello = Hello(PROCESS)
    try:
        llm = chosen(spec)
        if model is None:
            return replace(hello, models=llm.models())
        return replace(hello, weights=_weights(llm, model, Wanted()))
    except FinetuneError as error:
        return replace(hello, failed=_failed(error))
    except Cancelled:
        return replace(hello, failed=Failed(LLMErrorKind.UNREACHABLE, "it is about to end"))


def answer(process: str, spec: str, request: Request) -> Completion | Missed:
    """Send *request* once and return what came of it.

    Args:
        process: The one that is meant, as it called itself in its `Hello`.
        spec: Which model, as ``--llm`` names it; empty for what the machine has.
        request: The question.
    """
    return _done(process, lambda: chosen(spec).complete(request, stop=_Once()))


def embed(process: str, spec: str, model: str, texts: Sequence[str]) -> Vectors | Missed:
    """Have vectors made of *texts*, each batch sent once, and return what came of it.

    Args:
        process: As `answer` takes it.
        spec: The same.
        model: Makes the vectors.
        texts: Some.
    """
    return _done(process, lambda: chosen(spec).embed(model, texts, stop=_Once()))


def _done(process: str, task: Callable[[], T]) -> T | Missed:
    if process != PROCESS:
        return Elsewhere()
    try:
        return task()
    except _OnceMore as more:
        return Again() if more.error is None else _failed(more.error)
    except FinetuneError as error:
        return _failed(error)
    except Cancelled:
        return Elsewhere()  # the worker closes; who cancelled the call does not see it


def chosen(spec: str) -> LLM:
    """Return the model that *spec* names, or that is there; the same one every time.

    Raises:
        FinetuneError: there is none; the next call looks again.
    """
    from finetune_fsm.llm.select import choose

    with _lock:
        if spec not in _models:
            _models[spec] = choose(spec=spec or None, environ=os.environ).llm
        return _models[spec]


@atexit.register
def close() -> None:
    """Close every model, as the process ends."""
    with _lock:
        while _models:
            _models.popitem()[1].close()


def _weights(llm: LLM, model: str, stop: Stop) -> str:
    from finetune_fsm.llm.llamacpp import LlamaCppLLM

    if not isinstance(llm, LlamaCppLLM):
        return llm.fingerprint(model, stop=stop)
    there = llm.fingerprint(
        model, stop=stop
    )  # holds the file's time, which each machine has its own of
    with _lock:
        if there and there not in _digests:
            with llm.path.open("rb") as file:
                _digests[there] = hashlib.file_digest(file, "sha256").hexdigest()
        return _digests.get(there, "")


class Wanted(Stop):
    """Raised when nobody waits for the task any more, or the worker closes.

    Dask ends no thread: without this a call that was cancelled would keep its server busy.
    """

    __slots__ = ("_key", "_worker")

    def __init__(self) -> None:
        from distributed import get_worker

        super().__init__()
        self._worker: Worker = get_worker()
        self._key = self._worker.get_current_task()

    @property
    def asked(self) -> bool:
        """Whether nobody waits."""
        task = self._worker.state.tasks.get(self._key)
        closing = self._worker.status.name in ("closing", "closed")
        return closing or task is None or task.state == "cancelled"

    def check(self) -> None:
        """Raise `Cancelled` when nobody waits."""
        if self.asked:
            raise Cancelled


class _Once(Wanted):
    """Lets no request be sent twice."""

    __slots__ = ()

    def again(self, why: str = "") -> None:
        del why
        self.check()
        raise _OnceMore(sys.exception())


class _OnceMore(Exception):  # not an error: it ends the task
    """A request would be sent again, because of *error* or, without, to put it another way."""

    def __init__(self, error: BaseException | None) -> None:
        super().__init__(error)
        self.error = error if isinstance(error, LLMError) else None


def _failed(error: FinetuneError) -> Failed:
    if isinstance(error, LLMError):
        return Failed(error.kind, error.message, error.hint, error.retry_after)
    return Failed(LLMErrorKind.MISSING_MODEL, str(error))  # an extra, a script, a variable
