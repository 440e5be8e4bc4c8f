"""Numbers from rollouts: the same whoever counts them, and alike on both sides."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from statistics import fmean, median

from flaws import contains, equals, reached, workflow
from hypothesis import given
from hypothesis import strategies as st

from finetune_fsm.execution.rollout import Rollout, RunStatus, Visit
from finetune_fsm.improve.goals.goal import Goal, GoalKind
from finetune_fsm.improve.goals.measures import Showing, measure, paired, preference
from finetune_fsm.improve.goals.metric import improves
from finetune_fsm.improve.judge import Balance
from finetune_fsm.llm.base import Usage, estimated_tokens
from finetune_fsm.scenarios.evaluate import judge_rollout
from finetune_fsm.scenarios.model import Assertion, Scenario, ScenarioResult

STATES = """\
  ask: {type: input, prompt: 'Word?', save_as: word, next: work}
  work: {type: prompt, prompt: 'Say {{word}} etc.', save_as: out, next: more}
  more: {type: prompt, prompt: 'Shorten {{out}}.', save_as: short}
"""
ONE = workflow(STATES)
GOALS = [Goal(kind, kind.value) for kind in GoalKind]
TOKENS, LATENCY, LENGTH = GOALS[:3]
ROBUSTNESS = Goal(GoalKind.ROBUSTNESS, "robustness")

usages = st.builds(
    Usage,
    calls=st.integers(0, 2),
    prompt_tokens=st.integers(0, 99),
    completion_tokens=st.integers(0, 99),
    seconds=st.floats(0, 9),
    cached=st.sampled_from((0, 0, 0, 1)),
)
visits = st.builds(
    Visit,
    st.just("work"),
    st.just("prompt"),
    prompt=st.text(max_size=9),
    completion=st.text(max_size=9),
    routed=st.booleans(),
    usage=usages,
)


@st.composite
def results(draw: st.DrawFn) -> list[ScenarioResult]:
    """One result for each of some scenarios, in suite order."""
    found = []
    for name in draw(st.lists(st.sampled_from("abcdef"), max_size=5, unique=True).map(sorted)):
        status = draw(st.sampled_from((RunStatus.COMPLETED, RunStatus.COMPLETED, RunStatus.FAILED)))
        saved = draw(st.dictionaries(st.sampled_from(("word", "out", "short")), st.text()))
        run = Rollout(status, tuple(draw(st.lists(visits, max_size=3))), ("work", "end"), saved)
        checks = draw(st.sampled_from(((equals("out", "x"),), (reached("end"),))))
        found.append(judge_rollout(Scenario(name, checks), run))
    return found


@given(st.sampled_from(GOALS), results(), st.randoms())
def test_the_order_of_the_scenarios_does_not_count(
    goal: Goal, found: list[ScenarioResult], chance: Random
) -> None:
    mixed = list(found)
    chance.shuffle(mixed)
    straight, other = measure(goal, ONE, found), measure(goal, ONE, mixed)
    assert abs(straight.value - other.value) < 1e-9
    assert replace(straight, value=0.0) == replace(other, value=0.0)


@given(st.sampled_from(GOALS), results())
def test_what_was_not_measured_is_worth_nothing(goal: Goal, found: list[ScenarioResult]) -> None:
    metric = measure(goal, ONE, found)
    assert metric.value >= 0
    assert 0 <= metric.n <= max(len(found), 2)
    if not metric.n:
        assert metric.value == 0
        assert not improves(goal, replace(metric, n=4, value=9.0), metric)


@given(st.sampled_from(GOALS), results(), results())
def test_two_workflows_are_measured_on_the_same(
    goal: Goal, old: list[ScenarioResult], new: list[ScenarioResult]
) -> None:
    first, second = paired(goal, Showing(ONE, old), Showing(ONE, new))
    back = paired(goal, Showing(ONE, new), Showing(ONE, old))
    assert (second, first) == back
    assert (first.n, first.unit, first.name) == (second.n, second.unit, second.name)
    same, again = paired(goal, Showing(ONE, old), Showing(ONE, old))
    assert same == again
    assert not improves(goal, same, again)


@given(results())
def test_runs_that_broke_off_count_in_robustness_alone(found: list[ScenarioResult]) -> None:
    ended = [r for r in found if r.rollout.status is RunStatus.COMPLETED]
    for goal in GOALS:
        if goal != ROBUSTNESS:
            assert measure(goal, ONE, found) == measure(goal, ONE, ended)
    rate = measure(ROBUSTNESS, ONE, found)
    assert rate.n == len(found)
    assert len(rate.passed) == sum(r.passed for r in found)


def test_tokens_and_seconds_are_those_of_the_plain_sums() -> None:
    spent = [Usage(2, 10, 5, 1.0), Usage(1, 7, 1, 4.0), Usage(3, 100, 50, 2.0)]
    found = [showing(str(n), Visit("work", "prompt", usage=u)) for n, u in enumerate(spent)]
    tokens = measure(TOKENS, ONE, found)
    assert (tokens.value, tokens.unit, tokens.n) == (fmean((15, 8, 150)), "tokens", 3)
    seconds = measure(LATENCY, ONE, found)
    assert (seconds.value, seconds.n) == (median((1.0, 4.0, 2.0)), 3)


def test_a_reply_kept_from_another_run_is_estimated_on_both_sides_and_not_timed() -> None:
    asked = Visit("work", "prompt", "Say tea.", "Tea!", usage=Usage(1, 400, 2, 3.0))
    kept = replace(asked, prompt="Say tea now, please.", usage=Usage(cached=1), routed=True)
    old, new = Showing(ONE, [showing("a", kept)]), Showing(ONE, [showing("a", asked)])
    first, second = paired(TOKENS, old, new)
    assert first.unit == second.unit == "tokens, estimated"
    assert second.value == estimated_tokens("Say tea.") + estimated_tokens("Tea!")
    assert first.value == 2 * (estimated_tokens("Say tea now, please.") + estimated_tokens("Tea!"))
    assert [metric.n for metric in paired(LATENCY, old, new)] == [0, 0]


def test_length_is_that_of_what_the_tests_look_at() -> None:
    visit = Visit("more", "prompt", completion="Tea, then!")
    saved = {"word": "tea and cake", "out": " Tea. ", "short": "T"}

    def length(*checks: Assertion, variables: dict[str, str] = saved) -> float:
        one = judge_rollout(
            Scenario("a", checks), Rollout(RunStatus.COMPLETED, (visit,), ("more",), variables)
        )
        return measure(LENGTH, ONE, [one]).value

    assert length(contains("out", "Tea"), equals("out", "Tea.")) == 4
    assert length(contains("out", "Tea"), contains("word", "tea")) == 4
    assert length(contains("word", "tea")) == 5  # typed in: all that prompts saved
    assert length(reached("end")) == 5
    assert length(reached("end"), variables={"word": "tea"}) == len("Tea, then!")


def test_clarity_counts_places_in_prompts_and_needs_no_run() -> None:
    clarity = Goal(GoalKind.CLARITY, "clarity")
    metric = measure(clarity, ONE, [])
    assert (metric.value, metric.n, metric.unit) == (1.0, 2, "places")


def test_a_preference_is_a_share_of_what_was_compared() -> None:
    assert preference(Balance(1, 1, 2)).value == 0.5
    assert preference(Balance()).n == 0
    assert measure(Goal(GoalKind.TEXT, "be kind"), ONE, []) == preference(Balance())


def showing(name: str, *seen: Visit) -> ScenarioResult:
    return judge_rollout(
        Scenario(name, (reached("end"),)), Rollout(RunStatus.COMPLETED, seen, ("end",), {})
    )
