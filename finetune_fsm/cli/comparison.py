"""What ``agentmech compare`` compares: workflows from files, and a suite that fits them all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from finetune_fsm.cli.console import Console
from finetune_fsm.cli.files import STDIN, Source, is_suite, read, regular, workflow_of
from finetune_fsm.cli.problems import as_text
from finetune_fsm.errors import InvalidDocument, Problem, UsageError, errors_in
from finetune_fsm.scenarios.load import check_suite, find_suite
from finetune_fsm.scenarios.model import Suite
from finetune_fsm.sinks import one_line
from finetune_fsm.workflow.model import Workflow


@dataclass(frozen=True, slots=True)
class Subject:
    """What is compared.

    Attributes:
        path: The test file.
        suite: What it says; fits every workflow.
        names: The workflows' files as the user named them, the baseline first.
        workflows: What they say.
    """

    path: Path
    suite: Suite
    names: tuple[str, ...]
    workflows: tuple[Workflow, ...]


def subject_of(console: Console, files: Sequence[str], tests: str | None) -> Subject:
    """Return what *files*, workflows all of them, ask to compare; warnings go to *console*.

    Args:
        console: For warnings.
        files: As the user named them.
        tests: The test file, or None for the one beside the first workflow.

    Raises:
        InvalidDocument: a file is wrong; all problems of all workflows.
        UsageError: too few workflows, a test file among them, or none beside the first.
    """
    if len(files) < 2:
        raise UsageError("compare needs two workflows: the baseline and one to hold against it")
    if files.count(STDIN) > 1:
        raise UsageError("standard input is one workflow; name the others' files")
    if tests is not None:
        regular(tests, "--tests")
    sources = [read(file) for file in files]
    for source in sources:
        if source.text is not None and is_suite(source):
            raise UsageError(f"'{one_line(source.name)}' is a test file — say --tests before it")
    workflows = _workflows(console, sources)
    path = Path(tests) if tests is not None else _beside(files[0])
    names = tuple(source.name for source in sources)
    return Subject(path, _suite(console, path, names, workflows), names, workflows)


def _workflows(console: Console, sources: Sequence[Source]) -> tuple[Workflow, ...]:
    found: list[Workflow] = []
    problems: list[Problem] = []
    for source in sources:
        try:
            found.append(workflow_of(source, console))
        except InvalidDocument as error:
            problems += error.problems
    if problems:
        raise InvalidDocument(tuple(problems))
    return tuple(found)


def _beside(file: str) -> Path:
    path = None if file == STDIN else find_suite(Path(file))
    if path is None:
        raise UsageError(f"'{one_line(file)}' has no test file — say --tests")
    return path


def _suite(
    console: Console, path: Path, names: Sequence[str], workflows: Sequence[Workflow]
) -> Suite:
    """Return the suite at *path*, which must fit every workflow; says which it does not fit."""
    told: dict[str, None] = {}
    suite: Suite | None = None
    for name, workflow in zip(names, workflows, strict=True):
        checked = check_suite(path, workflow=workflow)
        if checked.suite is None:
            errors = errors_in(checked.problems)
            if suite is not None:  # it is sound, and fits another one
                errors = tuple(
                    replace(e, message=f"with {one_line(name)}: {e.message}") for e in errors
                )
            raise InvalidDocument(errors)
        suite = suite or checked.suite
        told |= dict.fromkeys(map(as_text, checked.problems))
    for text in told:
        console.tell(text)
    assert suite is not None  # noqa: S101  # there are two workflows at least
    return suite
