"""``agentmech pull``: the embedded engine's weights, once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from finetune_fsm.cli import options
from finetune_fsm.cli.console import Console
from finetune_fsm.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable

    from finetune_fsm.cli.console import Screen
    from finetune_fsm.cli.signals import Job
    from finetune_fsm.llm.base import Stop

STEP = 10
"""Percent between two lines where nobody watches a bar."""


@click.command()
@options.OUTPUT_OPTIONS
@click.pass_obj
def pull(console: Console) -> ExitCode:
    """Fetch the embedded model's weights (1.1 GB) into the user's cache.

    Broken off at any moment, the next pull goes on where this one ended.
    """
    from finetune_fsm.cli.logs import start_logging
    from finetune_fsm.cli.signals import supervised
    from finetune_fsm.llm import weights

    def work(job: Job) -> ExitCode:
        start_logging(console)
        name = weights.QWEN.name
        console.tell(f"{name}: {weights.QWEN.size / 1e6:,.0f} MB to {weights.folder()}")
        path = weights.pull(progress=_meter(console, name, job.stop))
        if console.json:
            facts = {"path": path, "bytes": weights.QWEN.size, "sha256": weights.QWEN.sha256}
            console.document(facts)
        else:
            console.result(str(path))
        return ExitCode.OK

    return supervised(work)


def _meter(console: Console, name: str, stop: Stop) -> Callable[[int, int], None]:
    """Return what shows the progress: a bar for a watching person, else a line now and then."""
    screen: Screen = console.err
    told = -1

    def show(done: int, total: int) -> None:
        nonlocal told
        stop.check()
        percent = 100 * done // max(total, 1)
        if console.quiet:
            return
        if screen.interactive:
            screen.progress(name, done, total, "bytes")
        elif percent // STEP != told:
            told = percent // STEP
            screen.line(f"{percent:>3} %  {done / 1e6:,.0f} of {total / 1e6:,.0f} MB")

    return show
