"""``agentmech finetune``: the improvement loop, told as a session or as a document."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict, Unpack

import click

from finetune_fsm.cli import options, steering
from finetune_fsm.cli.console import Console
from finetune_fsm.cli.publish import REPORTS
from finetune_fsm.errors import ExitCode, errors_in

if TYPE_CHECKING:
    from pathlib import Path

    from finetune_fsm.cli.signals import Job


class _Wishes(TypedDict):
    """What the library takes as it is given here."""

    tests: str | None
    output: str | None
    model: str
    max_iterations: int
    seed: int
    candidates: int
    repeat: int
    holdout: float | None
    on_tie: str | None
    goal: str | None
    jobs: int | None
    allow: tuple[str, ...]
    approval: str


ITERATION_LIMIT = 1_000  # that of the library, here so that help need not import it


@click.command()
@click.argument("file", metavar="<workflow-file>")
@options.URL
@options.value(
    "-o", "--output", metavar="<path>", help="Output file path for the finetuned workflow"
)
@options.value(
    "-m",
    "--model",
    default="gemma3:4b",
    metavar="<model>",
    help='Model to use for analysis (default: "gemma3:4b")',
)
@options.value(
    "-i",
    "--max-iterations",
    type=click.IntRange(1, ITERATION_LIMIT),
    default=5,
    metavar="<number>",
    help='Maximum number of iterations (default: "5")',
)
@options.value(
    "--tests", metavar="<path>", help="Test file (default: found beside the workflow, or generated)"
)
@options.value("--seed", type=int, default=0, metavar="<number>", help="For sampling (default: 0)")
@options.value(
    "--candidates",
    type=click.IntRange(1, 8),
    default=3,
    metavar="<number>",
    help="Drafts on trial in one iteration (default: 3)",
)
@options.value(
    "--repeat",
    type=click.IntRange(1, 25),
    default=1,
    metavar="<number>",
    help="Runs of every scenario; the majority decides (default: 1)",
)
@options.value(
    "--holdout",
    type=click.FloatRange(0, 0.5),
    metavar="<share>",
    help="Share of the scenarios that no model is shown (default: a third of six or more)",
)
@options.value(
    "--on-tie",
    type=click.Choice(["judge", "keep"]),
    help="When all tests pass and none tells two workflows apart: ask a judge, or keep what there "
    "is (default: keep, unless the tests were generated or look at no text)",
)
@options.value(
    "--goal",
    metavar="<goal>",
    help="When all tests pass, go on for this: tokens, latency, length, robustness, clarity, or "
    "a sentence of your own",
)
@options.BUDGET
@click.option(
    "--allow",
    multiple=True,
    metavar="<what>",
    help="Let drafts do more: structure, model:<name>, file:<path>, workflow:<path>, "
    "tools:<server>",
)
@steering.approve("never")
@REPORTS
@steering.STEPS
@options.LLM
@options.EXECUTOR
@options.JOBS
@options.CACHE
@options.TOOLS
@options.OUTPUT_OPTIONS
@click.pass_obj
def finetune(  # noqa: PLR0913  # one argument per option
    console: Console,
    /,
    file: str,
    *,
    ollama_urls: tuple[str, ...],
    llm_spec: str | None,
    executor: str | None,
    max_calls: int | None,
    max_tokens: int | None,
    max_time: float | None,
    cached: bool,
    tools: bool,
    reports: tuple[str, ...],
    step: bool,
    breakpoints: tuple[str, ...],
    **wishes: Unpack[_Wishes],
) -> ExitCode:
    """Improve a workflow: test it, analyse what fails, change it, keep what is better.

    The workflow file is never written to; the best is saved beside it, or where -o says.
    Everything is written down in X.agentmech as it happens: after a stop, a crash or a power cut,
    'agentmech resume' goes on, and no model is asked again for what it said.

    Ctrl+C keeps the best so far; twice stops at once.
    """
    from contextlib import closing

    from finetune_fsm import api
    from finetune_fsm.cli.files import regular
    from finetune_fsm.cli.models import open_chosen
    from finetune_fsm.cli.report import check_reports, reported
    from finetune_fsm.cli.session import hands
    from finetune_fsm.cli.signals import supervised
    from finetune_fsm.llm.meter import Budget
    from finetune_fsm.tools.source import source_of

    if wishes["approval"] != "never":
        steering.demand_terminal(f"--approve {wishes['approval']}", "--approve never asks nobody")
    debugger_of = steering.debugger_for(console, step=step, breakpoints=breakpoints)
    workflow = regular(file, "finetune")
    _check_files(console, file, wishes["tests"])
    if wishes["output"]:
        regular(wishes["output"], "--output")
    check_reports(reports, workflow)
    budget = Budget(max_calls, max_tokens, max_time)
    api.settings_for(workflow, budget=budget, **wishes)

    def work(job: Job) -> ExitCode:
        debugger = debugger_of(job)
        approval = wishes["approval"]
        taken = hands(console, job, cached=cached, approval=approval, debugger=debugger)
        taken["tools"] = source_of(tools)

        def first() -> ExitCode:
            chosen = open_chosen(console, job, urls=ollama_urls, spec=llm_spec, executor=executor)
            with (
                closing(chosen.llm),  # in a fork, a model that plays a script begins it anew
                api.open_run(
                    workflow, llm=chosen.llm, spec=chosen.spec, budget=budget, **taken, **wishes
                ) as session,
                reported(console, session.folder, reports),
            ):
                return steering.watched(console, job, session, debugger)

        def again(fork: Path) -> ExitCode:
            chosen = open_chosen(console, job, urls=ollama_urls, spec=llm_spec, executor=executor)
            with (
                closing(chosen.llm),  # in a fork, a model that plays a script begins it anew
                api.reopen_run(fork, llm=chosen.llm, spec=chosen.spec, **taken) as session,
                reported(console, session.folder, reports),
            ):
                return steering.watched(console, job, session, debugger)

        return steering.followed(console, debugger, first, again)

    return supervised(work)


def _check_files(console: Console, /, file: str, tests: str | None) -> None:
    """Refuse what is wrong with the files before a model is looked for."""
    from pathlib import Path

    from finetune_fsm.cli.files import read, regular, workflow_of
    from finetune_fsm.cli.problems import as_text
    from finetune_fsm.errors import InvalidDocument
    from finetune_fsm.scenarios.load import check_suite, find_suite

    workflow_of(read(file), console)
    suite = regular(tests, "--tests") if tests else find_suite(Path(file))
    if suite is None:
        return
    checked = check_suite(suite)
    if checked.suite is None:
        raise InvalidDocument(errors_in(checked.problems))
    for problem in checked.problems:
        console.tell(as_text(problem))
