"""``agentmech graph``: a picture of a workflow, or of the loop that improves it."""

from __future__ import annotations

import click

from finetune_fsm.cli import options
from finetune_fsm.cli.console import Console
from finetune_fsm.errors import ExitCode, UsageError


@click.command()
@click.argument("file", required=False, metavar="[<workflow-file>]")
@click.option("--loop", is_flag=True, help="Draw the improvement loop instead of a workflow")
@options.OUTPUT_OPTIONS
@click.pass_obj
def graph(console: Console, /, file: str | None, *, loop: bool) -> ExitCode:
    """Print a workflow as a Mermaid diagram; "-" reads standard input."""
    if loop == (file is not None):
        raise UsageError("name either a workflow file or --loop")
    if file is None:
        from finetune_fsm.loop.table import mermaid as loop_table

        name, text = "finetune", loop_table()
    else:
        from finetune_fsm.cli.files import read, workflow_of
        from finetune_fsm.workflow.graph import mermaid

        workflow = workflow_of(read(file), console)
        name, text = workflow.name, mermaid(workflow)
    if console.json:
        console.document({"workflow": name, "mermaid": text})
    else:
        console.result(text.rstrip("\n"))
    return ExitCode.OK
