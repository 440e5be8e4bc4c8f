"""``agentmech diff``: what differs in what two workflows do, or what a run changed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from finetune_fsm.cli import options
from finetune_fsm.cli.console import Console
from finetune_fsm.errors import ExitCode, InvalidDocument, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from finetune_fsm.observers.lines import Line
    from finetune_fsm.reports.workflow_changes import Difference
    from finetune_fsm.runs.history import History
    from finetune_fsm.workflow.edits import Edit


@click.command()
@click.argument("workflows", nargs=-1, metavar="[<run>] | <workflow> <workflow>")
@click.option("--text", "as_text", is_flag=True, help="Compare line by line, comments and all")
@click.option("--exit-code", "telling", is_flag=True, help="Exit with 1 if something differs")
@options.OUTPUT_OPTIONS
@click.pass_obj
def diff(
    console: Console, /, workflows: tuple[str, ...], *, as_text: bool, telling: bool
) -> ExitCode:
    """Say what differs in what two workflows do, or between a run's workflow and its result.

    Comments, layout and the order of keys do not count. A WORKFLOW is a file, "-" for standard
    input, or a run, which stands for its best. RUN alone is its folder, its name or its workflow;
    the newest here or below when left out. What a run changed is told with its reasons.
    """
    from finetune_fsm.reports.modifications import diff_of
    from finetune_fsm.reports.workflow_changes import shape, workflow_changes

    if len(workflows) > 2:
        raise UsageError("two workflows can be compared, no more")
    if workflows.count("-") > 1:
        raise UsageError("one of the workflows can come from standard input, not both")
    old, new = map(_read, workflows) if len(workflows) == 2 else _ends_of(*workflows)
    found = workflow_changes(old.document, new.document, new.reasons)
    if console.json:
        told = {"a": old.name, "b": new.name, "changes": list(shape(found))}
        console.document({**told, "diff": diff_of(old.text, new.text)})
    else:
        for line in _lines(old, new, found, as_text=as_text):
            console.result(line)
    differs = old.text != new.text if as_text else bool(found)
    return ExitCode.FAILED if telling and differs else ExitCode.OK


@dataclass(frozen=True, slots=True)
class _Side:
    """One of the two workflows.

    Attributes:
        name: For people.
        text: As it is.
        document: As it was parsed.
        reasons: What it came from, if a run made it.
    """

    name: str
    text: str
    document: object
    reasons: tuple[Edit, ...] = ()


def _read(name: str) -> _Side:
    from finetune_fsm.cli.files import read
    from finetune_fsm.cli.graph import is_run
    from finetune_fsm.runs import places

    if is_run(name):
        return _ends_of(places.find(name))[1]
    source = read(name)
    if source.text is None:
        raise InvalidDocument(source.problems)
    return _side(source.name, source.text)


def _side(name: str, text: str, reasons: tuple[Edit, ...] = ()) -> _Side:
    from finetune_fsm.workflow.text import parse

    return _Side(name, text, parse(text, file=name).document, reasons)


def _ends_of(run: str | Path | None = None) -> tuple[_Side, _Side]:
    """The workflow that a run began with, and its best."""
    from finetune_fsm.observers.narrator import shown
    from finetune_fsm.runs import places
    from finetune_fsm.runs.history import load

    history = load(places.find(run))
    best = history.run.best
    if best is None:
        raise UsageError(f"no workflow is judged yet in {history.folder}: nothing is changed")
    name = shown(history.settings.workflow)
    after = f"the best of {shown(history.folder)}"
    return (
        _side(f"{name}, as it was", history.beginning.original),
        _side(after, best.candidate.text, tuple(_reasons(history))),
    )


def _reasons(history: History) -> Iterator[Edit]:
    """The edits that led to the best, each with its own reason or that of its draft."""
    from dataclasses import replace

    from finetune_fsm.reports.measuring import steps_of
    from finetune_fsm.reports.modifications import Fate, modifications

    for one in modifications(tuple(steps_of(history.run, history.entries))):
        if one.fate is Fate.KEPT and one.draft is not None:
            for edit in one.draft.edits:
                yield replace(edit, why=edit.why or one.draft.why)


def _lines(old: _Side, new: _Side, found: Sequence[Difference], *, as_text: bool) -> Iterator[Line]:
    from finetune_fsm.observers.changes import WHOLE, diff_lines, differing
    from finetune_fsm.observers.lines import Line, Tone
    from finetune_fsm.observers.verdicts import count
    from finetune_fsm.sinks import one_line

    yield Line(f"A  {one_line(old.name, limit=1000)}", Tone.FAINT)
    yield Line(f"B  {one_line(new.name, limit=1000)}", Tone.FAINT)
    yield Line()
    if old.text == new.text:
        yield Line("The two are the same, letter by letter")
    elif as_text:
        yield from diff_lines(old.text, new.text, limit=WHOLE)
    elif not found:
        yield Line("They do the same: only comments, layout or the order of keys differ")
    else:
        yield Line(count(len(found), "difference"), Tone.TITLE)
        for one in found:
            yield from differing(one)
