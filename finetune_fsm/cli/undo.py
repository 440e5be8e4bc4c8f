"""``agentmech undo``: the previously accepted version, back in the output file."""

from __future__ import annotations

import click

from finetune_fsm.cli import options
from finetune_fsm.cli.console import Console
from finetune_fsm.errors import ExitCode


@click.command()
@click.argument("run", required=False, metavar="[<run>]")
@click.option("--redo", is_flag=True, help="Go forward again instead")
@options.OUTPUT_OPTIONS
@click.pass_obj
def undo(console: Console, /, run: str | None, *, redo: bool) -> ExitCode:
    """Put the version that was accepted before the present one back as X.finetuned.yaml.

    RUN is its folder, its name or its workflow; the newest here or below when left out. Undone
    again it goes one further back, to the workflow as you wrote it; --redo goes forward. The
    workflow file itself is never written to, and neither is a result that you changed since.
    """
    from finetune_fsm import api
    from finetune_fsm.observers.narrator import shown

    swap = api.undo(run, redo=redo)
    before, after = swap.before, swap.after
    if console.json:
        versions = {"before": before.iteration, "after": after.iteration}
        console.document({"output": shown(swap.output), **versions})
        return ExitCode.OK
    console.result(
        f"{shown(swap.output)} is that of iteration {after.iteration} again "
        f"({after.passed}/{after.total} passed), not of iteration {before.iteration} "
        f"({before.passed}/{before.total})"
    )
    console.tell("the other way: agentmech undo" + ("" if redo else " --redo"))
    return ExitCode.OK
