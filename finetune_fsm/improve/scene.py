"""What the rules look at: a workflow, how it fared, and a few things that all of them ask."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import sqrt

from finetune_fsm.errors import Path
from finetune_fsm.execution.rollout import Rollout
from finetune_fsm.improve.model import Repair
from finetune_fsm.scenarios.model import (
    Assertion,
    AssertionResult,
    AssertionType,
    ScenarioResult,
    SuiteReport,
)
from finetune_fsm.workflow.edits import Edit
from finetune_fsm.workflow.model import BUILT_IN_VARIABLES, END, State, StateKind, Workflow
from finetune_fsm.workflow.outline import mapping_at, step_name

NAME = re.compile(r"[A-Za-z0-9_]+")
"""What a placeholder can read."""

_ANCHORED = re.compile(r"\^(?:\\W\*)?([\w -]+)(?:\\W\*)?\$")
_ROUNDS = 5
"""Visits of one state in one run from which on it seems to go round."""


@dataclass(frozen=True)  # without slots: what is computed is kept in the instance
class Scene:
    """What the rules look at: the best workflow and how it fared."""

    workflow: Workflow
    report: SuiteReport

    @property
    def states(self) -> tuple[State, ...]:
        """All states, in document order."""
        return tuple(self.workflow.states.values())

    @property
    def prompts(self) -> tuple[State, ...]:
        """The states that ask a model and say what, in document order."""
        return tuple(s for s in self.states if s.kind is StateKind.PROMPT and s.prompt)

    @cached_property
    def failed(self) -> tuple[ScenarioResult, ...]:
        """Results of the scenarios that did not pass, in suite order."""
        return tuple(result for result in self.report.results if not result.passed)

    @cached_property
    def passed(self) -> tuple[ScenarioResult, ...]:
        """Results of the scenarios that passed, in suite order."""
        return tuple(result for result in self.report.results if result.passed)

    @cached_property
    def visits(self) -> tuple[Mapping[str, int], Mapping[str, int]]:
        """How many failing runs, and how many others, visited each state, by name."""
        counted = (
            Counter(name for result in results for name in set(result.rollout.visited))
            for results in (self.failed, self.passed)
        )
        failing, passing = counted
        return failing, passing

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

    @property
    def read(self) -> frozenset[str]:
        """Variables that some state reads."""
        return frozenset(name for state in self.states for name in state.reads)

    @property
    def tested(self) -> frozenset[str]:
        """Variables that the scenarios look at."""
        results = self.report.results
        return frozenset(a.target for r in results for a in r.scenario.assertions if a.target)

    def wanted_states(self) -> Iterator[tuple[ScenarioResult, str]]:
        """States that failing scenarios should have reached, directly or for what they save."""
        for result, failure in self.failures():
            if not failure.assertion.target:
                for name in failure.assertion.wanted_states:
                    if name not in result.rollout.visited:
                        yield result, name
            elif failure.actual is None:
                for state in self.states:
                    if state.save_as == failure.assertion.target:
                        yield result, state.name

    def writers(self) -> Iterator[tuple[ScenarioResult, AssertionResult, State]]:
        """Failing checks of a text, each with the prompt state that wrote the text."""
        for result, failure in self.failures():
            if failure.actual is not None and failure.assertion.target:
                state = writer(self.workflow, result.rollout, failure.assertion.target)
                if state is not None and state.prompt is not None:
                    yield result, failure, state


def failing_share(scene: Scene, state: State) -> float:
    """Return how much *state* goes with failure: 0 never visited by a failing run, 1 by no other.

    Pure.

    Source: Ochiai's coefficient as used for fault localisation, Abreu, Zoeteweij and van Gemund
    2007.
    """
    failing, passing = (runs.get(state.name, 0) for runs in scene.visits)
    return failing / sqrt(len(scene.failed) * (failing + passing)) if failing else 0.0


def way_path(workflow: Workflow, state: State) -> Path | None:
    """Return where `next` and `next_options` of *state* stand; None in the middle of steps.

    Pure.
    """
    steps = [s for s in workflow.states.values() if s.owner == state.owner]
    return ("states", state.owner) if steps[-1].name == state.name else None


def options_path(workflow: Workflow, state: State) -> Path:
    """Return where the options that *state* runs with stand: a step may inherit them. Pure."""
    if len(state.origin) == 2:
        return (*state.origin, "options")
    owner = mapping_at(mapping_at(workflow.document, "states"), state.owner)
    inherits = "options" in owner and state.options == owner["options"]
    return (*(("states", state.owner) if inherits else state.origin), "options")


def last_step(workflow: Workflow, name: str) -> State:
    """Return the state called *name*, or the last of its steps. Pure."""
    count = sum(s.owner == name for s in workflow.states.values())
    return workflow.states[step_name(name, count - 1)]


def writer(workflow: Workflow, rollout: Rollout, target: str) -> State | None:
    """Return the prompt state that wrote *target* last in this rollout. Pure."""
    for name in reversed(rollout.visited):
        state = workflow.states.get(name)
        if state and state.save_as == target:
            return state if state.kind is StateKind.PROMPT else None
    return None


def goes_round(rollout: Rollout) -> bool:
    """Whether the run seems to have gone round until it was ended. Pure."""
    if rollout.error is None or rollout.error.kind is not None:
        return False
    return max(Counter(rollout.visited).values(), default=0) >= _ROUNDS


def exact_answer(assertion: Assertion) -> str:
    """Return the whole answer that *assertion* wants, or empty text. Pure.

    A pattern does as well when it is plain words between its two anchors.
    """
    if assertion.negated:
        return ""
    if assertion.type is AssertionType.EQUALS:
        return assertion.value.strip()
    if assertion.type is AssertionType.ONE_OF and len(assertion.values) == 1:
        return assertion.values[0].strip()
    if assertion.is_pattern:
        match = _ANCHORED.fullmatch(assertion.value.strip())
        return match[1].strip() if match else ""
    return ""


def repair(code: str, why: str, *parts: Edit | str) -> Repair:
    """Return the repair made of the edits among *parts*; the texts are names of scenarios."""
    edits = tuple(replace(part, why=why) for part in parts if isinstance(part, Edit))
    return Repair(code, edits, why, tuple(part for part in parts if isinstance(part, str)))


def place_of(word: str, text: str) -> int:
    """Return where *word* stands in *text* as a word of its own, or -1. Pure."""
    found = re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text)
    return found.start() if found else -1


def words_of(name: str) -> str:
    """Return a name as words: ``find_amount`` is ``find amount``. Pure."""
    return re.sub(r"[_\W]+", " ", name).strip()


def titled(name: str) -> str:
    """Return a variable's name as a title for its value. Pure."""
    return name.replace("_", " ").strip().capitalize()


def mentions(text: str, name: str) -> bool:
    """Whether *text* holds a word of *name*, in whatever case. Pure."""
    words = [word for word in words_of(name).lower().split() if len(word) > 2]
    return any(place_of(word, text.lower()) >= 0 for word in words)


def distances(ways: Mapping[str, tuple[str, ...]], start: str) -> Mapping[str, int]:
    """Return how many steps each name is away from *start* along *ways*, itself at 0. Pure."""
    found = {start: 0}
    waiting = [start]
    for name in waiting:
        for following in ways.get(name, ()):
            if following not in found:
                found[following] = found[name] + 1
                waiting.append(following)
    return found


def ways_on(workflow: Workflow) -> Mapping[str, tuple[str, ...]]:
    """Return the targets of every state. Pure."""
    return {state.name: state.targets for state in workflow.states.values()}


def ways_back(workflow: Workflow) -> Mapping[str, tuple[str, ...]]:
    """Return the states from which a way leads to each state, or to `END`. Pure."""
    return {
        name: tuple(s.name for s in workflow.states.values() if name in s.targets)
        for name in (*workflow.states, END)
    }
