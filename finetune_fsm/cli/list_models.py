"""``agentmech list-models``: what can answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from finetune_fsm.cli import options
from finetune_fsm.cli.console import Console
from finetune_fsm.errors import ExitCode
from finetune_fsm.sinks import one_line

if TYPE_CHECKING:
    from finetune_fsm.cli.signals import Job


@click.command("list-models")
@options.URL
@options.LLM
@options.OUTPUT_OPTIONS
@click.pass_obj
def list_models(console: Console, *, ollama_url: str | None, llm_spec: str | None) -> ExitCode:
    """List the models of the server, or of another provider."""
    from finetune_fsm.cli.models import open_llm
    from finetune_fsm.cli.signals import supervised

    def work(job: Job) -> ExitCode:
        llm = open_llm(console, job, url=ollama_url, spec=llm_spec)
        names = llm.models()
        if console.json:
            console.document({"llm": llm.name, "models": names})
            return ExitCode.OK
        console.tell(f"{one_line(llm.name)} has {len(names)} model{'s' * (len(names) != 1)}:")
        for name in names:
            console.result(one_line(name))
        return ExitCode.OK

    return supervised(work)
