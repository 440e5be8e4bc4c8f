"""Who of a cluster's workers is asked next."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_fsm.errors import UsageError
from finetune_fsm.llm.dask_crew import Crew
from finetune_fsm.llm.roster import FIRST_PAUSE, LONGEST_PAUSE

sizes = st.dictionaries(st.sampled_from("abcde"), st.integers(1, 6), min_size=1)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@given(sizes)
def test_no_worker_waits_while_another_has_more_than_it_can_do(there: dict[str, int]) -> None:
    crew = Crew()
    taken = Counter(crew.take(there) for _ in range(sum(there.values())))
    assert taken == there


@given(sizes, st.data())
def test_the_load_is_even_whoever_gives_places_back_when(
    there: dict[str, int], data: st.DataObject
) -> None:
    crew, held = Crew(), Counter[str]()
    for take in data.draw(st.lists(st.booleans(), max_size=40)):
        if take:
            loads = {worker: held[worker] / threads for worker, threads in there.items()}
            worker = crew.take(there)
            assert loads[worker] == min(loads.values())
            held[worker] += 1
        elif +held:
            worker = data.draw(st.sampled_from(sorted(+held)))
            crew.leave(worker)
            held[worker] -= 1


@given(st.integers(1, 9))
def test_one_that_breaks_again_is_left_out_twice_as_long_while_there_are_others(
    times: int,
) -> None:
    clock = Clock()
    crew = Crew(clock=clock)
    for _ in range(times):
        crew.broke("a")
    pause = min(FIRST_PAUSE * 2 ** (times - 1), LONGEST_PAUSE)
    clock.now = pause - 0.1
    assert crew.take({"a": 4, "b": 1}) == "b"
    assert crew.take({"a": 4, "b": 1}) == "b"
    assert crew.take({"a": 4}) == "a"
    clock.now = pause
    assert crew.take({"a": 4, "b": 1}) == "a"


def test_one_that_asks_for_time_gets_it_and_one_that_answers_is_well() -> None:
    clock = Clock()
    crew = Crew(clock=clock)
    crew.broke("a", at_least=30)
    clock.now = 29
    assert crew.take({"a": 1, "b": 1}) == "b"
    crew.answered("a")
    assert crew.take({"a": 1, "b": 1}) == "a"


def test_the_one_that_has_learned_how_to_put_a_question_gets_it_again_if_it_is_there() -> None:
    crew = Crew()
    assert [crew.take({"a": 1, "b": 1}, again="b") for _ in range(3)] == ["b", "b", "b"]
    assert crew.take({"a": 1, "c": 1}, again="b") in ("a", "c")


def test_weights_are_compared_once_and_anew_for_a_process_in_place_of_another() -> None:
    crew = Crew()
    crew.meet("a", "process 1", "m", "")
    crew.meet("b", "process 2", "m", "abc")
    assert (crew.process("a", "m"), crew.process("a", "other")) == ("process 1", "")
    with pytest.raises(UsageError, match=r"on b .*than on c"):
        crew.meet("c", "process 3", "m", "def")
    assert crew.process("c", "m") == ""
    crew.forget("a")
    assert crew.process("a", "m") == ""
    crew.settle("m")
    crew.meet("c", "process 3", "m", "def")
    assert (crew.process("b", "m"), crew.process("c", "m")) == ("", "process 3")
