"""Where runs are, and which of them is the newest."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune_fsm.errors import StorageError, UsageError
from finetune_fsm.runs.places import JOURNAL, find, make_home, make_run

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@settings(max_examples=20)
@given(st.lists(st.integers(-100_000, 100_000), min_size=1, max_size=8))
def test_a_new_run_comes_last_whatever_the_clock_does(
    tmp_path_factory: pytest.TempPathFactory, jumps: list[int]
) -> None:
    home = make_home(tmp_path_factory.mktemp("d") / "x.yaml")
    made = [make_run(home, NOON + timedelta(seconds=jump)) for jump in jumps for _ in range(2)]
    assert sorted(made) == made
    for run in made:
        (run / JOURNAL).touch()
    assert find(home) == made[-1]


def test_a_copy_that_was_repaired_and_files_of_others_do_not_confuse_the_names(
    tmp_path: Path,
) -> None:
    first = make_run(tmp_path, NOON)
    first.with_name(f"{first.name}-repaired1").mkdir()
    (tmp_path / "99999999-notes").mkdir()
    second = make_run(tmp_path, NOON)
    assert second.name.startswith("20260301-120000-")
    assert second.name > f"{first.name}-repaired1"


def test_git_does_not_see_the_runs_even_if_the_first_one_was_killed_at_once(tmp_path: Path) -> None:
    workflow = tmp_path / "x.yaml"
    (tmp_path / "x.agentmech").mkdir()
    home = make_home(workflow)
    assert [path.name for path in home.iterdir()] == [".gitignore"]
    assert (home / ".gitignore").read_text() == "*\n"
    (home / ".gitignore").write_text("mine\n")
    make_home(workflow)
    assert (home / ".gitignore").read_text() == "mine\n"


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.agentmech").write_text("a file in the way")
    with pytest.raises(StorageError, match=r"x\.agentmech"):
        make_run(make_home(tmp_path / "x.yaml"), NOON)


def test_no_run_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").touch()
    with pytest.raises(UsageError, match="has no run yet"):
        find(tmp_path / "x.yaml")
    with pytest.raises(UsageError, match="there is no run at"):
        find(tmp_path / "elsewhere" / "run")
