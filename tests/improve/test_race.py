"""Racing: whatever the verdicts, the winner breaks nothing, and no rollout is made in vain."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from finetune_fsm.execution.rollout import Rollout, RunStatus
from finetune_fsm.improve.compare import Standing, compare
from finetune_fsm.improve.holdout import held_out
from finetune_fsm.improve.race import NOISY, REDRAWS, Course, Lap, Leg, race
from finetune_fsm.improve.samples import Flips, flips, report_of, verdicts
from finetune_fsm.scenarios.evaluate import judge_rollout
from finetune_fsm.scenarios.model import (
    Assertion,
    AssertionType,
    Scenario,
    ScenarioResult,
    Suite,
    SuiteReport,
)


def suite(size: int, wants: Sequence[str] = ("yes",)) -> Suite:
    return Suite(
        "w.yaml",
        tuple(
            Scenario(
                f"s{n}",
                (
                    Assertion(AssertionType.EQUALS, wants[n % len(wants)], "answer"),
                    Assertion(AssertionType.CONTAINS, "!", "mark"),
                ),
            )
            for n in range(size)
        ),
    )


def rollout(answer: str, mark: str = "!") -> Rollout:
    return Rollout(RunStatus.COMPLETED, variables={"answer": answer, "mark": mark})


def results(scenarios: Suite, passes: Sequence[bool]) -> tuple[ScenarioResult, ...]:
    pairs = zip(scenarios.scenarios, passes, strict=True)
    return tuple(
        judge_rollout(s, rollout(s.assertions[0].value if passed else "no")) for s, passed in pairs
    )


class World:
    """Verdicts by candidate, scenario and draw; counts what is asked of it."""

    def __init__(self, passes: Sequence[Sequence[Sequence[bool]]]) -> None:
        self.passes = passes
        self.asked: Counter[tuple[int | None, int, int]] = Counter()
        self.best: Sequence[Sequence[bool]] = ()

    def roll(self, legs: Sequence[Leg]) -> Generator[Rollout, None, None]:
        for leg in legs:
            self.asked[leg.place, leg.scenario, leg.draw] += 1
            draws = (self.best if leg.place is None else self.passes[leg.place])[leg.scenario]
            yield rollout("yes" if draws[leg.draw % len(draws)] else "no")


FIELDS = st.integers(1, 8).flatmap(
    lambda size: st.tuples(
        st.lists(st.booleans(), min_size=size, max_size=size),
        st.lists(
            st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=size, max_size=size),
            min_size=1,
            max_size=4,
        ),
        st.sets(st.integers(0, size - 1), max_size=size // 2),
    )
)


@settings(max_examples=150)
@given(FIELDS, st.integers(1, 3), st.integers(1, 3), st.booleans())
def test_who_comes_through_breaks_nothing_and_fixes_something(
    field: tuple[list[bool], list, set[int]], repeat: int, width: int, noisy: bool
) -> None:
    before, passes, holdout = field
    scenarios = suite(len(before))
    world = World(passes)
    world.best = [[passed] * 3 for passed in before]
    course = Course(
        scenarios,
        results(scenarios, before),
        tuple(sorted(holdout)),
        repeat=repeat,
        width=width,
        flip_rate=NOISY if noisy else 0.0,
    )
    laps, again = race(course, [()] * len(passes), world.roll)
    assert len(laps) == len(passes)
    assert set(world.asked.values()) <= {1}  # nothing is rolled out twice
    best = verdicts([*enumerate(course.best), *((s.scenario, judged(scenarios, s)) for s in again)])
    for place, lap in enumerate(laps):
        found = verdicts((s.scenario, judged(scenarios, s)) for s in lap.samples)
        assert sum(1 for key in world.asked if key[0] == place) == len(lap.samples)
        if lap.out:
            continue
        assert set(found) == set(range(len(before)))  # it ran on everything
        comparison = compare(report_of(best), report_of(found))
        assert not comparison.losses
        if course.failing:
            assert comparison.standing is Standing.BETTER
    draws = repeat + (REDRAWS if noisy else 0)
    assert max((s.draw for lap in laps for s in lap.samples), default=0) < draws


def judged(scenarios: Suite, sample: object) -> ScenarioResult:
    return judge_rollout(scenarios.scenarios[sample.scenario], sample.rollout)


def field_of(before: str, *candidates: str) -> tuple[tuple[Lap, ...], World]:
    """A race told in letters: + passes, - fails."""
    scenarios = suite(len(before))
    world = World([[[c == "+"] for c in candidate] for candidate in candidates])
    course = Course(scenarios, results(scenarios, [c == "+" for c in before]))
    laps, _ = race(course, [()] * len(candidates), world.roll)
    return laps, world


def test_who_fixes_none_of_the_first_failing_ones_is_out() -> None:
    (lap,), world = field_of("------++", "------++")
    assert lap.out == "it fixes nothing"
    assert world.asked.total() == 3


def test_who_breaks_something_is_out_at_the_first() -> None:
    (lap,), world = field_of("-++++", "+-+++")
    assert lap.out == "it breaks what passed"
    assert world.asked.total() == 2


def test_when_one_passes_everything_the_others_need_not_run_on() -> None:
    laps, _ = field_of("---+++", "+-----", "++++++", "++-+++")
    assert [bool(lap.out) for lap in laps] == [True, False, True]
    assert [len(lap.samples) for lap in laps] == [2, 6, 0]


def test_a_scenario_it_is_meant_for_comes_first() -> None:
    scenarios = suite(6)
    world = World([[[False]] * 5 + [[True]]])
    course = Course(scenarios, results(scenarios, [False] * 6))
    laps, _ = race(course, [("s5",)], world.roll)
    assert laps[0].samples[0].scenario == 5
    assert not laps[0].out


def test_a_loss_that_further_draws_do_not_show_again_is_none() -> None:
    scenarios = suite(2)
    world = World([[[True], [False, True, True]]])
    world.best = [[False], [True, True, True]]
    course = Course(scenarios, results(scenarios, [False, True]), flip_rate=0.2)
    (lap,), again = race(course, [()], world.roll)
    assert not lap.out
    assert [s.draw for s in lap.samples if s.scenario == 1] == [0, 1, 2]
    assert [s.draw for s in again if s.scenario == 1] == [1, 2]


def test_a_win_that_was_luck_is_none() -> None:
    scenarios = suite(2)
    world = World([[[True, False, False], [True]]])
    world.best = [[False, False, False], [True]]
    course = Course(scenarios, results(scenarios, [False, True]), flip_rate=0.2)
    (lap,), _ = race(course, [()], world.roll)
    assert lap.out == "what it fixed fails in further draws"


def test_where_there_is_room_the_first_heats_run_together() -> None:
    scenarios = suite(4)
    fields: list[set[int | None]] = []

    class Watched(World):
        def roll(self, legs: Sequence[Leg]) -> Generator[Rollout, None, None]:
            fields.append({leg.place for leg in legs})
            return super().roll(legs)

    for width, together in ((1, 1), (4, 2), (8, 3)):
        fields.clear()
        world = Watched([[[False]] * 4] * 3)
        course = Course(scenarios, results(scenarios, [False] * 4), width=width)
        race(course, [()] * 3, world.roll)
        assert len(fields[0]) == together


@given(
    st.lists(st.booleans(), min_size=1, max_size=9),
    st.none() | st.sampled_from([0.34, 0.5]) | st.floats(0, 0.5),
    st.integers(0, 5),
    st.sampled_from([1, 2, 4, 30]),
)
def test_what_is_held_out_leaves_enough_to_see(
    passes: list[bool], share: float | None, seed: int, kinds: int
) -> None:
    scenarios = suite(len(passes), [f"want{n}" for n in range(kinds)])
    report = SuiteReport(results(scenarios, passes))
    held = held_out(report, share, seed=seed)
    assert held == held_out(report, share, seed=seed)
    assert list(held) == sorted(set(held))
    assert len(held) <= len(passes) / 2
    failing = {n for n, result in enumerate(report.results) if not result.passed}
    assert not failing or failing - set(held)
    if share is None:
        assert (len(held) > 0) == (len(passes) >= 6)
        assert len(passes) < 6 or 3 * len(held) >= len(passes) or len(failing) == len(passes) - 1


def test_of_scenarios_that_want_the_same_one_stays_in_sight() -> None:
    scenarios = suite(9, ["a", "b", "c"])
    report = SuiteReport(results(scenarios, [False] * 9))
    for seed in range(5):
        held = held_out(report, seed=seed)
        assert len(held) == 3
        assert {n % 3 for n in range(9) if n not in held} == {0, 1, 2}


def test_what_only_one_scenario_wants_stays_in_sight_while_others_can_go() -> None:
    scenarios = suite(6, ["a", "a", "a", "a", "b", "c"])
    for seed in range(5):
        held = held_out(SuiteReport(results(scenarios, [False] * 6)), 0.5, seed=seed)
        assert len(held) == 3
        assert not {4, 5} & set(held)


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=20))
def test_flips_are_counted_against_the_first_draw(draws: list[tuple[int, bool]]) -> None:
    scenarios = suite(4)
    found = [(n, results(scenarios, [passed] * 4)[n]) for n, passed in draws]
    first = dict(reversed(draws))
    assert flips(found) == Flips(
        len(draws) - len(first), sum(passed is not first[n] for n, passed in draws)
    )
    majority = verdicts(found)
    for n in first:
        votes = [passed for m, passed in draws if m == n]
        assert majority[n].passed == (2 * sum(votes) > len(votes))
