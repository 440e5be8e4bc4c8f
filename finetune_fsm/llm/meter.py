"""What a run has spent on models, and what it may: calls, tokens and time.

A budget is exact: the call that would be one too many is not made. Calls that are under way count
as made, whoever waits for them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from finetune_fsm.errors import BudgetSpent
from finetune_fsm.llm.base import LLM, Completion, OnText, Request, Stop, Usage
from finetune_fsm.llm.layer import Layer


@dataclass(frozen=True, slots=True)
class Budget:
    """What a person allows; None is as much as it takes.

    Attributes:
        calls: Requests sent at most, retries of a broken connection not counted.
        tokens: No call begins once so many are read and written.
        seconds: Of work, over all sessions of a run; a call under way is cut off.
    """

    calls: int | None = None
    tokens: int | None = None
    seconds: float | None = None


class Meter:
    """Counts; safe to use from several threads.

    Args:
        budget: What may be spent.
        spent: What earlier sessions of the run spent.
        seconds: How long they worked.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        budget: Budget = Budget(),  # frozen
        *,
        spent: Usage = Usage(),  # noqa: B008  # frozen
        seconds: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._budget = budget
        self._clock = clock
        self._began = clock() - seconds
        self._lock = threading.Lock()
        self._spent = spent
        self._lap = Usage()
        self._under_way = 0

    @property
    def seconds(self) -> float:
        """Seconds of work so far, those of earlier sessions included."""
        return self._clock() - self._began

    def add(self, usage: Usage) -> None:
        """Count *usage*."""
        with self._lock:
            self._spent += usage
            self._lap += usage

    def lap(self) -> Usage:
        """Return what was counted since this was last called."""
        with self._lock:
            lap, self._lap = self._lap, Usage()
        return lap

    def begin(self) -> None:
        """Make room for one call.

        Raises:
            BudgetSpent: it would be one too many.
        """
        budget = self._budget
        self.check_time()
        with self._lock:
            if budget.calls is not None and self._spent.calls + self._under_way >= budget.calls:
                raise BudgetSpent("calls")
            if budget.tokens is not None and self._spent.tokens >= budget.tokens:
                raise BudgetSpent("tokens")
            self._under_way += 1

    def end(self, usage: Usage) -> None:
        """Count the *usage* of a call for which `begin` made room."""
        with self._lock:
            self._under_way -= 1
            self._spent += usage
            self._lap += usage

    def check_time(self) -> None:
        """Raise `BudgetSpent` when the time is over."""
        if self._budget.seconds is not None and self.seconds >= self._budget.seconds:
            raise BudgetSpent("time")

    def timed(self, stop: Stop | None) -> Stop | None:
        """Return *stop* with this meter's clock beside it, for every wait to look at."""
        return stop if self._budget.seconds is None else _TimedStop(self, stop)


class _TimedStop(Stop):
    """Raised with *outer*, or when the time is over."""

    __slots__ = ("_meter", "_outer")

    def __init__(self, meter: Meter, outer: Stop | None) -> None:
        super().__init__()
        self._meter = meter
        self._outer = outer

    @property
    def asked(self) -> bool:
        try:
            self.check()
        except Exception:  # noqa: BLE001  # either reason to stop is one
            return True
        return False

    def check(self) -> None:
        super().check()
        if self._outer is not None:
            self._outer.check()
        self._meter.check_time()


class Metered(Layer):
    """An `LLM` whose calls are counted, and refused when they would be too many.

    Args:
        inner: Answers.
        meter: Counts.
    """

    def __init__(self, inner: LLM, meter: Meter) -> None:
        super().__init__(inner)
        self._meter = meter

    def complete(
        self, request: Request, *, on_text: OnText | None = None, stop: Stop | None = None
    ) -> Completion:
        """Return the whole reply to *request*; a call that failed is a call too.

        Raises:
            BudgetSpent: it would be one too many; nothing was sent.
            LLMError: as the inner one does.
            Cancelled: the same.
        """
        self._meter.begin()
        usage = Usage(calls=1)
        try:
            completion = self._inner.complete(request, on_text=on_text, stop=stop)
            usage = Usage.of(completion)
        finally:
            self._meter.end(usage)
        return completion


_: type[LLM] = Metered  # the protocol is kept, and mypy says so
