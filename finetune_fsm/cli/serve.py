"""``agentmech serve``: a page on this machine with workflows and runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from finetune_fsm.cli import options
from finetune_fsm.cli.console import Console
from finetune_fsm.errors import ExitCode

if TYPE_CHECKING:
    from finetune_fsm.cli.signals import Job
    from finetune_fsm.llm.select import Chosen


@click.command()
@options.value(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    metavar="<number>",
    help="Where to listen, on 127.0.0.1 alone (default: 0, a free one)",
)
@click.option("--open", "opens", is_flag=True, help="Open the page in the browser")
@options.URL
@options.LLM
@options.EXECUTOR
@options.OUTPUT_OPTIONS
@click.pass_obj
def serve(  # one argument per option
    console: Console,
    /,
    *,
    port: int,
    opens: bool,
    ollama_urls: tuple[str, ...],
    llm_spec: str | None,
    executor: str | None,
) -> ExitCode:
    """Show the workflows and runs here and below on a page, to run, test and finetune them.

    The page is for this machine and for who has its address, which ends in a key. Ctrl+C ends it;
    a finetune that goes on is stopped, and can be resumed.
    """
    from pathlib import Path

    from finetune_fsm.cli.logs import start_logging
    from finetune_fsm.cli.signals import supervised
    from finetune_fsm.serve.server import serve as serve_folder

    def ready(url: str) -> None:
        if console.json:
            console.document({"url": url})
        else:
            console.result(f"Serving {Path.cwd()} at {url}")
            console.tell("Ctrl+C ends it")
        if opens:
            import webbrowser

            webbrowser.open(url)

    def work(job: Job) -> ExitCode:
        start_logging(console)

        def choose() -> Chosen:
            return _chosen(console, urls=ollama_urls, spec=llm_spec, executor=executor)

        serve_folder(Path.cwd(), choose=choose, port=port, ready=ready, stop=job.stop)
        return ExitCode.OK

    return supervised(work)


def _chosen(
    console: Console, *, urls: tuple[str, ...], spec: str | None, executor: str | None
) -> Chosen:
    """Return the model that the options choose; whoever borrows it closes it."""
    import os

    from finetune_fsm.llm.select import choose

    chosen = choose(url=urls, spec=spec, executor=executor, environ=os.environ)
    for note in chosen.notes:
        console.note(note)
    return chosen
