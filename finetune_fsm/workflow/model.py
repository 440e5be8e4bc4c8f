"""A workflow as frozen values: what a valid document means.

A state with n steps is here as n states, ``S``, ``S_step_1`` … ``S_step_{n-1}``, chained, so that
nothing above this module knows of steps.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

DEFAULT_MODEL = "gemma3:4b"
END = "end"
RUN_DIRECTORY = "run_directory"
ERROR_VARIABLES = ("error", "error_state")
BUILT_IN_VARIABLES = frozenset({RUN_DIRECTORY, *ERROR_VARIABLES})

PLACEHOLDER = re.compile(r"\{\{([A-Za-z0-9_]+)\}\}")
"""Exactly ``{{name}}``; anything else in braces is plain text."""


class StateKind(StrEnum):
    """The four kinds of state."""

    PROMPT = "prompt"
    INPUT = "input"
    WORKFLOW_REF = "workflow_ref"
    TRANSITION = "transition"


@dataclass(frozen=True, slots=True)
class Option:
    """One target that a model may choose after a prompt state."""

    state: str
    description: str


@dataclass(frozen=True, slots=True)
class State:
    """One step of a running workflow.

    Attributes:
        name: As it appears among the visited states.
        kind: What happens here.
        origin: Path of its fields in the document: ``("states", S)`` or
            ``("states", S, "steps", i)``.
        prompt: Text with placeholders; the content of ``prompt_file`` when that was given.
        prompt_file: The path as written, or None.
        next: The state that follows, `END`, or None where `next_options` decide.
        next_options: In document order; empty unless a model decides.
        save_as: Variable that gets the reply or answer, or None.
        model: Model of this state, or None for the workflow's default.
        options: Sampling options as written.
        files: Paths with placeholders, as written.
        default_value: Answer of an input state when none is given.
        on_error: State that follows a failure, or None for the workflow's.
        workflow_ref: Path of the child workflow as written, or None.
        mcp_servers: Names of the tool servers this state may use.
        use_rag: Name of a knowledge base, an inline one, or None.
    """

    name: str
    kind: StateKind
    origin: tuple[str | int, ...]
    prompt: str | None = None
    prompt_file: str | None = None
    next: str | None = END
    next_options: tuple[Option, ...] = ()
    save_as: str | None = None
    model: str | None = None
    options: Mapping[str, object] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    default_value: str | None = None
    on_error: str | None = None
    workflow_ref: str | None = None
    mcp_servers: tuple[str, ...] = ()
    use_rag: str | Mapping[str, object] | None = None

    @property
    def owner(self) -> str:
        """The name under which the state stands in the file; differs from `name` for steps."""
        return str(self.origin[1])

    @property
    def targets(self) -> tuple[str, ...]:
        """Every state that may follow without an error, in document order, `END` included."""
        if self.next_options:
            return tuple(option.state for option in self.next_options)
        return (self.next or END,)

    @property
    def reads(self) -> frozenset[str]:
        """Names of the placeholders in prompt, default value and files."""
        texts = (self.prompt or "", self.default_value or "", *self.files)
        return frozenset(name for text in texts for name in PLACEHOLDER.findall(text))


@dataclass(frozen=True, slots=True)
class VariableFile:
    """A variable whose value is a file's text."""

    path: str


@dataclass(frozen=True, slots=True)
class Workflow:
    """A valid workflow.

    Attributes:
        name: Shown to people; its slug names run directories.
        states: Expanded states by name, in document order.
        variables: Text, or where to read it.
        folder: Folder against which relative paths are resolved.
        document: The plain mapping it was made from.
        text: The YAML it was made from, comments and layout included.
    """

    name: str
    start_state: str
    states: Mapping[str, State]
    folder: Path
    document: Mapping[str, object]
    text: str
    description: str = ""
    default_model: str = DEFAULT_MODEL
    variables: Mapping[str, str | VariableFile] = field(default_factory=dict)
    on_error: str | None = None
    mcp_servers: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    rag: Mapping[str, Mapping[str, object]] = field(default_factory=dict)

    def model_of(self, state: State) -> str:
        """The model that *state* asks."""
        return state.model or self.default_model

    @property
    def models(self) -> tuple[str, ...]:
        """Models that prompt states name, each once, in document order."""
        asked = (s for s in self.states.values() if s.kind is StateKind.PROMPT)
        return tuple(dict.fromkeys(self.model_of(state) for state in asked))

    @property
    def saved_variables(self) -> frozenset[str]:
        """Names that some state saves."""
        return frozenset(s.save_as for s in self.states.values() if s.save_as)

    @property
    def file_states(self) -> tuple[str, ...]:
        """State names as they stand in the file, steps not counted, in document order."""
        return tuple(dict.fromkeys(state.owner for state in self.states.values()))
