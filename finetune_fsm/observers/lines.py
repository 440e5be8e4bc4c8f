"""A line for a person, and what sort of line it is; colours are the terminal's business."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Tone(StrEnum):
    """What a line is, for whoever can show it."""

    PLAIN = "plain"
    TITLE = "title"
    GOOD = "good"
    BAD = "bad"
    WARNING = "warning"
    FAINT = "faint"
    ADDED = "added"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Line:
    """One line, or several that belong together.

    Attributes:
        text: What it says.
        tone: What it is.
        marks: Pieces of the text that stand out where colours do, as starts and ends.
        hang: Columns by which a terminal that folds the line sets off what follows; 0 leaves the
            folding to the terminal.
    """

    text: str = ""
    tone: Tone = Tone.PLAIN
    marks: tuple[tuple[int, int], ...] = ()
    hang: int = 0
