"""The files that loading a workflow opens: prompts and values of variables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path as FilePath

from finetune_fsm.errors import InvalidDocument, Path, Problem, Severity
from finetune_fsm.schema import limited, suggestion
from finetune_fsm.sinks import one_line
from finetune_fsm.workflow.model import PLACEHOLDER
from finetune_fsm.workflow.outline import list_at, mapping_at, named, parts_in, text_at
from finetune_fsm.workflow.text import read_file

TOTAL_LIMIT = 10_000_000
"""Characters of all ``prompt_file`` together."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What the files held.

    Attributes:
        prompts: Content of each ``prompt_file``, by the path of its state or step.
        problems: What could not be read, in document order.
    """

    prompts: Mapping[Path, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


def opened(document: object, folder: FilePath) -> Opened:
    """Read every ``prompt_file`` of *document* and look at every variable's ``file``."""
    prompts: dict[Path, str] = {}
    problems = tuple(limited(_read(document, folder, prompts)))
    return Opened(prompts, problems)


def _read(document: object, folder: FilePath, prompts: dict[Path, str]) -> Iterator[Problem]:
    """Put the text of every ``prompt_file`` into *prompts* and yield what is wrong with files."""
    known: dict[str, str] = {}
    for path, part in parts_in(document):
        name = text_at(part, "prompt_file")
        if not name or "prompt" in part:
            continue
        place = (*path, "prompt_file")
        text = known[name] if name in known else text_of(name, folder, place)
        if isinstance(text, Problem):
            yield text
            continue
        known[name] = prompts[path] = text
        if not text.strip():
            message = f"the file '{one_line(name)}' is empty"
            yield Problem("empty_file", message, "write a prompt into it", place)
        if sum(map(len, known.values())) > TOTAL_LIMIT:
            message = f"with '{one_line(name)}' the prompts have more than {TOTAL_LIMIT} characters"
            yield Problem("too_large", message, "shorten them", place)
            return
    for path, name in _variable_files(document):
        found = text_of(name, folder, path)
        if isinstance(found, Problem):
            yield found


def _variable_files(document: object) -> Iterator[tuple[Path, str]]:
    for name, variable in named(document, "variables"):
        if file := text_at(variable, "file"):
            yield ("variables", name, "file"), file


def text_of(name: str, folder: FilePath, path: Path) -> str | Problem:
    """Return the text of the file called *name* beside the workflow, or why there is none."""
    place = folder / name
    try:
        return read_file(place, file=name).replace("\r\n", "\n")
    except InvalidDocument as error:
        problem = error.problems[0]
        reason = problem.message.removeprefix("the file ")
        hint = _neighbour(place) if problem.code == "missing_file" else problem.hint
        return Problem(problem.code, f"the file '{one_line(name)}' {reason}", hint, path)


def _neighbour(place: FilePath) -> str:
    """Return a hint at the file that may have been meant, or at where this one should be."""
    try:
        names = [entry.name for entry in islice(place.parent.iterdir(), 1000)]
    except (OSError, ValueError):
        names = []
    shown = one_line(str(place), limit=300)
    return suggestion(place.name, names) or f"it should be at {shown}"


def absent(document: object, folder: FilePath) -> Iterator[Problem]:
    """Yield a warning for each attachment and folder that is not there yet.

    A run opens them, not the loading, and an earlier state may still make them. They are looked for
    beside the workflow and then in the current folder.
    """
    for path, name in _later(document):
        if PLACEHOLDER.search(name) or _is_there(folder / name) or _is_there(FilePath(name)):
            continue
        message = f"'{one_line(name)}' does not exist"
        shown = one_line(str(folder / name), limit=300)
        hint = f"it is looked for at {shown} and in the current folder"
        yield Problem("missing_file", message, hint, path, Severity.WARNING)


def _is_there(place: FilePath) -> bool:
    try:
        return place.exists()
    except (OSError, ValueError):
        return False


def _later(document: object) -> Iterator[tuple[Path, str]]:
    for name, server in named(document, "mcp_servers"):
        if folder := text_at(server, "tools_directory"):
            yield ("mcp_servers", name, "tools_directory"), folder
    for name, base in named(document, "rag"):
        if folder := text_at(base, "directory"):
            yield ("rag", name, "directory"), folder
    for path, part in parts_in(document):
        if folder := text_at(mapping_at(part, "rag"), "directory"):
            yield (*path, "rag", "directory"), folder
        for index, file in enumerate(list_at(part, "files")):
            if isinstance(file, str):
                yield (*path, "files", index), file
