"""What a run has spent on models, and what it may: calls, tokens and time.

A budget is exact: the request that would be one too many is not sent, whether it is a new question
or an old one once more. Requests that are under way count as sent, and when calls or tokens are
spent, those under way are waited for: what they cost is paid, so their answers are kept.

Vectors of texts are counted nowhere: how many a run asks for depends on what its knowledge bases
have on disk and on where it was killed, and what a run counts must not. A budget of time holds for
them as for all.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from finetune_fsm.errors import BudgetSpent
from finetune_fsm.llm.base import LLM, Completion, OnText, Request, Stop, Usage
from finetune_fsm.llm.layer import Layer
from finetune_fsm.llm.watch import Call, Watch

_LOOK = 0.05  # seconds between two looks at the stop flag while others are waited for


@dataclass(frozen=True, slots=True)
class Budget:
    """What a person allows; None is as much as it takes.

    Attributes:
        calls: Requests sent at most, each time that one is sent again counted.
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
        spent: What earlier sessions of the run spent, for all that they asked.
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
        self._idle = threading.Event()
        self._idle.set()
        self._spent = spent
        self._lap = Usage()
        self._under_way = 0

    @property
    def seconds(self) -> float:
        """Seconds of work so far, those of earlier sessions included."""
        return self._clock() - self._began

    @property
    def spent(self) -> Usage:
        """What was spent so far, by earlier sessions too."""
        with self._lock:
            return self._spent

    @property
    def left(self) -> Budget:
        """What may still be spent; requests under way count as sent."""
        budget = self._budget
        with self._lock:
            sent, tokens = self._spent.requests + self._under_way, self._spent.tokens
        return Budget(
            None if budget.calls is None else max(0, budget.calls - sent),
            None if budget.tokens is None else max(0, budget.tokens - tokens),
            None if budget.seconds is None else max(0.0, budget.seconds - self.seconds),
        )

    def add(self, usage: Usage) -> None:
        """Count *usage*."""
        with self._lock:
            self._spent += usage
            self._lap += usage

    def use_again(self, usage: Usage) -> None:
        """Put *usage*, spent by an earlier session, where it is used; it was counted already."""
        with self._lock:
            self._lap += usage

    def lap(self) -> Usage:
        """Return what was counted since this was last called."""
        with self._lock:
            lap, self._lap = self._lap, Usage()
        return lap

    def begin(self) -> None:
        """Make room for one request.

        Raises:
            BudgetSpent: it would be one too many.
        """
        budget = self._budget
        self.check_time()
        with self._lock:
            if budget.calls is not None and self._spent.requests + self._under_way >= budget.calls:
                raise BudgetSpent("calls")
            if budget.tokens is not None and self._spent.tokens >= budget.tokens:
                raise BudgetSpent("tokens")
            self._under_way += 1
            self._idle.clear()

    def end(self, usage: Usage, requests: int = 1) -> None:
        """Count the *usage* of a call, for whose *requests* `begin` made room one by one."""
        with self._lock:
            self._under_way -= requests
            self._spent += usage
            self._lap += usage
            if not self._under_way:
                self._idle.set()

    def wait_for_others(self, stop: Stop | None) -> None:
        """Return when no request is under way; raises as *stop* does."""
        while not self._idle.wait(_LOOK):
            if stop:
                stop.check()

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


class _Heard(Stop):
    """Raised with *outer*; hands on what people who wait for one call are told."""

    __slots__ = ("_call", "_outer", "_tell")

    def __init__(self, outer: Stop | None, tell: Callable[[str], None], call: Call | None) -> None:
        super().__init__()
        self._call = call
        self._outer = outer
        self._tell = tell

    @property
    def asked(self) -> bool:
        return self._outer is not None and self._outer.asked

    def check(self) -> None:
        if self._outer is not None:
            self._outer.check()

    def again(self, why: str = "") -> None:
        self.check()
        if why:
            self._tell(why)

    def tell(self, what: str) -> None:
        self._tell(what)

    def pause(self, seconds: float, number: int, tries: int) -> None:
        if self._call:
            self._call.pause(seconds, number, tries)


class _Counted(_Heard):
    """Counts, too, how often the request of one call is sent again."""

    __slots__ = ("_meter", "retries")

    def __init__(
        self, meter: Meter, outer: Stop | None, tell: Callable[[str], None], call: Call | None
    ) -> None:
        super().__init__(outer, tell, call)
        self._meter = meter
        self.retries = 0

    def again(self, why: str = "") -> None:
        self.check()
        self._meter.begin()
        self.retries += 1
        super().again(why)


def ignore(message: str) -> None:
    """Tell nobody."""


class Metered(Layer):
    """An `LLM` whose requests are counted, and refused when they would be too many.

    Args:
        inner: Answers.
        meter: Counts.
        tell: Takes a sentence for people whenever they have to wait for another try, or a server
            of several fails them.
        watch: Where calls under way can be seen, if anybody looks.
    """

    def __init__(
        self,
        inner: LLM,
        meter: Meter,
        *,
        tell: Callable[[str], None] = ignore,
        watch: Watch | None = None,
    ) -> None:
        super().__init__(inner)
        self._meter = meter
        self._tell = tell
        self._watch = watch
        if watch:
            watch.follow(meter)

    def complete(
        self, request: Request, *, on_text: OnText | None = None, stop: Stop | None = None
    ) -> Completion:
        """Return the whole reply to *request*; a call that failed is a call too.

        Raises:
            BudgetSpent: it would be one request too many; that one was not sent.
            LLMError: as the inner one does.
            Cancelled: the same.
        """
        try:
            return self._counted(request, on_text, stop)
        except BudgetSpent as spent:
            if spent.budget != "time":
                self._meter.wait_for_others(stop)
            raise

    def embed(
        self, model: str, texts: Sequence[str], *, stop: Stop | None = None
    ) -> tuple[tuple[float, ...], ...]:
        """Return the vectors of *texts*, which are no calls.

        Raises:
            BudgetSpent: the time is over.
            LLMError: as the inner one does.
            Cancelled: the same.
        """
        self._meter.check_time()
        watch = self._watch
        what = Request(model, (), label=f"vectors of {len(texts):,} texts")
        call = watch.begin(what, self.name) if watch else None
        try:
            heard = _Heard(stop, self._tell, call)
            return self._inner.embed(model, texts, stop=heard)
        finally:
            if watch and call:
                watch.end(call)

    def _counted(self, request: Request, on_text: OnText | None, stop: Stop | None) -> Completion:
        self._meter.begin()
        watch = self._watch
        call = watch.begin(request, self.name) if watch else None
        counted = _Counted(self._meter, stop, self._tell, call)
        usage = Usage(calls=1)
        try:
            if call:
                on_text = call.listen(on_text)
            completion = self._inner.complete(request, on_text=on_text, stop=counted)
            usage = Usage.of(completion)
        finally:
            usage = replace(usage, retries=counted.retries)
            self._meter.end(usage, requests=1 + counted.retries)
            if watch and call:
                watch.end(call)
        return replace(completion, retries=counted.retries)


_: type[LLM] = Metered  # the protocol is kept, and mypy says so
