"""The measuring of speed: what counts as busy, and that a server says what it saw."""

from __future__ import annotations

import pytest
import speed
from hypothesis import given
from hypothesis import strategies as st
from latency import Seen

SPANS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 10)), min_size=1, max_size=12)


@given(SPANS)
def test_busy_is_the_time_with_at_least_one_question_at_work(pairs: list[tuple[int, int]]) -> None:
    spans = tuple((float(start), float(start + length)) for start, length in pairs)
    seen = Seen(("q",) * len(spans), spans)
    ticks = {t for start, length in pairs for t in range(start, start + length)}
    assert seen.busy == len(ticks)
    assert seen.makespan == max(s + n for s, n in pairs) - min(s for s, _ in pairs)
    assert seen.busy <= seen.makespan


def test_a_suite_is_run_and_the_server_says_how_long_it_was_at_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(speed, "SCENARIOS", 6)
    monkeypatch.setattr(speed, "SECONDS", 0.02)
    seen = speed.tested(3)
    assert len(set(seen.questions)) == len(seen.questions) == 6
    assert seen.makespan >= 0.04


def test_a_limit_that_is_exceeded_is_said() -> None:
    name = "makespan ÷ ideal, 50 scenarios, 8 at a time"
    assert speed.Row(name, (1.0, 1.1, 9.0)).kept
    assert not speed.Row(name, (1.0, 1.2, 1.2)).kept
