"""Pieces side by side: the order is that of the numbers, and who has seen enough pays no more."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune_fsm.errors import Cancelled
from finetune_fsm.llm.base import Stop
from finetune_fsm.scenarios.parallel import in_flight, side_by_side


class Work:
    """Pieces that take their time, and remember when they began and ended."""

    def __init__(self, delays: Sequence[float]) -> None:
        self.delays = delays
        self.begun: list[int] = []
        self.ended: list[int] = []
        self.most = 0
        self._lock = threading.Lock()

    def piece(self, number: int, stop: Stop) -> str:
        with self._lock:
            self.begun.append(number)
            self.most = max(self.most, len(self.begun) - len(self.ended))
        time.sleep(self.delays[number])
        with self._lock:
            self.ended.append(number)
        return f"<{number}>"


DELAYS = st.lists(st.sampled_from([0.0, 0.001, 0.01]), min_size=1, max_size=12)


@settings(max_examples=40)
@given(DELAYS, st.integers(-1, 5), st.none() | st.integers(0, 5))
def test_results_come_in_order_and_each_piece_once(
    delays: list[float], jobs: int, window: int | None
) -> None:
    work = Work(delays)
    found = list(in_flight(work.piece, len(delays), jobs=jobs, window=window))
    assert found == [f"<{n}>" for n in range(len(delays))]
    assert sorted(work.begun) == list(range(len(delays)))
    assert work.most <= max(1, jobs)


@settings(max_examples=40)
@given(DELAYS, st.integers(1, 4), st.integers(1, 5), st.data())
def test_who_has_seen_enough_pays_for_the_window_and_nothing_is_left_running(
    delays: list[float], jobs: int, window: int, data: st.DataObject
) -> None:
    enough = data.draw(st.integers(1, len(delays)))
    work = Work(delays)
    taken = []
    with closing(in_flight(work.piece, len(delays), jobs=jobs, window=window)) as results:
        for result in results:
            taken.append(result)
            if len(taken) == enough:
                break
    assert taken == [f"<{n}>" for n in range(enough)]
    assert sorted(work.ended) == sorted(work.begun)
    assert len(work.begun) < enough + window
    begun = len(work.begun)
    time.sleep(0.002)
    assert len(work.begun) == begun


def test_a_slow_piece_does_not_keep_the_others_waiting() -> None:
    work = Work([0.2] + [0.01] * 20)
    started = time.monotonic()
    side_by_side(work.piece, 21, jobs=2)
    assert time.monotonic() - started < 0.35  # one after the other it would be 0.4
    assert work.ended[-1] == 0 or work.ended.index(0) > 10


def test_a_stop_while_waiting_for_the_last_ends_the_wait() -> None:
    stop, release = Stop(), threading.Event()

    def piece(number: int, inner: Stop) -> int:
        if number:
            release.wait(20)
        return number

    results = in_flight(piece, 2, jobs=2, stop=stop)
    assert next(results) == 0
    stop.ask()
    started = time.monotonic()
    with pytest.raises(Cancelled):
        results.close()
    release.set()
    assert time.monotonic() - started < 4


def test_a_piece_that_raises_ends_the_others_at_once() -> None:
    def piece(number: int, inner: Stop) -> int:
        if number == 3:
            raise ValueError("three")
        while not inner.asked:
            time.sleep(0.001)
        return number

    started = time.monotonic()
    with pytest.raises(ValueError, match="three"):
        side_by_side(piece, 100, jobs=5)
    assert time.monotonic() - started < 2
