"""Pieces of work side by side, results in order whatever the timing, and a quick way out.

Threads, not processes: the work waits for a model. They are daemons, for a person who stops must
not wait for a model that never answers.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Generator, Sequence
from typing import TypeVar

from finetune_fsm.llm.base import Stop

T = TypeVar("T")

Piece = Callable[[int, Stop], T]
"""Does the piece of this number; looks at the flag, which is raised when no one waits any more."""

OnEach = Callable[[int, T], None]
"""Gets a piece's number and result."""

_Ended = tuple[int, list[T], BaseException | None]
"""A piece's number, its result in a list, or why there is none."""

GRACE = 2.0
"""Seconds that running pieces get to notice that they are no longer wanted."""

_LOOK = 0.05
"""Seconds between two looks at the caller's stop flag."""


class _LinkedStop(Stop):
    """Raised by itself or with *outer*."""

    __slots__ = ("_outer",)

    def __init__(self, outer: Stop | None) -> None:
        super().__init__()
        self._outer = outer

    @property
    def asked(self) -> bool:
        return super().asked or (self._outer is not None and self._outer.asked)

    def check(self) -> None:
        if self._outer is not None:
            self._outer.check()
        super().check()


def side_by_side(
    piece: Piece[T],
    count: int,
    *,
    jobs: int,
    stop: Stop | None = None,
    on_each: OnEach[T] | None = None,
) -> tuple[T, ...]:
    """Return the results of *piece* for 0 … *count* - 1, in that order.

    See `in_flight` for the arguments and for what is raised.
    """
    return tuple(in_flight(piece, count, jobs=jobs, stop=stop, on_each=on_each))


def in_flight(
    piece: Piece[T],
    count: int,
    *,
    jobs: int,
    window: int | None = None,
    stop: Stop | None = None,
    on_each: OnEach[T] | None = None,
) -> Generator[T, None, None]:
    """Yield the results of *piece* for 0 … *count* - 1, in that order, *jobs* computed at once.

    What is yielded does not depend on which piece ends first. Who has seen enough closes the
    generator: no further piece begins, and those under way are waited for, as what they cost is
    paid.

    Args:
        piece: Called from several threads, each number once.
        count: How many there are.
        jobs: How many may run at the same time; below 1 is 1.
        window: How many may have begun beyond those whose results were taken, for who may have
            seen enough early; any number without.
        stop: Ends everything early.
        on_each: Gets number and result of each piece as it ends, in the caller's thread.

    Raises:
        Cancelled: *stop* was asked for.
        BaseException: what a piece or *on_each* raised, at once, after at most `GRACE` seconds for
            the others; of several the first to come.
    """
    inner = _LinkedStop(stop)
    done: queue.SimpleQueue[_Ended[T]] = queue.SimpleQueue()
    numbers = _Numbers(count, window)
    threads = [
        threading.Thread(
            target=_work, args=(piece, numbers, inner, done.put), name=f"job-{n}", daemon=True
        )
        for n in range(max(1, min(jobs, count)))
    ]
    early: dict[int, T] = {}
    try:
        for thread in threads:
            thread.start()
        for due in range(count):
            while due not in early:
                number, result = _next(done, inner)
                early[number] = result
                if on_each:
                    on_each(number, result)
            yield early.pop(due)
            numbers.taken()
    except GeneratorExit:
        numbers.end()
        for thread in threads:
            while thread.is_alive():
                inner.check()
                thread.join(_LOOK)
        raise
    except BaseException:
        inner.ask()
        numbers.end()
        _wait_for(threads)
        raise


class _Numbers:
    """Hands out 0 … *count* - 1, each once, never more than *window* beyond those taken."""

    def __init__(self, count: int, window: int | None) -> None:
        self._next = 0
        self._count = count
        self._window = count if window is None else max(1, window)
        self._taken = 0
        self._changed = threading.Condition()

    def next(self) -> int | None:
        """Return the next number, waiting until it may begin; None when there is none."""
        with self._changed:
            while self._next < self._count and self._next >= self._taken + self._window:
                self._changed.wait()
            if self._next >= self._count:
                return None
            self._next += 1
            return self._next - 1

    def taken(self) -> None:
        """Take note that one more result was taken."""
        with self._changed:
            self._taken += 1
            self._changed.notify_all()

    def end(self) -> None:
        """Hand out nothing any more."""
        with self._changed:
            self._count = 0
            self._changed.notify_all()


def _work(piece: Piece[T], numbers: _Numbers, stop: Stop, put: Callable[[_Ended[T]], None]) -> None:
    while (number := numbers.next()) is not None and not stop.asked:
        try:
            put((number, [piece(number, stop)], None))
        except BaseException as error:  # noqa: BLE001  # it is raised again where it is awaited
            put((number, [], error))
            return


def _next(done: queue.SimpleQueue[_Ended[T]], stop: Stop) -> tuple[int, T]:
    """Wait for the next piece to end; raise what it raised."""
    while True:
        stop.check()
        try:
            number, result, error = done.get(timeout=_LOOK)
        except queue.Empty:
            continue
        if error is not None:
            raise error
        return number, result[0]


def _wait_for(threads: Sequence[threading.Thread]) -> None:
    deadline = time.monotonic() + GRACE
    for thread in threads:
        if thread.ident is not None:
            thread.join(max(0.0, deadline - time.monotonic()))
