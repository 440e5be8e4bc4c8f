"""A tree as plain data: keys are text, ``<<`` is merged, keys that stand twice are noticed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from finetune_fsm.errors import Path, Problem, Severity
from finetune_fsm.schema import PROBLEM_LIMIT
from finetune_fsm.sinks import one_line
from finetune_fsm.workflow.nodes import Alias, Limits, Mapping, Node, Scalar, Sequence, Tree
from finetune_fsm.workflow.scalars import resolved

_MERGE = "<<"
_FREE_TEXT = "prompt"
_COMMENT = re.compile(r"[ \t]+#([^\n]*)")


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


class Reader:
    """Turns a tree into plain data and remembers the places."""

    def __init__(self, text: str, file: str, limits: Limits) -> None:
        self.places: dict[Path, Place] = {}
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self._text = text
        self._file = file
        self._limits = limits

    def root(self, tree: Tree) -> object:
        """Return what the whole tree says; None when there is nothing."""
        if tree.root is None:
            self.places[()] = Place((1, 1), (1, 1), single=True)
            return None
        return self._read(tree.root, (), None)

    def _read(self, node: Node, path: Path, key: Scalar | None) -> object:
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

    def _mapping(self, node: Mapping, path: Path) -> dict[str, object]:
        found: dict[str, object] = {}
        own: dict[str, Scalar] = {}
        for key, value in self._merged(node):
            found[key.value] = self._read(value, (*path, key.value), key)
        for key, value in node.entries:
            if _is_merge(key):
                continue
            if key.value in own:
                if len(self.problems) < PROBLEM_LIMIT:
                    self._twice(own[key.value], key)
                continue
            own[key.value] = key
            found[key.value] = self._read(value, (*path, key.value), key)
        return found

    def _merged(self, node: Mapping) -> Iterator[tuple[Scalar, Node]]:
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

    def _entries(self, mapping: Mapping) -> Iterator[tuple[Scalar, Node]]:
        own = [entry for entry in mapping.entries if not _is_merge(entry[0])]
        yield from own
        names = {key.value for key, _ in own}
        yield from (entry for entry in self._merged(mapping) if entry[0].value not in names)

    def _sources(self, key: Scalar, value: Node) -> Iterator[Mapping]:
        target = value.target if isinstance(value, Alias) else value
        items = target.items if isinstance(target, Sequence) else (target,)
        for item in items:
            source = item.target if isinstance(item, Alias) else item
            if isinstance(source, Mapping):
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
        if node.style or not node.value or len(self.warnings) >= PROBLEM_LIMIT:
            return
        rest = _COMMENT.match(self._text, node.span.end)
        if rest is None:
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
