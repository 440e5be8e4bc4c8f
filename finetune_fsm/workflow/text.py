"""The one door for YAML: text in, plain data out, and back.

The rules are those of YAML 1.2 (see `scalars`), within bounds (see `tree`): keys are text, a key
that stands twice is an error, anchors, aliases and ``<<`` work for a person's file, tags never do.
Whatever is wrong with a text is an `InvalidDocument` with line and column; nothing else is raised.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import Any

from finetune_fsm.errors import InvalidDocument, Path, Problem, Severity
from finetune_fsm.sinks import one_line
from finetune_fsm.workflow.layout import dump
from finetune_fsm.workflow.scalars import resolved
from finetune_fsm.workflow.tree import (
    MODEL,
    PERSON,
    Alias,
    Limits,
    Node,
    Scalar,
    Sequence,
    Tree,
    tree_of,
)
from finetune_fsm.workflow.tree import Mapping as MappingNode

__all__ = [
    "MODEL",
    "PERSON",
    "Limits",
    "Parsed",
    "Place",
    "decode",
    "dump",
    "located",
    "parse",
    "parsed_tree",
    "read_file",
]

_MERGE = "<<"
_FREE_TEXT = "prompt"


@dataclass(frozen=True, slots=True)
class Place:
    """Where an item of a document stands; lines and columns from 1 on.

    Attributes:
        key: Line and column of its key, or of the item itself in a list.
        value: Line and column of its value.
        single: Whether the value is a scalar, so that pointing at it is best.
    """

    key: tuple[int, int]
    value: tuple[int, int]
    single: bool


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
        InvalidDocument: broken, too large, or with a key twice.
    """
    return parsed_tree(tree_of(text, file=file, limits=limits), text, file=file, limits=limits)


def parsed_tree(tree: Tree, text: str, *, file: str = "", limits: Limits = PERSON) -> Parsed:
    """Return what *tree*, which `tree_of` made of *text*, says. Pure.

    Raises:
        InvalidDocument: a key stands twice, or ``<<`` has nothing to merge.
    """
    reader = _Reader(text, file, limits)
    document = reader.root(tree)
    if reader.problems:
        raise InvalidDocument(tuple(dict.fromkeys(reader.problems)))
    return Parsed(document, reader.places, tuple(dict.fromkeys(reader.warnings)), tree.size)


class _Reader:
    """Turns a tree into plain data and remembers the places."""

    def __init__(self, text: str, file: str, limits: Limits) -> None:
        self.places: dict[Path, Place] = {}
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self._text = text
        self._file = file
        self._limits = limits

    def root(self, tree: Tree) -> Any:
        if tree.root is None:
            self.places[()] = Place((1, 1), (1, 1), single=True)
            return None
        return self._read(tree.root, (), None)

    def _read(self, node: Node, path: Path, key: Scalar | None) -> Any:
        at = node.span
        owner = key.span if key else at
        target = node.target if isinstance(node, Alias) else node
        self.places[path] = Place(
            (owner.line, owner.column), (at.line, at.column), isinstance(target, Scalar)
        )
        if isinstance(target, Scalar):
            self._look_for_cut(target, key)
            return target.value if target.style else resolved(target.value)
        if isinstance(target, Sequence):
            return [self._read(item, (*path, i), None) for i, item in enumerate(target.items)]
        return self._mapping(target, path)

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        own: dict[str, Scalar] = {}
        for key, value in self._merged(node):
            found[key.value] = self._read(value, (*path, key.value), key)
        for key, value in node.entries:
            if _is_merge(key):
                continue
            if key.value in own:
                self._twice(own[key.value], key)
                continue
            own[key.value] = key
            found[key.value] = self._read(value, (*path, key.value), key)
        return found

    def _merged(self, node: MappingNode) -> Iterator[tuple[Scalar, Node]]:
        """Yield what ``<<`` brings into *node*: of two sources the first wins."""
        sources = [source for source in node.entries if _is_merge(source[0])]
        seen: set[str] = set()
        for key, value in sources:
            if not self._limits.aliases:
                self._complain("alias", "'<<' is not allowed here", "write the keys out", key)
                continue
            for mapping in self._sources(key, value):
                fresh = [e for e in self._entries(mapping) if e[0].value not in seen]
                seen.update(entry[0].value for entry in fresh)
                yield from fresh

    def _entries(self, mapping: MappingNode) -> Iterator[tuple[Scalar, Node]]:
        own = [entry for entry in mapping.entries if not _is_merge(entry[0])]
        yield from own
        names = {key.value for key, _ in own}
        yield from (entry for entry in self._merged(mapping) if entry[0].value not in names)

    def _sources(self, key: Scalar, value: Node) -> Iterator[MappingNode]:
        target = value.target if isinstance(value, Alias) else value
        items = target.items if isinstance(target, Sequence) else (target,)
        for item in items:
            source = item.target if isinstance(item, Alias) else item
            if isinstance(source, MappingNode):
                yield source
            else:
                hint = "write '<<: *name', where &name marks a mapping above"
                self._complain("bad_merge", "'<<' needs a mapping", hint, key)

    def _twice(self, first: Scalar, second: Scalar) -> None:
        message = f"the key '{one_line(first.value)}' is there twice: lines {first.span.line}"
        hint = "keep one of them, or give one another name"
        self._complain("duplicate_key", f"{message} and {second.span.line}", hint, second)

    def _look_for_cut(self, node: Scalar, key: Scalar | None) -> None:
        """Warn when a comment begins where a sentence seems to go on, as in ``say #1 thing``."""
        rest = re.compile(r"[ \t]+#([^\n]*)").match(self._text, node.span.end)
        if node.style or not node.value or rest is None:
            return
        free = key is not None and key.value == _FREE_TEXT
        if free or (" " in node.value and rest[1][:1].strip(" #\t\r")):
            message = f"the text ends here: ' #{one_line(rest[1], limit=40)}' is a comment"
            warning = Problem(
                "cut_by_comment",
                message,
                "put the text in quotes if the # belongs to it",
                severity=Severity.WARNING,
                file=self._file,
                line=node.span.line,
                column=node.span.column,
            )
            self.warnings.append(warning)

    def _complain(self, code: str, message: str, hint: str, node: Scalar) -> None:
        line, column = node.span.line, node.span.column
        self.problems.append(
            Problem(code, message, hint, file=self._file, line=line, column=column)
        )


def _is_merge(key: Scalar) -> bool:
    return key.value == _MERGE and not key.style


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
    with os.fdopen(handle, "rb") as stream:
        return decode(_bytes_of(stream.fileno(), name, limit), file=name)


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
