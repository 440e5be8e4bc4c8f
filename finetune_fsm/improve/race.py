"""Candidates race: each runs only on as many scenarios as it takes to know its place.

Failing scenarios come first: a candidate that fixes none of the first few is out, and one that
breaks a passing scenario is out at once. When one passes everything, the others need not run.
Where verdicts are known to flip, a win or a loss counts only when further draws of both sides
agree (racing: TRIPLE, arXiv 2402.09723; paired gates: PACE, arXiv 2606.08106).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from finetune_fsm.execution.rollout import Rollout
from finetune_fsm.improve.compare import Comparison, compare
from finetune_fsm.improve.samples import Sample, majority, report_of, verdicts
from finetune_fsm.scenarios.evaluate import judge_rollout
from finetune_fsm.scenarios.model import ScenarioResult, Suite

HEAT = 2
"""Failing scenarios that a candidate runs on before it is held against the others."""

PROBE = 4
"""Failing scenarios after which a candidate that gained nothing is out; half of them if fewer."""

NOISY = 0.05
"""Flip rate from which on a win or a loss is drawn again."""

REDRAWS = 2
"""Further draws of both sides then; with the first they have a majority."""


@dataclass(frozen=True, slots=True)
class Leg:
    """One rollout of a race.

    Attributes:
        place: Of the candidate in the field; None for the best.
        scenario: Index in the suite.
        draw: The how-manieth rollout of this scenario by this workflow, 0 the first.
    """

    place: int | None
    scenario: int
    draw: int


Roll = Callable[[Sequence[Leg]], Generator[Rollout, None, None]]
"""Makes rollouts side by side and yields them in order; it is closed when enough was seen."""


@dataclass(frozen=True, slots=True)
class Course:
    """What all candidates of a field run on, and against whom.

    Attributes:
        suite: All scenarios.
        best: The result of the best on each of them, in suite order.
        holdout: Indexes of those that are held out; they come last.
        repeat: Draws of every scenario; the majority decides.
        width: Rollouts that can run at the same time.
        flip_rate: Chance of another verdict on the same scenario, 0..1.
        even: Whether a candidate that changes no verdict is of interest.
    """

    suite: Suite
    best: tuple[ScenarioResult, ...]
    holdout: tuple[int, ...] = ()
    repeat: int = 1
    width: int = 1
    flip_rate: float = 0.0
    even: bool = False

    @property
    def train(self) -> tuple[int, ...]:
        """Indexes of the scenarios that models may be shown."""
        held = frozenset(self.holdout)
        return tuple(i for i in range(len(self.best)) if i not in held)

    @property
    def failing(self) -> tuple[int, ...]:
        """Those of them that the best fails."""
        return tuple(i for i in self.train if not self.best[i].passed)

    @property
    def passing(self) -> tuple[int, ...]:
        """Those of them that the best passes."""
        return tuple(i for i in self.train if self.best[i].passed)


@dataclass(slots=True)
class Runner:
    """One candidate in the race.

    Attributes:
        place: In the field.
        names: Scenarios that it is meant for, which it runs on first.
        samples: Its rollouts, in the order in which they ran.
        results: What they were judged, by index of scenario.
        out: Why it did not run on, or empty.
    """

    place: int
    names: tuple[str, ...] = ()
    samples: list[Sample] = field(default_factory=list)
    results: dict[int, list[ScenarioResult]] = field(default_factory=lambda: defaultdict(list))
    out: str = ""

    def passed(self, index: int) -> bool:
        """Whether the majority of its rollouts of that scenario passed."""
        return majority(self.results[index]).passed

    @property
    def verdicts(self) -> Mapping[int, ScenarioResult]:
        """The majority's result on each scenario that it ran on."""
        return {index: majority(many) for index, many in sorted(self.results.items())}


@dataclass(frozen=True, slots=True)
class Lap:
    """What a race leaves of one candidate.

    Attributes:
        samples: Its rollouts, in the order in which they ran.
        out: Why it did not run on every scenario, or empty.
        extra: Its rollouts on perturbed inputs, where those are looked at.
    """

    samples: tuple[Sample, ...]
    out: str = ""
    extra: tuple[Sample, ...] = ()


def race(
    course: Course, meant_for: Sequence[Sequence[str]], roll: Roll
) -> tuple[tuple[Lap, ...], tuple[Sample, ...]]:
    """Let candidates race; return what each did, and the further draws of the best.

    Args:
        course: The scenarios and the best.
        meant_for: Per candidate, the names of the scenarios that it should fix.
        roll: Makes the rollouts; called in one thread.

    Raises:
        Exception: whatever *roll* raises.
    """
    return _Race(course, meant_for, roll).run()


class _Race:
    def __init__(self, course: Course, meant_for: Sequence[Sequence[str]], roll: Roll) -> None:
        self.course = course
        self.roll = roll
        self.field = [Runner(place, tuple(names)) for place, names in enumerate(meant_for)]
        self.best: list[Sample] = []
        self.drawn_again: dict[int, ScenarioResult] = {}

    def run(self) -> tuple[tuple[Lap, ...], tuple[Sample, ...]]:
        leader = self._heats()
        for runner in sorted(self.field, key=self._promise, reverse=True):
            if runner is leader or runner.out:
                continue
            if leader is not None and self._complete(leader):
                runner.out = "another candidate passes everything"
                continue
            self._finish(runner, leader)
            leader = leader if runner.out else runner
        laps = tuple(Lap(tuple(runner.samples), runner.out) for runner in self.field)
        return laps, tuple(self.best)

    def _heats(self) -> Runner | None:
        """Let them run their first scenarios; return who won all of his and came through.

        They stand in the order of likelihood: as long as one does not pass everything, the next
        have their turn, as many together as fit.
        """
        leader: Runner | None = None
        together = max(1, self.course.width // (HEAT * self.course.repeat))
        for start in range(0, len(self.field), together):
            if leader is not None and self._complete(leader):
                break
            group = self.field[start : start + together]
            self._on(leg for runner in group for leg in self._legs(runner, self._heat(runner)))
            for runner in group:
                heat = self._heat(runner)
                if leader is None and heat and all(self._won(runner, index) for index in heat):
                    self._finish(runner, None)
                    leader = None if runner.out else runner
        return leader

    def _finish(self, runner: Runner, leader: Runner | None) -> None:
        """Run on everything that is left, until it is out; only what can beat *leader* runs on."""
        course = self.course
        order = self._order(runner)
        begun = HEAT
        if self._hopeless(runner):
            begun = min(PROBE, max(HEAT, (len(order) + 1) // 2))
            self._on(self._legs(runner, order[HEAT:begun]))
            if self._hopeless(runner):
                runner.out = "it fixes nothing"
                return
        rest, kept = order[begun:], (*course.passing, *course.holdout)
        if leader is None and course.flip_rate < NOISY:  # nothing in between can end its run
            self._hold(runner, (*rest, *kept))
            return
        self._on(self._legs(runner, rest))
        if (
            leader is not None
            and not course.even
            and self._promise(runner) <= self._promise(leader)
        ):
            runner.out = "another candidate does as well"
            return
        for index in [i for i in order if self._won(runner, i)]:
            self._settle(runner, index)
        if self._hopeless(runner):
            runner.out = "what it fixed fails in further draws"
            return
        self._hold(runner, kept)

    def _hold(self, runner: Runner, indexes: Sequence[int]) -> None:
        """Run on *indexes* up to the first that is lost for good."""
        while indexes and not runner.out:
            index = self._on(
                self._legs(runner, indexes),
                until=lambda leg: (
                    leg.draw == self.course.repeat - 1 and self._lost(runner, leg.scenario)
                ),
            )
            if index is None:
                return
            self._settle(runner, index)
            if self._lost(runner, index):
                held = index in self.course.holdout
                runner.out = f"it breaks {'a scenario that is held out' if held else 'what passed'}"
            indexes = indexes[indexes.index(index) + 1 :]

    def _legs(self, runner: Runner, indexes: Sequence[int]) -> list[Leg]:
        draws = range(self.course.repeat)
        return [Leg(runner.place, index, draw) for index in indexes for draw in draws]

    def _on(self, legs: Iterable[Leg], *, until: Callable[[Leg], bool] | None = None) -> int | None:
        """Run *legs* up to the first after which *until* holds; return its scenario, if any."""
        legs = list(legs)
        if not legs:
            return None
        with closing(self.roll(legs)) as rollouts:
            for leg, rollout in zip(legs, rollouts, strict=True):
                sample = Sample(leg.scenario, leg.draw, rollout)
                if leg.place is None:
                    self.best.append(sample)
                else:
                    runner = self.field[leg.place]
                    runner.samples.append(sample)
                    runner.results[leg.scenario].append(self._judged(leg.scenario, rollout))
                if until is not None and until(leg):
                    return leg.scenario
        return None

    def _judged(self, index: int, rollout: Rollout) -> ScenarioResult:
        return judge_rollout(self.course.suite.scenarios[index], rollout)

    def _settle(self, runner: Runner, index: int) -> None:
        """Draw both sides again where verdicts flip, so that neither chance nor luck decides."""
        course = self.course
        if course.flip_rate < NOISY:
            return
        draws = range(course.repeat, course.repeat + REDRAWS)
        sides = [runner.place] if index in self.drawn_again else [runner.place, None]
        self._on(Leg(side, index, draw) for side in sides for draw in draws)
        if index not in self.drawn_again:
            again = [self._judged(index, s.rollout) for s in self.best if s.scenario == index]
            drawn = verdicts((index, result) for result in (course.best[index], *again))
            self.drawn_again.update(drawn)

    def _best(self, index: int) -> ScenarioResult:
        return self.drawn_again.get(index, self.course.best[index])

    def _lost(self, runner: Runner, index: int) -> bool:
        return self._best(index).passed and not runner.passed(index)

    def _standing(self, runner: Runner) -> Comparison:
        found = runner.verdicts
        return compare(report_of({i: self._best(i) for i in found}), report_of(found))

    def _won(self, runner: Runner, index: int) -> bool:
        return runner.passed(index) and not self._best(index).passed

    def _gained(self, runner: Runner) -> int:
        standing = self._standing(runner)
        return len(standing.wins) + standing.gained

    def _promise(self, runner: Runner) -> tuple[int, int]:
        """How well it does so far on what the best fails."""
        standing = self._standing(runner)
        return (len(standing.wins), standing.gained - standing.lost)

    def _hopeless(self, runner: Runner) -> bool:
        """Whether it has gained nothing so far, where there is something to gain."""
        return bool(self.course.failing) and not self.course.even and not self._gained(runner)

    def _complete(self, runner: Runner) -> bool:
        """Whether it passes every scenario, so that no other can do better."""
        found = runner.verdicts
        return (
            not self.course.even
            and len(found) == len(self.course.best)
            and all(r.passed for r in found.values())
        )

    def _heat(self, runner: Runner) -> tuple[int, ...]:
        return self._order(runner)[:HEAT]

    def _order(self, runner: Runner) -> tuple[int, ...]:
        """What the best fails, what the candidate is meant for first."""
        scenarios = self.course.suite.scenarios
        meant = set(runner.names)
        return tuple(sorted(self.course.failing, key=lambda i: scenarios[i].name not in meant))
