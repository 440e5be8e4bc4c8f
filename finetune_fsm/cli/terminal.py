"""A terminal with colours and moving parts; the only module that knows `rich`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)
from rich.text import Text

from finetune_fsm.observers.lines import Line, Tone

_STYLES: Mapping[Tone, str] = {
    Tone.PLAIN: "",
    Tone.TITLE: "bold",
    Tone.GOOD: "green",
    Tone.BAD: "red",
    Tone.WARNING: "yellow",
    Tone.FAINT: "dim",
    Tone.ADDED: "green",
    Tone.REMOVED: "red",
}

_ERASE = "\r\x1b[2K"
_PLAIN = "\x1b[0m"
_REST = "\x1b[K"  # erases what stands behind the cursor

_FOLDED = 40  # columns from which on lines are folded at words; a narrower terminal does it itself


class Terminal:
    """Prints lines above at most one that moves.

    Args:
        stream: A terminal.
        coloured: Whether colours are wanted.
    """

    def __init__(self, stream: TextIO, *, coloured: bool) -> None:
        # Foreign text is never markup: '[/INST]' alone would be an error.
        self._console = Console(
            file=stream,
            force_terminal=True,
            no_color=not coloured,
            color_system="standard" if coloured else None,  # whatever TERM says: it was asked for
            markup=False,
            emoji=False,
            highlight=False,
        )
        self._progress: Progress | None = None
        self._moving = ""
        self._label = ""

    def line(self, line: Line, *, fold: bool) -> None:
        """Print *line*, whose text is clean; *fold* it at words if it says how far to set off."""
        self.settle()
        text = Text(line.text, style=_STYLES[line.tone])
        if not self._console.no_color:
            for start, end in line.marks:
                text.stylize("reverse", start, end)
        width = self._console.width
        if not (fold and line.hang and width >= _FOLDED):
            self._console.print(text, soft_wrap=True)
            return
        for number, part in enumerate(text.wrap(self._console, width - line.hang)):
            part.rstrip()
            shown = Text(" " * line.hang if number else "") + part
            self._console.print(shown, soft_wrap=True)

    def progress(self, label: str, done: int, total: int, unit: str) -> None:
        """Show *done* of *total*; *unit* ``bytes`` adds sizes and speed."""
        if self._progress is None or label != self._label:
            self.settle()
            self._label = label
            self._progress = _bar(self._console, unit)
            self._progress.add_task(label, total=total)
            self._progress.start()
        self._progress.update(self._progress.task_ids[0], completed=done, total=total)

    @property
    def width(self) -> int:
        """Columns, as they are now."""
        return self._console.width

    def moving(self, text: str) -> None:
        """Show *text*, which is clean and fits, in the last line until something else is written.

        The cursor is never hidden: whatever ends the process, it is there.
        """
        if text == self._moving:
            return
        if not text or self._progress is not None:
            self.settle()
        if text:
            faint = "" if self._console.no_color else "\x1b[2m"
            self._console.file.write(f"\r{faint}{text}{faint and _PLAIN}{_REST}")
            self._console.file.flush()
            self._moving = text

    def settle(self) -> None:
        """Take away what moves."""
        if self._moving:
            self._moving = ""
            self._console.file.write(_ERASE)
            self._console.file.flush()
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


def _bar(console: Console, unit: str) -> Progress:
    counts = (
        (DownloadColumn(), TransferSpeedColumn()) if unit == "bytes" else (MofNCompleteColumn(),)
    )
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        *counts,
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )
