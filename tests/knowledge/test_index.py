"""A folder brought up to date: built once, and only what is new is embedded."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_fsm.errors import Cancelled, ExecutionError, LLMError, LLMErrorKind
from finetune_fsm.knowledge import index as indices
from finetune_fsm.knowledge import store as stores
from finetune_fsm.knowledge.index import Reading, Shelf, index_of, search
from finetune_fsm.knowledge.model import Base, StoreFormat, base_of
from finetune_fsm.llm.base import Stop
from finetune_fsm.llm.letter_vectors import letter_vector

READING = Reading(lambda path: path.read_bytes(), lambda data, kind: f"{kind}: {data.decode()}")


class Letters:
    """An embedder that counts, tells weights apart, and fails on request."""

    name = "letters"

    def __init__(self, fingerprint: str = "w1", size: int = 512, seconds: float = 0.0) -> None:
        self.print = fingerprint
        self.size = size
        self.seconds = seconds
        self.texts: list[str] = []
        self.fails_after: int | None = None

    def fingerprint(self, model: str, *, stop: Stop | None = None) -> str:
        return self.print

    def embed(
        self, model: str, texts: Sequence[str], *, stop: Stop | None = None
    ) -> tuple[tuple[float, ...], ...]:
        if self.fails_after is not None and len(self.texts) >= self.fails_after:
            raise LLMError(LLMErrorKind.UNREACHABLE, "nobody is there")
        time.sleep(self.seconds)
        self.texts += texts
        return tuple(letter_vector(text)[: self.size] for text in texts)


@pytest.fixture(autouse=True)
def shelf(monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """Memory of this test alone."""
    found = Shelf()
    monkeypatch.setattr(indices, "_SHELF", found)
    return found


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be another process, as far as memory goes."""
    monkeypatch.setattr(indices, "_SHELF", Shelf())


def folder(root: Path, **texts: str) -> Path:
    docs = root / "docs"
    docs.mkdir(exist_ok=True)
    for name, text in texts.items():
        (docs / f"{name}.md").write_text(text)
    return docs


def base(root: Path, **fields: object) -> Base:
    usual = {"directory": "docs", "embeddings_file": "kb.json", "chunk_size": 200}
    return base_of("kb", usual | fields, lambda name: root / name, root)


ANIMALS = {
    "cats": "Cats purr.\nThey sleep all day.",
    "dogs": "Dogs bark at the postman.",
    "fish": "Fish swim in water.",
}


def test_the_first_search_builds_and_the_second_embeds_only_the_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder(tmp_path, **ANIMALS)
    letters = Letters()
    found = search(base(tmp_path), "Who barks at a postman?", letters, READING)
    assert found.passages[0].chunk.source == "dogs.md"
    assert len(found.passages) == 3
    assert found.problems == ()
    assert len(letters.texts) == 3 + 1
    before = (tmp_path / "kb.json").stat().st_mtime_ns
    for _ in range(2):
        letters.texts.clear()
        again = search(base(tmp_path), "Who barks at a postman?", letters, READING)
        assert again == found
        assert letters.texts == ["Who barks at a postman?"]
        assert (tmp_path / "kb.json").stat().st_mtime_ns == before
        forget(monkeypatch)


LINES = st.lists(st.sampled_from(["a", "bb", "c c", "", "dddd"]), max_size=4).map("\n".join)
FOLDERS = st.dictionaries(st.sampled_from(["x", "y", "z"]), LINES, max_size=3)


@given(st.lists(st.tuples(FOLDERS, st.integers(2, 6)), min_size=1, max_size=5))
def test_a_refreshed_index_is_one_built_anew_and_costs_only_new_texts(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[dict[str, str], int]]
) -> None:
    root = tmp_path_factory.mktemp("kb")
    letters = Letters()
    for texts, size in steps:
        for path in folder(root).glob("*"):
            path.unlink()
        folder(root, **texts)
        indices._SHELF = Shelf()
        kept = stores.read(root / "kb.json").vectors.get(("embeddinggemma", "w1"), {})
        found = index_of(base(root, chunk_size=size), letters, READING)
        new = letters.texts[len(letters.texts) - found.embedded :] if found.embedded else []
        assert len(new) == len({*new})
        assert not {stores.name_of(text) for text in new} & {*kept}
        indices._SHELF = Shelf()
        plain = index_of(
            base(root, chunk_size=size, embeddings_file="new.json"), Letters(), READING
        )
        (root / "new.json").unlink(missing_ok=True)
        assert found.chunks == plain.chunks
        asked = letter_vector("c c dddd")
        if found.chunks:
            assert found.matrix.nearest(asked, 9) == plain.matrix.nearest(asked, 9)


@pytest.mark.parametrize("kind", list(StoreFormat))
def test_one_changed_file_costs_its_new_chunks_and_a_renamed_one_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: StoreFormat
) -> None:
    docs = folder(tmp_path, **ANIMALS)
    here = base(tmp_path, embeddings_file=f"kb.{kind}")
    letters = Letters()
    assert index_of(here, letters, READING).embedded == 3
    forget(monkeypatch)
    (docs / "cats.md").write_text("Cats purr.\nThey hunt at night.")
    (docs / "fish.md").rename(docs / "water.md")
    found = index_of(here, letters, READING)
    assert found.embedded == 1
    assert [chunk.source for chunk in found.chunks] == ["cats.md", "dogs.md", "water.md"]
    (docs / "dogs.md").unlink()
    assert [c.source for c in index_of(here, letters, READING).chunks] == ["cats.md", "water.md"]


def test_another_model_or_other_weights_embed_all_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder(tmp_path, **ANIMALS)
    letters = Letters()
    index_of(base(tmp_path), letters, READING)
    for here, weights in (
        (base(tmp_path, model="other"), "w1"),
        (base(tmp_path), "w2"),
    ):
        forget(monkeypatch)
        assert index_of(here, Letters(weights), READING).embedded == 3
        forget(monkeypatch)
        assert index_of(here, Letters(weights), READING).embedded == 0


def test_weights_that_change_without_a_word_are_noticed_by_the_length_of_their_vectors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docs = folder(tmp_path, **ANIMALS)
    index_of(base(tmp_path), Letters(""), READING)
    found = search(base(tmp_path), "postman", Letters("", size=200), READING)
    assert found.passages[0].chunk.source == "dogs.md"
    forget(monkeypatch)
    kept = index_of(base(tmp_path), Letters("", size=200), READING)
    assert (kept.embedded, kept.matrix.length) == (0, 200)
    forget(monkeypatch)
    (docs / "cats.md").write_text("No cats.")
    found = index_of(base(tmp_path), Letters("", size=100), READING)
    assert found.matrix.length == 100
    forget(monkeypatch)
    assert index_of(base(tmp_path), Letters("", size=100), READING).embedded == 0


def test_two_chunk_sizes_in_one_store_do_not_push_each_other_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder(tmp_path, cats="one\ntwo\nthree\nfour\n" * 20)
    letters = Letters()
    for size in (40, 300, 40, 300):
        forget(monkeypatch)
        index_of(base(tmp_path, chunk_size=size), letters, READING)
    assert len(letters.texts) == len({*letters.texts})


@pytest.mark.parametrize(
    "content", [b"\0\1", b"[1, 2", b"{}", b'{\n "kind": "finetune-fsm knowledge base"', b"notes"]
)
def test_a_broken_or_foreign_store_is_built_again_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    folder(tmp_path, **ANIMALS)
    (tmp_path / "kb.json").write_bytes(content)
    found = index_of(base(tmp_path), Letters(), READING)
    assert found.embedded == 3
    (problem,) = found.problems
    assert problem.startswith("the store 'kb.json' is built again: it ")
    forget(monkeypatch)
    assert index_of(base(tmp_path), Letters(), READING).embedded == 0


def test_a_store_among_the_documents_is_no_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docs = folder(tmp_path, **ANIMALS)
    here = base(tmp_path, embeddings_file="docs/kb.json")
    for _ in range(3):
        found = index_of(here, Letters(), READING)
        assert {chunk.source for chunk in found.chunks} == {"cats.md", "dogs.md", "fish.md"}
        forget(monkeypatch)
    old = '{"chunks": [{"id": "a", "text": "b", "embedding": [0.5]}], "config": {}}'
    (docs / "embeddings.json").write_text(old)
    other = index_of(base(tmp_path, embeddings_file="kb2.json"), Letters(), READING)
    assert other.chunks == found.chunks


def test_without_a_place_the_store_is_in_the_users_cache_for_its_owner_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder(tmp_path, **ANIMALS)
    here = base(tmp_path, embeddings_file=None)
    assert index_of(here, Letters(), READING).embedded == 3
    assert [path.name for path in tmp_path.iterdir()] == ["docs"]
    assert here.store.is_file()
    assert here.store.parent.stat().st_mode & 0o777 == 0o700
    forget(monkeypatch)
    assert index_of(here, Letters(), READING).embedded == 0


def test_a_place_that_cannot_be_written_is_told_and_the_search_goes_on(tmp_path: Path) -> None:
    folder(tmp_path, **ANIMALS)
    (tmp_path / "file").write_text("")
    found = search(base(tmp_path, embeddings_file="file/kb.json"), "cats", Letters(), READING)
    assert len(found.passages) == 3
    assert "the next run embeds again" in found.problems[0]


def test_a_build_that_breaks_off_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder(tmp_path, **{f"d{n}": f"document {n}" for n in range(100)})
    letters = Letters()
    letters.fails_after = 2 * indices.BATCH
    with pytest.raises(LLMError, match="nobody"):
        index_of(base(tmp_path), letters, READING)
    letters.fails_after = None
    forget(monkeypatch)
    assert index_of(base(tmp_path), letters, READING).embedded == 100 - 2 * indices.BATCH
    assert len(letters.texts) == 100


def test_many_threads_build_a_store_once(tmp_path: Path) -> None:
    folder(tmp_path, **{f"d{n}": f"document {n}" for n in range(40)})
    letters = Letters(seconds=0.02)
    results: list[int] = []
    threads = [
        threading.Thread(
            target=lambda: results.append(len(index_of(base(tmp_path), letters, READING).chunks))
        )
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert results == [40] * 8
    assert len(letters.texts) == 40


def _another_process(root: Path, embedded: multiprocessing.Queue[int]) -> None:
    embedded.put(index_of(base(root), Letters(seconds=0.05), READING).embedded)


def test_several_processes_build_a_store_once(tmp_path: Path) -> None:
    folder(tmp_path, **{f"d{n}": f"document {n}" for n in range(40)})
    context = multiprocessing.get_context("fork")
    embedded = context.Queue()
    workers = [
        context.Process(target=_another_process, args=(tmp_path, embedded)) for _ in range(3)
    ]
    for worker in workers:
        worker.start()
    assert sorted(embedded.get(timeout=20) for _ in workers) == [0, 0, 40]
    for worker in workers:
        worker.join(20)


class Listening(Stop):
    """Keeps what it is told, and is raised at the nth time."""

    __slots__ = ("said", "till")

    def __init__(self, till: int = 99) -> None:
        super().__init__()
        self.said: list[str] = []
        self.till = till

    def tell(self, what: str) -> None:
        self.said.append(what)
        if len(self.said) >= self.till:
            self.ask()


def test_progress_is_told_and_a_stop_is_heard(tmp_path: Path) -> None:
    folder(tmp_path, **{f"d{n}": f"document {n}" for n in range(70)})
    stop = Listening()
    index_of(base(tmp_path), Letters(), READING, stop=stop)
    assert stop.said == [f"building the knowledge base 'kb': {n} of 70 chunks" for n in (0, 32, 64)]
    (tmp_path / "kb.json").unlink()
    folder(tmp_path, d0="new")
    asked = Stop()
    asked.ask()
    with pytest.raises(Cancelled):
        index_of(base(tmp_path), Letters(), READING, stop=asked)


def test_who_waits_for_another_process_can_be_stopped(tmp_path: Path) -> None:
    folder(tmp_path, **ANIMALS)
    here = base(tmp_path)
    place = str(here.store)
    lock = indices._file_lock(place, here, None)
    assert lock is not None
    stop = Listening(till=1)
    with pytest.raises(Cancelled):
        index_of(here, Letters(), READING, stop=stop)
    assert stop.said == ["another process builds the knowledge base 'kb'"]
    lock.release()
    assert index_of(here, Letters(), READING).embedded == 3


@pytest.mark.parametrize(
    "vectors", [(), ((1.0,), (1.0, 2.0)), ((float("nan"), 1.0),) * 2, ((), ()), (("x",), ("y",))]
)
def test_vectors_that_are_none_are_the_models_fault(tmp_path: Path, vectors: tuple) -> None:
    folder(tmp_path, a="one", b="two")
    letters = Letters()
    letters.embed = lambda model, texts, stop=None: vectors  # type: ignore[method-assign]
    with pytest.raises(LLMError, match="embedding model 'embeddinggemma' gave"):
        index_of(base(tmp_path), letters, READING)


def test_files_that_cannot_be_read_are_told_in_one_sentence(tmp_path: Path) -> None:
    docs = folder(tmp_path, **ANIMALS)
    for n in range(5):
        (docs / f"x{n}\x1b.txt").write_bytes(b"\0")
    found = index_of(base(tmp_path), Letters(), READING)
    (problem,) = found.problems
    assert problem.startswith("left out: 'x0\\x1b.txt' (it is not text), ")
    assert problem.endswith(" and 2 more")
    assert len(found.chunks) == 3


def test_an_empty_folder_finds_nothing_and_embeds_nothing(tmp_path: Path) -> None:
    folder(tmp_path)
    letters = Letters()
    found = search(base(tmp_path), "anything", letters, READING)
    assert (found.passages, letters.texts) == ((), [])
    assert found.problems == ("the folder holds no documents with text",)


def test_too_many_chunks_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder(tmp_path, a="x\n" * 50)
    monkeypatch.setattr(indices, "CHUNK_LIMIT", 20)
    with pytest.raises(ExecutionError, match="more than 20 chunks"):
        index_of(base(tmp_path, chunk_size=2), Letters(), READING)


def test_a_model_is_asked_again_after_a_while_whether_it_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder(tmp_path, **ANIMALS)
    letters = Letters()
    index_of(base(tmp_path), letters, READING)
    letters.print = "w2"
    assert index_of(base(tmp_path), letters, READING).embedded == 3  # as it was built
    assert len(letters.texts) == 3
    monkeypatch.setattr(indices, "TRUST", -1.0)
    index_of(base(tmp_path), letters, READING)
    assert len(letters.texts) == 6


def test_a_word_file_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docs = folder(tmp_path, **ANIMALS)
    (docs / "a.docx").write_text("words")
    index_of(base(tmp_path), Letters(), READING)
    forget(monkeypatch)

    def never(data: bytes, kind: str) -> str:
        raise AssertionError(data)

    reading = replace(READING, document=never)
    found = index_of(base(tmp_path), Letters(), reading)
    assert found.chunks[0].text == ".docx: words"
