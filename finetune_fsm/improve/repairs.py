"""Repairs that need no model: a rule sees a flaw and proposes edits; the suite decides.

Each rule is a generator over what a `Scene` shows. None reads an expected text into a prompt.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from difflib import get_close_matches

from finetune_fsm.execution.rollout import Rollout
from finetune_fsm.improve.changes import set_prompt
from finetune_fsm.improve.model import Repair
from finetune_fsm.scenarios.model import (
    AssertionResult,
    AssertionType,
    ScenarioResult,
    SuiteReport,
)
from finetune_fsm.workflow.edits import Edit, EditOp
from finetune_fsm.workflow.model import (
    BUILT_IN_VARIABLES,
    END,
    State,
    StateKind,
    Workflow,
)

ANSWER_ONLY = "Reply with the answer alone."
"""Short, because a small model takes the words of a long ban for answers."""

CHOICES = 2
"""Distinct answers that make a list."""

LOWER_CASE = "Write the answer in lower case."


@dataclass(frozen=True, slots=True)
class Scene:
    """What the rules look at: the best workflow and how it fared."""

    workflow: Workflow
    report: SuiteReport

    @property
    def failed(self) -> tuple[ScenarioResult, ...]:
        """Results of the scenarios that did not pass, in suite order."""
        return tuple(result for result in self.report.results if not result.passed)

    def failures(self) -> Iterator[tuple[ScenarioResult, AssertionResult]]:
        """Every assertion that did not pass, with its scenario's result."""
        for result in self.failed:
            for failure in result.failures:
                yield result, failure

    @property
    def known(self) -> frozenset[str]:
        """Variables that something sets."""
        workflow = self.workflow
        return workflow.saved_variables | set(workflow.variables) | BUILT_IN_VARIABLES


def repairs(workflow: Workflow, report: SuiteReport) -> tuple[Repair, ...]:
    """Return what the rules propose, each change once, in the order of the rules. Pure."""
    scene = Scene(workflow, report)
    found: dict[tuple[Edit, ...], Repair] = {}
    for rule in RULES:
        for repair in rule(scene):
            known = found.setdefault(repair.edits, repair)
            scenarios = tuple(dict.fromkeys(known.scenarios + repair.scenarios))
            found[repair.edits] = replace(known, scenarios=scenarios)
    return tuple(found.values())


def misspelt_placeholder(scene: Scene) -> Iterator[Repair]:
    """A prompt reads a variable that nothing sets, and one of nearly that name exists."""
    for state in scene.workflow.states.values():
        for name in sorted(state.reads - scene.known):
            for close in get_close_matches(name, sorted(scene.known - BUILT_IN_VARIABLES), n=1):
                if state.prompt and f"{{{{{name}}}}}" in state.prompt:
                    text = state.prompt.replace(f"{{{{{name}}}}}", f"{{{{{close}}}}}")
                    why = f"nothing sets '{name}', but there is '{close}'"
                    yield _repair("misspelt_placeholder", why, *set_prompt(state, text))


def missing_save(scene: Scene) -> Iterator[Repair]:
    """A variable is read or tested, but nothing saves it; some state before it saves nothing."""
    wanted = {name: state for state in scene.workflow.states.values() for name in state.reads} | {
        f.assertion.target: None for _, f in scene.failures() if f.assertion.target
    }
    for name in sorted(set(wanted) - scene.known):
        reader = wanted[name]
        for state in _silent_states(scene.workflow, before=reader):
            why = f"nothing saves '{name}', and '{state.name}' saves nothing"
            yield _repair(
                "missing_save", why, Edit(EditOp.SET, (*state.origin, "save_as"), name, why)
            )


def ignored_input(scene: Scene) -> Iterator[Repair]:
    """An answer is asked for and saved, and no prompt ever reads it."""
    states = list(scene.workflow.states.values())
    read = frozenset(name for state in states for name in state.reads)
    for place, state in enumerate(states):
        if state.kind is not StateKind.INPUT or not state.save_as or state.save_as in read:
            continue
        for reader in states[place + 1 :]:
            if reader.kind is StateKind.PROMPT and reader.prompt:
                why = f"'{state.save_as}' is asked for, but no prompt uses it"
                text = (
                    f"{reader.prompt.rstrip()}\n\n{_title(state.save_as)}: {{{{{state.save_as}}}}}"
                )
                yield _repair("ignored_input", why, *set_prompt(reader, text))
                break


def unreached_state(scene: Scene) -> Iterator[Repair]:
    """A scenario wants a state that no way leads to: send a state before it there."""
    for result, wanted in _wanted_states(scene):
        state = scene.workflow.states.get(wanted)
        if state is None or any(wanted in s.targets for s in scene.workflow.states.values()):
            continue
        for before in _candidates_before(scene.workflow, state, result.rollout):
            why = f"no way leads to '{wanted}', and '{before.name}' goes to '{before.next or END}'"
            edit = Edit(EditOp.SET, (*before.origin, "next"), wanted)
            yield _repair("unreached_state", why, edit, result.scenario.name)


def swapped_options(scene: Scene) -> Iterator[Repair]:
    """A model chose one option where scenarios want another: exchange their targets."""
    pairs: Counter[tuple[str, int, int]] = Counter()
    for result, wanted in _wanted_states(scene):
        for visit in result.rollout.visits:
            state = scene.workflow.states.get(visit.state)
            targets = state.targets if state and visit.routed else ()
            if wanted in targets and visit.next in targets and wanted != visit.next:
                pair = sorted((targets.index(wanted), targets.index(visit.next)))
                pairs[visit.state, pair[0], pair[1]] += 1
    for (name, first, second), _ in pairs.most_common():
        state = scene.workflow.states[name]
        options = state.next_options
        why = f"'{options[first].state}' and '{options[second].state}' look exchanged"
        yield _repair(
            "swapped_options",
            why,
            Edit(
                EditOp.SET,
                (*state.origin, "next_options", first, "state"),
                options[second].state,
                why,
            ),
            Edit(
                EditOp.SET,
                (*state.origin, "next_options", second, "state"),
                options[first].state,
                why,
            ),
        )


def wordy_answer(scene: Scene) -> Iterator[Repair]:
    """The wanted answer is there, but wrapped in other words, or only its case is wrong."""
    for result, failure in scene.failures():
        assertion, actual = failure.assertion, failure.actual
        if assertion.type is not AssertionType.EQUALS or actual is None:
            continue
        wanted = assertion.value.strip()
        state = _writer(scene.workflow, result.rollout, assertion.target)
        if state is None or state.prompt is None or not wanted:
            continue
        if actual.strip() == wanted or wanted.lower() not in actual.lower():
            continue
        sentences = [ANSWER_ONLY] if len(actual.strip()) > len(wanted) else []
        if wanted.islower() and wanted not in actual:
            sentences.append(LOWER_CASE)
        missing = [sentence for sentence in sentences if sentence not in state.prompt]
        if missing:
            why = f"'{assertion.target}' holds the right answer wrapped in other words"
            text = f"{state.prompt.rstrip()}\n\n{' '.join(missing)}"
            yield _repair("wordy_answer", why, *set_prompt(state, text), result.scenario.name)


def unsaid_choices(scene: Scene) -> Iterator[Repair]:
    """The answers come from a fixed list that the workflow tells elsewhere, but not in the prompt.

    The words are the workflow's own: a list that only the tests know is never written into it.
    """
    for state in scene.workflow.states.values():
        if state.kind is not StateKind.PROMPT or not state.prompt or not state.save_as:
            continue
        listed = _choices(scene, state)
        failing = (
            r.scenario.name for r, f in scene.failures() if f.assertion.target == state.save_as
        )
        if listed and not all(_place(word, state.prompt) >= 0 for word in listed):
            why = f"'{state.name}' does not say which answers there are"
            sentence = f"Choose the one that fits best: {', '.join(listed)}. Reply with it alone."
            text = f"{state.prompt.rstrip()}\n\n{sentence}"
            yield _repair("unsaid_choices", why, *set_prompt(state, text), *failing)


def _choices(scene: Scene, state: State) -> list[str]:
    """The answers that tests want of a failing *state*, in the order the workflow tells them.

    Empty when there is no list of them, or when the workflow does not tell them all.
    """
    failed = any(failure.assertion.target == state.save_as for _, failure in scene.failures())
    wanted = {
        check.value.strip()
        for result in scene.report.results
        for check in result.scenario.assertions
        if check.type is AssertionType.EQUALS and check.target == state.save_as
    }
    text = scene.workflow.text
    if not failed or len(wanted) < CHOICES or any(_place(word, text) < 0 for word in wanted):
        return []
    return sorted(wanted, key=lambda word: _place(word, text))


RULES: tuple[Callable[[Scene], Iterator[Repair]], ...] = (
    misspelt_placeholder,
    missing_save,
    ignored_input,
    unreached_state,
    swapped_options,
    unsaid_choices,
    wordy_answer,
)


def _wanted_states(scene: Scene) -> Iterator[tuple[ScenarioResult, str]]:
    """States that failing scenarios should have reached, directly or for what they save."""
    for result, failure in scene.failures():
        if failure.assertion.type is AssertionType.STATE_REACHED:
            yield result, failure.assertion.value
        elif failure.actual is None:
            for state in scene.workflow.states.values():
                if state.save_as == failure.assertion.target:
                    yield result, state.name


def _candidates_before(workflow: Workflow, state: State, rollout: Rollout) -> Iterator[State]:
    """Visited states that could lead to *state*, likeliest first: a skipped one shares its next."""
    visited = [workflow.states[n] for n in dict.fromkeys(rollout.visited) if n in workflow.states]
    open_ended = [s for s in visited if not s.next_options and s.name != state.name]
    order = list(workflow.states)
    place = order.index(state.name)
    yield from sorted(
        open_ended,
        key=lambda s: (
            s.next != state.next,
            abs(place - order.index(s.name)) if order.index(s.name) < place else len(order),
        ),
    )


def _silent_states(workflow: Workflow, *, before: State | None) -> Iterator[State]:
    """Prompt and input states that save nothing, the nearest to *before* (or the end) first."""
    states = list(workflow.states.values())
    if before is not None:
        states = states[: states.index(before)]
    for state in reversed(states):
        if state.kind in (StateKind.PROMPT, StateKind.INPUT) and not state.save_as:
            yield state


def _writer(workflow: Workflow, rollout: Rollout, target: str) -> State | None:
    """The prompt state that wrote *target* last in this rollout."""
    for name in reversed(rollout.visited):
        state = workflow.states.get(name)
        if state and state.save_as == target:
            return state if state.kind is StateKind.PROMPT else None
    return None


def _repair(code: str, why: str, *parts: Edit | str) -> Repair:
    edits = tuple(replace(part, why=why) for part in parts if isinstance(part, Edit))
    return Repair(code, edits, why, tuple(part for part in parts if isinstance(part, str)))


def _place(word: str, text: str) -> int:
    """Where *word* stands in *text* as a word of its own, or -1."""
    found = re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text)
    return found.start() if found else -1


def _title(name: str) -> str:
    return name.replace("_", " ").strip().capitalize()
