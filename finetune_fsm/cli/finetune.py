"""``agentmech finetune``: the improvement loop, told as a session or as a document."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from finetune_fsm.cli import options
from finetune_fsm.cli.console import Console
from finetune_fsm.errors import ExitCode, FinetuneError, errors_in

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from finetune_fsm.cli.signals import Job
    from finetune_fsm.loop.machine import Loop, Moment, Observer
    from finetune_fsm.loop.run import IterationRecord, Run

ITERATION_LIMIT = 1_000  # that of the library, here so that help need not import it
STATUS_CODES = {
    "solved": ExitCode.OK,
    "improved": ExitCode.OK,
    "unchanged": ExitCode.FAILED,
    "interrupted": ExitCode.INTERRUPTED,
    "failed": ExitCode.WORLD,
}
"""Exit code by status.

solved: the best passes all tests; improved: it does better than the original; unchanged: tests
fail and nothing better was found; interrupted: the run was stopped; failed: the world broke.
"""


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
@options.LLM
@options.JOBS
@options.OUTPUT_OPTIONS
@click.pass_obj
def finetune(
    console: Console,
    /,
    file: str,
    *,
    ollama_url: str | None,
    llm_spec: str | None,
    tests: str | None,
    output: str | None,
    **settings: object,
) -> ExitCode:
    """Improve a workflow: test it, analyse what fails, change it, keep what is better.

    The workflow file is never written to; the best is saved beside it, or where -o says.
    Ctrl+C keeps the best so far; twice stops at once.
    """
    from finetune_fsm import api
    from finetune_fsm.cli.files import regular
    from finetune_fsm.cli.models import open_llm
    from finetune_fsm.cli.signals import supervised

    workflow = regular(file, "finetune")
    _check_files(console, file, tests)
    api.check_output(regular(output, "--output") if output else api.output_path(workflow), workflow)

    def work(job: Job) -> ExitCode:
        started = time.monotonic()
        llm = open_llm(console, job, url=ollama_url, spec=llm_spec)
        loop = api.open_loop(
            workflow,
            llm=llm,
            tests=tests,
            output=output,
            observers=(_teller(console),),
            progress=_progress(console),
            stop=job.stop,
            **settings,  # type: ignore[arg-type]  # checked by click, named as the library names them
        )
        return _ended(console, loop, started)

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


def _teller(console: Console) -> Observer:
    """Return the observer that tells the session; when quiet, only how it ended."""
    from finetune_fsm.loop.machine import Leaving
    from finetune_fsm.loop.table import LoopState
    from finetune_fsm.observers.narrator import narrator

    tell = narrator(console.talk.line)

    def tell_the_end(moment: Moment) -> None:
        if isinstance(moment, Leaving) and moment.state is LoopState.FINISHING:
            tell(moment)

    return tell_the_end if console.quiet else tell


def _progress(console: Console) -> Callable[[int, int], None]:
    def show(done: int, total: int) -> None:
        if not console.quiet:
            console.talk.progress("  scenario", done, total)

    return show


def _ended(console: Console, loop: Loop, started: float) -> ExitCode:
    """Step *loop* to its end; whatever happens, the best is kept and the document written."""
    from finetune_fsm.api import finish
    from finetune_fsm.loop.outcomes import Ending

    failure: FinetuneError | None = None
    try:
        finish(loop)
    except FinetuneError as error:
        failure = error
    except BrokenPipeError:
        console.out.silence()
        loop.interrupt(Ending.INTERRUPTED)
        raise
    status = status_of(loop.run)
    if console.json:
        document = document_of(loop.run, time.monotonic() - started)
        console.document(document | {"error": str(failure) if failure else None})
    if failure is not None:
        raise failure
    return STATUS_CODES[status]


def status_of(run: Run) -> str:
    """Return how *run* ended, a key of `STATUS_CODES`. Pure."""
    from finetune_fsm.loop.outcomes import Ending

    if run.ending is Ending.BROKEN:
        return "failed"
    if run.ending is Ending.INTERRUPTED:
        return "interrupted"
    if run.solved:
        return "solved"
    return "improved" if run.best is not None and run.best.iteration > 1 else "unchanged"


def document_of(run: Run, seconds: float) -> dict[str, object]:
    """Return *run*, which took *seconds*, as the document of ``--json``. Pure."""
    best = run.best
    return {
        "status": status_of(run),
        "ending": run.ending,
        "iterations": [_row(record) for record in run.history],
        "best": {"iteration": best.iteration, "pass_rate": best.report.pass_rate} if best else None,
        "output": run.output,
        "tests": run.tests,
        "llm_calls": run.usage.calls,
        "tokens": run.usage.tokens,
        "seconds": round(seconds, 3),
    }


def _row(record: IterationRecord) -> Mapping[str, object]:
    return {
        "iteration": record.iteration,
        "passed": record.passed,
        "total": record.total,
        "accepted": record.accepted,
        "reason": record.reason,
        "strategy": record.strategy,
        "edits": [
            {"op": edit.op, "path": list(edit.path), "value": edit.value, "why": edit.why}
            for edit in record.edits
        ],
        "snapshot": record.snapshot,
        "llm_calls": record.usage.calls,
        "tokens": record.usage.tokens,
    }
