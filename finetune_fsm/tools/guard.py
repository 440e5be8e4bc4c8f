"""The process between us and a tool server: it ends the server's whole group when we end.

Started as a script, never imported by the package::

    python -I -S guard.py FD PROGRAM ARGUMENTS...

The server has the guard's standard streams for itself and is the leader of a process group of its
own. The descriptor FD is a pipe that nobody writes to: it ends when our process does, however that
happened, or when we close it. Then the group is asked to end, and after `GRACE` seconds made to.
A server that only looked at its standard input could ignore that; and a wish to the kernel
(PR_SET_PDEATHSIG) reaches one process and not the ones that it has started, as npx does.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from contextlib import suppress

GRACE = 2.0
"""Seconds between asking a group to end and ending it."""

_LOOK = 0.02  # seconds between two looks while a group ends

NOT_STARTED = 127
"""The exit code when there is no such program, as of a shell."""


def main() -> None:
    """Run the server until it ends or the pipe does; exits with the server's code."""
    lifeline, command = int(sys.argv[1]), sys.argv[2:]
    wake, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # only the pipe decides
    child = os.fork()
    if child == 0:
        _become(command, lifeline)
    with suppress(OSError):  # it has done so itself, and begun
        os.setpgid(child, child)
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)  # they are the server's
    code = None
    while code is None:
        ready, _, _ = select.select([lifeline, wake], [], [])
        if lifeline in ready:
            code = _end(child)
        else:
            os.read(wake, 4096)
            code = _code_of(child)
    _signal(child, signal.SIGKILL)  # whoever is left of the group
    os._exit(code)


def _become(command: list[str], lifeline: int) -> None:
    try:
        os.setpgid(0, 0)
        os.close(lifeline)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        os.execvp(command[0], command)  # noqa: S606  # starting it is what this file is for
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode("utf-8", "replace"))
    finally:
        os._exit(NOT_STARTED)


def _end(child: int) -> int:
    """Ask the group to end, wait, make it end; return the code of its leader."""
    _signal(child, signal.SIGTERM)
    until = time.monotonic() + GRACE
    code = None
    while time.monotonic() < until:
        code = _code_of(child) if code is None else code
        if code is not None and not _signal(child, 0):
            return code
        time.sleep(_LOOK)
    _signal(child, signal.SIGKILL)
    if code is None:
        os.waitpid(child, 0)
        return 128 + signal.SIGKILL
    return code


def _code_of(child: int) -> int | None:
    """The exit code of *child*, 128 and more for a signal, or None while it runs."""
    done, status = os.waitpid(child, os.WNOHANG)
    if not done:
        return None
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _signal(group: int, number: int) -> bool:
    """Send the signal to *group*; whether there was anybody."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


if __name__ == "__main__":
    main()
