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
from finetune_fsm.workflow.incision import made
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
        for edit in edits:
            for finer in _finer(document, edit):
                result = made(result, finer)
            document = edited(document, (edit,))
        if canonical(parse(result).document) == canonical(wanted):
            return Spliced(result.replace("\n", breaks), clean=True)
    except (Intricate, InvalidDocument):
        pass
    return Spliced(dump(wanted).replace("\n", breaks), clean=False)


def _finer(document: object, edit: Edit) -> Iterator[Edit]:
    """Yield smaller edits of the same effect: only what differs between two mappings or lists."""
    old = document
    for step in edit.path:
        try:
            old = old[step]  # type: ignore[index]  # whatever is wrong with the path is caught
        except (LookupError, TypeError):
            yield edit
            return
    if edit.op is EditOp.REMOVE:
        yield edit
    else:
        yield from _differences(old, edit.value, edit.path)


def _differences(old: object, new: object, path: Path) -> Iterator[Edit]:
    if isinstance(old, Mapping) and isinstance(new, Mapping) and set(old) & set(new):
        for key, value in new.items():
            if key in old:
                yield from _differences(old[key], value, (*path, key))
            else:
                yield Edit(EditOp.SET, (*path, key), value)
        yield from (Edit(EditOp.REMOVE, (*path, key)) for key in old if key not in new)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from _differences(before, after, (*path, index))
    elif canonical(old) != canonical(new):
        yield Edit(EditOp.SET, path, new)
