"""What a test file's schema cannot say: names that must exist, patterns that must work.

The document may still have problems of its schema; whatever has the wrong shape is passed over
here, so that all problems come at once. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from finetune_fsm.errors import Path, Problem, Severity
from finetune_fsm.execution.rollout import Rollout, RunStatus
from finetune_fsm.scenarios.assertions import judge, trimmed
from finetune_fsm.scenarios.details import detail_problems
from finetune_fsm.scenarios.model import RUN_TYPES, Assertion, AssertionType, Verdict
from finetune_fsm.scenarios.patterns import pattern_problem
from finetune_fsm.schema import limited, suggestion
from finetune_fsm.sinks import one_line, visible
from finetune_fsm.workflow.model import END, ERROR_VARIABLES, State, StateKind, Workflow

COMPARED = 20
"""Assertions of one scenario that are looked at for contradictions, each with each."""

PATTERNS_LIMIT = 60_000
"""Characters of all patterns of a test file; each takes microseconds to read."""

_DEPTH = 8
"""Workflows inside workflows whose names are looked up."""

_WITH_CASE = (AssertionType.CONTAINS, AssertionType.NOT_CONTAINS)
_TEXTUAL = (AssertionType.EQUALS, *_WITH_CASE)
_CASELESS = (AssertionType.EQUALS, AssertionType.REGEX, AssertionType.STATE_REACHED)
_STATE_KEYS: Mapping[str, str] = {
    AssertionType.STATE_REACHED: "value",
    AssertionType.STATE_NOT_REACHED: "value",
    AssertionType.PATH: "states",
    AssertionType.VISITS: "state",
}
"""Where an assertion names states, by its type."""

ChildOf = Callable[[Workflow, State], Workflow | None]
"""Returns the workflow that a state refers to, or None when it cannot be read."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The names that a test may use.

    Attributes:
        states: Kind by name, as in `Rollout.visited`; a child's is ``S_ref_<child state>``.
        variables: Names that the workflow, a state or a failure sets.
        asked: Input states without a default that every run comes to.
        unread: Beginnings of names in child workflows that could not be read; if there are any,
            unknown variables may be theirs.
    """

    states: Mapping[str, StateKind]
    variables: frozenset[str]
    asked: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


def vocabulary(workflow: Workflow, child_of: ChildOf) -> Vocabulary:
    """Return the names that tests of *workflow* may use."""
    states: dict[str, StateKind] = {}
    variables = set(ERROR_VARIABLES)
    unread: list[str] = []
    todo = [(workflow, "", 0)]
    while todo:
        current, prefix, depth = todo.pop()
        variables |= {*current.variables, *current.saved_variables}
        for name, state in current.states.items():
            states[prefix + name] = state.kind
            if state.kind is not StateKind.WORKFLOW_REF:
                continue
            child = child_of(current, state) if depth < _DEPTH else None
            if child is None:
                unread.append(f"{prefix}{name}_ref_")
            else:
                todo.append((child, f"{prefix}{name}_ref_", depth + 1))
    return Vocabulary(states, frozenset(variables), _surely_asked(workflow), tuple(unread))


def _surely_asked(workflow: Workflow) -> tuple[str, ...]:
    """Input states without a default that no decision of a model and no child comes before."""
    seen: dict[str, State] = {}
    name = workflow.start_state
    while name in workflow.states and name not in seen:
        state = workflow.states[name]
        seen[name] = state
        if len(state.targets) > 1:
            break
        name = state.targets[0]
    silent = (s for s in seen.values() if s.kind is StateKind.INPUT and s.default_value is None)
    return tuple(state.name for state in silent)


def check(document: object, names: Vocabulary | None) -> tuple[Problem, ...]:
    """Return what is wrong with *document* beyond its schema: errors, then warnings.

    Each in document order, and no more of each than `schema.PROBLEM_LIMIT`.

    Args:
        document: A test file as plain data, of any shape.
        names: What the workflow knows, or None when it could not be read.
    """
    return (*limited(_errors(document, names)), *limited(_doubts(document, names)))


def _errors(document: object, names: Vocabulary | None) -> Iterator[Problem]:
    taken: set[str] = set()
    length, told = 0, False
    for path, scenario in _mappings(document, "test_scenarios", ()):
        yield from _name_problems(scenario.get("name"), taken, (*path, "name"))
        yield from _input_problems(scenario, names, path)
        if names:
            yield from _document_problems(scenario, names, path)
        for place, raw in _mappings(scenario, "assertions", path):
            length += len(_pattern_of(raw) or "")
            if length <= PATTERNS_LIMIT:
                yield from _pattern_problems(raw, place)
            elif not told:
                told = True
                message = f"the patterns together have more than {PATTERNS_LIMIT} characters"
                hint = "test for plain text with 'contains', or split the file up"
                yield Problem("too_large", message, hint, (*place, "value"))
            yield from detail_problems(raw, place)
            if names:
                yield from _unknown_states(raw, names, place)


def _doubts(document: object, names: Vocabulary | None) -> Iterator[Problem]:
    for path, scenario in _mappings(document, "test_scenarios", ()):
        if names:
            yield from _missing_inputs(scenario, names, path)
        yield from _idle_rate(scenario, path)
        assertions = list(_mappings(scenario, "assertions", path))
        for place, raw in assertions:
            yield from _slashes(raw, place)
            yield from _idle_keys(raw, place)
            if names:
                yield from _unset_target(raw, names, place)
        yield from _contradictions(assertions[:COMPARED])


def _mappings(value: object, key: str, path: Path) -> Iterator[tuple[Path, Mapping[str, object]]]:
    """Yield the mappings in the list that *value* holds under *key*, each with its path."""
    items = value.get(key) if isinstance(value, Mapping) else None
    for index, item in enumerate(items if isinstance(items, list) else ()):
        if isinstance(item, Mapping):
            yield (*path, key, index), item


def _name_problems(name: object, taken: set[str], path: Path) -> Iterator[Problem]:
    if not isinstance(name, str):
        return
    bare = trimmed(name)
    if bare in taken:
        hint = "give each scenario a name of its own"
        message = f"two scenarios are called '{one_line(bare)}'"
        yield Problem("duplicate_scenario", message, hint, path)
    taken.add(bare)
    if "\n" in bare or "\t" in bare or visible(bare, limit=len(bare)) != bare:
        message = "a scenario's name must be one line of visible characters"
        yield Problem("bad_name", message, "shorten it; details go into 'description'", path)


def _input_problems(
    scenario: Mapping[str, object], names: Vocabulary | None, path: Path
) -> Iterator[Problem]:
    given: set[str] = set()
    for place, item in _mappings(scenario, "inputs", path):
        state = item.get("state")
        if not isinstance(state, str):
            continue
        if state in given:
            message = f"state '{one_line(state)}' gets its input twice"
            hint = "keep one; it is used at every visit of the state"
            yield Problem("duplicate_input", message, hint, (*place, "state"))
        given.add(state)
        if names:
            yield from _input_state_problems(state, names, (*place, "state"))


def _document_problems(
    scenario: Mapping[str, object], names: Vocabulary, path: Path
) -> Iterator[Problem]:
    for place, given in _mappings(scenario, "documents", path):
        state = given.get("state")
        if isinstance(state, str):
            yield from _unknown_state(trimmed(state), names, (*place, "state"))


def _missing_inputs(
    scenario: Mapping[str, object], names: Vocabulary, path: Path
) -> Iterator[Problem]:
    given = [item.get("state") for _, item in _mappings(scenario, "inputs", path)]
    silent = [state for state in names.asked if state not in given]
    if silent:
        which = ", ".join(f"'{one_line(state)}'" for state in silent[:5])
        message = f"no input for {which}, which then gets empty text"
        hint = "add it under 'inputs', or give the state a default_value"
        yield _warning("missing_input", message, hint, path)


def _input_state_problems(state: str, names: Vocabulary, path: Path) -> Iterator[Problem]:
    if state not in names.states:
        if not state.startswith(names.unread or ("\0",)):
            inputs = [name for name, kind in names.states.items() if kind is StateKind.INPUT]
            message = f"the workflow has no state '{one_line(state)}'"
            yield Problem("unknown_state", message, _known(state, inputs, "input states"), path)
    elif names.states[state] is not StateKind.INPUT:
        message = f"state '{one_line(state)}' asks for no input"
        hint = f"it is of type {names.states[state]}; only input states take inputs"
        yield Problem("not_an_input", message, hint, path)


def _pattern_problems(raw: Mapping[str, object], path: Path) -> Iterator[Problem]:
    pattern = _pattern_of(raw)
    problem = pattern_problem(pattern) if pattern is not None else None
    if problem:
        message = one_line(problem.message, limit=300)
        yield Problem(problem.code, message, problem.hint, (*path, "value"))


def _pattern_of(raw: Mapping[str, object]) -> str | None:
    kind, value = raw.get("type"), raw.get("value")
    if not isinstance(value, str):
        return None
    if kind == AssertionType.REGEX:
        return value
    return trimmed(value) if kind in _WITH_CASE and raw.get("regex") is True else None


def _slashes(raw: Mapping[str, object], path: Path) -> Iterator[Problem]:
    value = _pattern_of(raw) or ""
    if len(value) > 2 and value.startswith("/") and value.rstrip("gimsuy").endswith("/"):
        message = "the slashes are part of the pattern"
        yield _warning("slashes", message, "leave them out", (*path, "value"))


def _idle_rate(scenario: Mapping[str, object], path: Path) -> Iterator[Problem]:
    if "pass_rate" in scenario and scenario.get("repeat", 1) == 1:
        hint = "say how often to run it with 'repeat'"
        message = "'pass_rate' changes nothing for a single run"
        yield _warning("no_effect", message, hint, (*path, "pass_rate"))


def _idle_keys(raw: Mapping[str, object], path: Path) -> Iterator[Problem]:
    """Warn of what changes nothing though its writer thinks it does."""
    kind = raw.get("type")
    if kind not in tuple(AssertionType):
        return
    for key in ("case_sensitive", "regex"):
        if key in raw and kind in _CASELESS:
            hint = "it is for contains and not_contains"
            yield _warning("no_effect", f"'{key}' changes nothing here", hint, (*path, key))
    if kind == AssertionType.STATE_REACHED and "target" in raw:
        hint = "the state's name is the 'value'"
        yield _warning("no_effect", "'target' changes nothing here", hint, (*path, "target"))
    value = raw.get("value")
    if kind in _WITH_CASE and isinstance(value, str) and not trimmed(value):
        is_wanted = (kind == AssertionType.CONTAINS) is not (raw.get("not") is True)
        always = "always" if is_wanted else "never"
        message = f"every text contains the empty text, so this {always} holds"
        yield _warning("no_effect", message, "say which text", (*path, "value"))


def _unknown_states(raw: Mapping[str, object], names: Vocabulary, path: Path) -> Iterator[Problem]:
    kind = raw.get("type")
    key = _STATE_KEYS.get(kind) if isinstance(kind, str) else None
    given = raw.get(key) if key else None
    if key and isinstance(given, str):
        yield from _unknown_state(trimmed(given), names, (*path, key))
    elif key and isinstance(given, list):
        for index, state in enumerate(given):
            if isinstance(state, str):
                yield from _unknown_state(trimmed(state), names, (*path, key, index))


def _unset_target(raw: Mapping[str, object], names: Vocabulary, path: Path) -> Iterator[Problem]:
    target = raw.get("target")
    if raw.get("type") in tuple(RUN_TYPES) or names.unread:
        return
    if isinstance(target, str) and target not in names.variables:
        message = f"nothing in the workflow sets the variable '{one_line(target)}'"
        known = sorted(names.variables - set(ERROR_VARIABLES))
        hint = _known(target, known, "variables")
        yield _warning("unset_variable", message, hint, (*path, "target"))


def _unknown_state(state: str, names: Vocabulary, path: Path) -> Iterator[Problem]:
    if state == END or state in names.states or state.startswith(names.unread or ("\0",)):
        return
    message = f"the workflow has no state '{one_line(state)}'"
    hint = _known(state, [*names.states, END], "states")
    yield Problem("unknown_state", message, hint, path)


def _contradictions(assertions: Sequence[tuple[Path, Mapping[str, object]]]) -> Iterator[Problem]:
    """Warn of pairs of checks that no text can pass, each pair once, at its second."""
    typed = [(path, found) for path, raw in assertions if (found := _plain_text_check(raw))]
    for index, (path, second) in enumerate(typed):
        for _, first in typed[:index]:
            if first.target == second.target and _excludes(first, second):
                message = f"{second.type} contradicts {first.type} '{one_line(first.value)}' above"
                yield _warning("contradiction", message, "no text passes both", (*path, "value"))
                break


def _plain_text_check(raw: Mapping[str, object]) -> Assertion | None:
    kind, target, value = raw.get("type"), raw.get("target"), raw.get("value")
    if kind not in _TEXTUAL or raw.get("regex") is True or raw.get("not") is True:
        return None
    if not isinstance(target, str) or not isinstance(value, str):
        return None
    case = raw.get("case_sensitive") is not False
    return Assertion(AssertionType(str(kind)), value, target, case_sensitive=case)


def _excludes(one: Assertion, other: Assertion) -> bool:
    """Whether no text passes both."""
    for sure, doubted in ((one, other), (other, one)):
        if sure.type is AssertionType.EQUALS:
            return _fails(doubted, sure.value)
        if sure.type is AssertionType.CONTAINS and doubted.type is AssertionType.NOT_CONTAINS:
            same_case = sure.case_sensitive or not doubted.case_sensitive
            return same_case and _fails(doubted, sure.value)
    return False


def _fails(assertion: Assertion, text: str) -> bool:
    rollout = Rollout(RunStatus.COMPLETED, variables={assertion.target: text})
    return judge(assertion, rollout).verdict is Verdict.FAILED


def _known(word: str, known: Sequence[str], what: str) -> str:
    if near := suggestion(word, known):
        return one_line(near)
    return one_line(f"{what}: {', '.join(known)}") if known else f"it has no {what}"


def _warning(code: str, message: str, hint: str, path: Path) -> Problem:
    return Problem(code, message, hint, path, Severity.WARNING)
