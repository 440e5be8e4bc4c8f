"""Which files of a folder are documents, and what is written in them.

The folder may hold anything: what cannot be read is told and left out, never an exception. Nothing
outside of it is read: a link that leads out is refused, for whoever may put a file there could
otherwise have any file of the user's sent to a model.
"""

from __future__ import annotations

import codecs
import hashlib
import os
import stat
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass
from pathlib import Path

from finetune_fsm.errors import ExecutionError
from finetune_fsm.knowledge.store import is_store

SIZE_LIMIT = 10_000_000
"""Bytes of one document at most."""

FILE_LIMIT = 20_000
"""Documents of one knowledge base at most: ``directory: /`` would never end."""

ENTRY_LIMIT = 500_000
"""Files and folders that are looked at."""

SKIPPED_FOLDERS = frozenset({"node_modules", "dist"})
"""Besides those whose name begins with a dot."""

_PROSE = "txt text md markdown rst adoc asciidoc org tex log"
_DATA = "csv tsv json jsonl ndjson yaml yml toml ini cfg conf properties xml svg"
_MARKUP = "html htm xhtml css scss less vue svelte"
_CODE = (
    "py pyi js mjs cjs jsx ts tsx java kt kts scala groovy c h cc cpp cxx hpp cs go rs rb php "
    "swift m mm r jl lua pl pm sh bash zsh fish ps1 bat cmd sql graphql proto ex exs erl hs clj "
    "dart tf gradle cmake"
)
TEXT_KINDS = frozenset(f".{kind}" for kind in f"{_PROSE} {_DATA} {_MARKUP} {_CODE}".split())
READ_KINDS = frozenset({".pdf", ".docx"})
"""Those that a library reads."""

ReadBytes = Callable[[Path], bytes]
"""Returns the bytes of a regular file of at most `SIZE_LIMIT`; ExecutionError otherwise."""

ReadDocument = Callable[[bytes, str], str]
"""Returns the text of the bytes of a PDF or Word file, whose ending is the second argument."""

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a document is.

    Attributes:
        source: Path within the folder, with ``/``.
        path: Its real place.
        size: In bytes.
        changed: When it was written last, in nanoseconds.
    """

    source: str
    path: Path
    size: int
    changed: int


@dataclass(frozen=True, slots=True)
class Folder:
    """The documents of a folder.

    Attributes:
        places: Where they are, sorted by source.
        problems: What was left out and why, one sentence each: a name, then a reason.
    """

    places: tuple[Place, ...]
    problems: tuple[tuple[str, str], ...] = ()


def documents_in(directory: Path, *, but: Path | None = None) -> Folder:
    """Return the documents below *directory*, in the same order whatever the disk says.

    Args:
        directory: The folder; it may itself be a link, as a person wrote it.
        but: A file that is none: the store.

    Raises:
        ExecutionError: there is no such folder, or it holds more than a knowledge base may.
    """
    root = os.path.realpath(directory)
    if not os.path.isdir(root):  # noqa: PTH112  # never raises
        raise ExecutionError("there is no such folder")
    store = os.path.realpath(but) if but else ""
    found: list[Place] = []
    problems: list[tuple[str, str]] = []
    for count, path in enumerate(_files(root, problems)):
        if len(found) >= FILE_LIMIT or count >= ENTRY_LIMIT:
            raise ExecutionError(
                f"the folder holds more than {min(count, FILE_LIMIT)} documents — name a smaller "
                "one"
            )
        source = Path(os.path.relpath(path, root)).as_posix()
        kind = Path(path).suffix.lower()
        if kind not in TEXT_KINDS | READ_KINDS:
            continue
        try:
            place = _place(source, path, root)
        except (OSError, ValueError) as error:
            problems.append((source, _reason(error)))
        except ExecutionError as error:
            problems.append((source, str(error)))
        else:
            if str(place.path) != store:
                found.append(place)
    found.sort(key=lambda place: place.source)
    return Folder(tuple(found), tuple(sorted(problems)))


def _files(root: str, problems: list[tuple[str, str]]) -> Iterator[str]:
    """Yield the path of every file below *root* that is not hidden."""

    def refused(error: OSError) -> None:
        where = os.path.relpath(error.filename or root, root)
        problems.append((Path(where).as_posix(), _reason(error)))

    for folder, inner, names in os.walk(root, onerror=refused):
        for name in list(inner):
            path = os.path.join(folder, name)  # noqa: PTH118  # text, as os.walk gives it
            is_link = os.path.islink(path)  # noqa: PTH114  # as above
            if name.startswith(".") or name in SKIPPED_FOLDERS:
                inner.remove(name)
            if is_link and not _is_inside(os.path.realpath(path), root):
                where = Path(os.path.relpath(path, root)).as_posix()
                problems.append((where, "it is a link that leads out of the folder"))
        inner.sort()
        yield from (
            os.path.join(folder, name)  # noqa: PTH118  # as above
            for name in sorted(names)
            if not name.startswith(".")
        )


def _place(source: str, path: str, root: str) -> Place:
    real = os.path.realpath(path)
    if not _is_inside(real, root):
        raise ExecutionError("it is a link that leads out of the folder")
    status = os.stat(real)  # noqa: PTH116  # text, as os.walk gives it
    if not stat.S_ISREG(status.st_mode):
        raise ExecutionError("it is not a regular file")
    if status.st_size > SIZE_LIMIT:
        raise ExecutionError(f"it is longer than {SIZE_LIMIT // 1_000_000} MB")
    source.encode("utf-8")  # a name that is no text cannot stand in a prompt
    return Place(source, Path(real), status.st_size, status.st_mtime_ns)


def _is_inside(path: str, root: str) -> bool:
    return Path(path).is_relative_to(root)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or "it cannot be read"
    return "its name is not possible"


def text_in(
    place: Place,
    *,
    read: ReadBytes,
    read_document: ReadDocument,
    known: MutableMapping[str, str],
) -> tuple[str, str]:
    """Return the text of the document at *place*, and its digest if that is in *known*.

    A store of vectors that lies among the documents has no text.

    Args:
        place: Where it is.
        read: Reads its bytes.
        read_document: Reads PDF and Word files.
        known: Texts of those by the SHA-256 of their bytes, in hexadecimal; added to.

    Raises:
        ExecutionError: it cannot be read, or is no text.
        MissingExtra: a PDF or Word file needs a library that is not installed.
    """
    data = read(place.path)
    kind = place.path.suffix.lower()
    if kind not in READ_KINDS:
        return ("" if is_store(data) else decoded(data)), ""
    name = hashlib.sha256(data).hexdigest()
    if name not in known:
        text = read_document(data, kind)
        known[name] = text.encode("utf-8", "replace").decode("utf-8")  # some PDFs hold surrogates
    return known[name], name


def decoded(data: bytes) -> str:
    r"""Return the text in *data*, its line ends as ``\n``. Pure.

    UTF-8, or what a mark at the beginning says; text that is neither is read as Windows-1252, in
    which old files are.

    Raises:
        ExecutionError: it is no text at all.
    """
    encoding = next((name for mark, name in _BOMS if data.startswith(mark)), "")
    try:
        text = data.decode(encoding or "utf-8")
    except UnicodeDecodeError as error:
        if encoding:
            raise ExecutionError("it is not text") from error
        text = data.decode("cp1252", "replace")
    if "\0" in text:
        raise ExecutionError("it is not text")
    return text.replace("\r\n", "\n").replace("\r", "\n")
