"""Several workflows on the same scenarios: who passed what, at what price, and what that proves.

The first workflow is the baseline, and every other one is held against it scenario by scenario.
All of it is pure; `compare` makes the rollouts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from statistics import median

from finetune_fsm.llm.base import Usage
from finetune_fsm.scenarios.model import SuiteReport
from finetune_fsm.scenarios.statistics import (
    ALPHA,
    FlipRate,
    Interval,
    flip_rate,
    needed,
    needed_at_this_rate,
    sign_test,
    wilson,
)


class Finding(StrEnum):
    """What a match says of a workflow, held against the baseline."""

    BETTER = "better"
    WORSE = "worse"
    NO_DIFFERENCE = "no difference seen"
    TOO_FEW = "too few scenarios to tell"


@dataclass(frozen=True, slots=True)
class Price:
    """What one run of a workflow takes.

    Attributes:
        calls: Answers of a model, on average.
        tokens: Read and written, on average.
        seconds: Waiting for the model, the median: the first answer of a server may hold the time
            that it took to load the model.
    """

    calls: float
    tokens: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Contender:
    """One workflow and what the scenarios say of it.

    What was spent is counted as if the workflow had run alone, whoever asked a shared question.

    Attributes:
        name: The workflow as the user named it.
        reports: One per draw, at least one, all of the same scenarios in the same order.
    """

    name: str
    reports: tuple[SuiteReport, ...]

    @property
    def repeat(self) -> int:
        """How many draws of each scenario there are."""
        return len(self.reports)

    @property
    def scenarios(self) -> tuple[str, ...]:
        """Names, in suite order."""
        return tuple(result.scenario.name for result in self.reports[0].results)

    @property
    def verdicts(self) -> tuple[tuple[bool, ...], ...]:
        """For each scenario whether it passed, one per draw."""
        marks = ((result.passed for result in report.results) for report in self.reports)
        return tuple(zip(*marks, strict=True))

    @property
    def passed(self) -> tuple[bool, ...]:
        """For each scenario whether more than half of its draws passed."""
        return tuple(2 * sum(marks) > len(marks) for marks in self.verdicts)

    @property
    def passes(self) -> int:
        """Runs that passed."""
        return sum(report.passed for report in self.reports)

    @property
    def runs(self) -> int:
        """Runs that there were: scenarios times draws."""
        return sum(report.total for report in self.reports)

    @property
    def pass_rate(self) -> float:
        """Passed ÷ all runs, 0..1."""
        return self.passes / self.runs if self.runs else 0.0

    @property
    def interval(self) -> Interval:
        """Where the pass rate may well be; draws of one scenario are no further evidence."""
        return wilson(self.passes / self.repeat, len(self.scenarios))

    @property
    def flips(self) -> FlipRate | None:
        """How often two draws of a scenario disagree; None without a second draw."""
        return flip_rate(self.verdicts) if self.repeat > 1 else None

    @property
    def usage(self) -> Usage:
        """LLM calls of all runs."""
        return sum((report.usage for report in self.reports), Usage())

    @property
    def price(self) -> Price:
        """What one run takes; nothing when there was none."""
        if not self.runs:
            return Price(0.0, 0.0, 0.0)
        results = [result for report in self.reports for result in report.results]
        seconds = median(result.rollout.usage.seconds for result in results)
        return Price(self.usage.calls / self.runs, self.usage.tokens / self.runs, seconds)


@dataclass(frozen=True, slots=True)
class Shift:
    """A scenario that one workflow passes and the other does not.

    Attributes:
        scenario: Its name.
        before: Draws of it that the baseline passed.
        after: Draws of it that the other passed.
    """

    scenario: str
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Match:
    """A workflow against the baseline, by the majority of each scenario's draws.

    Attributes:
        wins: What only the workflow passed, in suite order.
        losses: What only the baseline passed, in suite order.
        ties: How many scenarios both passed or both did not.
    """

    wins: tuple[Shift, ...] = ()
    losses: tuple[Shift, ...] = ()
    ties: int = 0

    @property
    def p_value(self) -> float:
        """Chance of wins and losses at least this uneven if both were equally good, 0..1."""
        return sign_test(len(self.wins), len(self.losses))

    @property
    def finding(self) -> Finding:
        """Better or worse when chance alone would rarely do it; else whether more could tell."""
        if self.p_value < ALPHA:
            return Finding.BETTER if len(self.wins) > len(self.losses) else Finding.WORSE
        return Finding.NO_DIFFERENCE if self.takes is None else Finding.TOO_FEW

    @property
    def takes(self) -> int | None:
        """About how many scenarios like these it would take to tell.

        None when these do tell, or when they are enough and so even that no number in reach would.
        """
        total = len(self.wins) + len(self.losses) + self.ties
        if self.p_value < ALPHA:
            return None
        found = needed_at_this_rate(len(self.wins), len(self.losses), total)
        return needed() if found is None and total < needed() else found


def match(baseline: Contender, other: Contender) -> Match:
    """Pair the two, which must have the same scenarios in the same order; ValueError otherwise."""
    if baseline.scenarios != other.scenarios:
        raise ValueError("these two did not run the same scenarios")
    return Match(
        wins=tuple(_only_second(baseline, other)),
        losses=tuple(Shift(s.scenario, s.after, s.before) for s in _only_second(other, baseline)),
        ties=sum(one == two for one, two in zip(baseline.passed, other.passed, strict=True)),
    )


def _only_second(first: Contender, second: Contender) -> Iterator[Shift]:
    rows = zip(
        first.scenarios, first.passed, second.passed, first.verdicts, second.verdicts, strict=True
    )
    for name, one, two, before, after in rows:
        if two and not one:
            yield Shift(name, sum(before), sum(after))


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Several workflows, compared.

    Attributes:
        contenders: Two or more, the baseline first.
        asked: What the model was really asked: a question of several workflows once.
        seconds: Wall time of it all.
    """

    contenders: tuple[Contender, ...]
    asked: Usage = Usage()  # noqa: RUF009  # frozen
    seconds: float = 0.0

    @property
    def baseline(self) -> Contender:
        """The one that the others are held against."""
        return self.contenders[0]

    @property
    def matches(self) -> tuple[Match, ...]:
        """One for each contender but the baseline, in order."""
        return tuple(match(self.baseline, other) for other in self.contenders[1:])

    @property
    def regressed(self) -> bool:
        """Whether any of them lost a scenario that the baseline passes."""
        return any(found.losses for found in self.matches)
