"""Models run on this machine by llama.cpp, without any server to install."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from finetune_fsm.errors import MissingExtra
from finetune_fsm.llm.base import LLM, Completion, OnText, Request, Stop
from finetune_fsm.llm.deadlines import Timeouts
from finetune_fsm.llm.engine import COMMAND, Pooling, Settings
from finetune_fsm.llm.engine_keeper import RESTARTS, Keeper
from finetune_fsm.llm.openai import OpenAILLM
from finetune_fsm.llm.retry import with_retries
from finetune_fsm.llm.vectors import Vectors
from finetune_fsm.llm.weights import named

__all__ = ["N_CTX", "RESTARTS", "TIMEOUTS", "LlamaCppLLM", "installed"]

N_CTX = 8192
"""Tokens of context for prompt and reply."""

TEXT_CTX = 2048
"""Tokens of a text that a vector is made of, at most."""

TIMEOUTS = Timeouts(first_token=300.0, idle=60.0, total=900.0)
"""Longer than for a server: two cores read a full context at some 50 tokens a second."""


def installed() -> bool:
    """Whether the package with the engine is there."""
    return find_spec("xllamacpp") is not None


class LlamaCppLLM:
    """An `LLM` in a process of our own, started by the first call; it answers for every model.

    One slot by default: requests that are computed side by side change each other's arithmetic,
    and so, rarely, the text. For the same reason vectors of texts come from a process of their
    own, started by the first `embed`; both map the same file, so the weights are in memory once.

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
        settings = Settings(Path(path), n_ctx, slots, threads or _processors())
        self._keeper = partial(Keeper, timeouts=timeouts, command=command)
        self._sleep = sleep
        self._chat = self._keeper(settings, name=_name(settings.path))
        self._vectors: dict[Path, Keeper] = {}
        self._lock = threading.Lock()
        self._closed = Stop()

    @property
    def name(self) -> str:
        """What people call it; says the file."""
        return _name(self.path)

    @property
    def path(self) -> Path:
        """The file of the weights."""
        return self._chat.settings.path

    @property
    def slots(self) -> int:
        """How many requests it serves at the same time."""
        return self._chat.settings.slots

    def complete(
        self, request: Request, *, on_text: OnText | None = None, stop: Stop | None = None
    ) -> Completion:
        """Return the whole reply to *request*; starts the engine when it does not run.

        Raises:
            LLMError: no usable reply after three tries, or one that no further try can cure.
            Cancelled: *stop* was asked for, or `close` called by another thread.
        """

        def question(llm: OpenAILLM) -> Completion:
            return llm.complete(request, on_text=on_text, stop=stop)

        return with_retries(lambda: self._chat.ask(question, stop), stop=stop, sleep=self._sleep)

    def embed(self, model: str, texts: Sequence[str], *, stop: Stop | None = None) -> Vectors:
        """Return a vector for each of *texts*, in order.

        Weights in our folder that are called *model* make them, such as those of an embedding
        model; else the same weights that reply, by the mean over a text's tokens.

        Raises:
            LLMError: there are none, after three tries.
            Cancelled: *stop* was asked for, or `close` called by another thread.
        """
        if not texts:
            return ()
        keeper = self._maker(model)

        def question(llm: OpenAILLM) -> Vectors:
            return llm.embed(model, texts, stop=stop)

        return with_retries(lambda: keeper.ask(question, stop), stop=stop, sleep=self._sleep)

    def models(self) -> tuple[str, ...]:
        """Return one name, of the file; nothing is started."""
        return (self.path.stem,)

    def fingerprint(self, model: str, *, stop: Stop | None = None) -> str:
        """Return size and time of the file: hashing a gigabyte would take seconds."""
        del model, stop
        try:
            there = self.path.stat()
        except OSError:
            return ""
        return f"{self.path.name}-{there.st_size}-{there.st_mtime_ns}"

    def close(self) -> None:
        """End the processes; calling it twice is harmless. Not to be used afterwards."""
        self._closed.ask()
        with self._lock, ExitStack() as stack:
            for keeper in (self._chat, *self._vectors.values()):
                stack.callback(keeper.close)

    def _maker(self, model: str) -> Keeper:
        """The engine that makes vectors for *model*."""
        own = named(model)
        path = own or self.path
        with self._lock:
            self._closed.check()
            if path not in self._vectors:
                pooling = Pooling.OWN if own else Pooling.MEAN
                settings = replace(
                    self._chat.settings, path=path, n_ctx=TEXT_CTX, slots=1, pooling=pooling
                )
                self._vectors[path] = self._keeper(settings, name=_name(path))
            return self._vectors[path]


def _name(path: Path) -> str:
    return f"the embedded engine with {path.name}"


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


_: type[LLM] = LlamaCppLLM  # the protocol is kept, and mypy says so
