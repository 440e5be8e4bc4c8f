from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from finetune_fsm.execution.rollout import Rollout, RunStatus
from finetune_fsm.improve.compare import Standing, compare
from finetune_fsm.scenarios.model import (
    Assertion,
    AssertionResult,
    AssertionType,
    Scenario,
    ScenarioResult,
    SuiteReport,
    Verdict,
)

CHECK = Assertion(AssertionType.EQUALS, "x", "v")


def result(name: str, marks: tuple[bool, ...]) -> ScenarioResult:
    verdicts = [Verdict.PASSED if mark else Verdict.FAILED for mark in marks]
    return ScenarioResult(
        Scenario(name, (CHECK,) * len(marks)),
        Rollout(RunStatus.COMPLETED),
        Verdict.PASSED if all(marks) else Verdict.FAILED,
        tuple(AssertionResult(CHECK, verdict) for verdict in verdicts),
    )


def report(marks: list[tuple[bool, ...]]) -> SuiteReport:
    return SuiteReport(tuple(result(f"s{i}", m) for i, m in enumerate(marks)))


MARKS = st.tuples(st.booleans(), st.booleans())
PAIRS = st.lists(st.tuples(MARKS, MARKS), min_size=1, max_size=8)


@given(PAIRS)
def test_better_never_loses_a_scenario_and_never_lowers_the_pass_rate(
    pairs: list[tuple[tuple[bool, bool], tuple[bool, bool]]],
) -> None:
    best, candidate = report([p[0] for p in pairs]), report([p[1] for p in pairs])
    comparison = compare(best, candidate)
    if comparison.standing is Standing.BETTER:
        for old, new in zip(best.results, candidate.results, strict=True):
            assert new.passed or not old.passed
        assert candidate.pass_rate >= best.pass_rate
        assert (candidate.passed, comparison.gained) != (best.passed, 0)


@given(PAIRS)
def test_at_most_one_of_the_two_is_better(
    pairs: list[tuple[tuple[bool, bool], tuple[bool, bool]]],
) -> None:
    one, other = report([p[0] for p in pairs]), report([p[1] for p in pairs])
    standings = {compare(one, other).standing, compare(other, one).standing}
    assert standings != {Standing.BETTER}


@given(st.lists(MARKS, min_size=1, max_size=8))
def test_a_report_ties_with_itself(marks: list[tuple[bool, bool]]) -> None:
    comparison = compare(report(marks), report(marks))
    assert comparison.standing is Standing.TIE
    assert comparison.ties == len(marks)
    assert comparison.p_value == 1.0


def test_half_a_fix_counts_when_nothing_else_changes() -> None:
    best, candidate = report([(False, False), (True, True)]), report([(True, False), (True, True)])
    assert compare(best, candidate).standing is Standing.BETTER
    assert compare(candidate, best).standing is Standing.WORSE
