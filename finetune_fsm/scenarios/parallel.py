"""Pieces of work side by side, results in order, and a quick way out.

Threads, not processes: the work waits for a model. They are daemons, for a person who stops must
not wait for a model that never answers.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
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

    Args:
        piece: Called from several threads, each number once.
        count: How many there are.
        jobs: How many may run at the same time; below 1 is 1.
        stop: Ends everything early.
        on_each: Gets number and result of each piece as it ends, in the caller's thread.

    Raises:
        Cancelled: *stop* was asked for.
        BaseException: what a piece or *on_each* raised, at once, after at most `GRACE` seconds for
            the others; of several the first to come.
    """
    inner = _LinkedStop(stop)
    done: queue.SimpleQueue[_Ended[T]] = queue.SimpleQueue()
    work = _worker(piece, count, inner, done.put)
    threads = [
        threading.Thread(target=work, name=f"scenario-{index}", daemon=True)
        for index in range(max(1, min(jobs, count)))
    ]
    results: dict[int, T] = {}
    try:
        for thread in threads:
            thread.start()
        while len(results) < count:
            number, result = _next(done, inner)
            results[number] = result
            if on_each:
                on_each(number, result)
    except BaseException:
        inner.ask()
        _wait_for(threads)
        raise
    return tuple(results[number] for number in range(count))


def in_turn(tell: OnEach[T]) -> OnEach[T]:
    """Return a listener that passes on to *tell* in the order of numbers."""
    early: dict[int, T] = {}
    due = 0

    def listen(number: int, result: T) -> None:
        nonlocal due
        early[number] = result
        while due in early:
            tell(due, early.pop(due))
            due += 1

    return listen


def _worker(
    piece: Piece[T], count: int, stop: Stop, put: Callable[[_Ended[T]], None]
) -> Callable[[], None]:
    numbers = iter(range(count))
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                number = next(numbers, None)
            if number is None or stop.asked:
                return
            try:
                put((number, [piece(number, stop)], None))
            except BaseException as error:  # noqa: BLE001  # it is raised again where it is awaited
                put((number, [], error))
                return

    return work


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
