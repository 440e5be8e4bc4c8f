"""A valid document as the frozen `Workflow` that the rest of the program runs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path as FilePath
from typing import cast

from finetune_fsm.errors import Path
from finetune_fsm.workflow.model import (
    DEFAULT_MODEL,
    END,
    Option,
    State,
    StateKind,
    VariableFile,
    Workflow,
)
from finetune_fsm.workflow.outline import (
    INHERITED,
    Part,
    list_at,
    mapping_at,
    states_in,
    step_name,
    steps_of,
    text_at,
)


def workflow_of(
    document: Part, *, folder: FilePath, text: str = "", prompts: Mapping[Path, str]
) -> Workflow:
    """Return what *document* means; it must have no errors. Pure.

    Args:
        document: The plain mapping.
        folder: Folder against which its relative paths are resolved.
        text: The YAML it was read from.
        prompts: Content of each ``prompt_file``, by the path of its state or step.
    """
    states = (made for name, part in states_in(document) for made in _expanded(name, part, prompts))
    return Workflow(
        name=str(document["name"]),
        start_state=str(document["start_state"]),
        states={state.name: state for state in states},
        folder=folder,
        document=document,
        text=text,
        description=text_at(document, "description") or "",
        default_model=text_at(document, "default_model") or DEFAULT_MODEL,
        variables={
            name: _variable(value) for name, value in mapping_at(document, "variables").items()
        },
        on_error=text_at(document, "on_error"),
        mcp_servers=cast("Mapping[str, Part]", mapping_at(document, "mcp_servers")),
        rag=cast("Mapping[str, Part]", mapping_at(document, "rag")),
    )


def _variable(value: object) -> str | VariableFile:
    if not isinstance(value, Mapping):
        return str(value)
    if "file" in value:
        return VariableFile(str(value["file"]))
    return as_text(value["value"])


def as_text(value: object) -> str:
    """Return a value as the text that is inserted for it: 1.0 is ``1``, true ``true``. Pure."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value, ensure_ascii=False)


def _expanded(name: str, state: Part, prompts: Mapping[Path, str]) -> Iterator[State]:
    """Yield the state, or the chain of states that its steps make."""
    origin: Path = ("states", name)
    if not list_at(state, "steps"):
        yield _state(name, state, state, origin, prompts)
        return
    steps = tuple(steps_of(name, state))
    for index, (path, step) in enumerate(steps):
        last = index == len(steps) - 1
        flow = state if last else {"next": step_name(name, index + 1)}
        own = {
            "type": state["type"],
            "on_error": state.get("on_error"),
            **_inherited(state, step),
            **step,
        }
        yield _state(step_name(name, index), own, flow, path, prompts)


def _inherited(state: Part, step: Part) -> Part:
    fields = {key: state[key] for key in INHERITED if key in state}
    if "rag" not in step and "use_rag" not in step:
        fields |= {key: state[key] for key in ("rag", "use_rag") if key in state}
    return fields


def _state(name: str, part: Part, flow: Part, origin: Path, prompts: Mapping[Path, str]) -> State:
    """Return one state: its work from *part*, what follows it from *flow*."""
    options = tuple(
        Option(str(option["state"]), str(option["description"]))
        for option in list_at(flow, "next_options")
        if isinstance(option, Mapping)
    )
    knowledge = text_at(part, "use_rag") or mapping_at(part, "rag") or None
    return State(
        name=name,
        kind=StateKind(str(part["type"])),
        origin=origin,
        prompt=prompts.get(origin) if "prompt_file" in part else text_at(part, "prompt"),
        prompt_file=text_at(part, "prompt_file"),
        next=None if options else text_at(flow, "next") or END,
        next_options=options,
        save_as=text_at(part, "save_as"),
        model=text_at(part, "model"),
        options=mapping_at(part, "options"),
        files=tuple(str(path) for path in list_at(part, "files")),
        default_value=text_at(part, "default_value"),
        on_error=text_at(part, "on_error"),
        workflow_ref=text_at(part, "workflow_ref"),
        mcp_servers=tuple(str(server) for server in list_at(part, "mcp_servers")),
        use_rag=knowledge,
    )
