from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from finetune_fsm.errors import Cancelled
from finetune_fsm.execution.limits import SEEDS, Deadline, Settings
from finetune_fsm.llm.base import Stop


def test_a_deadline_passes_the_callers_stop_on() -> None:
    outer = Stop()
    deadline = Deadline(60, outer)
    deadline.check()
    assert not deadline.asked
    outer.ask()
    assert deadline.asked
    assert deadline.wanted
    assert not deadline.expired
    with pytest.raises(Cancelled):
        deadline.check()


def test_a_deadline_that_is_over_stops_but_nobody_wanted_it() -> None:
    deadline = Deadline(0)
    assert (deadline.asked, deadline.wanted, deadline.expired) == (True, False, True)
    with pytest.raises(Cancelled):
        deadline.check()


def test_it_can_be_asked_itself() -> None:
    deadline = Deadline(60)
    deadline.ask()
    assert (deadline.asked, deadline.wanted) == (True, True)


def test_time_in_which_a_person_thinks_does_not_count() -> None:
    deadline = Deadline(0.05)
    with deadline.paused():
        time.sleep(0.1)
    assert not deadline.expired
    time.sleep(0.1)
    assert deadline.expired


DRAWS = st.integers(0, 50)
SAMPLING = st.fixed_dictionaries(
    {}, optional={"seed": st.integers(0, SEEDS - 1), "temperature": st.floats(0, 1)}
)


@given(SAMPLING, SAMPLING, DRAWS, DRAWS)
@example({"seed": SEEDS - 1}, {}, 1, 0)
def test_draws_differ_in_the_seed_and_only_where_the_state_names_none(
    defaults: dict[str, object], own: dict[str, object], one: int, other: int
) -> None:
    first, second = (Settings(defaults, draw=draw).sampling(own) for draw in (one, other))
    free = "seed" in defaults and "seed" not in own
    assert (first != second) is (free and one != other)
    assert {**first, "seed": 0} == {**second, "seed": 0}
    assert {name: first[name] for name in own} == own
    assert 0 <= first.get("seed", 0) < SEEDS
    assert Settings(defaults).sampling(own) == {**defaults, **own}


@pytest.mark.parametrize("seed", [-1, True, "7", None, 0.5])
def test_a_seed_that_does_not_count_stays(seed: object) -> None:
    assert Settings({"seed": seed}, draw=3).sampling({}) == {"seed": seed}
