"""The library's front door: open a loop to step through, or run one to its end."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from finetune_fsm.errors import FinetuneError, UsageError
from finetune_fsm.llm.base import LLM, Stop
from finetune_fsm.loop.handlers import HANDLERS, Handler
from finetune_fsm.loop.machine import Journal, Loop, Observer
from finetune_fsm.loop.outcomes import Ending
from finetune_fsm.loop.run import Run, Settings
from finetune_fsm.loop.table import LoopState
from finetune_fsm.loop.toolbox import Approve, Progress, Toolbox, approve_all, ignore_progress
from finetune_fsm.workflow.load import load
from finetune_fsm.workflow.model import DEFAULT_MODEL

MAX_ITERATIONS = 5
ITERATION_LIMIT = 1_000


def open_loop(  # noqa: PLR0913  # keyword arguments are this function's interface
    workflow: str | os.PathLike[str],
    *,
    llm: LLM,
    output: str | os.PathLike[str] | None = None,
    tests: str | os.PathLike[str] | None = None,
    model: str = DEFAULT_MODEL,
    max_iterations: int = MAX_ITERATIONS,
    seed: int = 0,
    jobs: int | None = None,
    observers: Sequence[Observer] = (),
    approve: Approve = approve_all,
    progress: Progress = ignore_progress,
    journal: Journal | None = None,
    handlers: Mapping[LoopState, Handler] = HANDLERS,
    stop: Stop | None = None,
) -> Loop:
    """Return a loop that stands before its first step; no model has been asked yet.

    Args:
        workflow: The file to improve; it is never written to.
        llm: Answers for the workflow's states and for reflection.
        output: Where the best workflow goes; ``X.finetuned.yaml`` beside ``X.yaml`` if None.
        tests: The test file; found beside the workflow or generated if None.
        model: Name of the reflection LLM.
        max_iterations: Times round the loop, 1..1000.
        seed: For sampling.
        jobs: Scenarios run at once; what the server allows if None.
        observers: Told of every moment; one that raises vetoes the move.
        approve: A person's say on every sound draft.
        progress: Told how many of how many scenarios have run.
        journal: Writes every entry down before the loop moves.
        handlers: The work of each state.
        stop: Ask it to stop the run; the best so far is kept.

    Raises:
        InvalidDocument: the workflow is wrong.
        UsageError: an argument makes no sense, or the output could not be written later.
    """
    source = Path(workflow)
    original = load(source)
    if not 1 <= max_iterations <= ITERATION_LIMIT:
        raise UsageError(f"max_iterations must be 1..{ITERATION_LIMIT}, is {max_iterations}")
    if jobs is not None and jobs < 1:
        raise UsageError(f"jobs must be 1 or more, is {jobs}")
    target = Path(output) if output is not None else output_path(source)
    check_output(target, source)
    settings = Settings(
        workflow=source,
        output=target,
        tests=Path(tests) if tests is not None else None,
        model=model,
        max_iterations=max_iterations,
        seed=seed,
        jobs=jobs,
    )
    tools = Toolbox(llm, approve=approve, stop=stop, progress=progress)
    run = Run(settings, original.text)
    return Loop(run, tools, handlers=handlers, observers=observers, journal=journal)


def finish(loop: Loop) -> Run:
    """Step *loop* to its end and return all that is known; whatever happens, keep the best.

    Raises:
        FinetuneError: the world broke; the best so far has been written where possible.
        KeyboardInterrupt: Ctrl-C without a `Stop`; the same.
    """
    try:
        for _ in loop:
            pass
    except (FinetuneError, KeyboardInterrupt) as error:
        ending = Ending.BROKEN if isinstance(error, FinetuneError) else Ending.INTERRUPTED
        with suppress(FinetuneError):  # the first error is the one to tell
            loop.interrupt(ending, str(error))
        raise
    return loop.run


def finetune(workflow: str | os.PathLike[str], *, llm: LLM, **options: object) -> Run:
    """Improve *workflow* and return the finished run; takes what `open_loop` takes.

    Raises:
        InvalidDocument: the workflow or its test file is wrong.
        UsageError: an argument makes no sense.
        LLMError: no model can be reached.
    """
    return finish(open_loop(workflow, llm=llm, **options))  # type: ignore[arg-type]  # as documented


def output_path(workflow: Path) -> Path:
    """Where the best workflow goes: ``X.finetuned.yaml`` beside ``X.yaml``."""
    return workflow.with_name(f"{workflow.stem}.finetuned{workflow.suffix}")


def check_output(target: Path, source: Path) -> None:
    """Raise UsageError when *target* could not be written at the end of a run."""
    if target.is_dir():
        raise UsageError(f"{target} is a folder; name a file to write to")
    if target.exists() and not target.is_file():
        raise UsageError(f"{target} is no regular file")
    if target.exists() and source.exists() and target.samefile(source):
        raise UsageError(f"{target} is the workflow itself, which is never overwritten")
    folder = next(parent for parent in (target.absolute()).parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"cannot write into {folder}")
    if target.exists() and not os.access(target, os.W_OK):
        raise UsageError(f"cannot write {target}")
