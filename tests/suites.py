"""Strategies for suites and for what they say of a workflow."""

from __future__ import annotations

from pathlib import Path

from hypothesis import strategies as st
from strategies import texts

from finetune_fsm.execution.rollout import Rollout, RunError, RunStatus, Visit
from finetune_fsm.llm.base import Usage
from finetune_fsm.scenarios.assertions import trimmed
from finetune_fsm.scenarios.evaluate import judge_rollout
from finetune_fsm.scenarios.model import Assertion, AssertionType, Scenario, Suite, SuiteReport
from finetune_fsm.sinks import clean
from finetune_fsm.workflow.load import check_text
from finetune_fsm.workflow.model import Workflow

WORKFLOW = """\
name: Greeter
start_state: ask
variables: {topic: tea}
states:
  ask: {type: input, prompt: Who?, save_as: name, default_value: Bob, next: greet}
  greet:
    type: prompt
    options: {num_predict: 50}
    steps:
      - {prompt: "Hi {{name}}, {{topic}}?", save_as: greeting}
      - {prompt: "Shorter: {{greeting}}", save_as: short}
    next_options:
      - {state: more, description: they want more}
      - {state: end, description: they are done}
  more: {type: input, prompt: More?, save_as: wish, next: greet}
"""


def greeter() -> Workflow:
    workflow = check_text(WORKFLOW, folder=Path()).workflow
    assert workflow
    return workflow


def _visible(text: str) -> bool:
    return bool(text) and trimmed(text) == text and clean(text) == text and text.isprintable()


names = texts().filter(_visible)
TARGETS = st.sampled_from(["name", "greeting", "short", "wish", "topic", "nothing", "error"])
STATES = st.sampled_from(["ask", "greet", "greet_step_1", "more", "end"])
PATTERNS = st.sampled_from(["a+", r"^\d{4}$", "(?<y>a)\\k<y>", "tea|coffee", "é", " b "])


@st.composite
def assertions(draw: st.DrawFn) -> Assertion:
    kind = draw(st.sampled_from(AssertionType))
    described = draw(st.sampled_from(["", "why it matters"]) | texts())
    if kind is AssertionType.STATE_REACHED:
        return Assertion(kind, draw(STATES), description=described)
    pattern = kind is AssertionType.REGEX or draw(st.booleans())
    return Assertion(
        kind,
        draw(PATTERNS if pattern else texts()),
        draw(TARGETS),
        case_sensitive=draw(st.booleans()),
        regex=pattern and kind is not AssertionType.REGEX,
        description=described,
    )


def scenarios() -> st.SearchStrategy[Scenario]:
    return st.builds(
        Scenario,
        name=names,
        assertions=st.lists(assertions(), min_size=1, max_size=3).map(tuple),
        inputs=st.dictionaries(st.sampled_from(["ask", "more"]), texts()),
        description=texts(),
        generated=st.booleans(),
    )


def suites() -> st.SearchStrategy[Suite]:
    several = st.lists(scenarios(), min_size=1, max_size=3, unique_by=lambda s: s.name)
    return st.builds(Suite, st.just("greeter.yaml"), several.map(tuple))


def rollouts(content: st.SearchStrategy[str]) -> st.SearchStrategy[Rollout]:
    errors = st.builds(RunError, content, content)
    usages = st.builds(Usage, st.integers(0, 3), st.integers(0, 99), st.integers(0, 99))
    visits = st.builds(Visit, state=content, kind=st.just("prompt"), usage=usages)
    return st.builds(
        Rollout,
        status=st.sampled_from(RunStatus),
        visits=st.lists(visits, max_size=2).map(tuple),
        visited=st.lists(content, max_size=3).map(tuple),
        variables=st.dictionaries(TARGETS, content, max_size=3),
        error=st.none() | errors,
        warnings=st.lists(content, max_size=1).map(tuple),
        seconds=st.floats(0, 1e5),
    )


@st.composite
def reports(draw: st.DrawFn, content: st.SearchStrategy[str]) -> SuiteReport:
    """A report whose every text may hold *content*."""
    checks = st.builds(
        Assertion,
        # without patterns: these reports shall cost nothing
        st.sampled_from(
            [AssertionType.EQUALS, AssertionType.CONTAINS, AssertionType.STATE_REACHED]
        ),
        content,
        content,
        description=content,
    )
    checks |= st.just(Assertion(AssertionType.REGEX, "(", "name"))
    kind = st.builds(
        Scenario,
        content,
        st.lists(checks, min_size=1, max_size=2).map(tuple),
        description=content,
    )
    several = draw(st.lists(kind, max_size=3))
    results = tuple(judge_rollout(scenario, draw(rollouts(content))) for scenario in several)
    return SuiteReport(results, draw(st.floats(0, 1e5)))
