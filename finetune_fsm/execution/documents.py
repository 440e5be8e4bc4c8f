"""The text of PDF and Word files, read by real libraries (extra ``documents``)."""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Callable, Iterable, Mapping
from io import BytesIO

from finetune_fsm.errors import ExecutionError, MissingExtra

EXPANDED_LIMIT = 100_000_000
"""Bytes that a Word file may unpack to; it is a zip archive and could be a bomb."""


def document_text(data: bytes, suffix: str, *, limit: int) -> str:
    """Return the text of a document, at most *limit* characters.

    Args:
        data: The file's bytes.
        suffix: A key of `READERS`.
        limit: Characters; reading stops there, and it is an error.

    Raises:
        ExecutionError: the bytes are no such document, or its text is too long.
        MissingExtra: the library is not installed.
    """
    pieces: list[str] = []
    length = 0
    for piece in READERS[suffix](data):
        pieces.append(piece)
        length += len(piece)
        if length > limit:
            raise ExecutionError(f"its text is longer than {limit} characters")
    return "\n".join(pieces)


def _pdf(data: bytes) -> Iterable[str]:
    """Yield the text of each page."""
    try:
        from pypdf import PdfReader
    except ImportError as error:
        raise MissingExtra("documents", "reading a PDF file") from error
    # A handler of any kind keeps its remarks on odd files off the user's terminal.
    logging.getLogger("pypdf").addHandler(logging.NullHandler())
    try:
        for page in PdfReader(BytesIO(data)).pages:
            yield page.extract_text()
    except Exception as error:  # a broken PDF raises whatever the parser stumbled on
        raise ExecutionError(f"it is no readable PDF ({type(error).__name__})") from error


def _docx(data: bytes) -> Iterable[str]:
    """Yield paragraphs and table rows in document order, the cells of a row between tabs."""
    try:
        from docx import Document
        from docx.table import Table
    except ImportError as error:
        raise MissingExtra("documents", "reading a Word file") from error
    _demand_bounded(data)
    try:
        for block in Document(BytesIO(data)).iter_inner_content():
            if isinstance(block, Table):
                yield from ("\t".join(cell.text for cell in row.cells) for row in block.rows)
            else:
                yield block.text
    except Exception as error:  # a broken archive raises whatever the parser stumbled on
        raise ExecutionError(f"it is no readable .docx file ({type(error).__name__})") from error


def _demand_bounded(data: bytes) -> None:
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            expanded = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise ExecutionError("it is no readable .docx file (no zip archive)") from error
    if expanded > EXPANDED_LIMIT:
        raise ExecutionError(f"it unpacks to {expanded} bytes, more than {EXPANDED_LIMIT}")


READERS: Mapping[str, Callable[[bytes], Iterable[str]]] = {".pdf": _pdf, ".docx": _docx}
"""Reader by file name ending."""
