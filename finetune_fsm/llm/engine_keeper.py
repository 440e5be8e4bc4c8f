"""An engine that is there when it is needed: started by the first question, and after a death."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from finetune_fsm.errors import LLMError, LLMErrorKind
from finetune_fsm.llm.base import Stop
from finetune_fsm.llm.chat_completions import LLAMACPP
from finetune_fsm.llm.deadlines import POLL, Timeouts
from finetune_fsm.llm.engine import Engine, Settings
from finetune_fsm.llm.openai import OpenAILLM
from finetune_fsm.llm.weights import PULL

T = TypeVar("T")

RESTARTS = 3
"""How often an engine that died is started again."""

_BATCH_CHARACTERS = 4_000  # of texts to make vectors of: two cores take half a minute for them

_MAGIC = b"GGUF"


class Keeper:
    """Holds one engine; safe to use from several threads.

    Args:
        settings: Of the engine.
        name: What people call it.
        timeouts: Limits of one try, in seconds, once the model is loaded.
        command: Starts the engine's process.

    Attributes:
        settings: The same.
        starts: How often the engine was started.
    """

    def __init__(
        self, settings: Settings, *, name: str, timeouts: Timeouts, command: Sequence[str]
    ) -> None:
        self.settings = settings
        self.starts = 0
        self._name = name
        self._timeouts = timeouts
        self._command = command
        self._turns = threading.BoundedSemaphore(settings.slots)
        self._lock = threading.Lock()
        self._running: tuple[Engine, OpenAILLM] | None = None
        self._grave: LLMError | None = None
        self._closing = Stop()

    @property
    def running(self) -> Engine | None:
        """The engine, once there is one."""
        return self._running[0] if self._running else None

    def ask(self, question: Callable[[OpenAILLM], T], stop: Stop | None) -> T:
        """Return what *question* gets out of the engine; starts it when it does not run.

        Raises:
            LLMError: as *question* does, or there is no engine.
            Cancelled: *stop* was asked for, or `close` called by another thread.
        """
        with self._turn(stop):
            engine, llm = self._ready(stop)
            try:
                return question(llm)
            except LLMError as error:
                self._closing.check()
                if error.retryable and engine.died():
                    raise engine.obituary() from error
                raise

    def close(self) -> None:
        """End the process; twice is harmless. Not to be used afterwards."""
        self._closing.ask()
        with self._lock:
            self._discard()

    @contextmanager
    def _turn(self, stop: Stop | None) -> Iterator[None]:
        # The engine would queue requests too, but there the limit to the first token would run.
        while not self._turns.acquire(timeout=POLL):
            if stop:
                stop.check()
        try:
            yield
        finally:
            self._turns.release()

    def _ready(self, stop: Stop | None) -> tuple[Engine, OpenAILLM]:
        with self._lock:
            for asked in filter(None, (stop, self._closing)):
                asked.check()
            if self._running is None or not self._running[0].alive:
                self._bury()
                self._running = self._started(stop)
            return self._running

    def _bury(self) -> None:
        if self._running:
            self._grave = self._running[0].obituary()
            self._discard()
        if self._grave and self.starts > RESTARTS:
            hint = "it was started again too often: try other weights, or a server"
            raise LLMError(self._grave.kind, self._grave.message, hint=hint)

    def _started(self, stop: Stop | None) -> tuple[Engine, OpenAILLM]:
        _check(self.settings.path)
        self.starts += 1
        _log("Loading {}", self.settings.path.name)
        stops = [asked for asked in (stop, self._closing) if asked]
        try:
            engine = Engine.start(self.settings, command=self._command, stops=stops)
        except LLMError as error:
            self._grave = error
            raise
        url, client = engine.client(self._timeouts)
        llm = OpenAILLM(
            url,
            api_key=engine.key,
            timeouts=self._timeouts,
            client=client,
            dialect=LLAMACPP,
            name=self._name,
            tries=1,
            batch_characters=_BATCH_CHARACTERS,
        )
        return engine, llm

    def _discard(self) -> None:
        running, self._running = self._running, None
        if running:
            engine, llm = running
            engine.kill()
            llm.close()


def _check(path: Path) -> None:
    """Raise `LLMError` when *path* cannot be weights."""
    try:
        with path.open("rb") as file:
            start = file.read(len(_MAGIC))
    except OSError as error:
        message = f"no weights at {path}: {error.strerror or error}"
        hint = f"run '{PULL}', or name a GGUF file with --llm llamacpp:FILE"
        raise LLMError(LLMErrorKind.MISSING_MODEL, message, hint=hint) from error
    if start != _MAGIC:
        hint = "the embedded engine reads GGUF files only"
        raise LLMError(LLMErrorKind.MISSING_MODEL, f"{path} is no GGUF file", hint=hint)


def _log(template: str, *values: str) -> None:
    from loguru import logger

    logger.info(template, *values)
