"""Which files of a folder are documents."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_fsm.errors import ExecutionError
from finetune_fsm.knowledge import documents
from finetune_fsm.knowledge.documents import decoded, documents_in, text_in


def made(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"this is {name}")


def sources(root: Path, **kinds: Path) -> list[str]:
    return [place.source for place in documents_in(root, **kinds).places]


def test_documents_are_found_at_any_depth_in_the_order_of_their_names(tmp_path: Path) -> None:
    made(tmp_path, "b.md", "a/z.txt", "a/a.py", "a/deep/er/x.HTML", "c.pdf", "c.docx", "readme.rst")
    assert sources(tmp_path) == [
        *("a/a.py", "a/deep/er/x.HTML", "a/z.txt", "b.md", "c.docx", "c.pdf", "readme.rst"),
    ]


def test_what_is_hidden_built_installed_or_no_text_is_left_alone(tmp_path: Path) -> None:
    made(tmp_path, ".git/a.md", "node_modules/p/a.md", "dist/a.md", ".env.txt", "x/.hidden/a.md")
    made(tmp_path, "picture.png", "program.exe", "noending", "kept.md")
    assert sources(tmp_path) == ["kept.md"]
    assert documents_in(tmp_path).problems == ()


def test_a_link_that_leads_out_is_refused_and_told(tmp_path: Path) -> None:
    made(tmp_path, "secret.md", "far/away.md", "base/kept.md", "base/in/b.md")
    base = tmp_path / "base"
    (base / "out.md").symlink_to(tmp_path / "secret.md")
    (base / "folder").symlink_to(tmp_path / "far")
    (base / "up.md").symlink_to("../secret.md")
    (base / "again.md").symlink_to("in/b.md")
    (base / "loop").symlink_to(".")
    (base / "gone.md").symlink_to("nowhere.md")
    folder = documents_in(base)
    assert [place.source for place in folder.places] == ["again.md", "in/b.md", "kept.md"]
    out = "it is a link that leads out of the folder"
    assert dict(folder.problems) == {
        "out.md": out,
        "folder": out,
        "up.md": out,
        "gone.md": "No such file or directory",
    }


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    made(tmp_path, "real/a.md")
    (tmp_path / "link").symlink_to("real")
    assert sources(tmp_path / "link") == ["a.md"]


def test_a_pipe_and_a_file_too_long_are_told(tmp_path: Path) -> None:
    made(tmp_path, "a.md")
    os.mkfifo(tmp_path / "pipe.md")
    with (tmp_path / "big.md").open("wb") as file:
        file.truncate(documents.SIZE_LIMIT + 1)
    folder = documents_in(tmp_path)
    assert [place.source for place in folder.places] == ["a.md"]
    assert dict(folder.problems) == {
        "pipe.md": "it is not a regular file",
        "big.md": "it is longer than 10 MB",
    }


def test_a_folder_without_bounds_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path, "a.md", "b.md", "c.md")
    monkeypatch.setattr(documents, "FILE_LIMIT", 2)
    with pytest.raises(ExecutionError, match="more than 2 documents"):
        documents_in(tmp_path)


def test_a_folder_that_is_none_is_an_error(tmp_path: Path) -> None:
    made(tmp_path, "a.md")
    for place in (tmp_path / "a.md", tmp_path / "nowhere"):
        with pytest.raises(ExecutionError, match="no such folder"):
            documents_in(place)


def test_the_store_is_no_document_however_it_is_named(tmp_path: Path) -> None:
    made(tmp_path, "a.md", "embeddings.json")
    assert sources(tmp_path) == ["a.md", "embeddings.json"]
    assert sources(tmp_path, but=tmp_path / "sub" / ".." / "embeddings.json") == ["a.md"]


def test_a_name_that_is_no_text_is_told(tmp_path: Path) -> None:
    made(tmp_path, "a.md")
    (tmp_path / os.fsdecode(b"\xff.md")).write_text("x")
    folder = documents_in(tmp_path)
    assert [place.source for place in folder.places] == ["a.md"]
    assert [reason for _, reason in folder.problems] == ["its name is not possible"]


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\ufeff")))
def test_text_is_read_in_any_unicode_encoding(text: str) -> None:
    assert decoded(text.encode()) == text
    assert decoded(text.replace("\n", "\r\n").encode("utf-8-sig")) == text
    for encoding in ("utf-16", "utf-32"):
        assert decoded(text.encode(encoding)) == text


@given(st.binary(max_size=40))
def test_any_bytes_are_text_without_nul_or_are_told(data: bytes) -> None:
    try:
        text = decoded(data)
    except ExecutionError:
        return
    assert "\0" not in text
    text.encode()


def test_old_files_are_read_and_binary_ones_refused() -> None:
    assert decoded("Grüße für 5 €".encode("cp1252")) == "Grüße für 5 €"
    for data in (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"abc\0def", "x".encode("utf-16-le")):
        with pytest.raises(ExecutionError, match="it is not text"):
            decoded(data)


def test_a_word_file_is_read_once_and_known_by_its_bytes(tmp_path: Path) -> None:
    made(tmp_path, "a.docx")
    (place,) = documents_in(tmp_path).places
    read: list[str] = []

    def document(data: bytes, kind: str) -> str:
        read.append(kind)
        return f"{data.decode()} \ud800"

    known: dict[str, str] = {}
    for _ in range(2):
        text, name = text_in(
            place, read=lambda path: path.read_bytes(), read_document=document, known=known
        )
        assert text == "this is a.docx ?"
        assert known == {name: text}
    assert read == [".docx"]
