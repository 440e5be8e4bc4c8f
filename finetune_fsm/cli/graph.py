"""``agentmech graph``: a picture of a workflow, of a run's best, or of the improvement loop."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from finetune_fsm.cli import options
from finetune_fsm.cli.console import Console
from finetune_fsm.errors import ExitCode, InvalidDocument, UsageError, errors_in
from finetune_fsm.sinks import one_line

if TYPE_CHECKING:
    from finetune_fsm.reports.html.graph import Drawing
    from finetune_fsm.runs.history import History
    from finetune_fsm.workflow.model import Workflow

MERMAID, SVG = "mermaid", "svg"

_ENDINGS = {".svg": SVG, ".mmd": MERMAID, ".mermaid": MERMAID}

_WORKFLOWS = (".yaml", ".yml", ".json")


@click.command()
@click.argument("what", required=False, metavar="[<workflow-file>|<run>]")
@click.option(
    "--loop", is_flag=True, help="Draw the improvement loop; with a run, its way through it (SVG)"
)
@options.value(
    "-f",
    "--format",
    "wanted",
    type=click.Choice([MERMAID, SVG]),
    help="Mermaid's text, or a picture (default: by the ending of -o, else mermaid)",
)
@options.value("-o", "--output", metavar="<path>", help="Write it there: .svg, .mmd")
@options.OUTPUT_OPTIONS
@click.pass_obj
def graph(
    console: Console,
    /,
    what: str | None,
    *,
    loop: bool,
    wanted: str | None,
    output: str | None,
) -> ExitCode:
    """Draw a workflow, or a run's best with the ways that its scenarios took through it.

    A file is a workflow, "-" reads one from standard input; a run is its folder or its name.
    """
    output = None if output == "-" else output
    form = _form(wanted, output)
    if what is None and not loop:
        raise UsageError("name either a workflow file or --loop, or a run")
    if output is not None:
        from finetune_fsm.api import check_output

        check_output(Path(output), Path(what or ""))
    name, text = _loop(what, form) if loop else _drawn(console, what or "", form)
    if output is not None:
        from finetune_fsm.storage.files import write_text

        write_text(Path(output), text)
        console.tell(f"graph: {one_line(output, limit=1000)}")
    if console.json:
        console.document({"workflow": name, form: text})
    elif output is None and form == SVG:  # stays XML in every encoding
        console.out.piece(text.encode("ascii", "xmlcharrefreplace").decode())
    elif output is None:
        console.result(text.rstrip("\n"))
    return ExitCode.OK


def _form(wanted: str | None, output: str | None) -> str:
    if wanted or output is None:
        return wanted or MERMAID
    form = _ENDINGS.get(Path(output).suffix.lower())
    if form is None:
        listed = ", ".join(_ENDINGS)
        raise UsageError(f"'{one_line(output)}' ends in none of {listed} — say --format")
    return form


def _loop(run: str | None, form: str) -> tuple[str, str]:
    if form == MERMAID:
        if run is not None:
            raise UsageError("a run's way through the loop is drawn as a picture: say -f svg")
        from finetune_fsm.loop.table import mermaid

        return "finetune", mermaid()
    from finetune_fsm.reports.html.drawings import of_loop

    entries = _history(run).entries if run is not None else ()
    return "finetune", _picture(of_loop(entries))


def _drawn(console: Console, what: str, form: str) -> tuple[str, str]:
    found = _of_run(what) if is_run(what) else _of_file(console, what)
    if form == MERMAID:
        from finetune_fsm.workflow.graph import mermaid

        return found.workflow.name, mermaid(found.workflow, *found.paths)
    from finetune_fsm.reports.html.drawings import of_workflow

    return found.workflow.name, _picture(of_workflow(found.workflow, found.paths))


def _picture(drawing: Drawing) -> str:
    from finetune_fsm.reports.html.graph import picture

    return picture(drawing)


@dataclass(frozen=True, slots=True)
class _Subject:
    """A workflow, and the names that each rollout visited."""

    workflow: Workflow
    paths: tuple[tuple[str, ...], ...] = ()


def is_run(what: str) -> bool:
    """Return whether *what* names a run: a folder, or nothing that is there or is called a file."""
    path = Path(what)
    if path.is_dir():
        return True
    return what != "-" and not path.exists() and path.suffix.lower() not in _WORKFLOWS


def _of_file(console: Console, file: str) -> _Subject:
    from finetune_fsm.cli.files import read, workflow_of

    return _Subject(workflow_of(read(file), console))


def _of_run(what: str) -> _Subject:
    from finetune_fsm.workflow.load import check_text

    history = _history(what)
    best = history.run.best
    text = best.candidate.text if best else history.beginning.original
    path = history.settings.workflow
    checked = check_text(text, folder=path.parent, file=str(path))
    if checked.workflow is None:
        raise InvalidDocument(errors_in(checked.problems))
    results = best.report.results if best else ()
    return _Subject(checked.workflow, tuple(result.rollout.visited for result in results))


def _history(what: str) -> History:
    from finetune_fsm.runs import places
    from finetune_fsm.runs.history import load

    return load(places.find(what))
