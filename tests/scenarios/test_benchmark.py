"""What a match says, held against counting by hand; and what it must never say."""

from __future__ import annotations

from collections import Counter
from itertools import product

import pytest
from contests import contender, matrices, result
from hypothesis import example, given
from hypothesis import strategies as st

from finetune_fsm.llm.base import Usage
from finetune_fsm.scenarios.benchmark import Benchmark, Contender, Finding, Price, Shift, match
from finetune_fsm.scenarios.model import SuiteReport

PAIRS = matrices(2)
OPPOSITE = {Finding.BETTER: Finding.WORSE, Finding.WORSE: Finding.BETTER}
ALL_OF_SIX = [[[False]] * 6, [[True]] * 6]


def most(marks: list[bool]) -> bool:
    counts = Counter(marks)
    return counts[True] > counts[False]


@given(PAIRS)
def test_what_is_won_lost_and_tied_is_what_most_draws_say(pair: list[list[list[bool]]]) -> None:
    before, after = pair
    found = match(contender(before), contender(after))
    rows = list(enumerate(zip(before, after, strict=True)))
    assert found.wins == tuple(
        Shift(f"scenario {n}", sum(one), sum(two))
        for n, (one, two) in rows
        if most(two) and not most(one)
    )
    assert found.losses == tuple(
        Shift(f"scenario {n}", sum(one), sum(two))
        for n, (one, two) in rows
        if most(one) and not most(two)
    )
    assert found.ties == len(rows) - len(found.wins) - len(found.losses)


@given(PAIRS)
@example(ALL_OF_SIX)
def test_a_match_seen_from_the_other_side_says_the_opposite(pair: list[list[list[bool]]]) -> None:
    one, two = (contender(marks) for marks in pair)
    there, back = match(one, two), match(two, one)
    assert back.finding is OPPOSITE.get(there.finding, there.finding)
    assert (back.p_value, back.takes, back.ties) == (there.p_value, there.takes, there.ties)
    assert back.wins == tuple(Shift(s.scenario, s.after, s.before) for s in there.losses)


@given(PAIRS)
@example(ALL_OF_SIX)
def test_nothing_is_called_better_that_chance_alone_does_in_one_case_of_twenty(
    pair: list[list[list[bool]]],
) -> None:
    found = match(*(contender(marks) for marks in pair))
    wins, losses = len(found.wins), len(found.losses)
    outcomes = [sum(signs) for signs in product((-1, 1), repeat=wins + losses)]
    rarely = sum(abs(o) >= abs(wins - losses) for o in outcomes) < 0.05 * len(outcomes)
    assert (found.finding in OPPOSITE) is rarely
    if rarely:
        assert found.finding is (Finding.BETTER if wins > losses else Finding.WORSE)


@given(PAIRS)
@example([[[True]] * 6] * 2)
@example(ALL_OF_SIX)
def test_too_few_says_how_many_and_is_never_said_of_an_even_match_of_six(
    pair: list[list[list[bool]]],
) -> None:
    found = match(*(contender(marks) for marks in pair))
    total = len(pair[0])
    assert (found.takes is None) is (found.finding is not Finding.TOO_FEW)
    if found.takes is not None:
        assert found.takes > total
        assert found.takes >= 6
    if total < 6:
        assert found.finding is Finding.TOO_FEW
    elif len(found.wins) == len(found.losses):
        assert found.finding is Finding.NO_DIFFERENCE


def test_findings_read_like_this() -> None:
    def found(before: list[bool], after: list[bool]) -> tuple[Finding, int | None]:
        paired = match(contender([[m] for m in before]), contender([[m] for m in after]))
        return paired.finding, paired.takes

    no, yes = [False], [True]
    assert found(no * 6, yes * 6) == (Finding.BETTER, None)
    assert found(yes * 6, no * 6) == (Finding.WORSE, None)
    assert found(no * 8, yes * 4 + no * 4) == (Finding.TOO_FEW, 12)
    assert found(no * 3, no * 3) == (Finding.TOO_FEW, 6)
    assert found(no * 9, no * 9) == (Finding.NO_DIFFERENCE, None)
    # 10 won and 9 lost: no number of scenarios that anybody would write tells them apart
    assert found(no * 10 + yes * 9, yes * 10 + no * 9) == (Finding.NO_DIFFERENCE, None)


def test_other_scenarios_cannot_be_paired() -> None:
    with pytest.raises(ValueError, match="the same scenarios"):
        match(contender([[True]]), contender([[True]], names=["another"]))


# One workflow


@given(matrices(1))
def test_a_workflow_is_told_by_all_its_draws(matrix: list[list[list[bool]]]) -> None:
    [marks] = matrix
    found = contender(marks)
    flat = [mark for row in marks for mark in row]
    assert found.verdicts == tuple(tuple(row) for row in marks)
    assert (found.passes, found.runs) == (sum(flat), len(flat))
    assert found.pass_rate == sum(flat) / len(flat)
    assert found.interval.low <= found.pass_rate <= found.interval.high
    assert (found.flips is None) is (len(marks[0]) == 1)
    if found.flips:
        differ = any(len(set(row)) > 1 for row in marks)
        assert (found.flips.flips > 0) is differ


@given(st.lists(st.booleans(), min_size=1, max_size=9), st.integers(2, 5))
def test_the_same_draw_again_is_no_further_evidence(marks: list[bool], repeat: int) -> None:
    once, often = contender([[m] for m in marks]), contender([[m] * repeat for m in marks])
    assert often.interval == once.interval
    assert match(once, once).p_value == match(often, often).p_value


def test_the_price_of_a_run_does_not_hold_the_loading_of_a_model() -> None:
    spent = [Usage(2, 10, 5, 60.0), Usage(1, 10, 5, 1.0), Usage(3, 10, 5, 1.5)]
    report = SuiteReport(tuple(result(str(n), passed=True, usage=u) for n, u in enumerate(spent)))
    found = Contender("w.yaml", (report,))
    assert found.price == Price(2.0, 15.0, 1.5)
    assert found.usage == Usage(6, 30, 15, 62.5)
    assert Contender("w.yaml", (SuiteReport(()),)).price == Price(0, 0, 0)


@given(matrices(3))
def test_a_benchmark_has_regressed_when_any_match_lost_something(
    matrix: list[list[list[bool]]],
) -> None:
    found = Benchmark(tuple(contender(marks) for marks in matrix))
    first, *others = ([most(row) for row in marks] for marks in matrix)
    lost = [any(a and not b for a, b in zip(first, o, strict=True)) for o in others]
    assert found.regressed is any(lost)
    assert [bool(m.losses) for m in found.matches] == lost
