"""From YAML to a `Workflow`, or to all the reasons why not."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path as FilePath

from finetune_fsm.errors import InvalidDocument, Problem, errors_in
from finetune_fsm.workflow.model import Workflow
from finetune_fsm.workflow.text import PERSON, Limits, located, parse, read_file
from finetune_fsm.workflow.validate import examined


@dataclass(frozen=True, slots=True)
class Checked:
    """A text, checked.

    Attributes:
        workflow: What it means; None when it has errors.
        problems: All that is wrong with it, errors first, with file, line and column.
    """

    workflow: Workflow | None
    problems: tuple[Problem, ...] = ()


def check_text(
    text: str,
    *,
    folder: FilePath,
    file: str = "",
    strict: bool = False,
    limits: Limits = PERSON,
    path: FilePath | None = None,
) -> Checked:
    """Return what the YAML *text* means and what is wrong with it.

    Args:
        text: The YAML.
        folder: Folder against which its relative paths are resolved.
        file: Its name in messages.
        strict: Whether unknown keys and replies without a limit are errors.
        limits: How much it may hold; `MODEL` for what a model wrote.
        path: The file itself, if it has one, to notice that it refers to itself.
    """
    try:
        parsed = parse(text, file=file, limits=limits)
    except InvalidDocument as error:
        return Checked(None, error.problems)
    found = examined(parsed.document, folder=folder, strict=strict, path=path)
    problems = located(found.problems, parsed, file)
    workflow = replace(found.workflow, text=text) if found.workflow else None
    return Checked(workflow, (*problems, *parsed.warnings))


def check_file(path: FilePath, *, strict: bool = False) -> Checked:
    """Return what the workflow file at *path* means and what is wrong with it."""
    try:
        text = read_file(path)
    except InvalidDocument as error:
        return Checked(None, error.problems)
    folder = path.resolve().parent
    return check_text(text, folder=folder, file=str(path), strict=strict, path=path)


def load(path: str | os.PathLike[str], *, strict: bool = False) -> Workflow:
    """Return the workflow in the file at *path*.

    Raises:
        InvalidDocument: it has errors; holds all of them, warnings left out.
    """
    checked = check_file(FilePath(path), strict=strict)
    if checked.workflow is None:
        raise InvalidDocument(errors_in(checked.problems))
    return checked.workflow
