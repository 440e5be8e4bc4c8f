"""The lock: one process at a time, freed however it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from finetune_fsm.errors import Busy, ExitCode, StorageError
from finetune_fsm.storage.lock import Lock

HOLDER = """
import sys, time
from pathlib import Path
from finetune_fsm.storage.lock import Lock
lock = Lock.take(Path(sys.argv[1]), "x.yaml")
print("held", flush=True)
time.sleep(60)
"""


def holder(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_process_is_told_who_has_it_and_a_killed_one_frees_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    process = holder(path)
    try:
        with pytest.raises(Busy, match=f"x.yaml .* process {process.pid} since 20") as caught:
            Lock.take(path, "x.yaml")
        assert caught.value.exit_code is ExitCode.BUSY
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    end = time.monotonic() + 5
    while time.monotonic() < end:
        try:
            Lock.take(path, "x.yaml").release()
            break
        except Busy:
            time.sleep(0.01)
    else:
        pytest.fail("the lock outlived its process")


def test_it_can_be_taken_again_once_released(tmp_path: Path) -> None:
    lock = Lock.take(tmp_path / "lock", "x")
    with pytest.raises(Busy):
        Lock.take(tmp_path / "lock", "x")
    lock.release()
    lock.release()
    Lock.take(tmp_path / "lock", "x").release()


@pytest.mark.parametrize("content", ["", "garbage", '{"pid": 1}', "[]", '{"pid": 1, "host": 3}'])
def test_what_is_written_in_the_file_is_for_the_message_only(tmp_path: Path, content: str) -> None:
    path = tmp_path / "lock"
    path.write_text(content)
    lock = Lock.take(path, "x")
    path.write_text(content)
    with pytest.raises(Busy):
        Lock.take(path, "x")
    lock.release()


def test_a_file_system_without_locks_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    def refuse(handle: int, how: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(StorageError, match="not supported — use a local disk"):
        Lock.take(tmp_path / "lock", "x")
    with pytest.raises(StorageError, match="cannot write"):
        Lock.take(tmp_path / "no" / "lock", "x")
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]
