"""YAML text to a tree that knows where everything stands, within bounds.

PyYAML's loaders follow aliases without a bound, and the C one dies of deep nesting. So the events
are read one by one, on a stack of our own, and counted before anything is built: an alias weighs as
much as what it stands for (computed, not expanded), whatever is too deep or too much is refused at
once, and tags and a second document are refused too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

from finetune_fsm.errors import InvalidDocument, Problem
from finetune_fsm.sinks import one_line
from finetune_fsm.workflow.nodes import (
    PERSON,
    Alias,
    Limits,
    Mapping,
    Node,
    Scalar,
    Sequence,
    Span,
    Tree,
)
from finetune_fsm.workflow.syntax import complaint

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class _Weight:
    """How much a finished node stands for: its nodes, and the containers inside each other."""

    size: int
    height: int


@dataclass(slots=True)
class _Open:
    """A container whose end has not come yet."""

    event: yaml.CollectionStartEvent
    children: list[Node] = field(default_factory=list)
    size: int = 1
    height: int = 1


def tree_of(text: str, *, file: str = "", limits: Limits = PERSON) -> Tree:
    """Return the tree of *text*. Pure.

    Raises:
        InvalidDocument: broken or too large; exactly one problem, with its place.
    """
    if len(text) > limits.size:
        message = f"the text has {len(text)} characters, more than {limits.size}"
        raise InvalidDocument((Problem("too_large", message, "split it up", file=file),))
    _refuse_controls(text, file)
    builder = _Builder(file, limits)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.take(event)
    except yaml.YAMLError as error:
        raise InvalidDocument((complaint(error, text, file=file),)) from error
    return Tree(builder.root, builder.size)


_FORBIDDEN = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)


def _refuse_controls(text: str, file: str) -> None:
    match = _FORBIDDEN.search(text)
    if match is None:
        return
    line = text.count("\n", 0, match.start()) + 1
    column = match.start() - text.rfind("\n", 0, match.start())
    shown = f"U+{ord(match.group()):04X}"
    problem = Problem(
        "bad_character",
        f"the control character {shown} is not allowed",
        "remove it, or write it as an escape in double quotes",
        file=file,
        line=line,
        column=column,
    )
    raise InvalidDocument((problem,))


class _Builder:
    """Grows a tree event by event and refuses the first that goes too far."""

    def __init__(self, file: str, limits: Limits) -> None:
        self.root: Node | None = None
        self.size = 0
        self._file = file
        self._limits = limits
        self._stack: list[_Open] = []
        self._anchors: dict[str, tuple[Scalar | Sequence | Mapping, _Weight] | None] = {}
        self._seen = 0
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
        """Add one event to the tree."""
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                hint = "keep one document and remove the '---' line"
                self._refuse(event, "second_document", "a second document starts here", hint)
        elif isinstance(event, yaml.AliasEvent):
            self._take_alias(event)
        elif isinstance(event, yaml.ScalarEvent):
            self._take_scalar(event)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._open(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._close(event)

    def _take_scalar(self, event: yaml.ScalarEvent) -> None:
        self._look_at(event)
        if len(event.value) > self._limits.scalar:
            message = f"this text has {len(event.value)} characters, more than"
            self._refuse(event, "too_large", f"{message} {self._limits.scalar}", "shorten it")
        style = event.style or ""
        node = Scalar(_span(event), event.value, style, event.anchor is not None)
        self._finish(node, event.anchor, _Weight(1, 0))

    def _take_alias(self, event: yaml.AliasEvent) -> None:
        if not self._limits.aliases:
            self._refuse(event, "alias", "an alias is not allowed here", "write the value out")
        name = event.anchor or ""
        if name not in self._anchors:
            message = f"nothing above is called '&{one_line(name)}'"
            hint = "put text that begins with * in quotes"
            self._refuse(event, "unknown_alias", message, hint)
        known = self._anchors[name]
        if known is None:
            self._refuse(event, "recursive_alias", "this alias stands for what it is part of", "")
            return
        target, weight = known
        if len(self._stack) + weight.height > self._limits.depth:
            self._refuse_depth(event)
        self._add(Alias(_span(event), target), weight, event)

    def _open(self, event: yaml.CollectionStartEvent) -> None:
        self._look_at(event)
        if len(self._stack) >= self._limits.depth:
            self._refuse_depth(event)
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        self._stack.append(_Open(event))

    def _close(self, event: yaml.CollectionEndEvent) -> None:
        done = self._stack.pop()
        start = _span(done.event)
        span = Span(start.start, _span(event).end, start.line, start.column)
        flow, anchored = bool(done.event.flow_style), done.event.anchor is not None
        node: Sequence | Mapping
        if isinstance(done.event, yaml.SequenceStartEvent):
            node = Sequence(span, tuple(done.children), flow, anchored)
        else:
            node = Mapping(span, tuple(self._entries(done.children)), flow, anchored)
        self._finish(node, done.event.anchor, _Weight(done.size, done.height), event)

    def _entries(self, children: list[Node]) -> Iterator[tuple[Scalar, Node]]:
        for key, value in zip(children[::2], children[1::2], strict=True):
            if not isinstance(key, Scalar):
                self._refuse_key(key.span)
            else:
                yield key, value

    def _finish(
        self,
        node: Scalar | Sequence | Mapping,
        anchor: str | None,
        weight: _Weight,
        event: yaml.Event | None = None,
    ) -> None:
        if anchor is not None:
            self._anchors[anchor] = (node, weight)
        self._add(node, weight, event)

    def _add(self, node: Node, weight: _Weight, event: yaml.Event | None) -> None:
        if not self._stack:
            self.root, self.size = node, weight.size
            return
        parent = self._stack[-1]
        parent.children.append(node)
        parent.size += weight.size
        parent.height = max(parent.height, weight.height + 1)
        if parent.size > self._limits.nodes:
            message = f"with its aliases this stands for more than {self._limits.nodes} values"
            self._refuse(event or parent.event, "too_many_nodes", message, "split it up")

    def _look_at(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        self._seen += 1
        if self._seen > self._limits.nodes:
            message = f"more than {self._limits.nodes} values"
            self._refuse(event, "too_many_nodes", message, "split it up")
        if event.tag is not None:
            message = f"the tag '{one_line(event.tag)}' is not allowed"
            self._refuse(event, "tag", message, "put text that begins with ! in quotes")
        if event.anchor is not None and not self._limits.aliases:
            self._refuse(event, "alias", "an anchor is not allowed here", "remove the &name")

    def _refuse_depth(self, event: yaml.Event) -> None:
        message = f"more than {self._limits.depth} mappings or lists inside each other"
        self._refuse(event, "too_deep", message, "")

    def _refuse_key(self, span: Span) -> None:
        problem = Problem(
            "bad_key",
            "a key must be plain text",
            'put text that begins with {{ or [ in quotes: "{{name}}"',
            file=self._file,
            line=span.line,
            column=span.column,
        )
        raise InvalidDocument((problem,))

    def _refuse(self, event: yaml.Event, code: str, message: str, hint: str) -> None:
        span = _span(event)
        problem = Problem(code, message, hint, file=self._file, line=span.line, column=span.column)
        raise InvalidDocument((problem,))


def _span(event: yaml.Event) -> Span:
    start, end = event.start_mark, event.end_mark
    assert start is not None and end is not None  # noqa: S101, PT018  # the parser marks all events
    return Span(start.index, end.index, start.line + 1, start.column + 1)
