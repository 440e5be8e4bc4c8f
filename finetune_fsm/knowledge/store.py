"""The vectors of chunks that were embedded before, kept in a file.

A vector is found by the digest of the text that it is of, so that a file which changed costs the
embeddings of its new chunks only, and one that was moved costs none. A file holds several spaces,
one for each model and its weights, and remembers the last few uses (a folder, a chunk size): what
none of them needs is dropped. So a draft that tries another chunk size does not push out the
vectors of the best.

Nothing in a store is believed that does not fit; see `restored`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import sys
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias, cast

from finetune_fsm.errors import MissingExtra
from finetune_fsm.knowledge.model import StoreFormat
from finetune_fsm.storage.files import write_bytes

FORMAT = 1  # 1: kind, format, spaces, uses, texts
KIND = "finetune-fsm knowledge base"

USES = 8
"""Combinations of folder, chunk size and model whose vectors are kept, the last ones."""

SIZE_LIMIT = 2_000_000_000
"""Bytes of a store at most."""

Vector: TypeAlias = "array[float]"
"""Numbers of four bytes."""

Space = tuple[str, str]
"""A model and the fingerprint of its weights: vectors of different spaces do not compare."""


class BrokenStore(Exception):
    """The bytes are no store; carries why."""


@dataclass(frozen=True, slots=True)
class Use:
    """What chunks one folder has.

    Attributes:
        directory: As the workflow writes it.
        chunk_size: In characters.
        space: What embedded them.
        chunks: Digests of their texts.
    """

    directory: str
    chunk_size: int
    space: Space
    chunks: tuple[str, ...]

    @property
    def key(self) -> tuple[str, int, Space]:
        """What tells it from other uses."""
        return self.directory, self.chunk_size, self.space


@dataclass(slots=True)
class Stored:
    """All that a store holds.

    Attributes:
        vectors: By space, then by the digest of the text; all of a space have one length.
        uses: The latest last.
        texts: Of PDF and Word files, by the SHA-256 of their bytes.
    """

    vectors: dict[Space, dict[str, Vector]] = field(default_factory=dict)
    uses: list[Use] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)

    @property
    def contents(self) -> object:
        """What equal stores share; a vector never changes while its name and space do not."""
        names = {space: frozenset(found) for space, found in self.vectors.items() if found}
        return names, tuple(self.uses), frozenset(self.texts)

    def keep(self, use: Use, texts: Sequence[str]) -> None:
        """Take note of *use* and drop what no use needs, and all *texts* not among these."""
        if use not in self.uses:  # else the file may stay as it is
            self.uses = [*(other for other in self.uses if other.key != use.key), use][-USES:]
        needed: dict[Space, set[str]] = {}
        for each in self.uses:
            needed.setdefault(each.space, set()).update(each.chunks)
        self.vectors = {
            space: {name: vector for name, vector in found.items() if name in needed[space]}
            for space, found in self.vectors.items()
            if space in needed
        }
        self.texts = {name: self.texts[name] for name in texts if name in self.texts}


def name_of(text: str) -> str:
    """Return the digest by which the vector of *text* is found. Pure."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def vector_of(numbers: Sequence[float]) -> Vector:
    """Return *numbers* as they are stored; ValueError when one is not finite or there are none."""
    vector = array("f", numbers)
    if not vector or not all(map(math.isfinite, vector)):
        raise ValueError("a vector holds no numbers, or not only numbers")
    return vector


def is_store(data: bytes) -> bool:
    """Whether *data* is a store of ours, whole or not, or one that AgentMech wrote. Pure."""
    if _is_ours(data):
        return True
    return data[:1] == b"{" and b'"chunks"' in data[:20] and b'"embedding"' in data


def _is_ours(data: bytes) -> bool:
    """Whether *data* begins as what `written` returns, a mapping in one of the two formats."""
    return data[:1] in (b"{", b"\x85") and KIND.encode() in data[:60]


def read(path: Path) -> Stored:
    """Return what the store at *path* holds; nothing when there is none.

    Raises:
        BrokenStore: it cannot be read or used; says why.
        MissingExtra: it is MessagePack, and the library is not installed.
    """
    try:
        if path.stat().st_size > SIZE_LIMIT:
            raise BrokenStore(f"it is longer than {SIZE_LIMIT // 1_000_000} MB")
        if not path.is_file():
            raise BrokenStore("it is not a regular file")
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return Stored()
    except OSError as error:
        raise BrokenStore(error.strerror or str(error)) from error
    return restored(data)


def restored(data: bytes) -> Stored:
    """Return the store that *data* is, in either format.

    Raises:
        BrokenStore: a part of it does not fit; none of the rest is used then.
        MissingExtra: it is MessagePack, and the library is not installed.
    """
    if not data:
        return Stored()
    if not _is_ours(data):
        raise BrokenStore("it was not made by this program")
    try:
        document = json.loads(data) if data[:1] == b"{" else _unpacked(data)
        if document["kind"] != KIND or document["format"] != FORMAT:
            raise BrokenStore("it was made by another version")
        return _stored(document)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise BrokenStore("it is damaged") from error


def _stored(document: Mapping[str, object]) -> Stored:
    vectors = {}
    for space in cast("Sequence[Mapping[str, object]]", document["spaces"]):
        found = cast("Mapping[str, object]", space["vectors"])
        vectors[_space(space)] = _alike({_text(n): _vector(v) for n, v in found.items()})
    uses = [_use(use) for use in cast("Sequence[Mapping[str, object]]", document["uses"])]
    texts = cast("Mapping[str, object]", document["texts"])
    return Stored(vectors, uses, {_text(name): _text(text) for name, text in texts.items()})


def _use(use: Mapping[str, object]) -> Use:
    size = use["chunk_size"]
    if not isinstance(size, int):
        raise TypeError("a size is a number")
    chunks = cast("Sequence[object]", use["chunks"])
    return Use(_text(use["directory"]), size, _space(use), tuple(_text(name) for name in chunks))


def _space(part: Mapping[str, object]) -> Space:
    return _text(part["model"]), _text(part["fingerprint"])


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("text was expected")
    return value


def _vector(value: object) -> Vector:
    raw = base64.b64decode(value, validate=True) if isinstance(value, str) else value
    if not isinstance(raw, bytes):
        raise TypeError("bytes were expected")
    vector = array("f")
    vector.frombytes(raw)
    if sys.byteorder == "big":
        vector.byteswap()
    return vector_of(vector)


def _alike(vectors: dict[str, Vector]) -> dict[str, Vector]:
    if len({len(vector) for vector in vectors.values()}) > 1:
        raise ValueError("the vectors of one model differ in length")
    return vectors


def written(stored: Stored, kind: StoreFormat) -> bytes:
    """Return *stored* as the bytes of a file; equal stores have equal bytes.

    Raises:
        MissingExtra: it is to be MessagePack, and the library is not installed.
    """
    is_json = kind is StoreFormat.JSON
    document = {
        "kind": KIND,
        "format": FORMAT,
        "spaces": [
            {
                "model": model,
                "fingerprint": fingerprint,
                "vectors": {name: _raw(found[name], as_text=is_json) for name in sorted(found)},
            }
            for (model, fingerprint), found in sorted(stored.vectors.items())
        ],
        "uses": [
            {
                "directory": use.directory,
                "model": use.space[0],
                "fingerprint": use.space[1],
                "chunk_size": use.chunk_size,
                "chunks": list(use.chunks),
            }
            for use in stored.uses
        ],
        "texts": {name: stored.texts[name] for name in sorted(stored.texts)},
    }
    if is_json:
        return json.dumps(document, indent=1).encode("ascii")
    return _packed(document)


def _raw(vector: Vector, *, as_text: bool) -> str | bytes:
    if sys.byteorder == "big":
        vector = array("f", vector)
        vector.byteswap()
    data = vector.tobytes()
    return base64.b64encode(data).decode("ascii") if as_text else data


def _packed(document: Mapping[str, object]) -> bytes:
    try:
        import msgpack
    except ImportError as error:
        raise MissingExtra("knowledge", "storage_format: msgpack") from error
    return cast("bytes", msgpack.packb(document))


def _unpacked(data: bytes) -> Mapping[str, object]:
    try:
        import msgpack
    except ImportError as error:
        raise MissingExtra("knowledge", "reading a store of the format msgpack") from error
    try:
        return cast("Mapping[str, object]", msgpack.unpackb(data))
    except Exception as error:  # the library raises one of a dozen kinds, some its own
        raise BrokenStore("it is damaged") from error


def write(path: Path, stored: Stored, kind: StoreFormat) -> None:
    """Put *stored* at *path*, whole or not at all; what lay there and is no store is set aside.

    Raises:
        StorageError: the disk, the folder or the permissions do not allow it.
        MissingExtra: see `written`.
    """
    data = written(stored, kind)
    _set_aside(path)
    write_bytes(path, data)


def _set_aside(path: Path) -> None:
    """Keep a file that was named by mistake: it may be dear to somebody."""
    try:
        with path.open("rb") as file:
            is_foreign = (start := file.read(100_000)) and not is_store(start)
        if is_foreign:
            path.replace(path.with_name(f"{path.name}.before"))
    except OSError:
        return  # there is none, or writing will say what is wrong
