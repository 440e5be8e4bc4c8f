"""Command lines run as a person runs them, each in a process of its own, and what they cost.

Starting an interpreter takes longer than what is measured here, so one process imports everything
once and forks a child for each command line. The child gets real streams, its own session and
bounds on time and memory, and ends as every program does: through the interpreter's own exit. What
the imports cost is added to each child's CPU seconds, so that a person would not wait longer.

As a program, this file is that process: requests come in as lines of JSON, results go out as such.
"""

from __future__ import annotations

import base64
import gc
import importlib
import json
import os
import re
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

WALL = 30.0
"""Seconds after which a child counts as hung; the machine may be busy."""

CPU = 10
"""CPU seconds after which the system ends a child."""

MEMORY = 4 << 30
"""Bytes of address space of a child at most, so that a bomb ends the child and not the machine."""

SHOWN = 20_000_000
"""Bytes kept of each stream."""

MODULES = (
    "api cli.answers cli.files cli.finetune cli.graph cli.main cli.models cli.problems cli.run "
    "cli.test cli.validate llm.scripted llm.select loop.machine observers.narrator "
    "reports.formats scenarios.evaluate scenarios.load workflow.load"
)


@dataclass(frozen=True, slots=True)
class Command:
    """One command line.

    Attributes:
        arguments: After the program's name; may hold lone surrogates, as bytes that are no text.
        folder: Where it is run.
        stdin: What standard input holds.
        environment: Variables beside those of this process.
        closed: Numbers of standard streams that are not there.
        stdout: A file for standard output instead of keeping it.
    """

    arguments: Sequence[str]
    folder: str
    stdin: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    closed: Sequence[int] = ()
    stdout: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command line ended.

    Attributes:
        code: The exit code; negative for the signal that ended it.
        out: Standard output.
        err: Standard error.
        seconds: CPU seconds of the child and its children, and of the imports.
        memory: Peak of resident memory in MB, of the largest process, and what the imports mapped.
        hung: Whether it was ended because it took too long.
    """

    code: int
    out: str
    err: str
    seconds: float
    memory: float
    hung: bool = False

    @property
    def said(self) -> str:
        """Both streams."""
        return self.out + self.err


class Prober:
    """The process that forks, and the way to talk to it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).resolve())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="ascii",
        )

    def run(self, command: Command) -> Outcome:
        """Return how *command* ends."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(asdict(command)) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process that forks has ended: {self._process.wait()}")
        answer = json.loads(line)
        for name in ("out", "err"):
            answer[name] = base64.b64decode(answer[name]).decode("utf-8", "surrogateescape")
        return Outcome(**answer)

    def fastest(self, command: Command, *, seconds: float) -> Outcome:
        """Return how *command* ends, run up to three times until it takes no more than *seconds*.

        CPU seconds too grow on a busy machine; the fewest of them are the command's own.
        """
        done = self.run(command)
        for _ in range(2):
            if done.seconds > seconds and not done.hung:
                done = min(done, self.run(command), key=lambda outcome: outcome.seconds)
        return done

    def close(self) -> None:
        """End the process and wait for it."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def serve() -> int | None:
    """Answer requests until there are none; in a child, return its exit code."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    spent, mapped = _warmed()
    for line in requests:
        command = Command(**json.loads(line))
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            alive, told = os.pipe()
            child = os.fork()
            if child == 0:
                os.close(alive)  # `told` stays open until the very end
                _become(command, out.fileno(), err.fileno())
                return _main(command.arguments)
            os.close(told)
            result = _awaited(child, alive)
            result["seconds"] += spent
            result["memory"] += mapped
            for name, stream in (("out", out), ("err", err)):
                stream.seek(0)
                result[name] = base64.b64encode(stream.read(SHOWN)).decode("ascii")
        answers.write(json.dumps(result).encode("ascii") + b"\n")
        answers.flush()
    return None


def _warmed() -> tuple[float, float]:
    """Import what the commands import.

    Returns:
        CPU seconds so far, and MB of files in memory: the system counts those for this process
        only, though its children use them.
    """
    for name in MODULES.split():
        importlib.import_module(f"finetune_fsm.{name}")
    schema = importlib.import_module("finetune_fsm.schema")
    for name in ("workflow", "suite"):
        schema.problems_in({}, name)
    gc.collect()
    gc.freeze()  # children shall not write to these pages
    status = Path("/proc/self/status")
    found = re.search(r"RssFile:\s+(\d+)", status.read_text()) if status.exists() else None
    return time.process_time(), int(found[1]) / 1024 if found else 0.0


def _become(command: Command, out: int, err: int) -> None:
    """Turn this fork into the process that a shell would have started."""
    os.setsid()
    resource.setrlimit(resource.RLIMIT_CPU, (CPU, CPU + 1))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    os.environ.update(command.environment)
    os.chdir(command.folder)
    with tempfile.TemporaryFile() as given:
        given.write(command.stdin.encode("utf-8", "surrogateescape"))
        given.seek(0)
        os.dup2(given.fileno(), 0)
    if command.stdout:
        out = os.open(command.stdout, os.O_WRONLY | os.O_CREAT, 0o600)
    os.dup2(out, 1)
    os.dup2(err, 2)
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        there = number not in command.closed
        if not there:
            os.close(number)
        stream = open(number, mode, encoding="utf-8") if there else None  # noqa: PTH123, SIM115
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _main(arguments: Sequence[str]) -> int:
    from finetune_fsm.cli.main import main

    return main(arguments)


def _awaited(child: int, alive: int) -> dict[str, Any]:
    """Wait for *child*, whose end closes *alive*; end it when it hangs."""
    hung = not select.select((alive,), (), (), WALL)[0]
    os.close(alive)
    if hung:
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
    _, status, used = os.wait4(child, 0)
    return {
        "code": os.waitstatus_to_exitcode(status),
        "seconds": used.ru_utime + used.ru_stime,
        "memory": used.ru_maxrss / 1024,
        "hung": hung,
    }


if __name__ == "__main__":
    sys.exit(serve())
