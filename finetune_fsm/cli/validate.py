"""``agentmech validate``: all that is wrong with workflow and test files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from finetune_fsm.cli import options
from finetune_fsm.cli.console import Console
from finetune_fsm.errors import ExitCode, Problem, Severity, errors_in
from finetune_fsm.observers.lines import Line, Tone

if TYPE_CHECKING:
    from finetune_fsm.cli.files import Source


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="<file>...")
@click.option("--strict", is_flag=True, help="Unknown keys and the like are errors")
@options.OUTPUT_OPTIONS
@click.pass_obj
def validate(console: Console, /, files: tuple[str, ...], *, strict: bool) -> ExitCode:
    """Check workflow and test files; they are told apart by what they hold.

    Every problem is shown with its place and its likely fix. "-" reads standard input.
    """
    from finetune_fsm.cli.files import read

    found: list[Problem] = []
    for name in dict.fromkeys(files):
        source = read(name)
        problems = problems_of(source, strict=strict)
        found += problems
        if not console.json:
            _show(console, source, problems)
    valid = not errors_in(found)
    if console.json:
        from finetune_fsm.cli.problems import as_data

        console.document({"valid": valid, "problems": [as_data(problem) for problem in found]})
    return ExitCode.OK if valid else ExitCode.BAD_INPUT


def problems_of(source: Source, *, strict: bool) -> tuple[Problem, ...]:
    """Return all that is wrong with *source*, whatever it is."""
    from finetune_fsm.cli.files import check_workflow, is_suite

    if source.text is None:
        return source.problems
    if not is_suite(source):
        return check_workflow(source, strict=strict).problems
    from finetune_fsm.scenarios.load import check_suite_text

    found = check_suite_text(source.text, source.path).problems
    return tuple(_as_asked(problem, source, strict=strict) for problem in found)


def _as_asked(problem: Problem, source: Source, *, strict: bool) -> Problem:
    if problem.file == str(source.path):
        problem = replace(problem, file=source.name)
    if strict and problem.code == "unknown_key":
        return replace(problem, severity=Severity.ERROR)
    return problem


def _show(console: Console, source: Source, problems: Sequence[Problem]) -> None:
    from finetune_fsm.cli.problems import as_text
    from finetune_fsm.sinks import one_line

    errors = errors_in(problems)
    for problem in errors if console.quiet else problems:
        tone = Tone.BAD if problem.severity is Severity.ERROR else Tone.WARNING
        own = source.text if problem.file == source.name else None
        console.result(Line(as_text(problem, source=own), tone))
    warnings = len(problems) - len(errors)
    beside = f", {warnings} warning{'s' * (warnings != 1)}" if warnings else ""
    name = one_line(source.name, limit=1000)
    if errors:
        count = f"{len(errors)} error{'s' * (len(errors) != 1)}"
        console.result(Line(f"{name}: {count}{beside}", Tone.BAD))
    elif not console.quiet:
        console.result(Line(f"{name}: valid{beside}", Tone.GOOD))
