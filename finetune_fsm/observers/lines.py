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


@dataclass(frozen=True, slots=True)
class Line:
    """One line, or several that belong together."""

    text: str = ""
    tone: Tone = Tone.PLAIN
