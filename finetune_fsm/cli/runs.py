"""``agentmech runs``: the finetunes made here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from finetune_fsm.cli import options
from finetune_fsm.cli.console import Console
from finetune_fsm.errors import BadRun, ExitCode

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@click.group(invoke_without_command=True)
@options.OUTPUT_OPTIONS
@click.pass_context
def runs(ctx: click.Context, /) -> ExitCode:
    """List the runs here and below, oldest first, or repair one."""
    if ctx.invoked_subcommand is not None:
        return ExitCode.OK
    from pathlib import Path

    from finetune_fsm.runs import places

    console: Console = ctx.obj
    rows = [_row(folder) for folder in places.below(Path())]
    if console.json:
        console.document({"runs": rows})
    elif not rows:
        console.tell("no runs here or below: 'agentmech finetune' makes one")
    for row in [] if console.json else rows:
        console.result(f"{row['run']}  {row['what']}")
    return ExitCode.OK


def _row(folder: Path) -> Mapping[str, object]:
    """One run, in a few words; one that cannot be read says why."""
    from finetune_fsm.cli.session import status_of
    from finetune_fsm.errors import FinetuneError
    from finetune_fsm.observers.narrator import shown
    from finetune_fsm.runs.history import load

    try:
        history = load(folder)
    except FinetuneError as error:
        return {"run": shown(folder), "status": "unreadable", "what": str(error)}
    run = history.run
    status = status_of(run) if history.done else f"stopped in {history.state}"
    best = run.best.report if run.best else None
    passed = f", {best.passed}/{best.total} passed" if best else ""
    calls = f"{run.usage.calls} LLM calls"
    what = f"{status}, iteration {run.iteration}{passed}, {calls}"
    return {
        "run": shown(folder),
        "status": status,
        "what": what,
        "workflow": history.settings.workflow,
        "started": history.beginning.started,
        "iterations": len(run.history),
        "pass_rate": best.pass_rate if best else None,
        "llm_calls": run.usage.calls,
    }


@runs.command()
@click.argument("run")
@click.pass_obj
def repair(console: Console, /, run: str) -> ExitCode:
    """Copy what is sound of a damaged RUN into a new one, from which it can be resumed.

    The damaged run is not changed.
    """
    from pathlib import Path

    from finetune_fsm.cli.session import how_to_resume
    from finetune_fsm.observers.narrator import shown
    from finetune_fsm.runs import places
    from finetune_fsm.runs.history import load
    from finetune_fsm.runs.repairs import repaired

    folder = places.find(Path(run))
    copy, lost = repaired(folder)
    try:
        history = load(copy)
    except BadRun:
        console.tell(f"copied to {shown(copy)}")
        raise
    console.result(
        f"copied to {shown(copy)}: {len(history.steps)} steps and {len(history.calls)} answers "
        f"are sound, {lost} bytes behind them are not"
    )
    console.tell(how_to_resume(copy))
    return ExitCode.OK
