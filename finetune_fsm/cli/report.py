"""``agentmech report``: a run as files to send to somebody, or held against another run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from finetune_fsm.cli import options
from finetune_fsm.cli.console import Console
from finetune_fsm.cli.publish import CSV, HTML, JSON, JUNIT, MARKDOWN, TEXT, format_of
from finetune_fsm.errors import ExitCode, FinetuneError, UsageError
from finetune_fsm.sinks import one_line

if TYPE_CHECKING:
    from finetune_fsm.reports.runs_compared import RunsCompared
    from finetune_fsm.runs.history import History
    from finetune_fsm.workflow.model import Workflow

FORMS = (TEXT, JSON, MARKDOWN, JUNIT, CSV, HTML)

DEFAULT = "report.html"
"""Where a report goes, in the run's own folder, when no file is named."""


@click.command()
@click.argument("run", required=False, metavar="[<run>]")
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    metavar="<path>",
    help="Write it there; the ending says how: .html, .md, .json, .xml, .csv, .txt. Several: "
    "-o a.html -o b.md (default: report.html in the run's folder)",
)
@options.value("--compare", "other", metavar="<run>", help="Say what regressed since that run")
@click.option(
    "--fail-on-regression",
    is_flag=True,
    help="With --compare: exit code 1 when a scenario passed in that run and does not in this one",
)
@options.OUTPUT_OPTIONS
@click.pass_obj
def report(
    console: Console,
    /,
    run: str | None,
    *,
    outputs: tuple[str, ...],
    other: str | None,
    fail_on_regression: bool,
) -> ExitCode:
    """Write what a run did into a page that stands alone, or into other forms.

    RUN is its folder, its name or its workflow; the newest here or below when left out. The page
    loads nothing and runs no script. Of the tests' forms (.xml, .csv, .txt) it is the best
    workflow's verdicts that are written.
    """
    from finetune_fsm.observers.narrator import shown
    from finetune_fsm.runs import places
    from finetune_fsm.runs.history import load

    if fail_on_regression and other is None:
        raise UsageError("--fail-on-regression goes with --compare")
    folder = places.find(run)
    history = load(folder)
    named = outputs or (() if other is not None else (str(folder / DEFAULT),))
    check_reports(named, history.settings.workflow)
    found = _compared(history, places.find(other)) if other is not None else None
    _write(history, named, found)
    if console.json:
        document: dict[str, object] = {
            "run": shown(folder),
            "reports": [shown(Path(p)) for p in named],
        }
        if found is not None:
            from finetune_fsm.reports.runs_compared import shape

            document["comparison"] = shape(found)
        console.document(document)
    else:
        _tell(console, named, found)
    return ExitCode.FAILED if found and found.regressed and fail_on_regression else ExitCode.OK


def check_reports(outputs: Sequence[str], workflow: Path) -> None:
    """Raise UsageError when one of *outputs* cannot be written, or has no form.

    Args:
        outputs: Files, as the user named them.
        workflow: The run's, which is never overwritten.
    """
    from finetune_fsm.api import check_output

    if len(set(outputs)) < len(outputs):
        raise UsageError("a report is to be written to the same file twice")
    for output in outputs:
        format_of(None, output, json=False, known=FORMS)
        check_output(Path(output), workflow)
        tests = workflow.with_suffix(".test.yaml")
        if tests.exists() and Path(output).exists() and Path(output).samefile(tests):
            raise UsageError(f"{one_line(output)} is an input, which is never overwritten")


@contextmanager
def reported(console: Console, folder: Path, outputs: Sequence[str]) -> Iterator[None]:
    """Write the run in *folder* to *outputs* when the block is over, however it ends.

    Raises:
        StorageError: a file cannot be written, and nothing else went wrong.
    """
    try:
        yield
    except (FinetuneError, BrokenPipeError):
        with suppress(FinetuneError):
            write_reports(folder, outputs)
        raise
    if outputs:
        write_reports(folder, outputs)
        if not console.json:
            _tell(console, outputs, None)


def write_reports(folder: Path, outputs: Sequence[str]) -> None:
    """Write the run in *folder* to *outputs*, each in the form that its ending says.

    Raises:
        StorageError: a file cannot be written.
        UsageError: no workflow is judged yet, and a form has nothing else to tell.
    """
    from finetune_fsm.runs.history import load

    if outputs:
        _write(load(folder), outputs)


def _write(history: History, outputs: Sequence[str], beside: RunsCompared | None = None) -> None:
    from finetune_fsm.storage.files import write_text

    for output in outputs:
        form = format_of(None, output, json=False, known=FORMS)
        write_text(Path(output), text_of(history, form, beside))


def _tell(console: Console, outputs: Sequence[str], found: RunsCompared | None) -> None:
    for output in outputs:
        console.tell(f"report: {one_line(output, limit=1000)}")
    if found is not None:
        from finetune_fsm.reports.runs_compared import lines

        for text in lines(found):
            console.result(text)


def text_of(history: History, form: str, beside: RunsCompared | None = None) -> str:
    """Return the run in *history* in its *form*, one of `FORMS`; a page also says what is *beside*.

    Raises:
        UsageError: no workflow is judged yet, and the form has nothing else to tell.
    """
    if form == HTML:
        from finetune_fsm.reports.html import run_page

        return run_page.render(history, workflow=_best_of(history), beside=beside)
    if form == MARKDOWN:
        from finetune_fsm.reports import markdown_run

        return markdown_run.render(history)
    if form == JSON:
        from finetune_fsm.sinks import json_text

        return json_text(document_for(history)) + "\n"
    from finetune_fsm.reports.formats import FORMATS

    best = history.run.best
    if best is None:
        raise UsageError(
            "no workflow is judged yet in this run: only .html, .md and .json can tell"
        )
    name = str(history.settings.workflow)
    return FORMATS[form](best.report, workflow=name, timestamp=history.beginning.started)


def document_for(history: History) -> dict[str, object]:
    """Return the run in *history* as the document that ``show --json`` prints."""
    from finetune_fsm.cli.session import document_of
    from finetune_fsm.codec import plain
    from finetune_fsm.observers.narrator import shown

    where = {"run": shown(history.folder), "state": history.state, "sessions": history.sessions}
    found = document_of(history.run, history.entries, history.seconds)
    document: dict[str, object] = plain({**where, **found, "notes": history.notes})
    return document


def _best_of(history: History) -> Workflow | None:
    """The best workflow; None when it, or a file that it names, cannot be read any more."""
    from finetune_fsm.workflow.load import check_text

    best, path = history.run.best, history.settings.workflow
    text = best.candidate.text if best else history.beginning.original
    return check_text(text, folder=path.parent, file=str(path)).workflow


def _compared(history: History, baseline: Path) -> RunsCompared:
    """Hold the run in *history* against the one in the folder *baseline*.

    Raises:
        UsageError: they cannot be compared.
    """
    from finetune_fsm.observers.narrator import shown
    from finetune_fsm.reports.runs_compared import compared
    from finetune_fsm.runs.history import load

    if baseline.resolve() == history.folder.resolve():
        raise UsageError("a run is to be compared with itself: name another one")
    before, after = load(baseline).run.best, history.run.best
    if before is None or after is None:
        raise UsageError(
            "no workflow is judged yet in one of the runs: there is nothing to compare"
        )
    names = (shown(baseline), shown(history.folder))
    found = compared(before.report, after.report, names=names)
    if found is None:
        raise UsageError("the two runs have no scenario in common: they cannot be compared")
    return found
