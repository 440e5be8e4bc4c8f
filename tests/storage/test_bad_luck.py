"""Files and journals on days when much goes wrong at once."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from crash.disk import Disk, Fail, Operation, note_in

from finetune_fsm.errors import StorageError
from finetune_fsm.storage.files import write_text
from finetune_fsm.storage.journal import Journal, read


def test_litter_of_a_killed_namesake_does_not_stop_us(tmp_path: Path) -> None:
    # In a container every process may have the number 1.
    for number in range(1, 3000):
        (tmp_path / f".f.{os.getpid()}-{number}.tmp").touch()
    write_text(tmp_path / "f", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_new_folders_are_as_durable_as_what_is_put_into_them(tmp_path: Path) -> None:
    done: list[Operation] = []
    with Disk(tmp_path, note_in(done)).watched():
        write_text(tmp_path / "a" / "b" / "f", "x")
    synced = [o.path for o in done if o.verb == "fsync" and o.folder]
    assert synced == [".", "a", "a/b"]


def test_a_record_whose_sync_failed_is_taken_back_and_none_follows_it(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    hits: list[Operation] = []
    with Disk(tmp_path, Fail(3, errno.EIO, ("fsync",)).on(hits)).watched():
        journal = Journal.create(path)  # the first sync is the folder's
        journal.append("note", {"message": "sound"})
        with pytest.raises(StorageError, match="Input/output error"):
            journal.append("note", {"message": "who knows"})
        with pytest.raises(StorageError, match="an earlier write failed"):
            journal.append("note", {"message": "later"})
    assert len(hits) == 1
    assert [record.data["message"] for record in read(path).records] == ["sound"]
    assert read(path).torn == 0


def test_a_journal_that_somebody_deleted_takes_nothing_any_more(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal.create(path)
    journal.append("note", {"message": "one"})
    path.unlink()
    with pytest.raises(StorageError, match=r"journal\.jsonl: No such file"):
        journal.append("note", {"message": "two"})
