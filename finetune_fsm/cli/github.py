"""What GitHub's runner tells a step, and takes from it, by files and variables."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from finetune_fsm.errors import InvalidDocument
from finetune_fsm.scenarios.assertions import trimmed

WORKSPACE = "GITHUB_WORKSPACE"
SUMMARY = "GITHUB_STEP_SUMMARY"


@dataclass(frozen=True, slots=True)
class Places:
    """Where the scenarios of a test file stand.

    Attributes:
        file: Relative to the repository's root where that is known.
        lines: Of each scenario, in file order, from 1 on.
        names: Of each scenario, in file order.
    """

    file: str
    lines: tuple[int, ...] = ()
    names: tuple[str, ...] = ()

    def lines_of(self, names: Iterable[str]) -> tuple[int, ...]:
        """Return the line of each of the scenarios called *names*; 0 where it is unknown."""
        known = dict(zip(self.names, self.lines, strict=True))
        return tuple(known.get(name, 0) for name in names)


def places_in(path: Path, environ: Mapping[str, str]) -> Places:
    """Return where the scenarios of the test file at *path* stand; without lines if it is gone."""
    from finetune_fsm.workflow.text import TESTS, parse, read_file

    file = _in_repository(path, environ.get(WORKSPACE, ""))
    try:
        parsed = parse(read_file(path, limit=TESTS.size), limits=TESTS)
    except InvalidDocument:
        return Places(file)
    lines: list[int] = []
    while place := parsed.places.get(("test_scenarios", len(lines))):
        lines.append(place.key[0])
    document = parsed.document
    listed = document.get("test_scenarios") if isinstance(document, Mapping) else None
    items = [item if isinstance(item, Mapping) else {} for item in listed or ()]
    names = [trimmed(str(item.get("name", ""))) for item in items[: len(lines)]]
    return Places(file, tuple(lines), tuple(names))


def _in_repository(path: Path, root: str) -> str:
    """*path* as an annotation names it: the step may run in a folder of the repository."""
    if root:
        here, there = Path(os.path.realpath(path)), Path(os.path.realpath(root))
        if here.is_relative_to(there):
            return here.relative_to(there).as_posix()
    return path.as_posix()


def append_summary(text: str, environ: Mapping[str, str]) -> None:
    """Append *text* to the step's summary, if there is one.

    Raises:
        OSError: it cannot be written.
    """
    name = environ.get(SUMMARY)
    if name:
        with Path(name).open("a", encoding="utf-8") as stream:
            stream.write(text)
