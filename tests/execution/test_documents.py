from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune_fsm.errors import ExecutionError, MissingExtra
from finetune_fsm.execution.documents import EXPANDED_LIMIT, document_text
from finetune_fsm.execution.files import Folders, attach
from finetune_fsm.execution.interpolation import Filled


def pdf(*pages: str) -> bytes:
    """A PDF with one line on each page, written by hand: pypdf reads, it does not typeset."""
    kids = " ".join(f"{4 + 2 * i} 0 R" for i in range(len(pages)))
    fonts = "<< /Font << /F1 3 0 R >> >>"
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for i, text in enumerate(pages):
        drawn = f"BT /F1 12 Tf 72 700 Td ({text}) Tj ET"
        objects += [
            f"<< /Type /Page /Parent 2 0 R /Resources {fonts} /Contents {5 + 2 * i} 0 R >>",
            f"<< /Length {len(drawn)} >>\nstream\n{drawn}\nendstream",
        ]
    out = io.BytesIO()
    out.write(b"%PDF-1.4\n")
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(out.tell())
        out.write(f"{number} 0 obj\n{body}\nendobj\n".encode())
    start = out.tell()
    out.write(f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode())
    out.writelines(f"{offset:010} 00000 n \n".encode() for offset in offsets)
    size = len(objects) + 1
    out.write(f"trailer << /Size {size} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF".encode())
    return out.getvalue()


def docx(*paragraphs: str, rows: tuple[tuple[str, ...], ...] = ()) -> bytes:
    from docx import Document

    document = Document()
    for text in paragraphs:
        document.add_paragraph(text)
    if rows:
        table = document.add_table(len(rows), len(rows[0]))
        for row, texts in zip(table.rows, rows, strict=True):
            for cell, text in zip(row.cells, texts, strict=True):
                cell.text = text
        document.add_paragraph("after the table")
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


words = st.text("abcdefgh XYZ.", min_size=1, max_size=20).map(str.strip).filter(bool)


@settings(max_examples=15)
@given(st.lists(words, min_size=1, max_size=3))
def test_a_word_file_gives_its_paragraphs_in_order(paragraphs: list[str]) -> None:
    assert document_text(docx(*paragraphs), ".docx", limit=1000).split("\n") == paragraphs


@settings(max_examples=15)
@given(st.lists(words, min_size=1, max_size=3))
def test_a_pdf_gives_the_text_of_its_pages_in_order(pages: list[str]) -> None:
    found = document_text(pdf(*pages), ".pdf", limit=1000).split("\n")
    assert ["".join(line.split()) for line in found] == ["".join(p.split()) for p in pages]


def test_tables_stand_where_they_stood_a_row_on_a_line() -> None:
    data = docx("before", rows=(("name", "age"), ("Zoë", "7")))
    assert document_text(data, ".docx", limit=1000) == "before\nname\tage\nZoë\t7\nafter the table"


@settings(max_examples=40)
@given(st.data(), st.sampled_from([".pdf", ".docx"]))
def test_a_broken_document_is_a_problem_and_nothing_else(data: st.DataObject, suffix: str) -> None:
    whole = pdf("hello") if suffix == ".pdf" else docx("hello")
    cut = data.draw(st.integers(0, len(whole)))
    flipped = bytearray(whole[:cut])
    for _ in range(data.draw(st.integers(0, 5)) if flipped else 0):
        flipped[data.draw(st.integers(0, len(flipped) - 1))] ^= data.draw(st.integers(1, 255))
    with suppress(ExecutionError):
        assert isinstance(document_text(bytes(flipped), suffix, limit=1000), str)


@pytest.mark.parametrize("suffix", [".pdf", ".docx"])
@pytest.mark.parametrize("data", [b"", b"hello", b"PK\x03\x04", b"%PDF-1.4", b"\0" * 1000])
def test_what_is_no_document_is_said_to_be_none(suffix: str, data: bytes) -> None:
    with pytest.raises(ExecutionError, match="it is no readable"):
        document_text(data, suffix, limit=1000)


def test_a_word_file_with_a_broken_part_is_a_problem() -> None:
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(docx("hello"))) as whole,
        zipfile.ZipFile(out, "w") as broken,
    ):
        for name in whole.namelist():
            text = b"<w:document" if name == "word/document.xml" else whole.read(name)
            broken.writestr(name, text)
    with pytest.raises(ExecutionError, match="no readable"):
        document_text(out.getvalue(), ".docx", limit=1000)


def test_a_word_file_that_would_unpack_to_gigabytes_is_not_unpacked() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", b"\0" * (EXPANDED_LIMIT + 1))
    with pytest.raises(ExecutionError, match="unpacks to"):
        document_text(out.getvalue(), ".docx", limit=1000)


@pytest.mark.parametrize(("suffix", "data"), [(".pdf", pdf("x" * 90)), (".docx", docx("x" * 90))])
def test_a_text_beyond_the_limit_is_refused(suffix: str, data: bytes) -> None:
    with pytest.raises(ExecutionError, match="longer than 50 characters"):
        document_text(data, suffix, limit=50)


@pytest.mark.parametrize(
    ("suffix", "library", "data"), [(".pdf", "pypdf", pdf("x")), (".docx", "docx", docx("x"))]
)
def test_without_the_library_the_pip_command_is_given(
    monkeypatch: pytest.MonkeyPatch, suffix: str, library: str, data: bytes
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtra, match=r"pip install 'finetune-fsm\[documents\]'"):
        document_text(data, suffix, limit=1000)


def test_documents_join_the_prompt_like_text_files(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(pdf("Invoice 7"))
    (tmp_path / "b.docx").write_bytes(docx("Dear Zoë"))
    got = attach([Filled("a.pdf"), Filled("b.docx")], Folders(tmp_path))
    assert "--- Content from a.pdf ---\nInvoice 7\n--- End of a.pdf ---" in got.text
    assert "--- Content from b.docx ---\nDear Zoë\n--- End of b.docx ---" in got.text


def test_a_broken_pdf_leaves_the_terminal_alone(tmp_path: Path) -> None:
    # In a process of its own: here pytest's handlers would catch what the library logs.
    (tmp_path / "a.pdf").write_bytes(pdf("hello").replace(b"startxref\n", b"startxref\n1"))
    code = (
        "from pathlib import Path; from finetune_fsm.execution.documents import document_text;"
        "print(document_text(Path('a.pdf').read_bytes(), '.pdf', limit=100))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, timeout=30, check=True
    )
    assert done.stdout.split() == [b"hello"]
    assert done.stderr == b""
