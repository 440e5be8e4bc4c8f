"""Which scenarios of a test file are run: all, those of a name, those that failed the last time.

What failed is kept in the user's cache, a small file for each test file, so that testing leaves
nothing beside anybody's workflow.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import click

from finetune_fsm.cli import options
from finetune_fsm.errors import ExitCode, FinetuneError, StorageError
from finetune_fsm.sinks import one_line

if TYPE_CHECKING:
    from finetune_fsm.scenarios.model import Suite, SuiteReport

FORMAT = 1  # 1: file, failed


class NoScenario(FinetuneError):
    """Nothing is left to run."""

    exit_code = ExitCode.NO_SCENARIO


@dataclass(frozen=True, slots=True)
class Choice:
    """What was asked for.

    Attributes:
        expression: Words that names hold, joined by and, or, not; empty for all.
        failed: Whether only those that did not pass when they were last run.
        first: How many at most, or None.
    """

    expression: str = ""
    failed: bool = False
    first: int | None = None


CHOICE = options.together(
    options.value(
        "-k",
        "expression",
        metavar="<words>",
        default="",
        help="Only scenarios whose names hold these words; and, or, not and () join them",
    ),
    click.option(
        "--failed", is_flag=True, help="Only scenarios that did not pass when they were last run"
    ),
    options.value(
        "--first",
        type=click.IntRange(min=1),
        metavar="<number>",
        help="Only so many of the scenarios, the first",
    ),
)
"""Of commands that run scenarios."""


def chosen(suite: Suite, path: Path, choice: Choice) -> Suite:
    """Return what of *suite*, the test file at *path*, is to be run.

    A file that was never run has no failures to choose; then all of it is.

    Raises:
        UsageError: the expression cannot be read.
        NoScenario: nothing is left.
    """
    from finetune_fsm.scenarios.selection import named_like

    kept = suite.scenarios
    if choice.expression:
        fits = named_like(choice.expression)
        kept = tuple(scenario for scenario in kept if fits(scenario.name))
        if not kept:
            shown = one_line(choice.expression)
            raise NoScenario(f"no scenario of {one_line(str(path))} has a name like '{shown}'")
    if choice.failed and (failed := failed_before(path)) is not None:
        kept = tuple(scenario for scenario in kept if scenario.name in failed)
        if not kept:
            raise NoScenario("no scenario failed when it was last run — leave --failed out")
    return replace(suite, scenarios=kept[: choice.first])


def failed_before(path: Path) -> frozenset[str] | None:
    """Return the names of what did not pass, or None when the file at *path* was never run."""
    try:
        data = json.loads(_record(path).read_bytes())
        names = data["failed"] if data["format"] == FORMAT else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    if not isinstance(names, list):
        return None
    return frozenset(name for name in names if isinstance(name, str))


def remember(path: Path, whole: Collection[str], report: SuiteReport) -> None:
    """Keep what of *report* did not pass; what was not run stays as it was.

    Args:
        path: The test file.
        whole: Names of all its scenarios; others are forgotten.
        report: Of those that were run.
    """
    from finetune_fsm.storage.files import write_text

    ran = {result.scenario.name: result.passed for result in report.results}
    before = failed_before(path) or frozenset()
    failed = [name for name in whole if not ran.get(name, name not in before)]
    data = {"format": FORMAT, "file": os.path.realpath(path), "failed": failed}
    # A disk that does not take it is no reason to call a test failed.
    with suppress(StorageError, OSError):
        record = _record(path)
        record.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_text(record, json.dumps(data) + "\n")


def _record(path: Path) -> Path:
    from platformdirs import user_cache_path

    name = sha256(os.path.realpath(path).encode("utf-8", "surrogateescape")).hexdigest()
    return user_cache_path("finetune-fsm") / "tests" / f"{name}.json"
