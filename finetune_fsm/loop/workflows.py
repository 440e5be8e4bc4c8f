"""The workflows of a run, parsed from their text where a handler needs them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from finetune_fsm.errors import InvalidDocument, errors_in
from finetune_fsm.loop.run import Run
from finetune_fsm.workflow.load import check_text
from finetune_fsm.workflow.model import Workflow


def original_of(run: Run) -> Workflow:
    """The user's workflow; raises InvalidDocument when it is not valid."""
    return parsed(run, run.original)


def best_of(run: Run) -> Workflow:
    """The best workflow so far; raises ValueError before the first is judged."""
    if run.best is None:
        raise ValueError("no workflow has been judged yet")
    return parsed(run, run.best.candidate.text)


def parsed(run: Run, text: str) -> Workflow:
    """Return the workflow that *text* is, read as if it stood in the user's folder."""
    return _read(text, run.settings.workflow)


@lru_cache(maxsize=32)
def _read(text: str, path: Path) -> Workflow:
    """The same few texts are wanted again in every state."""
    checked = check_text(text, folder=path.resolve().parent, file=str(path))
    if checked.workflow is None:
        raise InvalidDocument(errors_in(checked.problems))
    return checked.workflow
