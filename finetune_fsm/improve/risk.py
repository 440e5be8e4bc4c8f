"""Which changes a person should see before they run."""

from __future__ import annotations

from collections.abc import Sequence

from finetune_fsm.errors import Path
from finetune_fsm.workflow.edits import Edit, EditOp


def is_risky(edits: Sequence[Edit]) -> bool:
    """Return whether *edits* change more than the texts of prompts. Pure.

    A text that moves from a prompt's file into the workflow is such a text, too. Ways, options,
    models, variables, states that come or go: whatever is not known to be a text is a risk.
    """
    texts = {_owner(edit.path, "prompt") for edit in edits if edit.op is EditOp.SET} - {None}
    for edit in edits:
        moves = edit.op is EditOp.REMOVE and _owner(edit.path, "prompt_file") in texts
        is_text = edit.op is EditOp.SET and _owner(edit.path, "prompt") is not None
        if not (moves or (is_text and isinstance(edit.value, str))):
            return True
    return False


def _owner(path: Path, field: str) -> Path | None:
    """The state or step of whose *field* this is the path, or None."""
    match path:
        case ("states", _, name) | ("states", _, "steps", int(), name) if name == field:
            return path[:-1]
    return None
