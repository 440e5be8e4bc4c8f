"""Searching a text for a pattern, without ever hanging.

Python's `re` has no time limit and holds the interpreter's lock: 26 letters and ``(a+)+$`` took
11.6 s, during which nothing else ran. So patterns are searched in a process of their own, started
with the first one and kept: a bare interpreter that runs `pattern_worker` (20 ms to start, less
than 1 ms a question). A search that takes longer than `SECONDS` is no answer; the process is killed
and the next question starts another. Patterns that are plain text need none of it.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from finetune_fsm.errors import Problem
from finetune_fsm.llm.deadlines import POLL, Running
from finetune_fsm.scenarios.dialect import BadPattern, is_literal, translate

SECONDS = 1.0
"""How long one search may take."""

TEXT_LIMIT = 100_000
"""Characters of one searched text at most."""

_START_SECONDS = 30.0
"""How long the process may take to start, on a machine under load."""

_PROGRAM = Path(__file__).with_name("pattern_worker.py")


@dataclass(frozen=True, slots=True)
class Found:
    """The pattern is in the text; `text` is its first match, cut to 200 characters."""

    text: str


@dataclass(frozen=True, slots=True)
class NotFound:
    """The pattern is not in the text."""


@dataclass(frozen=True, slots=True)
class Unanswered:
    """It could not be found out, and `reason` says why."""

    reason: str


Answer = Found | NotFound | Unanswered


def pattern_problem(pattern: str) -> Problem | None:
    """Return what keeps *pattern* from being used, or None. Pure."""
    try:
        translate(pattern)
    except BadPattern as error:
        return Problem("bad_pattern", error.reason, error.hint)
    return None


def search(pattern: str, text: str, *, case_sensitive: bool = True) -> Answer:
    """Return whether JavaScript's *pattern* occurs in *text*; never takes much over `SECONDS`.

    Safe to call from several threads; they take turns.
    """
    if len(text) > TEXT_LIMIT:
        return Unanswered(f"the text has {len(text)} characters, {TEXT_LIMIT} can be searched")
    try:
        written = translate(pattern, ignore_case=not case_sensitive)
    except BadPattern as error:
        return Unanswered(error.reason)
    if case_sensitive and is_literal(pattern):
        return Found(pattern[:200]) if pattern in text else NotFound()
    return _the_searcher.ask(json.dumps([written, text, not case_sensitive]))


class _Expired(Exception):
    """The process was killed because its time was over."""


class _Died(Exception):
    """The process ended by itself, or never began."""


class _Process:
    """One running interpreter; any exception from it means that it is used up."""

    def __init__(self, program: Path) -> None:
        self._child = subprocess.Popen(
            # isolated, without site: nothing of the user's is imported
            [sys.executable, "-I", "-S", str(program), str(SECONDS * 2)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for us, not for it
        )
        try:
            with self._limited(_START_SECONDS, _Died):
                self._read()
        except BaseException:
            self.end()
            raise

    def ask(self, question: str) -> str:
        """Return the answer to *question*; raises `_Expired` or `_Died`."""
        with self._limited(SECONDS, _Expired):
            try:
                self._to.write(question.encode("ascii") + b"\n")
                self._to.flush()
            except OSError as error:
                raise _Died from error
            return self._read()

    def end(self) -> None:
        """Kill it and wait for its end; calling it twice is harmless."""
        self._child.kill()
        for pipe in (self._to, self._from):
            with suppress(OSError):
                pipe.close()
        self._child.wait()

    @property
    def _to(self) -> IO[bytes]:
        assert self._child.stdin  # noqa: S101  # it was asked for
        return self._child.stdin

    @property
    def _from(self) -> IO[bytes]:
        assert self._child.stdout  # noqa: S101  # it was asked for
        return self._child.stdout

    def _read(self) -> str:
        line = self._from.readline()
        if not line.endswith(b"\n"):
            raise _Died
        return line.decode("ascii")

    @contextmanager
    def _limited(self, seconds: float, late: type[Exception]) -> Iterator[None]:
        """Kill the process and raise *late* when the block takes longer than *seconds*."""
        done, expired = threading.Event(), threading.Event()

        def watch() -> None:
            ran = Running()
            while not done.wait(min(POLL, seconds)):
                if ran() >= seconds:
                    expired.set()
                    self._child.kill()
                    return

        # Reads and writes on pipes cannot time out on every system; the end of the process ends
        # them everywhere.
        threading.Thread(target=watch, daemon=True, name="pattern-watch").start()
        try:
            yield
        finally:
            done.set()
            if expired.is_set():
                raise late from None


class _Searcher:
    """The one process and its replacements; threads take turns."""

    def __init__(self, program: Path = _PROGRAM) -> None:
        self._program = program
        self.forget()

    def forget(self) -> None:
        """Begin anew without touching the process: after a fork it is the parent's."""
        self._lock = threading.Lock()
        self._process: _Process | None = None

    def ask(self, question: str) -> Answer:
        """Return the answer of a process that is there or is started."""
        with self._lock:
            for _ in range(2):  # one that died while idle deserves a successor
                try:
                    return self._ask(question)
                except _Expired:
                    return Unanswered(f"pattern took longer than {SECONDS:g} s")
                except _Died:
                    continue
                except OSError as error:
                    return Unanswered(f"no process to search in could be started: {error}")
        return Unanswered("the process that searches patterns died twice")

    def close(self) -> None:
        """End the process if there is one."""
        with self._lock:
            self._end()

    def _ask(self, question: str) -> Answer:
        try:
            self._process = self._process or _Process(self._program)
            line = self._process.ask(question)
        except BaseException:  # an interruption too: its answer would go to the next question
            self._end()
            raise
        data = json.loads(line)
        if isinstance(data, dict):
            return Unanswered(f"the pattern cannot be searched: {data['error']}")
        return Found(data[0]) if data else NotFound()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process:
            process.end()


_the_searcher = _Searcher()


def close() -> None:
    """End the process if there is one; the next search starts another."""
    _the_searcher.close()


atexit.register(close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_the_searcher.forget)
