"""``agentmech capture``: a test made of what happened in a run."""

from __future__ import annotations

import click

from finetune_fsm.cli import options
from finetune_fsm.cli.console import Console
from finetune_fsm.errors import ExitCode


@click.command()
@click.argument("run", required=False, metavar="[<run>]")
@options.value(
    "--scenario",
    metavar="<name>",
    required=True,
    help="Its name, or its number in the test file, from 1",
)
@options.value(
    "-o", "--output", metavar="<path>", help="Write it there; a test file is added to, not replaced"
)
@options.OUTPUT_OPTIONS
@click.pass_obj
def capture(console: Console, /, run: str | None, *, scenario: str, output: str | None) -> ExitCode:
    """Make a test of what the best workflow of RUN did in one scenario.

    RUN is its folder, its name or its workflow; the newest here or below when left out. The test
    gives the same inputs, and wants the same values saved and the same states reached. Without -o
    it is printed.
    """
    from finetune_fsm import api
    from finetune_fsm.cli.files import regular
    from finetune_fsm.sinks import one_line

    path = regular(output, "--output") if output else None
    text = api.capture(run, scenario=scenario, output=path)
    if console.json:
        console.document({"output": str(path) if path else None, "text": text})
    elif path is None:
        console.result(text.rstrip("\n"))
    else:
        console.result(f"captured '{one_line(scenario)}' into {path}")
    return ExitCode.OK
