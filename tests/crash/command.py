"""The real command in a forked child: everything is imported once, a command costs a fork.

The parent must have no threads when it forks; nothing here starts one.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from crash.disk import Disk, Plan, obey

PATIENCE = 60
"""Seconds after which a command is ended by the alarm: it hangs."""

_CRASHED = 99  # exit code of a child whose own set-up failed


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended.

    Attributes:
        code: Its exit code; -9 when it was killed.
        out: Standard output.
        err: Standard error.
    """

    code: int
    out: str
    err: str

    @property
    def killed(self) -> bool:
        return self.code == -signal.SIGKILL

    @property
    def document(self) -> dict[str, object]:
        return json.loads(self.out)


class Commands:
    """Runs ``agentmech`` in *folder*.

    Args:
        folder: Where it stands, and what is watched.
        aside: A folder for what it prints, and for its cache.
    """

    def __init__(self, folder: Path, aside: Path) -> None:
        self.folder = folder
        self._aside = aside

    def start(self, arguments: Sequence[object], plan: Plan = obey) -> int:
        """Start the command and return the number of its process."""
        pid = os.fork()
        if pid == 0:
            _child([str(argument) for argument in arguments], self.folder, self._aside, plan)
        return pid

    def run_anew(self, seed: int, *arguments: object) -> Ended:
        """Run the command in a new interpreter whose sets have another order, that of *seed*."""
        pid = os.fork()
        if pid == 0:
            signal.alarm(PATIENCE)
            given = [sys.executable, "-m", "finetune_fsm", *map(str, arguments)]
            seeded = {"PYTHONHASHSEED": str(seed), "PYTHONPATH": os.pathsep.join(sys.path)}
            try:
                _settle(self.folder, self._aside)
                os.execve(sys.executable, given, {**os.environ, **seeded})
            finally:
                os._exit(_CRASHED)
        return self.finish(pid)

    def learn(self, *arguments: object) -> Ended:
        """Run the command, and import here what it imported there: later children need not."""
        listed = self._aside / "modules"
        pid = os.fork()
        if pid == 0:
            given = [str(argument) for argument in arguments]
            _child(given, self.folder, self._aside, obey, modules=listed)
        done = self.finish(pid)
        for name in json.loads(listed.read_text("utf-8")):
            with suppress(Exception):
                importlib.import_module(name)
        return done

    def finish(self, pid: int) -> Ended:
        """Wait for the process *pid*."""
        _, status = os.waitpid(pid, 0)
        texts = [(self._aside / name).read_text("utf-8") for name in ("out", "err")]
        return Ended(os.waitstatus_to_exitcode(status), *texts)

    def run(self, *arguments: object, plan: Plan = obey) -> Ended:
        """Run the command to its end, whatever that is."""
        return self.finish(self.start(arguments, plan))


def _child(
    arguments: list[str],
    folder: Path,
    aside: Path,
    plan: Plan,
    *,
    modules: Path | None = None,
) -> None:
    code = _CRASHED
    try:
        signal.alarm(PATIENCE)
        _settle(folder, aside)
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        from finetune_fsm.cli.main import main

        with Disk(folder, plan).watched():
            code = main(arguments)
        if modules:
            modules.write_text(json.dumps(sorted(sys.modules)), "utf-8")
    except BaseException:  # noqa: BLE001  # shown by the parent
        traceback.print_exc()
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _settle(folder: Path, aside: Path) -> None:
    """Stand in *folder*, print into files in *aside*, and have a home there."""
    os.environ.update(HOME=str(aside), XDG_CACHE_HOME=str(aside / "cache"), LANG="C.UTF-8")
    for number, name in ((1, "out"), (2, "err")):
        with (aside / name).open("wb") as stream:
            os.dup2(stream.fileno(), number)
    os.chdir(folder)
