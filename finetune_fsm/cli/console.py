"""The two streams: results on one, talk on the other, both safe for any text and any terminal.

Everything printed goes through `sinks` here, whatever its author did before: no control byte of a
model, a file or an argument reaches a terminal, no secret of the environment a reader, and no
command GitHub's runner, which acts on what a step prints.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from threading import RLock
from typing import TYPE_CHECKING, TextIO

from finetune_fsm.observers.lines import Line, Tone
from finetune_fsm.sinks import clean, known, look_again

if TYPE_CHECKING:
    from finetune_fsm.cli.terminal import Terminal

_FALLBACKS: Mapping[str, str] = {
    "📊 ": "",
    "📋 ": "",
    "💡 ": "",
    "✅": "[ok]",
    "❌": "[failed]",
    "⚠": "[!]",
    "═": "=",
    "─": "-",
    "→": "->",
    "—": "-",
    "…": "...",
    "·": "-",
    **dict(zip("▁▂▃▄▅▆▇█", "_.,-=+*#", strict=True)),
}
"""What stands for our own signs where the stream's encoding has no such sign."""

_NARROW = 20  # columns below which nothing moves


class Screen:
    """One stream for people.

    Args:
        stream: Where text goes; what its encoding cannot say is written as an escape.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._silent = False
        self._held = ""  # the end of a piece that may be the beginning of a secret
        self._fresh = True  # whether the line under way is blank so far
        self._on_runner = os.environ.get("GITHUB_ACTIONS") == "true"
        self._on_terminal = stream.isatty()
        self._terminal: Terminal | None = None
        self._beside: Screen | None = None
        self._lock = RLock()  # log lines come from every thread
        self.colour = "auto"
        self.at_start = True  # whether the cursor stands where a line begins
        self.written = time.monotonic()
        encoding = stream.encoding or "utf-8"
        self._missing = {
            sign: text for sign, text in _FALLBACKS.items() if not _has(encoding, sign)
        }
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")

    @property
    def interactive(self) -> bool:
        """Whether a person watches and the cursor can move."""
        return self._stream.isatty() and not _is_dumb() and not os.environ.get("CI")

    @property
    def coloured(self) -> bool:
        """Whether to write colours.

        ``--color`` goes before FORCE_COLOR, it before NO_COLOR, it before the kind of terminal.
        """
        if self.colour != "auto":
            return self.colour == "always"
        if os.environ.get("FORCE_COLOR"):
            return True
        return self._stream.isatty() and not os.environ.get("NO_COLOR") and not _is_dumb()

    def line(self, text: str | Line = "") -> None:
        """Write one line, or several."""
        line = text if isinstance(text, Line) else Line(text)
        with self._lock, self._while_seen():
            if self._silent:
                return
            self._release()
            shown = self._safe(line.text)
            self._fresh = True
            if self.interactive or self.coloured:
                # Marks say where in the text; they are of no use in another one.
                marks = line.marks if shown == line.text else ()
                told = replace(line, text=shown, marks=marks)
                self._begin()
                self._fancy().line(told, fold=self.interactive)
                self.at_start = True
            else:
                self._write(shown + "\n")

    def remark(self, text: str) -> None:
        """Write a line that nobody misses: a stream that does not take it is no failure."""
        with suppress(OSError, ValueError):
            self.line(text.rstrip("\n"))

    def piece(self, text: str) -> None:
        """Write a piece of a text that goes on, as it is but for what `clean` does.

        What may be the beginning of a secret waits for the next piece, or the end.
        """
        with self._lock, self._while_seen():
            if self._silent:
                return
            ready, self._held = known().split(self._held + text)
            self._put(ready)

    def progress(self, label: str, done: int, total: int, unit: str = "") -> None:
        """Show how far something is, where a person watches; it goes away with the next line."""
        with self._lock, self._while_seen():
            if self.interactive and not self._silent:
                self._fancy().progress(self._safe(label), done, total, unit)

    def moving(self, compose: Callable[[int], str]) -> None:
        """Show, where a person watches, a line that goes away with the next thing written.

        Nothing is shown where a line is under way: it may be a question, or a reply.

        Args:
            compose: Takes columns and returns a text that fits them, or an empty one.
        """
        from finetune_fsm.reports.columns import cut

        with self._lock, self._while_seen():
            others = [self, self._beside] if self._beside else [self]
            ready = all(screen.at_start for screen in others if screen.interactive)
            if not self.interactive or self._silent:
                return
            # The sign of a cut may take six columns where the encoding has none.
            room = self._fancy().width - 1 - (6 if "…" in self._missing else 0)
            text = self._safe(compose(room)) if ready and room >= _NARROW else ""
            self._fancy().moving(cut(text, room) if text else "")

    def raw(self, text: str) -> None:
        """Write *text*, made by us and known to be safe, without cleaning it."""
        with self._lock, self._while_seen():
            if self._silent:
                return
            self._release()
            self._write(text)
            self._fresh = text.endswith("\n")

    @property
    def silent(self) -> bool:
        """Whether nothing is written any more."""
        return self._silent

    def silence(self) -> None:
        """Write nothing from now on: nobody reads it."""
        self._silent = True

    def settle(self) -> None:
        """Take away what moves, and hand everything written to the system."""
        with self._lock, self._while_seen():
            if self._terminal:
                self._terminal.settle()
            if not self._silent:
                self._release()
                self._stream.flush()

    @contextmanager
    def _while_seen(self) -> Iterator[None]:
        """Fall silent when the terminal is gone: its window was closed, and the work goes on."""
        try:
            yield
        except OSError as error:
            if not self._on_terminal or error.errno != errno.EIO:
                raise
            self._silent = True

    def _release(self) -> None:
        """Write what waited: nothing follows it."""
        held, self._held = self._held, ""
        self._put(held)

    def _put(self, text: str) -> None:
        if text:
            shown = self._safe(text)
            last = shown.rpartition("\n")[2]
            self._fresh = not last.strip() and (self._fresh or "\n" in shown)
            self._write(shown)

    def _safe(self, text: str) -> str:
        shown = clean(text, limit=max(len(text), 1))
        if self._on_runner:
            from finetune_fsm.sinks import inert

            shown = inert(shown, fresh=self._fresh)
        for sign, instead in self._missing.items():
            shown = shown.replace(sign, instead)
        return shown

    def beside(self, other: Screen) -> None:
        """Share the terminal with *other*: what moves on one makes room for the other's words."""
        self._beside, other._beside = other, self
        other._lock = self._lock

    def clear(self) -> None:
        """Take away what moves."""
        if self._terminal and not self._silent:
            self._terminal.settle()

    def _begin(self) -> None:
        """Make room for something to be written."""
        self.written = time.monotonic()
        for screen in (self, self._beside):
            if screen:
                screen.clear()

    def _write(self, text: str) -> None:
        self._begin()
        self._stream.write(text)
        self._stream.flush()
        self.at_start = text.endswith("\n") if text else self.at_start

    def _fancy(self) -> Terminal:
        if self._terminal is None:
            from finetune_fsm.cli.terminal import Terminal

            self._terminal = Terminal(self._stream, coloured=self.coloured)
        return self._terminal


class Console:
    """What a command prints on.

    Attributes:
        json: Whether the result is a JSON document, alone on standard output.
        quiet: Whether only failures and summaries are wanted.
        verbosity: 0, 1 (what happens) or 2 (prompts and replies too).
        log_file: Where the whole log goes, or empty.
    """

    def __init__(self, *, json: bool = False) -> None:
        look_again()  # at the environment of this command
        self.json = json
        self.quiet = False
        self.verbosity = 0
        self.log_file = ""
        self.out = Screen(sys.stdout)
        self.err = Screen(sys.stderr)
        self.out.beside(self.err)
        self._documented = False

    @property
    def talk(self) -> Screen:
        """Where a session is told: standard output, unless a document goes there."""
        return self.err if self.json else self.out

    @property
    def documented(self) -> bool:
        """Whether the document has been written."""
        return self._documented

    def result(self, text: str | Line = "") -> None:
        """Write a line of the result."""
        self.out.line(text)

    def tell(self, text: str | Line = "") -> None:
        """Write a line beside the result, unless quiet."""
        if not self.quiet:
            self.err.line(text)

    def note(self, text: str) -> None:
        """Write a line that a person should see."""
        self.tell(Line(f"note: {text}", Tone.FAINT))

    def warn(self, text: str) -> None:
        """Write a warning, unless quiet."""
        self.tell(Line(f"warning: {text}", Tone.WARNING))

    def document(self, value: object) -> None:
        """Write *value* as the one JSON document; ASCII alone, so that it survives any pipe."""
        self._documented = True
        self.out.raw(document(value))

    @property
    def silent(self) -> bool:
        """Whether one of the streams is read by nobody any more."""
        return self.out.silent or self.err.silent

    def paint(self, choice: str) -> None:
        """Write colours ``auto``matically, ``always`` or ``never``."""
        self.out.colour = self.err.colour = choice

    @property
    def idle(self) -> float:
        """Seconds since something was written."""
        return time.monotonic() - max(self.out.written, self.err.written)

    def silence(self) -> None:
        """Write nothing from now on."""
        self.out.silence()
        self.err.silence()

    def settle(self) -> None:
        """Hand everything written to the system.

        Raises:
            OSError: a stream does not take it.
        """
        self.out.settle()
        self.err.settle()


def document(value: object) -> str:
    """Return *value* as JSON text for people and programs, ending with a newline."""
    from finetune_fsm.codec import plain
    from finetune_fsm.sinks import ascii_json, json_text

    return ascii_json(json_text(plain(value))) + "\n"


def _has(encoding: str, sign: str) -> bool:
    try:
        sign.encode(encoding)
    except (UnicodeError, LookupError):
        return False
    return True


def _is_dumb() -> bool:
    return os.environ.get("TERM", "") in ("dumb", "unknown")
