"""One edit, made in the text itself: replace, insert or remove the characters of one node."""

from __future__ import annotations

import re
from collections.abc import Sequence

from finetune_fsm.errors import Path
from finetune_fsm.workflow import seams
from finetune_fsm.workflow.edits import Edit, EditOp
from finetune_fsm.workflow.layout import block, entry_lines, flow, item_lines, key_text
from finetune_fsm.workflow.nodes import Mapping as MappingNode
from finetune_fsm.workflow.nodes import Node, Scalar, Tree
from finetune_fsm.workflow.nodes import Sequence as SequenceNode
from finetune_fsm.workflow.scalars import double_quoted, single_quoted
from finetune_fsm.workflow.seams import Intricate
from finetune_fsm.workflow.tree import tree_of

_FLOW_WIDTH = 90


def made(text: str, edit: Edit) -> str:
    """Return *text* with *edit* made, which must be possible in the document. Pure.

    The result is not checked; `splice` reads it again.

    Raises:
        Intricate: it cannot be done by cutting one place.
        InvalidDocument: *text* cannot be read.
    """
    tree = tree_of(text)
    if edit.op is EditOp.REMOVE:
        return _removed(text, tree, edit.path)
    return _set(text, tree, edit.path, edit.value)


def renamed(text: str, path: Path, name: str) -> str:
    """Return *text* with the key at *path* called *name* instead. Pure.

    Raises:
        Intricate: the key does not stand there itself.
        InvalidDocument: *text* cannot be read.
    """
    owner = seams.node_at(tree_of(text).root, path[:-1])
    keys = [key for key, _ in owner.entries] if isinstance(owner, MappingNode) else []
    span = next((key.span for key in keys if key.value == path[-1]), None)
    if span is None:
        raise Intricate
    return text[: span.start] + key_text(name) + text[span.end :]


def _set(text: str, tree: Tree, path: Path, value: object) -> str:
    if not path:
        raise Intricate
    owner, step = seams.node_at(tree.root, path[:-1]), path[-1]
    if owner is None or seams.is_empty(owner) or _is_hollow(owner) or _is_null(owner):
        inner = {step: value} if isinstance(step, str) else [value]
        return _set(text, tree, path[:-1], inner)
    old = seams.child_of(owner, step)
    if isinstance(owner, MappingNode):
        key = next((key for key, _ in owner.entries if key.value == step), None)
        if key is None or old is None:
            return _with_entry(text, tree, owner, str(step), value)
        return _with_value(text, tree, owner, key, old, value)
    if isinstance(owner, SequenceNode):
        if old is None:
            return _with_item(text, tree, owner, value)
        return _with_value(text, tree, owner, None, old, value)
    raise Intricate


def _is_hollow(node: Node) -> bool:
    """Say whether *node* is ``{}`` or ``[]``, which cannot be added to where it stands."""
    return (isinstance(node, MappingNode) and not node.entries) or (
        isinstance(node, SequenceNode) and not node.items
    )


def _is_null(node: Node) -> bool:
    return isinstance(node, Scalar) and not node.style and node.value in ("~", "null")


def _with_value(
    text: str,
    tree: Tree,
    owner: MappingNode | SequenceNode,
    key: Scalar | None,
    old: Node,
    value: object,
) -> str:
    """Put *value* in the place of *old*, which stands in *owner* after *key* or a dash."""
    if owner.flow:
        return _with_flow_value(text, key, old, value)
    step = seams.step_of(tree)
    if key is not None:
        start = seams.after_colon(key, text)
        indent = key.span.column - 1 + step
    else:
        start = seams.dash_of(owner, old, text) + 1
        indent, step = start + 1 - seams.line_start(text, start), 2
    head, below = _rendered(value, indent, step, old)
    end, comment = _end_and_comment(text, start, old)
    if key is None and not head:
        head, below = below[0].lstrip(" "), below[1:]
    head = f" {head}" if head else ""
    lines = "".join(f"\n{line}" for line in below)
    return text[:start] + head + comment + lines + text[end:]


def _end_and_comment(text: str, start: int, old: Node) -> tuple[int, str]:
    """Return where *old*'s characters end, and the comment beside its first line."""
    between = text[start : old.span.start].split("\n", 1)[0]
    lead = between.rstrip() if "#" in between else ""
    if isinstance(old, MappingNode | SequenceNode) and not old.flow:
        # A comment beside the last inner line belongs to what is replaced.
        return seams.line_end(text, seams.end_of(old, text)), lead
    if seams.is_block_text(old):
        return seams.written_end(old, text), lead + seams.header_comment(old, text)
    end = max(seams.end_of(old, text), start)
    tail = text[end : seams.line_end(text, end)]
    return end + len(tail), lead + tail


def _rendered(value: object, indent: int, step: int, old: Node) -> tuple[str, list[str]]:
    """Return *value* as head and lines below, in the manner of *old* where it can be."""
    head, below = block(value, indent, step=step)
    if isinstance(value, str) and not below and isinstance(old, Scalar):
        if old.style == '"':
            return double_quoted(value), []
        if old.style == "'":
            return single_quoted(value) or double_quoted(value), []
    if isinstance(old, MappingNode | SequenceNode) and old.flow and not isinstance(value, str):
        line = flow(value)
        if len(line) <= _FLOW_WIDTH:
            return line, []
    return head, below


def _with_flow_value(text: str, key: Scalar | None, old: Node, value: object) -> str:
    start, end = old.span.start, old.span.end
    new = flow(value)
    if seams.is_empty(old) and key is not None:
        start = end = _flow_value_start(text, key)
        new = f" {new}" if text[start - 1] == ":" else f": {new}"
    elif text[start - 1] == ":":
        new = f" {new}"
    return text[:start] + new + text[end:]


def _flow_value_start(text: str, key: Scalar) -> int:
    colon = re.compile(r"\s*:").match(text, key.span.end)
    return colon.end() if colon else key.span.end


def _with_entry(text: str, tree: Tree, owner: MappingNode, key: str, value: object) -> str:
    """Add ``key: value`` after the last entry of *owner*."""
    if owner.flow:
        last_key, last = owner.entries[-1]
        end = max(last.span.end, last_key.span.end)
        return f"{text[:end]}, {flow(key)}: {flow(value)}{text[end:]}"
    indent = owner.entries[0][0].span.column - 1
    lines = entry_lines(key, value, indent, step=seams.step_of(tree))
    if _spaced(text, owner):
        lines = ["", *lines]
    return _below(text, seams.end_of(owner, text), lines)


def _spaced(text: str, owner: MappingNode) -> bool:
    """Say whether a blank line stands before the last entry of *owner*."""
    if len(owner.entries) < 2:
        return False
    end = seams.end_of(owner.entries[-2][1], text)
    between = text[end : owner.entries[-1][0].span.start]
    return re.search(r"\n[ \t]*\n", between) is not None


def _with_item(text: str, tree: Tree, owner: SequenceNode, value: object) -> str:
    """Add ``- value`` after the last item of *owner*."""
    last = owner.items[-1]
    if owner.flow:
        return f"{text[: last.span.end]}, {flow(value)}{text[last.span.end :]}"
    dash = seams.dash_of(owner, last, text)
    indent = dash - seams.line_start(text, dash)
    lines = item_lines(value, indent, step=seams.step_of(tree))
    return _below(text, seams.end_of(owner, text), lines)


def _below(text: str, offset: int, lines: Sequence[str]) -> str:
    """Insert *lines* below the line that holds *offset*."""
    if text[offset - 1 : offset] == "\n":  # the end of a block that keeps its blank lines
        return text[:offset] + "".join(f"{line}\n" for line in lines) + text[offset:]
    end = seams.line_end(text, offset)
    return text[:end] + "".join(f"\n{line}" for line in lines) + text[end:]


def _removed(text: str, tree: Tree, path: Path) -> str:
    owner, step = seams.node_at(tree.root, path[:-1]), path[-1]
    if isinstance(owner, MappingNode):
        return _without_entry(text, tree, path, owner)
    if isinstance(owner, SequenceNode) and isinstance(step, int):
        if len(owner.items) == 1:
            return _set(text, tree, path[:-1], [])
        if owner.flow:
            spans = [(item.span.start, item.span.end) for item in owner.items]
            return _without_flow(text, spans, step)
        dash = seams.dash_of(owner, owner.items[step], text)
        return _without_lines(text, dash, seams.end_of(owner.items[step], text))
    raise Intricate


def _without_entry(text: str, tree: Tree, path: Path, owner: MappingNode) -> str:
    names = [key.value for key, _ in owner.entries]
    if path[-1] not in names:  # it comes from a merge
        raise Intricate
    if len(names) == 1:
        return _set(text, tree, path[:-1], {})
    index = names.index(str(path[-1]))
    key, value = owner.entries[index]
    if owner.flow:
        spans = [(k.span.start, max(k.span.end, v.span.end)) for k, v in owner.entries]
        return _without_flow(text, spans, index)
    end = max(seams.end_of(value, text), seams.after_colon(key, text))
    if not text[seams.line_start(text, key.span.start) : key.span.start].strip(" "):
        return _without_lines(text, key.span.start, end)
    if index:
        raise Intricate
    # The first key of a list's item shares its line with the dash: the next one moves up to it,
    # or, with comments in between, the dash stays alone.
    following = owner.entries[1][0].span.start
    end = seams.line_end(text, end)
    between = text[end:following]
    before = text[: key.span.start]
    return (
        before.rstrip(" ") + between + text[following:]
        if "#" in between
        else before + text[following:]
    )


def _without_flow(text: str, spans: Sequence[tuple[int, int]], index: int) -> str:
    """Cut one item and one comma out of ``{…}`` or ``[…]``."""
    if index + 1 < len(spans):
        return text[: spans[index][0]] + text[spans[index + 1][0] :]
    return text[: spans[index - 1][1]] + text[spans[index][1] :]


def _without_lines(text: str, start: int, end: int) -> str:
    """Cut whole lines; of two blank lines that meet, one goes too."""
    first = seams.line_start(text, start)
    if text[first:start].strip(" "):
        raise Intricate
    kept = text[end - 1 : end] == "\n"
    after = end if kept else min(seams.line_end(text, end) + 1, len(text))
    blank = re.compile(r"[ \t]*\n").match(text, after)
    if blank and re.search(r"(^|\n)[ \t]*\n$", text[:first]):
        after = blank.end()
    return text[:first] + text[after:]
