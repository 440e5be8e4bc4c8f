"""Where a suite's report goes: a file, standard output, or GitHub's runner."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import click

from finetune_fsm.cli.console import Console
from finetune_fsm.errors import UsageError
from finetune_fsm.sinks import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from finetune_fsm.scenarios.model import SuiteReport

FORMATS = ("text", "json", "markdown", "junit", "csv", "github", "html")
"""Those of the reports, here so that help need not import them."""

TEXT, JSON, MARKDOWN, JUNIT, CSV, GITHUB, HTML = FORMATS


REPORTS = click.option(
    "--report",
    "reports",
    multiple=True,
    metavar="<path>",
    help="Write what happened there at the end, in the form of its ending: .html, .md, .json, "
    ".xml, .csv, .txt; several: --report a.html --report b.md",
)
"""Of the commands that work on a run; see `cli.report`."""


@dataclass(frozen=True, slots=True)
class Target:
    """One report that is wanted: its form, and the file it goes to; None is standard output."""

    form: str
    output: str | None


def targets_of(
    wanted: str | None, outputs: Sequence[str], *, json: bool, known: Sequence[str]
) -> tuple[Target, ...]:
    """Return the reports that are wanted, one at least.

    Args:
        wanted: The value of ``--format``.
        outputs: The values of ``--output``; ``-`` is standard output.
        json: Whether ``--json`` is given.
        known: The formats that the command has.

    Raises:
        UsageError: as `format_of`, a form for several files at once, or a file named twice.
    """
    files = [None if output == "-" else output for output in outputs] or [None]
    if len(files) > 1 and (wanted or json):
        asked = "--json" if json else "--format"
        raise UsageError(f"of several files each has the format of its ending: leave {asked} out")
    if len(set(files)) < len(files):
        raise UsageError("a report is to be written to the same file twice")
    return tuple(
        Target(format_of(wanted, output, json=json, known=known), output) for output in files
    )


def format_of(wanted: str | None, output: str | None, *, json: bool, known: Sequence[str]) -> str:
    """Return a report's format: asked for, else by the file's ending, else text.

    Args:
        wanted: The value of ``--format``.
        output: The value of ``--output``.
        json: Whether ``--json`` is given.
        known: The formats that the command has.

    Raises:
        UsageError: ``--json`` and another ``--format``, or an ending that says nothing.
    """
    if json and wanted not in (None, JSON):
        raise UsageError(f"--json and --format {wanted} contradict each other")
    if wanted or json:
        return wanted or JSON
    if output is None:
        return TEXT
    from finetune_fsm.reports.formats import ENDINGS, named_by

    form = named_by(Path(output))
    if form is not None and form in known:
        return form
    *endings, last = (ending for ending, name in ENDINGS.items() if name in known)
    listed = f"{', '.join(endings)} and {last}"
    raise UsageError(f"'{one_line(output)}' ends in none of {listed} — say --format")


class Tested(Protocol):
    """What was tested: its test file, and the workflow's file as a report names it."""

    @property
    def path(self) -> Path:
        """The test file."""
        ...

    @property
    def name(self) -> str:
        """The workflow's file."""
        ...


def publish(
    console: Console, tested: Tested, report: SuiteReport, *, form: str, output: str | None
) -> None:
    """Write *report* in its *form* to the file *output*, or to standard output.

    The text of a run was shown while it ran.

    Raises:
        StorageError: the file cannot be written.
    """
    from datetime import UTC, datetime

    from finetune_fsm.reports import json_report
    from finetune_fsm.reports.formats import FORMATS as RENDERERS
    from finetune_fsm.storage.files import write_text

    timestamp = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    if form == GITHUB:
        text = _for_github(console, tested, report, timestamp)
    else:
        text = RENDERERS[form](report, workflow=tested.name, timestamp=timestamp)
    if output is not None:
        write_text(Path(output), text)
        console.tell(f"report: {one_line(output, limit=1000)}")
    elif form == JSON:
        shape = json_report.shape(report, workflow=tested.name, timestamp=timestamp)
        console.document(shape)
    elif form in (JUNIT, HTML):  # stays what it is in every encoding
        console.out.piece(text.encode("ascii", "xmlcharrefreplace").decode())
    elif form == GITHUB:  # commands of ours
        console.out.raw(text)
    elif form in (MARKDOWN, CSV):
        console.out.piece(text)


def _for_github(console: Console, tested: Tested, report: SuiteReport, timestamp: str) -> str:
    """Append the step's summary and return its log; a summary that fails costs neither."""
    from finetune_fsm.cli.github import append_summary, places_in
    from finetune_fsm.reports import github_report

    try:
        summary = github_report.summary(report, workflow=tested.name, timestamp=timestamp)
        append_summary(summary, os.environ)
    except OSError as error:
        console.warn(f"the step has no summary: {error.strerror}")
    places = places_in(tested.path, os.environ)
    return github_report.render(
        report,
        workflow=tested.name,
        timestamp=timestamp,
        file=places.file,
        lines=places.lines_of(result.scenario.name for result in report.results),
    )
