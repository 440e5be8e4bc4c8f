"""``agentmech resume``: go on with a run that did not come to its end."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypedDict, Unpack

import click

from finetune_fsm.cli import options, steering
from finetune_fsm.cli.console import Console
from finetune_fsm.cli.publish import REPORTS
from finetune_fsm.errors import ExitCode

if TYPE_CHECKING:
    from pathlib import Path

    from finetune_fsm.cli.signals import Job

ITERATION_LIMIT = 1_000  # that of the library, here so that help need not import it


class Again(TypedDict):
    """What `api.reopen_run` takes as it is given here."""

    max_iterations: int | None
    jobs: int | None
    ignore_changes: bool


@click.command()
@click.argument("run", required=False, metavar="[<run>]")
@options.value(
    "-i",
    "--max-iterations",
    type=click.IntRange(1, ITERATION_LIMIT),
    metavar="<number>",
    help="Maximum number of iterations from now on, those made included",
)
@options.BUDGET
@click.option(
    "--ignore-changes",
    is_flag=True,
    help="Go on with the workflow and the tests as they were when the run began",
)
@steering.approve(None)
@REPORTS
@steering.STEPS
@options.URL
@options.LLM
@options.EXECUTOR
@options.JOBS
@options.CACHE
@options.TOOLS
@options.OUTPUT_OPTIONS
@click.pass_obj
def resume(  # noqa: PLR0913  # one argument per option
    console: Console,
    /,
    run: str | None,
    *,
    max_calls: int | None,
    max_tokens: int | None,
    max_time: float | None,
    ollama_urls: tuple[str, ...],
    llm_spec: str | None,
    executor: str | None,
    cached: bool,
    tools: bool,
    approval: str | None,
    reports: tuple[str, ...],
    step: bool,
    breakpoints: tuple[str, ...],
    **again: Unpack[Again],
) -> ExitCode:
    """Go on with a run that was stopped, killed or out of budget.

    RUN is its folder, its name or its workflow; the newest here or below when left out. No model
    is asked again for what it said. Limits that are given hold instead of the run's own, for all
    its sessions together.
    """
    from contextlib import closing

    from finetune_fsm import api
    from finetune_fsm.cli.models import open_chosen
    from finetune_fsm.cli.report import check_reports, reported
    from finetune_fsm.cli.session import hands
    from finetune_fsm.cli.signals import supervised
    from finetune_fsm.loop.settings import Approval
    from finetune_fsm.observers.narrator import shown
    from finetune_fsm.runs import places
    from finetune_fsm.runs.history import load
    from finetune_fsm.tools.source import source_of

    folder = places.find(run)
    history = load(folder)
    before = history.settings.budget
    asked = Approval(approval) if approval else history.settings.approval
    if asked not in (None, Approval.NEVER):
        steering.demand_terminal(f"--approve {asked}", "--approve never asks nobody")
    check_reports(reports, history.settings.workflow)
    budget = type(before)(
        max_calls or before.calls, max_tokens or before.tokens, max_time or before.seconds
    )
    debugger_of = steering.debugger_for(console, step=step, breakpoints=breakpoints)
    spec = llm_spec or (None if ollama_urls else _kept(history.beginning.llm, executor))

    def work(job: Job) -> ExitCode:
        debugger = debugger_of(job)
        taken = hands(console, job, cached=cached, approval=asked, debugger=debugger)
        taken["tools"] = source_of(tools)

        def reopened(place: Path) -> ExitCode:
            chosen = open_chosen(console, job, urls=ollama_urls, spec=spec, executor=executor)
            with (
                closing(chosen.llm),  # in a fork, a model that plays a script begins it anew
                api.reopen_run(
                    place,
                    llm=chosen.llm,
                    spec=chosen.spec,
                    budget=budget,
                    approval=asked,
                    **again,
                    **taken,
                ) as session,
                reported(console, session.folder, reports),
            ):
                spent = session.loop.run.usage.calls
                where = f"iteration {session.loop.run.iteration}, {session.loop.state}"
                console.tell(f"Going on with {shown(place)}: {where}, {spent} LLM calls so far")
                return steering.watched(console, job, session, debugger)

        return steering.followed(console, debugger, partial(reopened, folder), reopened)

    return supervised(work)


def _kept(begun_with: str, executor: str | None) -> str | None:
    """What of the words that chose the run's model still hold: another cluster asks the same."""
    if executor is None:
        return begun_with or None
    from finetune_fsm.llm.dask_spec import asked_by_workers

    return asked_by_workers(begun_with)
