"""What was changed in a workflow, line by line, the changed words marked."""

from __future__ import annotations

from collections.abc import Sequence

from finetune_fsm.reports.differences import DiffKind, DiffLine, differences
from finetune_fsm.reports.html.markup import Html, joined, tag, whole
from finetune_fsm.reports.html.parts import paragraph
from finetune_fsm.sinks import clean

_KINDS = {
    DiffKind.PLACE: "place",
    DiffKind.SAME: "same",
    DiffKind.REMOVED: "removed",
    DiffKind.ADDED: "added",
}

_WIDTH = 2000
"""Characters of one line."""


def diff(old: str, new: str, *, lines: int) -> Html:
    """Return how *new* differs from *old*, *lines* of it at most; the rest is counted. Pure.

    Both are cleaned as a whole first, so that no mark tears a secret apart.
    """
    found = differences(*(clean(text, limit=len(text)) for text in (old, new)), context=3)
    if not found:
        return paragraph("The text is the same.", kind="soft")
    shown = tag("pre", *map(_line, found[:lines]), class_="diff")
    left = len(found) - lines
    if left <= 0:
        return shown
    return joined((shown, paragraph(f"cut here: {left:,} more lines", kind="soft")))


def _line(row: DiffLine) -> Html:
    if row.kind is DiffKind.PLACE:
        return tag("span", row.text, class_="place")
    return tag("span", row.kind.value, *_pieces(row), class_=_KINDS[row.kind])


def _pieces(row: DiffLine) -> Sequence[Html]:
    if len(row.text) > _WIDTH:
        left = len(row.text) - _WIDTH
        return (whole(row.text[:_WIDTH]), tag("i", f"… {left:,} more characters"))
    if not row.partly:
        return (whole(row.text),)
    name = "ins" if row.kind is DiffKind.ADDED else "del"
    return tuple(tag(name, text) if marked else whole(text) for text, marked in row.pieces)
