"""Strategies for suites and for what they say of a workflow."""

from __future__ import annotations

from pathlib import Path

from hypothesis import strategies as st
from strategies import texts

from finetune_fsm.codec import canonical
from finetune_fsm.execution.rollout import Rollout, RunError, RunStatus, Visit
from finetune_fsm.knowledge.model import Given
from finetune_fsm.llm.base import Usage
from finetune_fsm.scenarios.assertions import trimmed
from finetune_fsm.scenarios.evaluate import judge_rollout
from finetune_fsm.scenarios.model import (
    RUN_TYPES,
    Assertion,
    AssertionType,
    Scenario,
    Suite,
    SuiteReport,
    Unit,
)
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


COUNTS = st.none() | st.integers(0, 5).map(float)
RANGES = st.tuples(COUNTS, COUNTS).filter(lambda r: r != (None, None) and _low(r) <= _high(r))
TELLING = texts().filter(lambda t: bool(trimmed(t) and t.strip()))  # whatever counts as a space
LISTS = st.lists(TELLING, min_size=1, max_size=3).map(tuple)
SCHEMAS = st.sampled_from(["", "true", '{"type":"object"}', '{"enum":["tea",1],"pattern":"^a"}'])
JSON = st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.lists(texts(), max_size=2)


def _low(bounds: tuple[float | None, float | None]) -> float:
    return bounds[0] or 0.0


def _high(bounds: tuple[float | None, float | None]) -> float:
    return 9.0 if bounds[1] is None else bounds[1]


@st.composite
def assertions(draw: st.DrawFn) -> Assertion:
    """A valid one of any type, with what that type takes."""
    kind = draw(st.sampled_from(AssertionType))
    usual = {
        "description": draw(st.sampled_from(["", "why it matters"]) | texts()),
        "negated": draw(st.booleans()),
        "weight": draw(st.sampled_from([1.0, 2.0, 0.5])),
    }
    target = "" if kind in RUN_TYPES else draw(TARGETS)
    fields = draw(_FIELDS[kind]) if kind in _FIELDS else draw(_texts_wanted(kind))
    return Assertion(kind, target=target, **usual, **fields)


@st.composite
def _texts_wanted(draw: st.DrawFn, kind: AssertionType) -> dict[str, object]:
    pattern = kind is AssertionType.REGEX or draw(st.booleans())
    return {
        "value": draw(PATTERNS if pattern else texts()),
        "case_sensitive": draw(st.booleans()),
        "regex": pattern and kind is not AssertionType.REGEX,
    }


def _ranged(**fields: st.SearchStrategy[object]) -> st.SearchStrategy[dict[str, object]]:
    others = st.fixed_dictionaries(fields)
    return st.builds(lambda r, rest: {"least": r[0], "most": r[1], **rest}, RANGES, others)


_STATE = st.fixed_dictionaries({"value": STATES})
_TELLING = {"value": TELLING, "case_sensitive": st.booleans()}
_MANY = st.fixed_dictionaries({"values": LISTS, "case_sensitive": st.booleans()})
_MOST = st.fixed_dictionaries({"most": st.integers(1, 9).map(float)})
_FIELDS: dict[AssertionType, st.SearchStrategy[dict[str, object]]] = {
    AssertionType.STARTS_WITH: st.fixed_dictionaries(_TELLING),
    AssertionType.ENDS_WITH: st.fixed_dictionaries(_TELLING),
    AssertionType.SIMILARITY: st.fixed_dictionaries(
        {**_TELLING, "threshold": st.sampled_from([0.8, 0.5, 1.0])}
    ),
    AssertionType.ONE_OF: _MANY,
    AssertionType.CONTAINS_ALL: _MANY,
    AssertionType.CONTAINS_ANY: _MANY,
    AssertionType.LENGTH: _ranged(unit=st.sampled_from(Unit)),
    AssertionType.NUMERIC: st.fixed_dictionaries(
        {
            "value": st.integers(-9, 9).map(str) | st.sampled_from(["0.5", "-2.25"]),
            "tolerance": st.sampled_from([0.0, 1.0, 0.1]),
        }
    ),
    AssertionType.IS_JSON: st.fixed_dictionaries({"schema": SCHEMAS}),
    AssertionType.JSON_PATH: st.fixed_dictionaries(
        {"path": st.sampled_from(["$.a[0]", "a", "$"]), "value": st.just("") | JSON.map(canonical)}
    ),
    AssertionType.LLM_RUBRIC: st.fixed_dictionaries(
        {"value": _TELLING["value"], "model": st.sampled_from(["", "judge"])}
    ),
    AssertionType.STATE_REACHED: _STATE,
    AssertionType.STATE_NOT_REACHED: _STATE,
    AssertionType.PATH: st.fixed_dictionaries(
        {
            "values": st.lists(STATES, min_size=1, max_size=3).map(tuple),
            "exact": st.booleans(),
        }
    ),
    AssertionType.VISITS: _ranged(value=STATES),
    AssertionType.TOKENS: _MOST,
    AssertionType.LLM_CALLS: _MOST,
    AssertionType.LATENCY: _MOST,
    AssertionType.TOOL_CALLED: _ranged(value=STATES) | st.fixed_dictionaries({"value": STATES}),
    AssertionType.TOOL_NOT_CALLED: _STATE,
    AssertionType.TOOL_ARGS: st.fixed_dictionaries(
        {"value": STATES, "arguments": st.sampled_from(['{"a":1}', '{"a":{"b":[true]}}', "{}"])}
    ),
}
"""What a type takes; the others take a text that may be a pattern."""


def scenarios() -> st.SearchStrategy[Scenario]:
    return st.builds(
        Scenario,
        name=names,
        assertions=st.lists(assertions(), min_size=1, max_size=3).map(tuple),
        inputs=st.dictionaries(st.sampled_from(["ask", "more"]), texts()),
        description=texts(),
        generated=st.booleans(),
        pass_score=st.sampled_from([1.0, 0.5]),
        repeat=st.sampled_from([1, 3]),
        pass_rate=st.sampled_from([1.0, 0.5]),
        documents=st.none() | st.lists(givens(), max_size=2).map(tuple),
    )


def givens() -> st.SearchStrategy[Given]:
    """Documents that stand for a search."""
    return st.builds(Given, texts(), texts(), st.sampled_from(["", "greet"]))


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
