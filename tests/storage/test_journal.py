"""The journal: what is in it is whole, in order, and the same when it is read again."""

from __future__ import annotations

import errno
import os
import zlib
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from finetune_fsm.errors import JournalError, StorageError
from finetune_fsm.storage.journal import (
    Journal,
    Reading,
    Record,
    line_of,
    parsed,
    read,
    sound_prefix,
)

TEXTS = st.text(max_size=20) | st.sampled_from(['"}\n{"crc":"', "\ud800", "\u2028", "\x00\x1b["])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
DATA = st.dictionaries(TEXTS, VALUES, max_size=3)
NEWLINE = b"\n"
LINES = st.lists(st.tuples(st.sampled_from(["call", "step", "note"]), DATA), max_size=6)


def written(lines: list[tuple[str, Mapping[str, object]]]) -> tuple[tuple[Record, ...], bytes]:
    records = tuple(Record(i, kind, data, i / 4) for i, (kind, data) in enumerate(lines, 1))
    return records, b"".join(line_of(record) for record in records)


@given(LINES)
def test_what_was_appended_is_read(
    tmp_path_factory: pytest.TempPathFactory, lines: list[tuple[str, Mapping[str, object]]]
) -> None:
    path = tmp_path_factory.mktemp("run") / "journal.jsonl"
    journal = Journal.create(path)
    appended = tuple(journal.append(kind, data, at=1.25) for kind, data in lines)
    journal.close()
    assert read(path) == Reading(appended, path.stat().st_size)
    assert [record.seq for record in appended] == list(range(1, len(lines) + 1))
    again, reading = Journal.reopen(path)
    more = again.append("note", {"message": "on"})
    again.close()
    assert read(path).records == (*appended, more)
    assert reading.records == appended


@given(LINES, st.data())
def test_a_journal_cut_at_any_byte_is_read_as_a_prefix(
    lines: list[tuple[str, Mapping[str, object]]], data: st.DataObject
) -> None:
    records, whole = written(lines)
    cut = data.draw(st.integers(0, len(whole)))
    reading = parsed(whole[:cut])
    assert reading.records == records[: len(reading.records)]
    assert reading.size + reading.torn == cut
    kept = sum(len(line_of(record)) <= cut for record in records)
    ends = [sum(map(len, map(line_of, records[: n + 1]))) for n in range(len(records))]
    assert len(reading.records) == sum(end <= cut for end in ends) <= kept


@given(LINES, st.data())
@example([("note", {}), ("note", {})], None)
def test_a_flipped_byte_is_in_the_last_line_or_refused(
    lines: list[tuple[str, Mapping[str, object]]], data: st.DataObject | None
) -> None:
    assume(lines)
    records, whole = written(lines)
    places = [data.draw(st.integers(0, len(whole) - 1))] if data else range(len(whole))
    for place in places:
        flip = data.draw(st.integers(1, 255)) if data else 1
        damaged = bytearray(whole)
        damaged[place] ^= flip
        last = len(whole) - len(line_of(records[-1]))
        if place >= last and NEWLINE not in damaged[place : place + 1]:
            assert parsed(bytes(damaged)).records == records[:-1]
            continue
        with pytest.raises(JournalError, match=f":{whole[:place].count(NEWLINE) + 1}:"):
            parsed(bytes(damaged))
    assert parsed(whole).records == records


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        reading = parsed(data)
    except JournalError:
        return
    assert reading.size + reading.torn == len(data)
    assert parsed(sound_prefix(data)).torn == 0


@pytest.mark.parametrize(
    "wrong",
    [
        lambda lines: lines[:1] + lines[2:],  # one is missing
        lambda lines: [lines[0], lines[0], *lines[1:]],  # two writers
        lambda lines: [lines[1], lines[0], lines[2]],
        lambda lines: [lines[0], b"\n", *lines[1:]],
    ],
)
def test_lines_that_are_not_in_order_are_refused(wrong: object) -> None:
    lines = [line_of(record) for record in written([("note", {"n": n}) for n in range(3)])[0]]
    damaged = b"".join(wrong(lines))
    with pytest.raises(JournalError, match="damaged"):
        parsed(damaged)
    assert damaged.startswith(sound_prefix(damaged))


def test_a_whole_line_of_another_shape_is_refused() -> None:
    rest = b'"at":0,"data":[],"kind":"note","seq":1}\n'
    line = b'{"crc":"%08x",' % zlib.crc32(rest) + rest
    for damaged in (line, line + line_of(Record(2, "note", {}))):
        with pytest.raises(JournalError, match="damaged"):
            parsed(damaged)


def test_a_torn_tail_is_cut_off_before_anything_is_added(tmp_path: Path) -> None:
    path = tmp_path / "j"
    records, whole = written([("note", {"n": 1}), ("note", {"n": 2, "more": "x" * 500})])
    path.write_bytes(whole[:-3])
    journal, reading = Journal.reopen(path)
    assert reading.torn == len(line_of(records[1])) - 3
    journal.append("note", {"n": 3})
    journal.close()
    assert [record.data["n"] for record in read(path).records] == [1, 3]
    assert read(path).torn == 0


def test_a_damaged_journal_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "j"
    _, whole = written([("note", {"n": 1}), ("note", {"n": 2})])
    damaged = b"x" + whole[1:]
    path.write_bytes(damaged)
    with pytest.raises(JournalError):
        Journal.reopen(path)
    assert path.read_bytes() == damaged


def test_a_write_that_fails_leaves_no_part_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "j"
    journal = Journal.create(path)
    journal.append("note", {"n": 1})
    real = os.write

    def half(handle: int, data: bytes) -> int:
        real(handle, bytes(data)[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(StorageError, match="No space left"):
        journal.append("note", {"n": 2})
    monkeypatch.setattr(os, "write", real)
    assert read(path).torn == 0
    journal.append("note", {"n": 3})
    assert [record.data["n"] for record in read(path).records] == [1, 3]


def test_after_a_failed_sync_nothing_is_taken_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal.create(tmp_path / "j")

    def fail(handle: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StorageError, match="Input/output"):
        journal.append("note", {})
    monkeypatch.undo()
    with pytest.raises(StorageError, match="earlier write failed"):
        journal.append("note", {})


def test_a_system_that_takes_little_at_a_time_gets_it_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal.create(tmp_path / "j")
    real = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: real(handle, bytes(data)[:7]))
    record = journal.append("note", {"message": "a long one" * 20})
    assert read(tmp_path / "j").records == (record,)


def test_a_journal_is_for_its_owner_alone_and_never_replaced(tmp_path: Path) -> None:
    Journal.create(tmp_path / "j").close()
    assert (tmp_path / "j").stat().st_mode & 0o777 == 0o600
    with pytest.raises(StorageError, match="exists"):
        Journal.create(tmp_path / "j")
