"""Where in a text the pieces of its tree begin and end, comments and blank lines left aside.

The parser lets a block end where the next token begins, after all comments in between; to cut and
to insert, one needs the end of what is really written.
"""

from __future__ import annotations

import re

from finetune_fsm.workflow.nodes import Alias, Mapping, Node, Scalar, Sequence, Tree

_HEADER = re.compile(r"(?:&\S+\s+)?[|>][0-9]?([-+]?)[0-9]?([ \t]+#[^\n]*)?")
_COLON = re.compile(r"[ \t]*:")

DEFAULT_STEP = 2


class Intricate(Exception):
    """The text is written in a way that cannot be edited piece by piece."""


def is_block_text(node: Node) -> bool:
    """Say whether *node* is a ``|`` or ``>`` block. Pure."""
    return isinstance(node, Scalar) and node.style in ("|", ">")


def is_empty(node: Node) -> bool:
    """Say whether nothing is written at all, as after ``key:``. Pure."""
    return isinstance(node, Scalar) and not node.style and not node.value and not node.anchored


def end_of(node: Node, text: str) -> int:
    """Return the offset after the last character that belongs to *node*. Pure."""
    if isinstance(node, Mapping) and not node.flow and node.entries:
        key, value = node.entries[-1]
        return max(end_of(value, text), key.span.end)
    if isinstance(node, Sequence) and not node.flow and node.items:
        return end_of(node.items[-1], text)
    if is_block_text(node):
        header = _HEADER.match(text, node.span.start)
        if header is not None and header[1] == "+":  # its blank lines are content
            return node.span.end
        return written_end(node, text)
    return node.span.end


def written_end(node: Node, text: str) -> int:
    """Return the offset after *node*'s last line that is not empty. Pure."""
    start, end = node.span.start, node.span.end
    return start + len(text[start:end].rstrip("\n"))


def header_comment(node: Node, text: str) -> str:
    """Return the comment beside a block text's header, with its leading space, or empty. Pure."""
    header = _HEADER.match(text, node.span.start) if is_block_text(node) else None
    return (header[2] or "") if header else ""


def after_colon(key: Scalar, text: str) -> int:
    """Return the offset after the colon that follows *key*; raises Intricate for ``? key``."""
    colon = _COLON.match(text, key.span.end)
    if colon is None:
        raise Intricate
    return colon.end()


def dash_of(owner: Mapping | Sequence, item: Node, text: str) -> int:
    """Return the offset of the dash before *item* in the block list *owner*.

    Raises:
        Intricate: it is not in the column where the list begins.
    """
    column = owner.span.column - 1
    start = line_start(text, item.span.start)
    while True:
        if text[start + column : start + column + 1] == "-" and start + column < item.span.start:
            return start + column
        if start <= owner.span.start:
            raise Intricate
        start = line_start(text, start - 1)


def line_start(text: str, offset: int) -> int:
    """Return the offset of the first character of the line that holds *offset*. Pure."""
    return text.rfind("\n", 0, offset) + 1


def line_end(text: str, offset: int) -> int:
    """Return the offset of the line's end, the line break not included. Pure."""
    found = text.find("\n", offset)
    return len(text) if found < 0 else found


def child_of(node: Node, step: str | int) -> Node | None:
    """Return what stands at *step* in *node* itself, merged keys not counted, or None.

    Raises:
        Intricate: *node* is an alias: its target stands elsewhere and for others too.
    """
    if isinstance(node, Alias):
        raise Intricate
    if isinstance(node, Mapping):
        return next((value for key, value in node.entries if key.value == step), None)
    if isinstance(node, Sequence) and isinstance(step, int) and step < len(node.items):
        return node.items[step]
    return None


def node_at(root: Node | None, path: tuple[str | int, ...]) -> Node | None:
    """Return the node at *path*, or None; raises Intricate behind an alias."""
    node = root
    for step in path:
        if node is None:
            return None
        node = child_of(node, step)
    return node


def step_of(tree: Tree) -> int:
    """Return by how many columns the text indents a mapping inside its root. Pure."""
    root = tree.root
    if isinstance(root, Mapping) and not root.flow and root.entries:
        outer = root.entries[0][0].span.column
        for _, value in root.entries:
            if isinstance(value, Mapping) and not value.flow and value.entries:
                return max(1, min(8, value.entries[0][0].span.column - outer))
    return DEFAULT_STEP
