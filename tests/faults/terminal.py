"""A command in a terminal of its own: what is typed there reaches all of it, as a person's keys do.

The command leads a session whose controlling terminal is a pseudo-terminal. Ctrl+C is the byte
that a keyboard sends; the terminal makes the signal of it, for the whole foreground group.
"""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

CTRL_C = b"\x03"

PATIENCE = 40.0
"""Seconds after which a test gives up; never how long something takes."""

AGENTMECH = (sys.executable, "-m", "finetune_fsm")

_TAKE = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


class Terminal:
    """What a person at the screen sees and can do; made by `terminal`.

    Attributes:
        process: The command.
    """

    def __init__(self, process: subprocess.Popen[bytes], master: int) -> None:
        self.process = process
        self._master = master
        self._shown = b""
        self._arrivals: list[tuple[int, float]] = []  # length of all so far, and when
        self._news = threading.Condition()
        self._ended = False
        self._woken, self._wake = os.pipe()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def text(self) -> str:
        """All that was ever shown."""
        with self._news:
            return self._shown.decode("utf-8", "replace").replace("\r\n", "\n")

    def type(self, keys: bytes) -> float:
        """Press *keys* and return when."""
        at = time.monotonic()
        os.write(self._master, keys)
        return at

    def wait_for(self, text: str, *, after: int = 0, seconds: float = PATIENCE) -> float:
        """Return when *text* had come, looked for behind the first *after* bytes."""
        wanted = text.encode()
        end = time.monotonic() + seconds
        with self._news:
            while (found := self._shown.find(wanted, after)) < 0:
                left = end - time.monotonic()
                if left <= 0 or self._ended:
                    shown = self._shown.decode("utf-8", "replace")
                    raise AssertionError(f"{text!r} never came; shown was:\n{shown}")
                self._news.wait(left)
            last = found + len(wanted)
            return next(at for length, at in self._arrivals if length >= last)

    @property
    def size(self) -> int:
        """How many bytes were shown so far."""
        with self._news:
            return len(self._shown)

    def wait(self) -> tuple[int, float]:
        """Return the exit code, and when the process had ended."""
        code = self.process.wait(PATIENCE)
        at = time.monotonic()
        self._reader.join(2.0)
        return code, at

    def hang_up(self) -> None:
        """Close the window: the terminal is gone, and the session's leader is told by SIGHUP."""
        if self._wake < 0:
            return
        os.close(self._wake)
        self._reader.join()  # while it reads, the system keeps the terminal open
        os.close(self._woken)
        os.close(self._master)
        self._wake = -1

    def _read(self) -> None:
        while True:
            ready, _, _ = select.select((self._master, self._woken), (), ())
            try:
                data = b"" if self._woken in ready else os.read(self._master, 65_536)
            except OSError:  # on Linux the end is an error
                data = b""
            with self._news:
                self._shown += data
                self._arrivals.append((len(self._shown), time.monotonic()))
                self._ended = not data
                self._news.notify_all()
            if not data:
                return


@contextmanager
def terminal(
    *command: str, folder: Path, environment: Mapping[str, str] | None = None
) -> Iterator[Terminal]:
    """Run *command* in *folder* in a new terminal; whatever is left of it is killed at the end."""
    master, slave = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-S", "-E", "-c", _TAKE, *command],
        cwd=folder,
        env=environment_for_people() | dict(environment or {}),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    ) as process:
        os.close(slave)
        screen = Terminal(process, master)
        try:
            yield screen
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            screen.hang_up()


def environment_for_people() -> dict[str, str]:
    """An environment in which a person seems to watch, whoever runs the tests."""
    hidden = ("CI", "GITHUB_ACTIONS", "NO_COLOR", "FORCE_COLOR", "OLLAMA_HOST")
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    return kept | {"TERM": "xterm", "PYTHONIOENCODING": "utf-8"}


def processes_of_session(leader: int) -> list[int]:
    """The living processes in the session of *leader*, zombies left out."""
    return [pid for pid, _, session in _processes() if session == leader]


def descendants(of: int) -> set[int]:
    """The living children of *of*, and theirs; in whatever session."""
    parents = {pid: parent for pid, parent, _ in _processes()}
    found = {of}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {of}


def alive(pid: int) -> bool:
    """Whether *pid* runs; a zombie does not."""
    return any(pid == other for other, _, _ in _processes())


def gone_within(pids: Sequence[int] | set[int], seconds: float) -> set[int]:
    """Wait until none of *pids* is alive, or *seconds* are over; return those that still are."""
    end = time.monotonic() + seconds
    while (left := {pid for pid in pids if alive(pid)}) and time.monotonic() < end:
        time.sleep(0.02)
    return left


def _processes() -> Iterator[tuple[int, int, int]]:
    """Number, parent and session of every living process, from /proc."""
    for entry in os.scandir("/proc"):
        if not entry.name.isdecimal():
            continue
        with suppress(OSError):
            stat = Path(entry.path, "stat").read_text("ascii", "replace")
            fields = stat.rpartition(")")[2].split()
            if fields[0] not in "ZX":
                yield int(entry.name), int(fields[1]), int(fields[3])
