"""Where runs are: beside their workflow, each in a folder of its own, for its owner's eyes only."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from finetune_fsm.errors import StorageError, UsageError
from finetune_fsm.storage.files import sync_folder

SUFFIX = ".agentmech"
JOURNAL = "journal.jsonl"
LOCK = "lock"

DEPTH = 3
"""Folders down from where one stands that are searched for runs."""

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
            sync_folder(home.parent)
        with suppress(FileExistsError):
            handle = os.open(home / ".gitignore", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            os.write(handle, b"*\n")
            os.close(handle)
    except OSError as error:
        raise StorageError(f"cannot write {home}: {error.strerror or error}") from error
    return home


def make_run(home: Path, now: datetime) -> Path:
    """Return a new, empty folder in *home*, whose name begins with the time *now*.

    Raises:
        StorageError: it cannot be made.
    """
    while True:
        run = home / f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        try:
            os.mkdir(run, 0o700)  # noqa: PTH102  # as above
            sync_folder(home)
        except FileExistsError:
            continue
        except OSError as error:
            raise StorageError(f"cannot write {run}: {error.strerror or error}") from error
        return run


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
