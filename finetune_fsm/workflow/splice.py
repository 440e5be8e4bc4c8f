"""Edits as surgery on the text: what is not edited keeps its comments, quotes and layout.

Each edit replaces, inserts or removes the characters of one node (see `incision`). The result is
read again and must say exactly what `edited` makes of the document; when it does not, or the text
is too intricate (aliases in the way, explicit keys), the whole document is written anew and
`Spliced.clean` is false.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from finetune_fsm.codec import canonical
from finetune_fsm.errors import InvalidDocument, Path
from finetune_fsm.workflow.edits import Edit, EditOp, edited
from finetune_fsm.workflow.incision import made, renamed
from finetune_fsm.workflow.layout import dump
from finetune_fsm.workflow.seams import Intricate
from finetune_fsm.workflow.text import parse


@dataclass(frozen=True, slots=True)
class Spliced:
    """An edited text.

    Attributes:
        text: It reads back as `edited` says.
        clean: Whether everything that was not edited stayed as it was; else comments are lost.
    """

    text: str
    clean: bool


def splice(text: str, edits: Sequence[Edit]) -> Spliced:
    """Return *text* with *edits* made one after the other. Pure.

    Raises:
        InvalidDocument: *text* cannot be read.
        EditError: some edits cannot be made.
    """
    document = parse(text).document
    wanted = edited(document, edits)
    breaks = "\r\n" if "\r\n" in text and not re.search(r"(?<!\r)\n", text) else "\n"
    result = text.replace("\r\n", "\n") if breaks == "\r\n" else text
    try:
        for group in _grouped(document, edits):
            result = _made(result, document, group)
            document = edited(document, group)
        if canonical(parse(result).document) == canonical(wanted):
            return Spliced(result.replace("\n", breaks), clean=True)
    except (Intricate, InvalidDocument):
        pass
    return Spliced(dump(wanted).replace("\n", breaks), clean=False)


def _grouped(document: object, edits: Sequence[Edit]) -> Iterator[tuple[Edit, ...]]:
    """Yield the edits one by one, but an old key with the new one that takes its place together."""
    waiting = list(edits)
    while waiting:
        pair = tuple(waiting[:2])
        group = pair if len(pair) == 2 and _swaps(document, *pair) else pair[:1]
        yield group
        document = edited(document, group)
        del waiting[: len(group)]


def _swaps(document: object, first: Edit, second: Edit) -> bool:
    old, new = (first, second) if first.op is EditOp.REMOVE else (second, first)
    owner = _item(document, old.path[:-1])
    return (
        (old.op, new.op) == (EditOp.REMOVE, EditOp.SET)
        and old.path[:-1] == new.path[:-1]
        and isinstance(owner, Mapping)
        and new.path[-1] not in owner
    )


def _made(text: str, document: object, group: tuple[Edit, ...]) -> str:
    if len(group) == 2:
        old, new = sorted(group, key=lambda edit: edit.op is EditOp.SET)
        text = made(text, Edit(EditOp.SET, old.path, new.value))
        return renamed(text, old.path, str(new.path[-1]))
    for finer in _finer(document, group[0]):
        text = made(text, finer)
    return text


def _item(document: object, path: Path) -> object:
    """Return what stands at *path*, or None."""
    for step in path:
        try:
            document = document[step]  # type: ignore[index]  # what is wrong with it is caught
        except (LookupError, TypeError):
            return None
    return document


def _finer(document: object, edit: Edit) -> Iterator[Edit]:
    """Yield smaller edits of the same effect: only what differs between two mappings or lists."""
    old = _item(document, edit.path)
    if old is None or edit.op is EditOp.REMOVE:
        yield edit
    else:
        yield from differences(old, edit.value, edit.path)


def differences(old: object, new: object, path: Path) -> Iterator[Edit]:
    """Yield small edits that make *new* of *old*, which stands at *path*. Pure."""
    if isinstance(old, Mapping) and isinstance(new, Mapping) and set(old) & set(new):
        for key, value in new.items():
            if key in old:
                yield from differences(old[key], value, (*path, key))
            else:
                yield Edit(EditOp.SET, (*path, key), value)
        yield from (Edit(EditOp.REMOVE, (*path, key)) for key in old if key not in new)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from differences(before, after, (*path, index))
    elif canonical(old) != canonical(new):
        yield Edit(EditOp.SET, path, new)
