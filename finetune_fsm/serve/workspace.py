"""The workflows and runs of one folder, by names that cannot lead out of it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes

from finetune_fsm.runs import places
from finetune_fsm.runs.places import JOURNAL, SUFFIX, home_of, in_home

DEPTH = places.DEPTH
"""Folders down that are searched for workflows."""

LIMIT = 300
"""Workflows and runs that are listed at most."""

_ENDINGS = (".yaml", ".yml")
_TESTS = re.compile(r"\.(?:test|finetune-tests)\.ya?ml$")
_SNAPSHOT = re.compile(r"\.finetune-iter\d+[a-z]?\.ya?ml$")
_SKIPPED = ("node_modules", "site-packages", "__pycache__")
_HEAD = 1_000_000  # bytes of a file in which a workflow must show itself
_STATES = re.compile(rb"^states[ \t]*:", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Workspace:
    """A folder, links followed."""

    root: Path

    @classmethod
    def at(cls, folder: Path) -> Workspace:
        """Return that of *folder*."""
        return cls(folder.resolve())

    def key(self, path: Path) -> str:
        """Return the name of *path* in addresses, ASCII alone; `_found` reads it. Pure."""
        return quote(os.fsencode(path.relative_to(self.root)), safe="/")

    def shown(self, path: Path) -> str:
        """Return *path* as people read it: from this folder on, if it is in it. Pure."""
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)

    def workflows(self) -> list[Path]:
        """Return the workflow files here and below, by name; snapshots of runs are left out."""
        found: list[Path] = []
        for path in _files(self.root, DEPTH):
            if self.holds(path) and _looks_like_one(path):
                found.append(path)
                if len(found) == LIMIT:
                    break
        return sorted(found)

    def runs(self) -> list[Path]:
        """Return the folders of the runs here and below, the newest first."""
        return places.below(self.root)[::-1][:LIMIT]

    def runs_of(self, workflow: Path) -> list[Path]:
        """Return those of one workflow, the newest first."""
        return in_home(home_of(workflow))[::-1]

    def workflow(self, key: str) -> Path | None:
        """Return the workflow file that *key* names, or None."""
        path = self._found(key)
        if path is None or path.suffix not in _ENDINGS or not path.is_file():
            return None
        return path if _looks_like_one(path) else None

    def run(self, key: str) -> Path | None:
        """Return the folder of the run that *key* names, or None."""
        path = self._found(key)
        if path is None or not path.parent.name.endswith(SUFFIX):
            return None
        return path if self.holds(path / JOURNAL) and (path / JOURNAL).is_file() else None

    def holds(self, path: Path) -> bool:
        """Whether *path* is in this folder, links followed."""
        return Path(os.path.realpath(path)).is_relative_to(self.root)

    def _found(self, key: str) -> Path | None:
        name = os.fsdecode(unquote_to_bytes(key))
        if "\0" in name:
            return None
        path = Path(os.path.normpath(self.root / name))
        return path if path.is_relative_to(self.root) and self.holds(path) else None


def _files(folder: Path, depth: int) -> Iterator[Path]:
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda found: found.name):
            hidden = entry.name.startswith(".") or entry.name in _SKIPPED
            if entry.is_dir(follow_symlinks=False):
                if depth > 0 and not hidden and not entry.name.endswith(SUFFIX):
                    yield from _files(folder / entry.name, depth - 1)
            elif entry.name.endswith(_ENDINGS) and not hidden and entry.is_file():
                yield folder / entry.name


def _looks_like_one(path: Path) -> bool:
    if _TESTS.search(path.name) or _SNAPSHOT.search(path.name):
        return False
    with suppress(OSError), path.open("rb") as file:
        return _STATES.search(file.read(_HEAD)) is not None
    return False
