"""Runs that begin like others, and the way back to an earlier result."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TypedDict, Unpack

from finetune_fsm.api.options import settings_for
from finetune_fsm.errors import UsageError
from finetune_fsm.loop.settings import Settings
from finetune_fsm.runs import places
from finetune_fsm.runs.forks import check_step, forked
from finetune_fsm.runs.history import load, moments
from finetune_fsm.runs.keeper import now
from finetune_fsm.runs.versions import Swap, swapped


class Changes(TypedDict, total=False):
    """What can be asked for anew when a run is forked; each as in `Wishes`."""

    output: str | os.PathLike[str] | None
    model: str
    max_iterations: int
    seed: int
    jobs: int | None
    candidates: int
    repeat: int
    on_tie: str | None
    goal: str | None
    allow: tuple[str, ...]
    approval: str | None


def fork_run(
    where: str | os.PathLike[str] | None = None, *, at: int, **changes: Unpack[Changes]
) -> Path:
    """Return the folder of a new run that begins with the first steps of another one.

    Nothing is run: `reopen_run` goes on from there. No model is asked again for what it said in
    the other run, before the step or after it. The other run stays as it is.

    Args:
        where: As for `reopen_run`.
        at: The last step that both have in common, 1-based.
        changes: What is asked for from there on.

    Raises:
        UsageError: there is no such run or step, or the changes make no sense there.
        BadRun: the journal cannot be trusted.
        StorageError: it cannot be read or written.
    """
    from finetune_fsm import __version__

    folder = places.find(where)
    history = load(folder)
    check_step(history, at)
    wanted: Settings | None = None
    if changes:
        checked = settings_for(history.settings.workflow, **changes)
        named = {name: getattr(checked, name) for name in changes}
        wanted = replace(history.settings, **named)
        wanted = replace(wanted, output=Path(os.path.abspath(wanted.output)))  # noqa: PTH100  # links stay as named
        made = len(list(moments(history))[2 * at - 1].run.history)
        if wanted.max_iterations < made:
            raise UsageError(f"{made} iterations were made by step {at}: fewer cannot be asked for")
    return forked(folder, at, version=__version__, now=now(), settings=wanted)


def undo(where: str | os.PathLike[str] | None = None, *, redo: bool = False) -> Swap:
    """Put the previously accepted version of a run back into its output file.

    Args:
        where: As for `reopen_run`.
        redo: Put the one after it there instead.

    Raises:
        UsageError: there is no such run or version, or the file holds none of the run's versions.
        BadRun: the journal cannot be trusted.
        Busy: a run is under way.
        StorageError: the file cannot be written.
    """
    return swapped(places.find(where), back=not redo)
