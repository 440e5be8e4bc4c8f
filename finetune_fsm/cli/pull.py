"""``agentmech pull``: the embedded engine's weights, once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from finetune_fsm.cli import options
from finetune_fsm.cli.console import Console
from finetune_fsm.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from finetune_fsm.cli.console import Screen
    from finetune_fsm.cli.signals import Job
    from finetune_fsm.llm.base import Stop
    from finetune_fsm.llm.weights import Source, Weights

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
    from finetune_fsm.llm.weights import QWEN

    start_logging(console)
    return supervised(lambda job: fetched(console, job, QWEN))


def fetched(
    console: Console, job: Job, weights: Weights, sources: Sequence[Source] | None = None
) -> ExitCode:
    """Fetch *weights* from *sources*, the usual ones by default, and say where they are.

    Raises:
        StorageError: they cannot be written.
        LLMError: no source has them.
        Cancelled: a stop was asked for.
    """
    from finetune_fsm.llm.weights import folder
    from finetune_fsm.llm.weights import pull as fetch

    console.tell(f"{weights.name}: {weights.size / 1e6:,.0f} MB to {folder()}")
    show = _meter(console, weights.name, job.stop)
    path = fetch(progress=show, weights=weights, sources=sources)
    if console.json:
        console.document({"path": path, "bytes": weights.size, "sha256": weights.sha256})
    else:
        console.result(str(path))
    return ExitCode.OK


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
