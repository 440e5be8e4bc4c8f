from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_fsm.errors import StorageError
from finetune_fsm.storage.files import appending, write_text


@given(st.text(st.characters(codec="utf-8")))
def test_what_is_written_is_read_byte_for_byte(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.mktemp("d") / "deep" / "f.yaml"
    write_text(path, text)
    assert path.read_bytes() == text.encode()
    assert [p.name for p in path.parent.iterdir()] == ["f.yaml"]


def test_a_link_is_followed_and_the_mode_is_kept(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_text("old")
    real.chmod(0o640)
    link.symlink_to(real)
    write_text(link, "new")
    assert real.read_text() == "new"
    assert link.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640


def test_a_write_that_fails_leaves_the_old_bytes_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f"
    path.write_text("old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


def test_a_folder_in_the_way_is_told(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    with pytest.raises(StorageError, match="cannot write"):
        write_text(tmp_path / "d", "x")


def test_what_a_killed_process_left_half_written_is_swept_away(tmp_path: Path) -> None:
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"],
                          capture_output=True, text=True, check=True).stdout.strip()  # fmt: skip
    (tmp_path / f".f.{dead}-1.tmp").write_text("half")
    (tmp_path / f".f.{os.getppid()}-1.tmp").write_text("of a live one")
    (tmp_path / f".other.{dead}-1.tmp").write_text("not ours")
    write_text(tmp_path / "f", "new")
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [f".f.{os.getppid()}-1.tmp", f".other.{dead}-1.tmp", "f"]


def test_a_system_that_takes_little_at_a_time_gets_the_whole_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: real(handle, bytes(data)[:3]))
    write_text(tmp_path / "f", "a longer text")
    assert (tmp_path / "f").read_text() == "a longer text"


@given(st.lists(st.text(st.characters(codec="utf-8")), max_size=6))
def test_what_is_appended_stands_there_in_order_and_begins_anew(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    path = tmp_path_factory.mktemp("d") / "deep" / "f.jsonl"
    for _ in range(2):
        with appending(path) as write:
            for done, text in enumerate(texts, start=1):
                write(text)
                assert path.read_bytes() == "".join(texts[:done]).encode()
    assert path.read_bytes() == "".join(texts).encode()
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_cannot_be_appended_is_told() -> None:
    with (
        pytest.raises(StorageError, match="cannot write /dev/full"),
        appending(Path("/dev/full")) as write,
    ):
        write("x")
