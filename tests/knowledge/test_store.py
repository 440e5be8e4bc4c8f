"""Vectors in a file, believed only when they fit."""

from __future__ import annotations

import json
from array import array
from pathlib import Path

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from finetune_fsm.knowledge import store as stores
from finetune_fsm.knowledge.model import StoreFormat
from finetune_fsm.knowledge.store import BrokenStore, Stored, Use, is_store, name_of, restored

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
SPACES = st.tuples(st.sampled_from(["m", "n"]), st.just("f") | WORDS)
NAMES = st.sampled_from(["one", "two", "three", "four"]).map(name_of)
VECTORS = st.lists(st.floats(-5, 5, width=32), min_size=3, max_size=3).map(stores.vector_of)
USES = st.builds(Use, WORDS, st.integers(1, 9), SPACES, st.lists(NAMES, max_size=3).map(tuple))
STORES = st.builds(
    Stored,
    st.dictionaries(SPACES, st.dictionaries(NAMES, VECTORS, max_size=3), max_size=2),
    st.lists(USES, max_size=3, unique_by=lambda use: use.key),
    st.dictionaries(NAMES, WORDS, max_size=2),
)
FORMATS = st.sampled_from(StoreFormat)


@given(STORES, FORMATS)
def test_what_is_written_is_restored(stored: Stored, kind: StoreFormat) -> None:
    data = stores.written(stored, kind)
    assert restored(data) == stored
    assert is_store(data)
    assert stores.written(restored(data), kind) == data


@given(STORES, FORMATS, st.data())
def test_a_store_cut_anywhere_is_broken_never_half_believed(
    stored: Stored, kind: StoreFormat, data: st.DataObject
) -> None:
    whole = stores.written(stored, kind)
    cut = whole[: data.draw(st.integers(1, len(whole) - 1))]
    with pytest.raises(BrokenStore):
        restored(cut)


@given(STORES, FORMATS, st.data())
def test_flipped_bytes_are_broken_or_another_store_and_nothing_else(
    stored: Stored, kind: StoreFormat, data: st.DataObject
) -> None:
    raw = bytearray(stores.written(stored, kind))
    for place in data.draw(st.lists(st.integers(0, len(raw) - 1), min_size=1, max_size=3)):
        raw[place] = data.draw(st.integers(0, 255))
    try:
        found = restored(bytes(raw))
    except BrokenStore:
        return
    for vectors in found.vectors.values():
        assert len({len(vector) for vector in vectors.values()}) <= 1


@given(st.binary(max_size=60))
@example(b"{}")
@example(b'{"chunks": [{"id": "a", "text": "b", "embedding": [0.5]}], "config": {}}')
def test_any_other_bytes_are_broken(data: bytes) -> None:
    if data:
        with pytest.raises(BrokenStore):
            restored(data)


def changed(**fields: object) -> bytes:
    vectors = {"k": "AACAPwAAAEA="}
    document = {
        "kind": stores.KIND,
        "format": 1,
        "spaces": [{"model": "m", "fingerprint": "f", "vectors": vectors}],
        "uses": [],
        "texts": {},
    }
    return json.dumps(document | fields).encode()


@pytest.mark.parametrize(
    "fields",
    [
        {"format": 2},
        {"spaces": {}, "uses": 3},
        {"spaces": [{"model": "m", "fingerprint": "f", "vectors": {"k": "AACAf"}}]},
        {"spaces": [{"model": "m", "fingerprint": "f", "vectors": {"k": "AADAfwAAAEA="}}]},
        {"spaces": [{"model": "m", "fingerprint": "f", "vectors": {"k": ""}}]},
        {"spaces": [{"model": "m", "fingerprint": "f", "vectors": {"k": [1.0]}}]},
        {"spaces": [{"model": 3, "fingerprint": "f", "vectors": {}}]},
        {
            "spaces": [
                {"model": "m", "fingerprint": "", "vectors": {"a": "AACAPw==", "b": "AACAPwAAAEA="}}
            ]
        },
        {"texts": {"a": 3}},
        {"uses": [{"directory": "d", "chunk_size": "9"}]},
    ],
)
def test_a_part_that_does_not_fit_breaks_the_whole(fields: dict[str, object]) -> None:
    assert restored(changed()).vectors == {("m", "f"): {"k": array("f", [1.0, 2.0])}}
    with pytest.raises(BrokenStore):
        restored(changed(**fields))


def test_a_bomb_of_brackets_is_broken() -> None:
    start = b'{"kind": "finetune-fsm knowledge base", "spaces": '
    with pytest.raises(BrokenStore):
        restored(start + b"[" * 100_000)
    with pytest.raises(BrokenStore):
        restored(b"\x85\xa4kind\xbb" + stores.KIND.encode() + b"\xa6spaces" + b"\x91" * 100_000)
    assert msgpack.unpackb(stores.written(Stored(), StoreFormat.MSGPACK))["kind"] == stores.KIND


@given(st.lists(USES, max_size=14), STORES)
def test_what_no_late_use_needs_is_dropped(uses: list[Use], stored: Stored) -> None:
    for use in uses:
        stored.keep(use, [])
    if not uses:
        return
    assert len(stored.uses) <= stores.USES
    assert uses[-1] in stored.uses
    assert len({use.key for use in stored.uses}) == len(stored.uses)
    needed = {(use.space, name) for use in stored.uses for name in use.chunks}
    assert {(s, name) for s, found in stored.vectors.items() for name in found} <= needed
    assert stored.texts == {}


def test_a_file_that_is_no_store_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "notes.json"
    path.write_text("my notes")
    stores.write(path, Stored(), StoreFormat.JSON)
    assert stores.read(path) == Stored()
    assert (tmp_path / "notes.json.before").read_text() == "my notes"
    path.write_bytes(stores.written(Stored(), StoreFormat.JSON)[:70])
    stores.write(path, Stored(), StoreFormat.MSGPACK)
    assert (tmp_path / "notes.json.before").read_text() == "my notes"
    assert stores.read(path) == Stored()


def test_a_store_that_is_not_there_is_empty_and_a_folder_is_none(tmp_path: Path) -> None:
    assert stores.read(tmp_path / "nothing") == Stored()
    with pytest.raises(BrokenStore):
        stores.read(tmp_path)


def test_a_text_that_is_gone_goes_from_the_store_while_others_of_its_model_stay() -> None:
    space = ("m", "f")
    vector = stores.vector_of([1.0])
    stored = Stored({space: {"old": vector, "new": vector}})
    stored.keep(Use("docs", 9, space, ("new",)), [])
    assert stored.vectors == {space: {"new": vector}}
