from __future__ import annotations

import json
import os
import stat
import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_fsm.codec import restore
from finetune_fsm.errors import StorageError
from finetune_fsm.execution.rollout import Rollout, RunError, RunStatus, Visit
from finetune_fsm.execution.rundir import (
    append_visit,
    create_run_directory,
    read_metadata,
    runs_folder,
    temporary_run_directory,
    write_metadata,
)

NOON = datetime(2026, 1, 2, 12, 0, 5, tzinfo=UTC)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_two_runs_never_share_a_directory(tmp_path: Path) -> None:
    made: list[Path] = []
    gate = threading.Barrier(8)

    def start() -> None:
        gate.wait(10)
        made.extend(create_run_directory("Same", now=NOON, runs=tmp_path) for _ in range(10))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(made) == 80
    assert len(set(made)) == 80


def test_a_run_directory_lies_in_the_users_home_and_says_what_and_when() -> None:
    path = create_run_directory("Simple Greeter!", now=NOON)
    assert path == Path.home() / ".agentmech" / "runs" / "simple-greeter-2026-01-02T12-00-05"
    assert path.parent == runs_folder()


def test_the_time_in_its_name_is_utc(tmp_path: Path) -> None:
    tokyo = NOON.astimezone(timezone(timedelta(hours=9)))
    assert create_run_directory("x", now=tokyo, runs=tmp_path).name == "x-2026-01-02T12-00-05"


@pytest.mark.parametrize("mask", [0o000, 0o077, 0o377])
def test_only_the_owner_can_read_it_whatever_the_umask(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        path = create_run_directory("x", now=NOON, runs=tmp_path)
    finally:
        os.umask(before)
    assert mode(path) == 0o700


@given(st.text(max_size=80))
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    assert create_run_directory(name, now=NOON, runs=tmp_path).parent == tmp_path


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("x")
    with pytest.raises(StorageError, match="file"):
        create_run_directory("x", now=NOON, runs=blocked)


def test_a_temporary_run_directory_leaves_nothing_behind() -> None:
    with temporary_run_directory() as path:
        assert mode(path) == 0o700
        (path / "x").write_text("x")
    assert not path.exists()


ROLLOUT = Rollout(
    RunStatus.FAILED,
    (Visit("a", "prompt"),),
    ("a",),
    {"password": "secret"},
    RunError("a", "broken"),
    ("look out",),
    1.23456,
)


def test_the_metadata_says_how_the_run_ended_but_no_values(tmp_path: Path) -> None:
    write_metadata(tmp_path, workflow="W", file="w.yaml", started=NOON)
    assert read_metadata(tmp_path)["status"] == "running"
    write_metadata(tmp_path, workflow="W", file="w.yaml", started=NOON, rollout=ROLLOUT)
    facts = read_metadata(tmp_path)
    assert facts["format"] == 1
    assert facts["started"] == "2026-01-02T12:00:05+00:00"
    assert (facts["status"], facts["seconds"], facts["visited"]) == ("failed", 1.235, ["a"])
    assert facts["error"]["message"] == "broken"
    assert "secret" not in (tmp_path / "metadata.json").read_text("utf-8")
    assert mode(tmp_path / "metadata.json") == 0o600


@pytest.mark.parametrize("text", ["", "[]", "{", '{"format": 2}', "\udcff"])
def test_metadata_of_another_kind_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "metadata.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(StorageError, match="metadata"):
        read_metadata(tmp_path)


any_text = st.text(st.characters(exclude_categories=()), max_size=10)


@given(st.lists(st.builds(Visit, any_text, any_text, any_text, any_text), max_size=4))
def test_a_trace_reads_back_as_the_visits_one_a_line(
    tmp_path_factory: pytest.TempPathFactory, visits: list[Visit]
) -> None:
    folder = tmp_path_factory.mktemp("run")
    for visit in visits:
        append_visit(folder, visit)
    path = folder / "trace.jsonl"
    lines = path.read_text("utf-8").split("\n")[:-1] if visits else []
    assert [restore(Visit, json.loads(line)) for line in lines] == visits
    assert not visits or mode(path) == 0o600


def test_a_trace_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="trace"):
        append_visit(tmp_path / "gone", Visit("a", "prompt"))
