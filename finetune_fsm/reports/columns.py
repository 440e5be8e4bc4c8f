"""Tables and paragraphs that fit a terminal, whatever is in their texts and numbers. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

from finetune_fsm.sinks import one_line

WIDTH = 80
"""Columns of a line at most."""

_GAP = "  "

_BARS = "▁▂▃▄▅▆▇█"
_MOST_BARS = 40

_UNITS = ("k", "M", "G", "T")


def width_of(text: str) -> int:
    """Return the columns that *text*, which is clean, takes on a screen at most."""
    return sum(map(_columns, text))


def cut(text: str, width: int) -> str:
    """Return as much of *text*, which is clean, as fits *width* columns, >= 1; a cut is seen."""
    if width_of(text) <= width:
        return text
    taken, left = 0, width - 1
    for character in text:
        left -= _columns(character)
        if left < 0:
            break
        taken += 1
    return text[:taken].rstrip() + "…"


def table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], *, name: int | None = None
) -> Iterator[str]:
    """Yield *heads* and *rows* as lines, indented, with columns to the right.

    Args:
        heads: One per column, ours.
        rows: Clean cells, short ones but for those of the column of names.
        name: Number of that column, if there is one: it is to the left, and gets what the others
            leave.
    """
    lines = [list(heads), *(list(row) for row in rows)]
    widths = [max(map(width_of, column)) for column in zip(*lines, strict=True)]
    if name is not None:
        others = sum(widths) - widths[name] + len(_GAP) * len(widths)
        widths[name] = max(1, min(widths[name], WIDTH - others))
    for line in lines:
        cells = (
            _padded(cut(cell, width), width, left=number == name)
            for number, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        yield _GAP + _GAP.join(cells).rstrip()


def paragraph(text: str, *, indent: int) -> Iterator[str]:
    """Yield *text*, cleaned, in lines that fit; a word too long for a line is parted."""
    room = WIDTH - indent
    line = ""
    for word in one_line(text, limit=1000).split():
        joined = f"{line} {word}" if line else word
        if width_of(joined) > room and line:
            yield " " * indent + line
            joined = word
        while width_of(joined) > room:
            fits = cut(joined, room + 1)[:-1]
            yield " " * indent + fits
            joined = joined[len(fits) :]
        line = joined
    if line:
        yield " " * indent + line


def sparkline(rates: Sequence[float]) -> str:
    """Return *rates*, each 0..1, as bars in one line: the lowest is 0 alone, the highest 1 alone.

    Of more than 40 it shows 40, evenly, the first and the last among them.
    """
    if len(rates) > _MOST_BARS:
        step = (len(rates) - 1) / (_MOST_BARS - 1)
        rates = [rates[round(place * step)] for place in range(_MOST_BARS)]
    return "".join(map(_bar, rates))


def _bar(rate: float) -> str:
    if rate in (0, 1):
        return _BARS[-1] if rate else _BARS[0]
    return _BARS[1 + min(len(_BARS) - 3, int(rate * (len(_BARS) - 2)))]


def short(number: float) -> str:
    """Return *number*, >= 0, in six characters at most, rounded down: ``99999`` or ``123k``."""
    value = int(number)
    if value < 100_000:
        return str(value)
    for unit in _UNITS:
        value //= 1000
        if value < 100_000:
            return f"{value}{unit}"
    return "lots"


def seconds(number: float) -> str:
    """Return *number* of seconds, >= 0, in six characters at most."""
    return f"{number:.1f}" if number < 9_999 else short(number)


def _padded(cell: str, width: int, *, left: bool) -> str:
    space = " " * (width - width_of(cell))
    return cell + space if left else space + cell


def _columns(character: str) -> int:
    if unicodedata.east_asian_width(character) in "WF":
        return 2
    return 0 if unicodedata.combining(character) else 1
