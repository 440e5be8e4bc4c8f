"""What a proposal is made from, and the form in which one is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from finetune_fsm.errors import Problem
from finetune_fsm.improve.model import Suspect
from finetune_fsm.scenarios.model import ScenarioResult, SuiteReport
from finetune_fsm.workflow.edits import Edit
from finetune_fsm.workflow.model import State, Workflow

PROMPT_LIMIT = 8_000
"""Characters of a prompt that a model may write."""


@dataclass(frozen=True, slots=True)
class Brief:
    """All that a proposal is made from.

    Attributes:
        workflow: The best so far, from which every draft grows.
        report: How it fared on what models may be shown.
        suspect: The field to change.
        model: Name of the reflection LLM.
        seed: Base seed; a variant adds its number.
        structure: Whether states may come and go.
    """

    workflow: Workflow
    report: SuiteReport
    suspect: Suspect
    model: str
    seed: int = 0
    structure: bool = False

    @property
    def state(self) -> State:
        """The state that holds the suspect; the first one for a suspect outside of states."""
        for state in self.workflow.states.values():
            if state.origin == self.suspect.path[: len(state.origin)] == self.suspect.path[:-1]:
                return state
        for state in reversed(list(self.workflow.states.values())):  # where its last step goes on
            if ("states", state.owner) == self.suspect.path[:-1]:
                return state
        return next(iter(self.workflow.states.values()))

    @property
    def failing(self) -> tuple[ScenarioResult, ...]:
        """The scenarios that do not pass, in suite order."""
        return tuple(result for result in self.report.results if not result.passed)


Reading = tuple[Edit, ...] | Problem
"""What a reply asks for, or what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Form:
    """How a strategy asks and reads.

    Attributes:
        values: What its prompt, called like the strategy, is filled with besides what every
            prompt of a proposal may use.
        answer: Schemas of the properties of its JSON reply after "problem"; None for a reply
            that is plain text.
        read: Turns the reply's object, or its text under "text", into edits that say why.
        tokens: What a reply may take.
    """

    values: Callable[[Brief], Mapping[str, str]]
    answer: Callable[[Brief], Mapping[str, object]] | None
    read: Callable[[Mapping[str, object], Brief, str], Reading]
    tokens: Callable[[Brief], int] = lambda _: 500
