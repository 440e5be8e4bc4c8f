"""Strategies for what scenarios may say of a given workflow: any visits, texts and checks."""

from __future__ import annotations

from hypothesis import strategies as st

from finetune_fsm.execution.rollout import Rollout, RunError, RunStatus, Visit
from finetune_fsm.scenarios.evaluate import judge_rollout
from finetune_fsm.scenarios.model import Assertion, AssertionType, Scenario, SuiteReport
from finetune_fsm.workflow.model import END, Workflow


@st.composite
def reports(draw: st.DrawFn, one: Workflow) -> SuiteReport:
    """What any scenarios might say of *one*: any visits, variables, warnings and checks."""
    names = [*one.states, END]
    variables = sorted({*one.saved_variables, *(n for s in one.states.values() for n in s.reads)})
    targets = st.sampled_from([*variables, "other", "a b"])
    answers = st.sampled_from(["good", "bad", "Good.", "", "{{x}}", "gar\x1bbage"])
    results = []
    for number in range(draw(st.integers(1, 3))):
        checks = draw(st.lists(_checks(st.sampled_from(names), targets, answers), min_size=1))
        scenario = Scenario(str(number), tuple(checks), draw(_inputs(one)))
        results.append(judge_rollout(scenario, draw(_rollouts(one, targets, answers))))
    return SuiteReport(tuple(results))


def _checks(
    states: st.SearchStrategy[str], targets: st.SearchStrategy[str], values: st.SearchStrategy[str]
) -> st.SearchStrategy[Assertion]:
    ways = [AssertionType.STATE_REACHED, AssertionType.STATE_NOT_REACHED, AssertionType.VISITS]
    way = st.builds(
        Assertion,
        st.sampled_from(ways),
        states,
        negated=st.booleans(),
        least=st.sampled_from([0.0, 1.0]),
        most=st.just(1.0),
    )
    path = st.builds(
        Assertion,
        st.just(AssertionType.PATH),
        values=st.lists(states, min_size=1, max_size=3).map(tuple),
        exact=st.booleans(),
    )
    takes = st.builds(Assertion, st.just(AssertionType.LATENCY), most=st.just(-1.0))
    kinds = st.sampled_from([AssertionType.EQUALS, AssertionType.CONTAINS])
    text = st.builds(Assertion, kinds, values, targets, negated=st.booleans())
    several = st.lists(values, min_size=1, max_size=2).map(tuple)
    one = st.builds(Assertion, st.just(AssertionType.ONE_OF), target=targets, values=several)
    return way | path | takes | text | one


def _inputs(one: Workflow) -> st.SearchStrategy[dict[str, str]]:
    return st.dictionaries(st.sampled_from(sorted(one.states)), st.just("an answer"), max_size=2)


@st.composite
def _rollouts(
    draw: st.DrawFn, one: Workflow, targets: st.SearchStrategy[str], answers: st.SearchStrategy[str]
) -> Rollout:
    visited: list[str] = []
    visits = []
    name = draw(st.sampled_from([*one.states, END]))
    while name in one.states and len(visits) < 12:
        state = one.states[name]
        visited.append(name)
        following = draw(st.sampled_from(state.targets))
        visits.append(Visit(name, state.kind, next=following, routed=bool(state.next_options)))
        name = following
    error = draw(st.none() | st.builds(RunError, st.sampled_from([*visited, "x"]), answers))
    cut = draw(st.lists(st.sampled_from([*visited, "x"]), max_size=2))
    warnings = [f"state '{n}': the reply was cut at the token limit — set more" for n in cut]
    status = RunStatus.FAILED if error else RunStatus.COMPLETED
    visited += [] if error else [END]
    values = draw(st.dictionaries(targets, answers, max_size=3))
    return Rollout(status, tuple(visits), tuple(visited), values, error, tuple(warnings))
