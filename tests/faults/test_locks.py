"""Rows 46 and 47 of the fault matrix: real processes that want the same files at the same time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from commandline import GREETER, GREETER_TESTS
from faults.oracle import Oracle, oracle_server, put_greeter
from faults.terminal import AGENTMECH, PATIENCE
from wire import Server

from finetune_fsm.api import open_run, reopen_run
from finetune_fsm.errors import Busy
from finetune_fsm.llm.scripted import ScriptedLLM
from finetune_fsm.runs import places


def agentmech(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [*AGENTMECH, *arguments]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


@contextmanager
def under_way(folder: Path, *more: str) -> Iterator[tuple[subprocess.Popen[bytes], Server]]:
    """A finetune of the greeter that waits for its model, and the server that keeps it waiting."""
    oracle = Oracle()
    oracle.be_slow("analysis", "first")
    with oracle_server(oracle) as server:
        command = [*AGENTMECH, "finetune", "greeter.yaml", "-u", server.url, *more]
        with subprocess.Popen(
            command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            try:
                assert oracle.reached.wait(PATIENCE)
                yield process, server
            finally:
                process.kill()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The greeter, and another workflow beside it that is the same but for its name."""
    put_greeter(tmp_path)
    (tmp_path / "other.yaml").write_text(GREETER)
    (tmp_path / "other.test.yaml").write_text(GREETER_TESTS.replace("greeter", "other"))
    return tmp_path


def state_of(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_row_46_a_second_run_of_the_same_workflow_is_refused_at_once(folder: Path) -> None:
    with under_way(folder) as (process, server):
        before = state_of(folder)
        asked = len(server.calls)
        for command in (("finetune", "greeter.yaml"), ("resume",)):
            done = agentmech(*command, "-u", server.url, folder=folder)
            assert done.returncode == 7
            assert "greeter.yaml is being worked on by" in done.stderr
            assert f"process {process.pid} since 20" in done.stderr
            assert len(done.stderr.splitlines()) == 1
            assert done.stdout == ""
        for command, said in (("runs", "stopped in ANALYZING"), ("show", "stands in ANALYZING")):
            looked = agentmech(command, folder=folder)
            assert (looked.returncode, said in looked.stdout) == (0, True)
        assert state_of(folder) == before
        assert len(server.calls) == asked


def test_row_46_the_refusal_takes_no_time_once_the_program_has_started(folder: Path) -> None:
    with under_way(folder) as (process, _):
        started = time.monotonic()
        with (
            pytest.raises(Busy, match=f"process {process.pid} since"),
            open_run(folder / "greeter.yaml", llm=ScriptedLLM([])),
        ):
            pass
        with (
            pytest.raises(Busy, match=f"process {process.pid} since"),
            reopen_run(folder / "greeter.yaml", llm=ScriptedLLM([])),
        ):
            pass
        assert time.monotonic() - started < 3  # both; 0.02 s on a machine with nothing else to do


def test_row_46_two_workflows_in_one_folder_do_not_touch_each_others_files(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    alone = tmp_path_factory.mktemp("alone")
    put_greeter(alone)
    with oracle_server(Oracle()) as server:
        assert agentmech("finetune", "greeter.yaml", "-u", server.url, folder=alone).returncode == 0
        commands = [
            [*AGENTMECH, "finetune", f"{name}.yaml", "-u", server.url]
            for name in ("greeter", "other")
        ]
        both = [
            subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) for command in commands
        ]
        assert [process.wait(PATIENCE) for process in both] == [0, 0]
    expected = {path.name: path.read_text() for path in alone.glob("*.yaml")}
    for name in ("greeter", "other"):
        found = {path.name: path.read_text() for path in folder.glob(f"{name}*.yaml")}
        renamed = {
            key.replace("greeter", name): text.replace("greeter", name)
            for key, text in expected.items()
        }
        assert found == renamed
        assert len(places.in_home(folder / f"{name}.agentmech")) == 1
    assert len(list(folder.glob("*.agentmech"))) == 2


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("-o", "new/best.yaml"), ("-o", "link.yaml")),
        ((), ("-o", "greeter.finetuned.yaml")),
    ],
)
def test_row_46_two_runs_that_write_the_same_file_do_not_run_at_once(
    first: tuple[str, ...], second: tuple[str, ...], folder: Path
) -> None:
    (folder / "link.yaml").symlink_to("new/best.yaml")
    with under_way(folder, *first) as (process, server):
        done = agentmech("finetune", "other.yaml", *second, "-u", server.url, folder=folder)
        assert done.returncode == 7, done.stderr
        assert f"{second[1]} is being worked on" in done.stderr
        assert f"process {process.pid} since 20" in done.stderr
        process.kill()
        process.wait()
        again = agentmech("finetune", "other.yaml", *second, "-u", server.url, folder=folder)
        assert again.returncode == 0, again.stderr
    assert "by name" in (folder / second[1]).read_text()


def test_row_46_a_folder_of_another_owner_is_no_reason_not_to_write_the_output(
    folder: Path,
) -> None:
    (folder / "best.agentmech").write_text("a file, where the folder with the lock would be")
    with oracle_server(Oracle()) as server:
        done = agentmech(
            "finetune", "other.yaml", "-o", "best.yaml", "-u", server.url, folder=folder
        )
    assert done.returncode == 0, done.stderr
    assert "by name" in (folder / "best.yaml").read_text()


def dead_process() -> int:
    """The number of a process that there was."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


@pytest.mark.parametrize("number", [dead_process, os.getpid], ids=["dead", "of another"])
def test_row_47_a_lock_file_that_a_dead_process_left_is_taken(
    number: Callable[[], int], folder: Path
) -> None:
    pid = number()
    home = places.make_home(folder / "greeter.yaml")
    left = {"pid": pid, "host": os.uname().nodename, "started": "2026-01-01T00:00:00+00:00"}
    (home / places.LOCK).write_text(json.dumps(left))
    with oracle_server(Oracle()) as server:
        done = agentmech("finetune", "greeter.yaml", "-u", server.url, folder=folder)
    assert done.returncode == 0, done.stderr
    assert json.loads((home / places.LOCK).read_text())["pid"] != pid
