"""The text of a script file as plain data with places, within bounds.

A script is small and written by hand, so its YAML is plain: text keys, no anchors, no tags, one
document. Whatever else a file holds is refused with its line, however deep or long it is, before
anything is built from it.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath

import yaml

from finetune_fsm.errors import Path
from finetune_fsm.sinks import one_line

SIZE_LIMIT = 1_000_000
"""Bytes of a script."""

HINT = "a script is a mapping with 'format: 1' and a list 'replies'"

_DEPTH = 32
_NODES = 25_000
_HALF = re.compile(r"\\u[dD][89a-fA-F]")
_PAIRS_LIMIT = 100_000  # characters of a text that may hold halves


class Refused(Exception):
    """This is no script; says why and where."""

    def __init__(self, message: str, place: tuple[int, int] = (0, 0), hint: str = HINT) -> None:
        super().__init__(message)
        self.message = message
        self.line, self.column = place
        self.hint = hint


def text_of(path: FilePath) -> str:
    """Return the text of the regular file at *path*; never waits for a pipe or a device.

    Raises:
        Refused: missing, unreadable, no regular file, too large, no UTF-8.
    """
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        try:
            data = _bytes_of(handle)
        finally:
            os.close(handle)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise Refused(getattr(error, "strerror", None) or str(error)) from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        raise Refused("it is not UTF-8", (line, column), "save it as UTF-8") from error


def _bytes_of(handle: int) -> bytes:
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        raise Refused("it is no regular file")
    with os.fdopen(handle, "rb", closefd=False) as stream:
        data = stream.read(SIZE_LIMIT + 1)
    if len(data) > SIZE_LIMIT:
        raise Refused(f"it is larger than {SIZE_LIMIT} bytes")
    return data


@dataclass(frozen=True, slots=True)
class Parsed:
    """Plain data, and line and column (from 1 on) of the item at each path."""

    document: object
    places: Mapping[Path, tuple[int, int]]

    def place(self, path: Path) -> tuple[int, int]:
        """Return where the item at *path* stands; ``(0, 0)`` when there is none."""
        return self.places.get(path, (0, 0))


@dataclass(slots=True)
class _Open:
    """A mapping or list whose end has not come yet."""

    value: dict[str, object] | list[object]
    path: Path
    key: str | None = None


def parsed(text: str) -> Parsed:
    """Return what *text* says. Pure.

    Raises:
        Refused: broken, too deep or too much, or more than a script needs.
    """
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        builder = _built(text, loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        reason = str(getattr(error, "problem", "") or error)
        raise Refused(f"this is not YAML: {one_line(reason)}", place) from error
    return Parsed(builder.document, builder.places)


def _built(text: str, loader: type) -> _Builder:
    if len(text) <= _PAIRS_LIMIT and _HALF.search(text):  # as JSON writes what is beyond U+FFFF
        loader = yaml.SafeLoader  # ten times slower, but reads halves
    builder = _Builder()
    for event in yaml.parse(text, Loader=loader):
        builder.take(event)
    return builder


def _joined(text: str) -> str:
    """Return *text* with pairs of surrogates as the characters they stand for. Pure."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


class _Builder:
    """Builds plain data event by event, on a stack of its own."""

    def __init__(self) -> None:
        self.document: object = None
        self.places: dict[Path, tuple[int, int]] = {}
        self._stack: list[_Open] = []
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
        """Add what one event says."""
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise Refused("a second document starts here", _place(event))
        elif isinstance(event, yaml.NodeEvent):
            self._take_node(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._stack.pop()

    def _take_node(self, event: yaml.NodeEvent) -> None:
        place = _place(event)
        if event.anchor is not None:
            raise Refused("a script has no anchors and aliases", place, "write the value out")
        if getattr(event, "tag", None) is not None:
            hint = "put text that begins with ! in quotes"
            raise Refused("a script has no tags", place, hint)
        if len(self.places) >= _NODES:
            raise Refused(f"more than {_NODES} values", place, "split it up")
        parent = self._stack[-1] if self._stack else None
        if parent and isinstance(parent.value, dict) and parent.key is None:
            self._take_key(parent, event, place)
            return
        path = self._next_path(parent)
        self.places[path] = place
        if isinstance(event, yaml.ScalarEvent):
            value = event.value if event.style else _resolved(event.value)
            self._put(parent, _joined(value) if isinstance(value, str) else value)
            return
        if len(self._stack) >= _DEPTH:
            raise Refused(f"more than {_DEPTH} mappings or lists inside each other", place)
        opened: dict[str, object] | list[object]
        opened = {} if isinstance(event, yaml.MappingStartEvent) else []
        self._put(parent, opened)
        self._stack.append(_Open(opened, path))

    def _take_key(self, parent: _Open, event: yaml.Event, place: tuple[int, int]) -> None:
        if not isinstance(event, yaml.ScalarEvent):
            hint = 'put text that begins with {{ or [ in quotes: "{{name}}"'
            raise Refused("a key must be plain text", place, hint)
        if event.value in parent.value:
            message = f"the key '{one_line(event.value, limit=60)}' is there twice"
            raise Refused(message, place, "keep one of them")
        parent.key = event.value

    def _next_path(self, parent: _Open | None) -> Path:
        if parent is None:
            return ()
        step = len(parent.value) if isinstance(parent.value, list) else parent.key
        return (*parent.path, step or 0) if isinstance(step, int) else (*parent.path, step or "")

    def _put(self, parent: _Open | None, value: object) -> None:
        if parent is None:
            self.document = value
        elif isinstance(parent.value, list):
            parent.value.append(value)
        else:
            parent.value[parent.key or ""] = value
            parent.key = None


def _place(event: yaml.Event) -> tuple[int, int]:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (0, 0)


_WORDS: Mapping[str, object] = {"": None, "~": None, "null": None, "true": True, "false": False}
_NUMBER = re.compile(r"[-+]?[0-9]{1,15}(\.[0-9]{1,15})?")


def _resolved(plain: str) -> object:
    """Return what the unquoted scalar *plain* means: what JSON says of it, else text. Pure."""
    if plain.lower() in _WORDS:
        return _WORDS[plain.lower()]
    if _NUMBER.fullmatch(plain):
        return float(plain) if "." in plain else int(plain)
    return plain
