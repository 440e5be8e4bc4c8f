"""The best workflows of two runs, held against each other scenario by scenario."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from finetune_fsm.reports.comparison_text import headline, p_value
from finetune_fsm.scenarios.benchmark import Contender, Match, match
from finetune_fsm.scenarios.model import ScenarioResult, SuiteReport
from finetune_fsm.sinks import one_line

FORMAT = 1
"""1: baseline, run, regressed, fixed, same (passed, failed), only_in, changed, p_value, finding."""

_LIMIT = 500


@dataclass(frozen=True, slots=True)
class RunsCompared:
    """What two runs' best workflows say of each other; all names in the order of the later suite.

    Attributes:
        baseline: What the first is called.
        run: What the other is called.
        match: The pairs of those scenarios that both have.
        reasons: Why what regressed does not pass, by name.
        passed: Names of those that pass in both.
        failed: Names of those that pass in neither.
        only_baseline: Names that only the baseline has.
        only_run: Names that only the other has.
        changed: Names of those that ask for something else now.
    """

    baseline: str
    run: str
    match: Match
    reasons: Mapping[str, str]
    passed: tuple[str, ...]
    failed: tuple[str, ...]
    only_baseline: tuple[str, ...] = ()
    only_run: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    @property
    def regressed(self) -> tuple[str, ...]:
        """Names of those that passed in the baseline alone."""
        return tuple(shift.scenario for shift in self.match.losses)

    @property
    def fixed(self) -> tuple[str, ...]:
        """Names of those that did not pass in the baseline alone."""
        return tuple(shift.scenario for shift in self.match.wins)


def compared(
    baseline: SuiteReport, run: SuiteReport, *, names: tuple[str, str]
) -> RunsCompared | None:
    """Pair the scenarios of the two by their names; None when they have none in common. Pure.

    Args:
        baseline: What the other is held against.
        run: The other.
        names: What the two are called.
    """
    before = {result.scenario.name: result for result in baseline.results}
    after = {result.scenario.name: result for result in run.results}
    shared = [name for name in after if name in before]
    if not shared:
        return None
    same = [(name, after[name].passed) for name in shared
            if after[name].passed == before[name].passed]  # fmt: skip
    found = match(
        Contender(names[0], (SuiteReport(tuple(before[name] for name in shared)),)),
        Contender(names[1], (SuiteReport(tuple(after[name] for name in shared)),)),
    )
    return RunsCompared(
        *names,
        found,
        {shift.scenario: _reason(after[shift.scenario]) for shift in found.losses},
        tuple(name for name, passed in same if passed),
        tuple(name for name, passed in same if not passed),
        tuple(name for name in before if name not in after),
        tuple(name for name in after if name not in before),
        tuple(name for name in shared if after[name].scenario != before[name].scenario),
    )


def lines(found: RunsCompared) -> Iterator[str]:
    """Yield *found* as text, line by line. Pure."""
    yield f"A  {one_line(found.baseline, limit=_LIMIT)}  (the baseline)"
    yield f"B  {one_line(found.run, limit=_LIMIT)}"
    yield ""
    yield headline(1, found.match)
    same = len(found.passed) + len(found.failed)
    counted = f"{len(found.fixed)} fixed, {len(found.regressed)} regressed, {same} the same"
    yield f"  {counted}; {p_value(found.match)} (exact sign test)"
    for title, sign, names in (
        ("Regressed", "-", found.regressed),
        ("Fixed", "+", found.fixed),
        ("The same, passed", " ", found.passed),
        ("The same, not passed", " ", found.failed),
        ("In the baseline alone", " ", found.only_baseline),
        ("Not in the baseline", " ", found.only_run),
        ("They ask for something else now", " ", found.changed),
    ):
        yield from _list(title, sign, names, found.reasons if sign == "-" else {})


def shape(found: RunsCompared) -> Mapping[str, object]:
    """Return *found* as plain data. Pure."""
    return {
        "format": FORMAT,
        "baseline": found.baseline,
        "run": found.run,
        "regressed": [
            {"scenario": name, "reason": found.reasons[name]} for name in found.regressed
        ],
        "fixed": list(found.fixed),
        "same": {"passed": list(found.passed), "failed": list(found.failed)},
        "only_in": {"baseline": list(found.only_baseline), "run": list(found.only_run)},
        "changed": list(found.changed),
        "p_value": found.match.p_value,
        "finding": str(found.match.finding),
    }


def _list(title: str, sign: str, names: Sequence[str], reasons: Mapping[str, str]) -> Iterator[str]:
    if not names:
        return
    yield ""
    yield f"{title}: {len(names)}"
    for name in names:
        why = one_line(reasons.get(name, ""), limit=_LIMIT)
        yield f"  {sign} {one_line(name, limit=_LIMIT)}{': ' if why else ''}{why}"


def _reason(result: ScenarioResult) -> str:
    """The first thing that keeps *result* from having passed."""
    if result.error:
        return result.error
    return next((failure.message for failure in result.failures), "")
