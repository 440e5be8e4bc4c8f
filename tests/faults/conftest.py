"""Set-up of the fault tests: the command line in this process, the workflow with two flaws."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli.conftest import agentmech  # noqa: F401  # the fixture is for these tests too
from faults.scene import TESTS, WORKFLOW, Calm, calm_run


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    """The folder of the workflow and its tests, where the command line stands."""
    (tmp_path / "pair.yaml").write_text(WORKFLOW)
    (tmp_path / "pair.test.yaml").write_text(TESTS)
    return tmp_path


@pytest.fixture(scope="session")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Calm:
    """What comes of a run in which nothing goes wrong."""
    return calm_run(tmp_path_factory.mktemp("calm"))


@pytest.fixture(scope="session")
def in_memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder that no disk slows down, where there is one: for tests of very many runs."""
    shared = Path("/dev/shm")
    if not os.access(shared, os.W_OK):
        yield tmp_path_factory.mktemp("runs")
        return
    with tempfile.TemporaryDirectory(dir=shared) as folder:
        yield Path(folder)
