"""What is waited for, for whoever wants to look: the calls under way and the rollouts around them.

A board, not a stream of events: those who work write on it, and nobody is called. So it costs a
clock's look per piece of a reply, whoever reads it chooses when, and no reader can break a run.
Safe to use from several threads.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

from finetune_fsm.llm.base import OnText, Request, Usage

if TYPE_CHECKING:
    from finetune_fsm.llm.meter import Meter


@dataclass(frozen=True, slots=True)
class CallSeen:
    """A call under way, as it stands at one moment.

    Attributes:
        model: Who is asked.
        who: Where, such as ``Ollama at http://localhost:11434``.
        label: In which state of the workflow, or step of the loop.
        place: In which rollout, in words, or empty.
        seconds: Since it began, all tries.
        silent: Seconds since the last piece of the reply, or since this try began.
        pieces: Of the reply, in this try; most servers send a token in each.
        rate: Pieces per second since the first; 0 until there are two.
        pause: Seconds until it is tried again; 0 while a try is under way.
        number: Which try it is, or comes next, 1-based.
        tries: How many there are at most; 0 when nobody said.
    """

    model: str
    who: str
    label: str = ""
    place: str = ""
    seconds: float = 0.0
    silent: float = 0.0
    pieces: int = 0
    rate: float = 0.0
    pause: float = 0.0
    number: int = 1
    tries: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """Rollouts that are made together, as they stand at one moment.

    Attributes:
        done: How many have ended.
        total: How many were asked for.
        running: How many are under way.
        typical: Seconds of one, the median of those that ended; None while they are few.
    """

    done: int = 0
    total: int = 0
    running: int = 0
    typical: float | None = None

    @property
    def left(self) -> float | None:
        """Seconds until all have ended, or None while nobody can tell. Pure."""
        if self.typical is None:
            return None
        return self.typical * (self.total - self.done) / max(1, self.running)


@dataclass(frozen=True, slots=True)
class Seen:
    """All there is to see at one moment.

    Attributes:
        calls: Under way, the one that began first in front.
        batch: The rollouts under way, or None.
        spent: On models, in all sessions of the run.
        calls_left: What the budget allows still; None without one.
        tokens_left: The same.
        seconds_left: The same.
    """

    calls: tuple[CallSeen, ...] = ()
    batch: Batch | None = None
    spent: Usage = field(default_factory=Usage)
    calls_left: int | None = None
    tokens_left: int | None = None
    seconds_left: float | None = None


ENOUGH = 3
"""Rollouts that must have ended before one is called typical."""


class Call:
    """A call under way; made by `Watch.begin`."""

    __slots__ = ("_clock", "begun", "first", "heard", "number", "pieces", "place", "request",
                 "resumes", "tries", "who")  # fmt: skip

    def __init__(self, request: Request, who: str, place: str, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.request = request
        self.who = who
        self.place = place
        self.begun = self.heard = clock()
        self.first: float | None = None
        self.pieces = 0
        self.resumes = 0.0
        self.number = 1
        self.tries = 0

    def listen(self, on_text: OnText | None) -> OnText:
        """Return what hands every piece on to *on_text*, if there is one, and takes note."""
        if on_text is None:
            return self.note

        def both(piece: str) -> None:
            self.note(piece)
            on_text(piece)

        return both

    def note(self, piece: str) -> None:
        """Take note that *piece* of the reply came; an empty one says that the model thinks."""
        del piece
        self.heard = self._clock()
        if self.first is None:
            self.first = self.heard
        self.pieces += 1

    def pause(self, seconds: float, number: int, tries: int) -> None:
        """Take note that try *number* of *tries* begins in so many *seconds*."""
        self.heard = self.resumes = self._clock() + seconds
        self.first, self.pieces = None, 0
        self.number, self.tries = number, tries

    def seen(self, now: float) -> CallSeen:
        """Return how it stands."""
        first, pieces, heard = self.first, self.pieces, self.heard
        written = heard - first if first is not None else 0.0
        return CallSeen(
            model=self.request.model,
            who=self.who,
            label=self.request.label,
            place=self.place,
            seconds=now - self.begun,
            silent=max(0.0, now - heard),
            pieces=pieces,
            rate=(pieces - 1) / written if written > 0 else 0.0,
            pause=max(0.0, self.resumes - now),
            number=self.number,
            tries=self.tries,
        )


class Watch:
    """The board.

    Args:
        clock: Seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._calls: dict[int, Call] = {}
        self._here = threading.local()  # in which rollout a thread stands
        self._meter: Meter | None = None
        self._total = self._done = self._running = 0
        self._seconds: list[float] = []

    def follow(self, meter: Meter) -> None:
        """Tell what *meter* counts, too."""
        self._meter = meter

    def begin(self, request: Request, who: str) -> Call:
        """Put a call on the board: *request*, sent to *who* by this thread."""
        call = Call(request, who, getattr(self._here, "place", ""), self._clock)
        with self._lock:
            self._calls[id(call)] = call
        return call

    def end(self, call: Call) -> None:
        """Take *call* off the board."""
        with self._lock:
            self._calls.pop(id(call), None)

    def expect(self, total: int) -> None:
        """Take note that so many rollouts are made from now on; forget those before."""
        with self._lock:
            self._total, self._done, self._running = total, 0, 0

    @contextmanager
    def rollout(self, place: str) -> Iterator[None]:
        """Say where the calls of this thread come from while the block runs, a rollout."""
        self._here.place = place
        began = self._clock()
        with self._lock:
            self._running += 1
        try:
            yield
        finally:
            self._here.place = ""
            with self._lock:
                self._running = max(0, self._running - 1)
                self._done += 1
                self._seconds.append(self._clock() - began)

    def look(self) -> Seen:
        """Return what there is to see now."""
        now = self._clock()
        with self._lock:
            calls = sorted(self._calls.values(), key=lambda call: call.begun)
            typical = median(self._seconds) if len(self._seconds) >= ENOUGH else None
            batch = Batch(self._done, self._total, self._running, typical)
        seen = tuple(call.seen(now) for call in calls)
        shown = batch if batch.running and batch.done < batch.total else None
        meter = self._meter
        if meter is None:
            return Seen(seen, shown)
        left = meter.left
        return Seen(seen, shown, meter.spent, left.calls, left.tokens, left.seconds)
