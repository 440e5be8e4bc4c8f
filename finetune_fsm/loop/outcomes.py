"""What each state's handler reports: facts and decisions, never where to go next.

The loop itself fills in `usage`: what was spent on models in the state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import ClassVar

from finetune_fsm.errors import Problem
from finetune_fsm.improve.compare import Comparison
from finetune_fsm.improve.goals.metric import Metric
from finetune_fsm.improve.model import Analysis, Attempt, Draft
from finetune_fsm.improve.race import Lap
from finetune_fsm.improve.samples import Flips, Sample
from finetune_fsm.llm.base import Usage
from finetune_fsm.scenarios.model import ScenarioResult, Suite, SuiteReport


class Ending(StrEnum):
    """Why a run is over."""

    SOLVED = "all tests pass and no improvements are suggested"
    PASSED = "all tests pass, and they do not say what else would be better"
    ITERATIONS = "the maximum of iterations is reached"
    NOTHING_LEFT = "nothing is left to try"
    CALLS = "the budget of LLM calls is spent"
    TOKENS = "the budget of tokens is spent"
    TIME = "the time is over"
    INTERRUPTED = "it was interrupted"
    BROKEN = "the world broke"


UNFINISHED = frozenset(
    {Ending.CALLS, Ending.TOKENS, Ending.TIME, Ending.INTERRUPTED, Ending.BROKEN}
)
"""Endings after which a run can go on where it was."""

SPENT: Mapping[str, Ending] = {
    "calls": Ending.CALLS,
    "tokens": Ending.TOKENS,
    "time": Ending.TIME,
}
"""Endings by the budget that is spent."""


REFUSED = "refused"
"""The code of a person's refusal of a sound draft; the same draft is not shown to them again."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """The tests are there.

    Attributes:
        suite: The scenarios.
        tests: The file they are in.
        generated: Whether a model wrote them just now.
        samples: Of the original workflow, where generating needed them; else empty.
        problems: Why a generated suite is not what the model wrote.
        weights: What the models' names stand for, by name; empty where no provider says.
    """

    event: ClassVar[str] = "prepared"
    suite: Suite
    tests: Path
    generated: bool = False
    samples: tuple[Sample, ...] = ()
    problems: tuple[str, ...] = ()
    weights: Mapping[str, str] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class Saved:
    """The candidates are on disk, at *paths*, in their order."""

    event: ClassVar[str] = "saved"
    paths: tuple[Path, ...]
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class Ran:
    """The candidates ran, each as far as it was worth it.

    Attributes:
        laps: Their rollouts, in their order.
        again: Further draws of the best, where verdicts flip.
        extra: Rollouts of the best on perturbed inputs, where those are looked at.
    """

    event: ClassVar[str] = "ran"
    laps: tuple[Lap, ...]
    again: tuple[Sample, ...] = ()
    extra: tuple[Sample, ...] = ()
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of one candidate.

    Attributes:
        results: One per sample of its lap, in that order.
        report: The majority's verdict on every scenario that it ran on, in suite order.
        accepted: Whether it becomes the best.
        reason: Why, one sentence.
        comparison: With the best so far, on the same scenarios; None for the first candidate.
    """

    results: tuple[ScenarioResult, ...]
    report: SuiteReport
    accepted: bool
    reason: str
    comparison: Comparison | None = None


@dataclass(frozen=True, slots=True)
class Tested:
    """The candidates are judged.

    Attributes:
        trials: What became of each, in their order; at most one is accepted.
        holdout: Indexes of the scenarios to hold out; decided when the first is judged.
        flips: How often further draws had another verdict.
    """

    __test__: ClassVar[bool] = False  # pytest takes the name for a test
    event: ClassVar[str] = "tested"
    trials: tuple[Tried, ...]
    holdout: tuple[int, ...] = ()
    flips: Flips = field(default_factory=Flips)
    usage: Usage = field(default_factory=Usage)

    @property
    def headline(self) -> Tried:
        """The accepted one, else the first."""
        return next((tried for tried in self.trials if tried.accepted), self.trials[0])


@dataclass(frozen=True, slots=True)
class Analyzed:
    """What is wrong with the best, and what might help; `fresh` when it was thought of now."""

    event: ClassVar[str] = "analyzed"
    analysis: Analysis
    fresh: bool = True
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class Modified:
    """A draft, or why there is none.

    Attributes:
        attempt: What was tried; None when the plan has no entry left.
        draft: The result, or None.
        problems: Why there is no draft.
    """

    event: ClassVar[str] = "modified"
    attempt: Attempt | None = None
    draft: Draft | None = None
    problems: tuple[Problem, ...] = ()
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class Checked:
    """What the gate, or a person, says of the draft.

    Attributes:
        problems: All that stands against it; empty when it is sound.
        draft: What a person made of it, or None; the problems are then those of this one.
        rest: Whether the person wants to be asked no more.
    """

    event: ClassVar[str] = "checked"
    problems: tuple[Problem, ...] = ()
    draft: Draft | None = None
    rest: bool = False
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What the best has gained was drawn again.

    Attributes:
        held: Whether the best goes out; otherwise the user's own workflow does.
        reason: One sentence for people, or empty when there was nothing to confirm.
        flips: How often the verdict was another one.
        goal: How well the user's workflow and the best meet the goal, if there is one.
    """

    event: ClassVar[str] = "confirmed"
    held: bool = True
    reason: str = ""
    flips: Flips = field(default_factory=Flips)
    goal: tuple[Metric, Metric] | None = None
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class Finished:
    """The best workflow is on disk; `output` is None when there was none to write."""

    event: ClassVar[str] = "finished"
    output: Path | None = None
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class Interrupted:
    """A state was left without its outcome; the run goes on to its end at once."""

    event: ClassVar[str] = "interrupted"
    ending: Ending = Ending.INTERRUPTED
    message: str = ""
    usage: Usage = field(default_factory=Usage)


Outcome = (
    Prepared
    | Saved
    | Ran
    | Tested
    | Analyzed
    | Modified
    | Checked
    | Confirmed
    | Finished
    | Interrupted
)

OUTCOMES: Mapping[str, type[Outcome]] = {
    kind.event: kind
    for kind in (
        Prepared,
        Saved,
        Ran,
        Tested,
        Analyzed,
        Modified,
        Checked,
        Confirmed,
        Finished,
        Interrupted,
    )
}
"""Every outcome by its event."""
