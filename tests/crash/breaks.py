"""Break the product on purpose, and see whether the sweep notices.

    python -m crash.breaks [NAME …]

Each break is a few words of the product's text put in place of others, in a copy of the package;
the sweep then runs on the copy. Exit code 1 when a break goes unnoticed, or does not fit the text
any more. A missing fsync is not among them: it shows when the power fails, not when a process is
killed; `tests/faults/test_power.py` looks for that.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import finetune_fsm
from finetune_fsm import schemas

TESTS = Path(__file__).resolve().parents[1]

SWEEP = ("--every", "7", "--storm", "8", "--first")


@dataclass(frozen=True, slots=True)
class Break:
    """One thing done wrong.

    Attributes:
        name: What is wrong.
        file: In the package.
        swaps: Text that is there, and what stands in its place.
    """

    name: str
    file: str
    swaps: tuple[tuple[str, str], ...]


_LATE = """\
_late = []


def _flush():
    while _late:
        _late.pop(0)()


class Keeper:"""

_CALL = "        self._append(CALL, call)\n"
_STEP = "        self._append(STEP, entry_data(entry, run))\n"
_CLOSE = "        with self._lock:\n            self._journal.close()\n"
_QUESTION = 'messages=(Message("user", text),)'
_WRITE = "        rest = rest[os.write(handle, rest) :]\n"

BREAKS = (
    Break(
        "replies are journaled when the state is done with them",
        "runs/keeper.py",
        (
            ("class Keeper:", _LATE),
            (_CALL, "        _late.append(lambda: self._append(CALL, call))\n"),
            (_STEP, f"        _flush()\n{_STEP}"),
        ),
    ),
    Break(
        "steps are journaled after the loop has moved on",
        "runs/keeper.py",
        (
            ("class Keeper:", _LATE),
            (_CALL, f"{_CALL}        _flush()\n"),
            (_STEP, f"        _flush()\n        _late.append(lambda: {_STEP.strip()})\n"),
            (_CLOSE, f"        _flush()\n{_CLOSE}"),
        ),
    ),
    Break(
        "a torn tail is not cut off",
        "storage/journal.py",
        (
            ("            if reading.torn:\n", "            if False:\n"),
            ("self._size, os.SEEK_SET", "0, os.SEEK_END"),
        ),
    ),
    Break(
        "the time is in a prompt",
        "improve/reflection.py",
        ((_QUESTION, 'messages=(Message("user", f"{text} {__import__(\'time\').time()}"),)'),),
    ),
    Break(
        "the order of a set is in a prompt",
        "improve/reflection.py",
        ((_QUESTION, 'messages=(Message("user", text + "".join({"a", "b", "c", "d", "e"})),)'),),
    ),
    Break(
        "files are written in place",
        "storage/files.py",
        (
            ("os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666", "os.O_WRONLY | os.O_CREAT, 0o666"),
            (
                "_write_and_rename(target.with_name(name), target,",
                "_write_and_rename(target, target,",
            ),
        ),
    ),
    Break(
        "temporary files of the dead stay",
        "storage/files.py",
        (("        _sweep(target)\n", ""),),
    ),
    Break(
        "what a killed state spent is forgotten",
        "llm/memo.py",
        (("                self._meter.use_again(call.usage)\n", ""),),
    ),
    Break(
        "answers of earlier sessions are not given back",
        "api/sessions.py",
        (("known=calls, ", ""),),
    ),
    Break(
        "nobody holds the lock",
        "storage/lock.py",
        (("            taken = _locked(handle)\n", "            taken = True\n"),),
    ),
    Break(
        "the newest run is told by chance",
        "runs/places.py",
        (("    if last[: len(stamp)] >= stamp:\n", "    if False:\n"),),
    ),
    Break(
        "a full disk is not noticed",
        "storage/files.py",
        ((_WRITE, f"        try:\n    {_WRITE}        except OSError:\n            return\n"),),
    ),
)


def broken(one: Break, folder: Path) -> Path:
    """Copy the package into *folder*, break the copy, and return the file that is broken.

    Raises:
        LookupError: the text is not what it was when the break was thought of.
    """
    package = folder / "finetune_fsm"
    for module, copy in ((finetune_fsm, package), (schemas, package / "schemas")):
        shutil.copytree(Path(str(module.__file__)).parent, copy, dirs_exist_ok=True)
    file = package / one.file
    text = file.read_text("utf-8")
    for old, new in one.swaps:
        if text.count(old) != 1:
            raise LookupError(f"'{one.name}' does not fit {one.file} any more: {old!r}")
        text = text.replace(old, new)
    file.write_text(text, "utf-8")
    return file


def noticed(one: Break) -> tuple[bool, str]:
    """Whether the sweep notices *one*, and what it says."""
    with tempfile.TemporaryDirectory(prefix="break-") as folder:
        broken(one, Path(folder))
        path = os.pathsep.join((folder, str(TESTS)))
        done = subprocess.run(
            (sys.executable, "-m", "crash", *SWEEP),
            env={**os.environ, "PYTHONPATH": path},
            cwd=folder,  # what lies where one stands comes first of all
            capture_output=True,
            text=True,
            check=False,
        )
    seen = done.returncode == 1 and "the harness:" not in done.stderr
    return seen, done.stderr.strip()[-400:]


def main() -> int:
    """Try all breaks, or those that are named; 1 when one goes unnoticed."""
    wanted = sys.argv[1:]
    missed = 0
    for one in BREAKS:
        if wanted and not any(word in one.name for word in wanted):
            continue
        began = time.monotonic()
        seen, said = noticed(one)
        missed += not seen
        sys.stdout.write(
            f"{'noticed' if seen else 'MISSED '}  {time.monotonic() - began:4.0f} s  {one.name}\n"
            f"    {' '.join(said.split())[-300:]}\n"
        )
        sys.stdout.flush()
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
