"""Typed changes of a workflow, as the path edits they are made of, and in words."""

from __future__ import annotations

from collections.abc import Sequence

from finetune_fsm.sinks import one_line
from finetune_fsm.workflow.edits import Edit, EditOp
from finetune_fsm.workflow.model import PLACEHOLDER, State


def set_prompt(state: State, text: str, why: str = "") -> tuple[Edit, ...]:
    """Return the edits that give *state* the prompt *text*. Pure.

    A prompt that came from a file moves into the workflow: the user's file is not ours to change.
    A line end after the old prompt stays, so that a block in the file keeps its form.
    """
    text = text.rstrip() + ("\n" if (state.prompt or "").endswith("\n") else "")
    edit = Edit(EditOp.SET, (*state.origin, "prompt"), text, why)
    if state.prompt_file is None:
        return (edit,)
    return (Edit(EditOp.REMOVE, (*state.origin, "prompt_file"), None, why), edit)


def with_placeholders_of(old: str, new: str) -> str:
    """Return *new* with every placeholder of *old* that it lost put back at its end. Pure.

    Small models drop a placeholder in a third of their rewrites; the data must reach the model
    all the same.
    """
    lost = [
        name for name in dict.fromkeys(PLACEHOLDER.findall(old)) if f"{{{{{name}}}}}" not in new
    ]
    if not lost:
        return new
    lines = (f"{name.replace('_', ' ').capitalize()}: {{{{{name}}}}}" for name in lost)
    return f"{new.rstrip()}\n\n" + "\n".join(lines)


def in_words(edits: Sequence[Edit]) -> str:
    """Return *edits* as one line for a person or a model. Pure."""
    return "; ".join(_one(edit) for edit in edits)


def _one(edit: Edit) -> str:
    steps = edit.path[1:] if edit.path[0] == "states" else edit.path
    where = ".".join(str(step) for step in steps)
    if edit.op is EditOp.REMOVE:
        return f"remove {where}"
    return f"set {where} to {one_line(str(edit.value), limit=120)!r}"
