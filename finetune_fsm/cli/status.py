"""The line that says what is waited for: kept fresh at a terminal, told now and then elsewhere.

A thread of its own looks at the board; nobody who works waits for it, and nothing is shown unless
a model or a rollout is under way, so it never stands in a person's question.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress

from finetune_fsm.cli.console import Console, Screen
from finetune_fsm.cli.signals import Job
from finetune_fsm.llm.base import Stop
from finetune_fsm.llm.watch import Watch
from finetune_fsm.observers.lines import Line, Tone
from finetune_fsm.observers.progress import Standing, heartbeat, status

EVERY = 0.25
"""Seconds between two looks."""

STEADY = 0.3
"""Seconds after the last thing written before the line comes back; so it does not flicker."""

HEARTBEAT = 30.0
"""Seconds without a line, after which one is written where nothing can move."""

_ENDING = 0.1  # seconds that the thread gets to end


class StatusLine:
    """Shows it from now on; closed, it is gone.

    Args:
        console: Where.
        watch: What is under way.
        standing: Where the loop stands, or what else is done.
        stop: Whose being asked for is told, too.
        every: Seconds between two looks.
        heartbeat: Seconds without a line, where nothing can move.
    """

    def __init__(
        self,
        console: Console,
        watch: Watch,
        standing: Standing,
        *,
        stop: Stop,
        every: float = EVERY,
        heartbeat: float = HEARTBEAT,
    ) -> None:
        self._console = console
        self._watch = watch
        self._standing = standing
        self._stop = stop
        self._every = every
        self._heartbeat = heartbeat
        self._began = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="status", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take it away; twice is harmless."""
        self._ended.set()
        self._thread.join(_ENDING)

    def _run(self) -> None:
        # Nobody reads it any more, or the terminal is gone: that is no failure of the work.
        with suppress(OSError, ValueError):
            while not self._ended.wait(self._every):
                self._look()
            screen = self._screen()
            if screen:
                screen.moving(lambda _: "")

    def _screen(self) -> Screen | None:
        """Where something can move; standard error is rather free for it."""
        screens = (self._console.err, self._console.out)
        return next((screen for screen in screens if screen.interactive), None)

    def _look(self) -> None:
        seen, standing = self._watch.look(), self._standing
        standing.stopping = self._stop.asked
        busy = bool(seen.calls or seen.batch)
        screen = self._screen()
        if screen is None:
            if busy and self._console.idle >= self._heartbeat:
                line = Line(f"… {heartbeat(standing, seen)}", Tone.FAINT)
                self._console.err.line(line)
            return
        if busy and self._console.idle < STEADY:
            return
        seconds = time.monotonic() - self._began
        screen.moving(
            lambda width: status(standing, seen, seconds=seconds, width=width) if busy else ""
        )


def watched(console: Console, job: Job, standing: Standing) -> Watch | None:
    """Return the board for what *job* does, shown on *console* until its end; none when quiet."""
    if console.quiet:
        return None
    watch = Watch()
    job.hold(StatusLine(console, watch, standing, stop=job.stop))
    return watch
