"""Is a candidate better than the best so far? A paired answer, scenario by scenario."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from finetune_fsm.scenarios.model import ScenarioResult, SuiteReport, Verdict
from finetune_fsm.scenarios.statistics import sign_test


class Standing(StrEnum):
    """What a comparison says of the candidate."""

    BETTER = "better"
    TIE = "tie"
    WORSE = "worse"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A candidate against the best, on the same scenarios.

    Attributes:
        wins: Scenarios that only the candidate passed, in suite order.
        losses: Scenarios that only the best passed, in suite order.
        ties: How many scenarios both passed or both failed.
        gained: Assertions that only the candidate passed, in scenarios that both failed.
        lost: Assertions that only the best passed, in scenarios that both failed.
    """

    wins: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()
    ties: int = 0
    gained: int = 0
    lost: int = 0

    @property
    def standing(self) -> Standing:
        """Better fixes something and breaks nothing; worse breaks something.

        Half a fix counts: with no scenario won or lost, one more assertion passed and none less
        is better, so that a workflow with two flaws can be repaired in two steps.
        """
        if self.losses:
            return Standing.WORSE
        if self.wins:
            return Standing.BETTER
        if self.lost:
            return Standing.WORSE
        return Standing.BETTER if self.gained else Standing.TIE

    @property
    def p_value(self) -> float:
        """Chance of wins and losses at least this uneven if both were equally good, 0..1."""
        return sign_test(len(self.wins), len(self.losses))


def compare(best: SuiteReport, candidate: SuiteReport) -> Comparison:
    """Pair the two reports, which must be of the same suite in the same order. Pure."""
    pairs = list(zip(best.results, candidate.results, strict=True))
    both_failed = [(b, c) for b, c in pairs if not b.passed and not c.passed]
    return Comparison(
        wins=tuple(c.scenario.name for b, c in pairs if c.passed and not b.passed),
        losses=tuple(c.scenario.name for b, c in pairs if b.passed and not c.passed),
        ties=sum(b.passed == c.passed for b, c in pairs),
        gained=sum(_only_first(c, b) for b, c in both_failed),
        lost=sum(_only_first(b, c) for b, c in both_failed),
    )


def _only_first(first: ScenarioResult, second: ScenarioResult) -> int:
    """Count the assertions that *first* passed and *second* did not."""
    return sum(one and not other for one, other in zip(_marks(first), _marks(second), strict=True))


def _marks(result: ScenarioResult) -> tuple[bool, ...]:
    # A run that broke off has no assertion results; none of its checks passed.
    if not result.assertions:
        return (False,) * len(result.scenario.assertions)
    return tuple(r.verdict is Verdict.PASSED for r in result.assertions)
