"""Models run on this machine by llama.cpp, without any server to install."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from finetune_fsm.errors import LLMError, LLMErrorKind, MissingExtra
from finetune_fsm.llm.base import LLM, Completion, OnText, Request, Stop
from finetune_fsm.llm.chat_completions import LLAMACPP
from finetune_fsm.llm.deadlines import POLL, Timeouts
from finetune_fsm.llm.engine import COMMAND, Engine, Settings
from finetune_fsm.llm.openai import OpenAILLM
from finetune_fsm.llm.retry import with_retries
from finetune_fsm.llm.weights import PULL

N_CTX = 8192
"""Tokens of context for prompt and reply."""

RESTARTS = 3
"""How often an engine that died is started again."""

TIMEOUTS = Timeouts(first_token=300.0, idle=60.0, total=900.0)
"""Longer than for a server: two cores read a full context at some 50 tokens a second."""

_MAGIC = b"GGUF"


def installed() -> bool:
    """Whether the package with the engine is there."""
    return find_spec("xllamacpp") is not None


class LlamaCppLLM:
    """An `LLM` in a process of our own, started by the first call; it answers for every model.

    One slot by default: requests that are computed side by side change each other's arithmetic,
    and so, rarely, the text.

    Args:
        path: Weights, a GGUF file.
        slots: Requests computed side by side; more wait for their turn.
        n_ctx: Tokens of context for one request, prompt and reply.
        threads: Of the processor; as many as it has by default.
        timeouts: Limits of one try, in seconds, once the model is loaded.
        command: Starts the engine's process.
        sleep: Waits so many seconds; between tries.

    Raises:
        MissingExtra: the package with the engine is not installed.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        slots: int = 1,
        n_ctx: int = N_CTX,
        threads: int | None = None,
        timeouts: Timeouts = TIMEOUTS,
        command: Sequence[str] = COMMAND,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if command is COMMAND and not installed():
            raise MissingExtra("embedded", "the embedded engine")
        self._settings = Settings(Path(path), n_ctx, slots, threads or _processors())
        self._timeouts = timeouts
        self._command = command
        self._sleep = sleep
        self._turns = threading.BoundedSemaphore(slots)
        self._lock = threading.Lock()
        self._running: tuple[Engine, OpenAILLM] | None = None
        self._starts = 0
        self._grave: LLMError | None = None
        self._closing = Stop()

    @property
    def name(self) -> str:
        """What people call it; says the file."""
        return f"the embedded engine with {self._settings.path.name}"

    @property
    def path(self) -> Path:
        """The file of the weights."""
        return self._settings.path

    @property
    def slots(self) -> int:
        """How many requests it serves at the same time."""
        return self._settings.slots

    def complete(
        self, request: Request, *, on_text: OnText | None = None, stop: Stop | None = None
    ) -> Completion:
        """Return the whole reply to *request*; starts the engine when it does not run.

        Raises:
            LLMError: no usable reply after three tries, or one that no further try can cure.
            Cancelled: *stop* was asked for, or `close` called by another thread.
        """

        def ask() -> Completion:
            with self._turn(stop):
                engine, llm = self._ready(stop)
                try:
                    return llm.complete(request, on_text=on_text, stop=stop)
                except LLMError as error:
                    self._closing.check()
                    if error.retryable and engine.died():
                        raise engine.obituary() from error
                    raise

        return with_retries(ask, stop=stop, sleep=self._sleep)

    def models(self) -> tuple[str, ...]:
        """Return one name, of the file; nothing is started."""
        return (self._settings.path.stem,)

    def fingerprint(self, model: str, *, stop: Stop | None = None) -> str:
        """Return size and time of the file: hashing a gigabyte would take seconds."""
        del model, stop
        try:
            there = self._settings.path.stat()
        except OSError:
            return ""
        return f"{self._settings.path.name}-{there.st_size}-{there.st_mtime_ns}"

    def close(self) -> None:
        """End the process; calling it twice is harmless. Not to be used afterwards."""
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
        if self._grave and self._starts > RESTARTS:
            hint = "it was started again too often: try other weights, or a server"
            raise LLMError(self._grave.kind, self._grave.message, hint=hint)

    def _started(self, stop: Stop | None) -> tuple[Engine, OpenAILLM]:
        _check(self._settings.path)
        self._starts += 1
        _log("Loading {}", self._settings.path.name)
        stops = [asked for asked in (stop, self._closing) if asked]
        try:
            engine = Engine.start(self._settings, command=self._command, stops=stops)
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
            name=self.name,
            tries=1,
        )
        return engine, llm

    def _discard(self) -> None:
        running, self._running = self._running, None
        if running:
            engine, llm = running
            engine.kill()
            llm.close()


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


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


_: type[LLM] = LlamaCppLLM  # the protocol is kept, and mypy says so
