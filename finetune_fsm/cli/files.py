"""Files named on the command line: workflows and test files, ``-`` for standard input."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from finetune_fsm.cli.console import Console
from finetune_fsm.cli.problems import as_text
from finetune_fsm.errors import InvalidDocument, Problem, UsageError, errors_in
from finetune_fsm.workflow.load import Checked, check_text
from finetune_fsm.workflow.model import Workflow
from finetune_fsm.workflow.text import TESTS, decode, parse, read_file

STDIN = "-"
STDIN_NAME = "<stdin>"
_TELLING = re.compile(
    "(?:\\A|[\\n\\r\\x85\\u2028\\u2029])(states|test_scenarios):"
)  # YAML's line ends

STDIN_LIMIT = TESTS.size
"""Bytes read from standard input at most; the reader refuses far less."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file as it was read.

    Attributes:
        name: As the user named it; `STDIN_NAME` for standard input.
        path: Where it stands, or where it would.
        text: What it holds; None when it could not be read.
        problems: Why not.
    """

    name: str
    path: Path
    text: str | None
    problems: tuple[Problem, ...] = ()

    @property
    def folder(self) -> Path:
        """Folder against which its relative paths are resolved."""
        return self.path.resolve().parent


def read(name: str) -> Source:
    """Return the file called *name*, or standard input; problems are in it, not raised."""
    try:
        if name == STDIN:
            data = sys.stdin.buffer.read(STDIN_LIMIT + 1)
            return Source(STDIN_NAME, Path.cwd() / "stdin.yaml", decode(data, file=STDIN_NAME))
        path = Path(name)
        return Source(name, path, read_file(path, limit=TESTS.size))
    except InvalidDocument as error:
        return Source(name, Path(name), None, error.problems)


def regular(name: str, purpose: str) -> Path:
    """Return the path *name*; raises UsageError for standard input, as *purpose* needs a file."""
    if name == STDIN:
        raise UsageError(f"{purpose} needs a file, not standard input")
    return Path(name)


def is_suite(source: Source) -> bool:
    """Whether *source* looks like a test file: it has scenarios or names a workflow."""
    keys = set(_TELLING.findall(source.text or ""))
    if len(keys) == 1:  # parsing takes a second time what checking takes, only to say the same
        return keys == {"test_scenarios"}
    try:
        document = parse(source.text or "", limits=TESTS).document
    except InvalidDocument:
        return ".test." in os.path.basename(source.name)  # noqa: PTH119  # may be no valid path
    if not isinstance(document, Mapping):
        return ".test." in os.path.basename(source.name)  # noqa: PTH119  # the same
    return "test_scenarios" in document or ("workflow" in document and "states" not in document)


def check_workflow(source: Source, *, strict: bool = False) -> Checked:
    """Return what *source* means as a workflow and what is wrong with it."""
    if source.text is None:
        return Checked(None, source.problems)
    path = None if source.name == STDIN_NAME else source.path
    return check_text(source.text, folder=source.folder, file=source.name, strict=strict, path=path)


def workflow_of(source: Source, console: Console, *, strict: bool = False) -> Workflow:
    """Return the workflow in *source*; its warnings go to *console*.

    Raises:
        InvalidDocument: it has errors.
    """
    checked = check_workflow(source, strict=strict)
    if checked.workflow is None:
        raise InvalidDocument(errors_in(checked.problems))
    for problem in checked.problems:
        console.tell(as_text(problem, source=source.text))
    return checked.workflow
