"""The one door for YAML: text in, plain data out, and back.

The rules are those of YAML 1.2 (see `scalars`), within bounds (see `tree`): keys are text, a key
that stands twice is an error, anchors, aliases and ``<<`` work for a person's file, tags never do.
Whatever is wrong with a text is an `InvalidDocument` with line and column; nothing else is raised.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import Any

from finetune_fsm.errors import InvalidDocument, Path, Problem
from finetune_fsm.sinks import one_line
from finetune_fsm.workflow.layout import dump
from finetune_fsm.workflow.nodes import MODEL, PERSON, TESTS, Limits
from finetune_fsm.workflow.reader import Place, Reader
from finetune_fsm.workflow.tree import tree_of

__all__ = [
    "MODEL",
    "PERSON",
    "TESTS",
    "Limits",
    "Parsed",
    "Place",
    "decode",
    "dump",
    "located",
    "parse",
    "read_file",
]


@dataclass(frozen=True, slots=True)
class Parsed:
    """A text as plain data.

    Attributes:
        document: Mappings with text keys, lists, text, numbers, booleans, None.
        places: Where the item at each path stands, the root at ``()``.
        warnings: What is allowed but hardly meant, such as text cut by `` #``.
        size: Keys, values and containers, every alias expanded.
    """

    document: Any
    places: Mapping[Path, Place]
    warnings: tuple[Problem, ...] = ()
    size: int = 0


def parse(text: str, *, file: str = "", limits: Limits = PERSON) -> Parsed:
    """Return what *text* says; an empty text is None. Pure.

    Raises:
        InvalidDocument: broken, too large, a key twice, or ``<<`` with nothing to merge.
    """
    tree = tree_of(text, file=file, limits=limits)
    reader = Reader(text, file, limits)
    document = reader.root(tree)
    if reader.problems:
        raise InvalidDocument(tuple(dict.fromkeys(reader.problems)))
    return Parsed(document, reader.places, tuple(dict.fromkeys(reader.warnings)), tree.size)


def located(problems: Iterable[Problem], parsed: Parsed, file: str = "") -> tuple[Problem, ...]:
    """Return *problems* with file, line and column of what their paths name. Pure.

    A path that is not in the text, as of a missing key, takes its nearest parent's place. A problem
    that has a line already keeps it.
    """
    return tuple(_placed(problem, parsed, file) for problem in problems)


def _placed(problem: Problem, parsed: Parsed, file: str) -> Problem:
    if problem.line or problem.file not in ("", file):
        return problem
    path = problem.path
    while path and path not in parsed.places:
        path = path[:-1]
    place = parsed.places.get(path)
    if place is None:
        return replace(problem, file=file)
    exact = path == problem.path and problem.code != "unknown_key"
    line, column = place.value if exact and place.single else place.key
    return replace(problem, file=file, line=line, column=column)


def decode(data: bytes, *, file: str = "") -> str:
    """Return *data* as text: UTF-8, a byte order mark dropped, line ends as they are. Pure.

    Raises:
        InvalidDocument: other encodings, and binary data.
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _unreadable("not_utf8", "is UTF-16", "save it as UTF-8", file)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        message = f"is not UTF-8: byte {data[error.start]:#04x} cannot be read"
        problem = _unreadable("not_utf8", message, "save it as UTF-8", file).problems[0]
        raise InvalidDocument((replace(problem, line=line, column=column),)) from error
    if "\0" in text:
        raise _unreadable("not_text", "is no text: it holds NUL", "name a text file", file)
    return text


def read_file(path: FilePath, *, file: str = "", limit: int = PERSON.size) -> str:
    """Return the text of the regular file at *path*, at most *limit* bytes.

    Never waits: a pipe or a device is refused before it is read.

    Raises:
        InvalidDocument: missing, unreadable, no regular file, too large, no UTF-8 text.
    """
    name = file or str(path)
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError as error:
        raise _unreadable("missing_file", "does not exist", "check the path", name) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        message = f"cannot be read: {one_line(reason)}"
        raise _unreadable("unreadable_file", message, "", name) from error
    try:
        return decode(_bytes_of(handle, name, limit), file=name)
    finally:
        os.close(handle)


def _bytes_of(handle: int, name: str, limit: int) -> bytes:
    about = os.fstat(handle)
    if not stat.S_ISREG(about.st_mode):
        kind = "a folder" if stat.S_ISDIR(about.st_mode) else "no regular file"
        raise _unreadable("not_a_file", f"is {kind}", "name a text file", name)
    parts: list[bytes] = []
    size = 0
    try:
        while size <= limit and (part := os.read(handle, limit + 1 - size)):
            parts.append(part)
            size += len(part)
    except OSError as error:
        message = f"cannot be read: {error.strerror or error}"
        raise _unreadable("unreadable_file", message, "", name) from error
    if size > limit:
        raise _unreadable("too_large", f"is larger than {limit} bytes", "split it up", name)
    return b"".join(parts)


def _unreadable(code: str, message: str, hint: str, file: str) -> InvalidDocument:
    return InvalidDocument((Problem(code, f"the file {message}", hint, file=file),))
