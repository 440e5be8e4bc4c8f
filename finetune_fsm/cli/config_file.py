"""Which file of settings holds: the nearest upwards, within the repository, and one's own.

A file that another user put in the way, as anybody may in a folder like ``/tmp``, does not count;
the one that ``AGENTMECH_CONFIG`` names does, whoever's it is.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from finetune_fsm.cli.config import PYPROJECT, PYPROJECT_TABLE, Config, parse
from finetune_fsm.errors import InvalidDocument
from finetune_fsm.sinks import one_line
from finetune_fsm.workflow.text import read_file

VARIABLE = "AGENTMECH_CONFIG"
"""Names the file of settings; the null device for none."""

NAMES = ("agentmech.toml", PYPROJECT)
"""In one folder the first of them that has settings holds."""

SIZE_LIMIT = 1_000_000
"""Bytes of a file of settings."""

_WORD = "agentmech"  # a pyproject.toml without it has no settings, broken or not


@dataclass(frozen=True, slots=True)
class Found:
    """What was found.

    Attributes:
        config: The settings; empty when there is no file.
        trusted: Whether a person named the file in the environment.
        notes: Files that were left out, and why, one line each.
    """

    config: Config
    trusted: bool = False
    notes: tuple[str, ...] = ()


def find(*starts: Path, environ: Mapping[str, str] | None = None) -> Found:
    """Return the settings of the file that `VARIABLE` names, else of the nearest.

    Args:
        starts: Folders from which to look upwards, the first that finds something decides.
        environ: The environment; that of the process without.
    """
    named = (os.environ if environ is None else environ).get(VARIABLE, "")
    if named == os.devnull:
        return Found(Config())
    if named:
        path = Path(named).expanduser()
        return Found(_read(path) or Config(str(path)), trusted=True)
    notes: list[str] = []
    for folder in dict.fromkeys(folder for start in starts for folder in upwards(start)):
        for path in (folder / name for name in NAMES):
            if (config := _own(path, notes)) is not None:
                return Found(config, notes=tuple(notes))
    return Found(Config(), notes=tuple(notes))


def upwards(start: Path) -> Iterator[Path]:
    """Yield *start* and the folders above it, up to a repository's root or the user's home."""
    try:
        folder = Path(os.path.realpath(start))
    except FileNotFoundError:  # the present folder was removed
        return
    home = os.path.realpath(Path("~").expanduser())
    for each in (folder, *folder.parents):
        yield each
        if str(each) == home or _is_there(each / ".git"):
            return


def _is_there(path: Path) -> bool:
    with suppress(OSError, ValueError):
        return path.exists()
    return False


def _own(path: Path, notes: list[str]) -> Config | None:
    try:
        owner = path.stat().st_uid
    except (OSError, ValueError):
        return None
    if not path.is_file():
        return None
    config = _read(path)
    if config is None:
        return None
    if hasattr(os, "geteuid") and owner not in (os.geteuid(), 0):
        name = one_line(str(path), limit=1000)
        notes.append(f"{name} is another user's and does not count; {VARIABLE}={name} makes it")
        return None
    return config


def _read(path: Path) -> Config | None:
    """Return what the file at *path* sets, or what is wrong; None when it is not about us."""
    file = _shown(path)
    try:
        text = read_file(path, file=file, limit=SIZE_LIMIT)
    except InvalidDocument as error:
        return None if path.name == PYPROJECT else Config(file, problems=error.problems)
    if path.name != PYPROJECT:
        return parse(text, file)
    return parse(text, file, within=PYPROJECT_TABLE) if _WORD in text else None


def _shown(path: Path) -> str:
    with suppress(ValueError, OSError):
        return str(path.relative_to(Path.cwd()))
    return str(path)
