"""Doing something again whenever a file has changed, without any help of the system.

Times and sizes are looked at twice a second: that works on every disk, also on those of containers
and servers, which tell nobody of a change.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Never

from finetune_fsm.llm.base import Stop

if TYPE_CHECKING:
    from finetune_fsm.workflow.model import Workflow

PAUSE = 0.5
"""Seconds between two looks."""

_DEPTH = 8
"""Workflows inside workflows that are looked at."""

Stamps = Mapping[Path, tuple[int, int] | None]
"""Time and size of each file; None while there is none."""


def again_when_changed(
    run: Callable[[], object],
    files: Callable[[], Collection[Path]],
    stop: Stop,
    *,
    pause: float = PAUSE,
) -> Never:
    """Call *run* now, and again whenever one of *files* has changed since the call before.

    Args:
        run: Called in this thread; a change while it runs counts.
        files: What to look at, asked each time: a run may have found more.
        stop: Ends it.
        pause: Seconds between two looks.

    Raises:
        Cancelled: *stop* was asked for.
        Exception: whatever *run* raises.
    """
    while True:
        before = stamps_of(files())
        run()
        before = {path: before.get(path, stamp) for path, stamp in stamps_of(files()).items()}
        while stamps_of(before) == before:
            _wait(pause, stop)
        _settle(before, pause, stop)


def _settle(files: Collection[Path], pause: float, stop: Stop) -> None:
    """Wait until nothing changes any more: an editor may write several files, or one in parts."""
    last: Stamps = {}
    while (now := stamps_of(files)) != last:
        last = now
        _wait(pause / 5, stop)


def _wait(seconds: float, stop: Stop) -> None:
    stop.check()
    time.sleep(seconds)
    stop.check()


def stamps_of(files: Collection[Path]) -> dict[Path, tuple[int, int] | None]:
    """Return time in nanoseconds and size in bytes of each of *files*."""
    return {path: _stamp(path) for path in files}


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        there = path.stat()
    except (OSError, ValueError):  # a name may hold what no path does
        return None
    return there.st_mtime_ns, there.st_size


def files_behind(workflow: Workflow) -> frozenset[Path]:
    """Return the files that *workflow* reads: prompts, variables, documents, and its children's."""
    return frozenset(_files(workflow, _DEPTH))


def _files(workflow: Workflow, depth: int) -> Iterator[Path]:
    from finetune_fsm.errors import InvalidDocument
    from finetune_fsm.workflow.load import load
    from finetune_fsm.workflow.model import VariableFile

    for variable in workflow.variables.values():
        if isinstance(variable, VariableFile):
            yield workflow.folder / variable.path
    for state in workflow.states.values():
        for name in (state.prompt_file, *state.files):
            if name and "{{" not in name:
                yield workflow.folder / name
        if state.workflow_ref:
            child = workflow.folder / state.workflow_ref
            yield child
            try:
                inner = load(child) if depth else None
            except InvalidDocument:
                inner = None  # the run says so
            if inner is not None:
                yield from _files(inner, depth - 1)
