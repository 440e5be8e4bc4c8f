"""The work that this server does, each piece in a thread of its own, and the model it asks."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from finetune_fsm.errors import Busy, Cancelled, FinetuneError
from finetune_fsm.llm.base import Stop
from finetune_fsm.serve.board import Board
from finetune_fsm.sinks import one_line

if TYPE_CHECKING:
    from finetune_fsm.llm.select import Chosen

KEPT = 50
"""Pieces of work that are remembered when they are over."""


class Kind(StrEnum):
    """What is done with a workflow."""

    RUN = "run"
    TEST = "test"
    FINETUNE = "finetune"


@dataclass(slots=True)
class Work:
    """Something done with a workflow, going on or over.

    Attributes:
        kind: What.
        workflow: Its file.
        board: What it shows and asks.
        key: Names it in addresses.
        stop: Ends it early.
        folder: Of the run, of a finetune that has begun.
        error: Why it broke off, or empty.
        over: Set at the end.
    """

    kind: Kind
    workflow: Path
    board: Board
    key: str = field(default_factory=lambda: secrets.token_hex(8))
    stop: Stop = field(default_factory=Stop)
    folder: Path | None = None
    error: str = ""
    over: threading.Event = field(default_factory=threading.Event)


Do = Callable[[Work], None]


class Desk:
    """Starts work and knows all of it; safe to use from several threads.

    Args:
        choose: Returns the model to ask; called when one is needed.
    """

    def __init__(self, choose: Callable[[], Chosen]) -> None:
        self._choose = choose
        self._works: dict[str, Work] = {}
        self._lock = threading.Lock()
        self._model = threading.Lock()
        self._chosen: Chosen | None = None
        self._borrowers = 0
        self._closed = False

    def start(self, work: Work, do: Do) -> None:
        """Let *do* begin with *work* in a thread of its own.

        Raises:
            Busy: the same is being done with the same workflow already.
        """
        with self._lock:
            if self._closed:
                raise Busy("the server is about to end")
            for other in self._works.values():
                same = (other.kind, other.workflow) == (work.kind, work.workflow)
                if same and not other.over.is_set():
                    raise Busy(f"a {work.kind} of {one_line(work.workflow.name)} is going on")
            self._works[work.key] = work
            self._forget()
        threading.Thread(target=self._run, args=(work, do), daemon=True, name=work.kind).start()

    def find(self, key: str) -> Work | None:
        """Return the work called *key*, or None."""
        with self._lock:
            return self._works.get(key)

    def at_work(self) -> list[Work]:
        """Return the work that goes on, the oldest first."""
        with self._lock:
            return [work for work in self._works.values() if not work.over.is_set()]

    def on_run(self, folder: Path) -> Work | None:
        """Return the newest work on the run in *folder*, over or not, or None."""
        with self._lock:
            mine = [work for work in self._works.values() if work.folder == folder]
        return mine[-1] if mine else None

    @contextmanager
    def model(self) -> Iterator[Chosen]:
        """Lend the model; the last to give it back closes it.

        Raises:
            FinetuneError: there is none to be had; as `llm.select.choose`.
        """
        with self._model:
            if self._chosen is None:
                self._chosen = self._choose()
            chosen = self._chosen
            self._borrowers += 1
        try:
            yield chosen
        finally:
            with self._model:
                self._borrowers -= 1
                if not self._borrowers:
                    self._chosen = None
                    chosen.llm.close()

    def close(self, seconds: float) -> bool:
        """Ask all work to stop and wait for it, *seconds* at most; return whether all has ended."""
        with self._lock:
            self._closed = True
        for work in self.at_work():
            work.stop.ask()
        end = time.monotonic() + seconds
        return all(work.over.wait(max(0.0, end - time.monotonic())) for work in self.at_work())

    def _run(self, work: Work, do: Do) -> None:
        try:
            with suppress(Cancelled):
                do(work)
        except (FinetuneError, OSError) as error:
            work.error = str(error)
        except Exception as error:  # noqa: BLE001  # a thread that dies in silence helps nobody
            from loguru import logger

            logger.opt(exception=error).error("The work on {} broke off", work.workflow.name)
            work.error = f"internal error: {type(error).__name__}: {error}"
        finally:
            work.over.set()

    def _forget(self) -> None:
        over = [key for key, work in self._works.items() if work.over.is_set()]
        for key in over[: max(0, len(over) - KEPT)]:
            del self._works[key]
