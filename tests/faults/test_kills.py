"""Rows 39 and 40: SIGKILL at points and at random; all of it is `make crash`, a slice is here."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from crash.breaks import BREAKS, Break, broken

TESTS = Path(__file__).resolve().parents[1]


def test_row_39_and_40_killed_runs_end_as_if_nothing_had_happened() -> None:
    # In processes of its own: they fork, which a process with threads must not do.
    done = subprocess.run(
        (
            sys.executable,
            "-m",
            "crash",
            "--every",
            "25",
            "--storm",
            "2",
            "--workers",
            "1",
            "--kills",
        ),
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(TESTS), *sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "\n0 violations, " in done.stdout
    kinds = {line.split("|")[1].strip() for line in done.stdout.splitlines() if "|" in line}
    assert {"journal write", "journal fsync", "storm", "all"} <= kinds


@pytest.mark.parametrize("one", BREAKS, ids=lambda one: one.name)
def test_the_breaks_that_the_sweep_has_to_notice_fit_the_code(one: Break, tmp_path: Path) -> None:
    ast.parse(broken(one, tmp_path).read_text("utf-8"))
