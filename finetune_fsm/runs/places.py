"""Where runs are: beside their workflow, each in a folder of its own, for its owner's eyes only."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from finetune_fsm.errors import StorageError, UsageError
from finetune_fsm.storage.files import make_folders, sync_folder, write_text

SUFFIX = ".agentmech"
FINETUNED = ".finetuned"
JOURNAL = "journal.jsonl"
LOCK = "lock"

DEPTH = 3
"""Folders down from where one stands that are searched for runs."""

_NAME = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}")  # that of a run, whatever follows

_BESIDE = ("node_modules", "site-packages", "__pycache__")


def home_of(workflow: Path) -> Path:
    """Return the folder of all runs of *workflow*. Pure."""
    return workflow.with_name(f"{workflow.stem}{SUFFIX}")


def make_home(workflow: Path) -> Path:
    """Return the folder of all runs of *workflow*, made if need be; git does not see it.

    Raises:
        StorageError: it cannot be made.
    """
    home = home_of(workflow)
    try:
        with suppress(FileExistsError):
            os.mkdir(home, 0o700)  # noqa: PTH102  # `os` alone, see storage
            _refuse_umask(home)
        sync_folder(home.parent)  # whoever made it may have been killed before this
        marked = (home / ".gitignore").exists()
    except OSError as error:
        raise StorageError(f"cannot write {home}: {error.strerror or error}") from error
    if not marked:
        write_text(home / ".gitignore", "*\n")
    return home


def _refuse_umask(made: Path) -> None:
    """Raise StorageError when the folder just *made* is closed to ourselves, and remove it."""
    if not os.access(made, os.R_OK | os.W_OK | os.X_OK):
        os.rmdir(made)  # noqa: PTH106  # `os` alone, see storage
        raise StorageError(
            f"cannot write into {made}, just made: the umask of this process takes our own "
            "rights away — 'umask 077' keeps them"
        )


def make_writers_home(output: Path) -> Path:
    """Return the folder of all runs that write *output* if nothing else was asked for.

    Of ``X.finetuned.yaml`` it is that of ``X.yaml``, of other files their own. Links are followed,
    as they are when the output is written.

    Raises:
        StorageError: it cannot be made.
    """
    target = Path(os.path.realpath(output))
    try:
        make_folders(target.parent)
    except OSError as error:
        raise StorageError(f"cannot write {output}: {error.strerror or error}") from error
    return make_home(target.with_name(f"{target.stem.removesuffix(FINETUNED)}{target.suffix}"))


def make_run(home: Path, now: datetime) -> Path:
    """Return a new, empty folder in *home*, whose name begins with the time *now*.

    It comes last of all names in *home*, also when two runs begin in the same second or the clock
    was put back: which run is the newest is told by the names.

    Raises:
        StorageError: it cannot be made.
    """
    try:
        while True:
            run = home / _next_name((path.name for path in home.iterdir()), now)
            with suppress(FileExistsError):
                os.mkdir(run, 0o700)  # noqa: PTH102  # as above
                sync_folder(home)
                return run
    except OSError as error:
        raise StorageError(f"cannot write {home}: {error.strerror or error}") from error


def _next_name(names: Iterable[str], now: datetime) -> str:
    stamp, number = f"{now:%Y%m%d-%H%M%S}", secrets.randbelow(0x1000)
    last = max(filter(_NAME.match, names), default="")
    if last[: len(stamp)] >= stamp:
        stamp, number = last[: len(stamp)], int(last[len(stamp) + 1 :][:4], 16) + 1
    return f"{stamp}-{number:04x}"


def find(where: str | os.PathLike[str] | None = None) -> Path:
    """Return the folder of one run.

    Args:
        where: The folder, that of all runs of a workflow, or the workflow: the newest run is
            taken; or a run's name. The newest at or below the present folder when None.

    Raises:
        UsageError: there is none.
    """
    if where is None:
        found = below(Path())
        return _newest(found, "there is no run here or below: name one, or its workflow")
    path = Path(where)
    if (path / JOURNAL).exists():
        return path
    if path.name.endswith(SUFFIX) and path.is_dir():
        return _newest(in_home(path), f"there is no run in {path}")
    if path.is_file():
        return _newest(in_home(home_of(path)), f"{path} has no run yet")
    if path.name == str(where):
        named = [run for run in below(Path()) if run.name == path.name]
        return _newest(named, f"there is no run called '{where}' here or below")
    raise UsageError(f"there is no run at {path}: name its folder, its workflow, or nothing")


def in_home(home: Path) -> list[Path]:
    """Return the runs in *home*, oldest first."""
    with suppress(OSError):
        return sorted(path for path in home.iterdir() if (path / JOURNAL).exists())
    return []


def below(folder: Path) -> list[Path]:
    """Return the runs at or below *folder*, at most `DEPTH` down, oldest first."""
    runs = [run for home in _homes(folder, DEPTH) for run in in_home(home)]
    return sorted(runs, key=lambda run: (run.name, str(run)))


def _homes(folder: Path, depth: int) -> Iterator[Path]:
    with suppress(OSError), os.scandir(folder) as entries:
        folders = sorted(e.name for e in entries if e.is_dir(follow_symlinks=False))
        for name in folders:
            if name.endswith(SUFFIX):
                yield folder / name
            elif depth > 0 and not name.startswith(".") and name not in _BESIDE:
                yield from _homes(folder / name, depth - 1)


def _newest(runs: list[Path], otherwise: str) -> Path:
    if not runs:
        raise UsageError(otherwise)
    return max(runs, key=lambda run: run.name)
