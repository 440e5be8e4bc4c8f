"""What a workflow says of a knowledge base, and what is found in one, as frozen values."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

DEFAULT_MODEL = "embeddinggemma"
DEFAULT_CHUNK_SIZE = 1000
DEFAULT_TOP_K = 3

_MSGPACK_ENDINGS = (".msgpack", ".mp")


class StoreFormat(StrEnum):
    """How vectors are written to the disk."""

    JSON = "json"
    MSGPACK = "msgpack"


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a document.

    Attributes:
        id: Unique in its knowledge base: the source and a number from 0.
        source: Path of the document within the folder, with ``/``.
        text: Whole lines, blank lines at both ends left out.
    """

    id: str
    source: str
    text: str


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk that was found.

    Attributes:
        chunk: What was found.
        score: Cosine of the angle between its vector and the question's, -1..1, six digits.
    """

    chunk: Chunk
    score: float


@dataclass(frozen=True, slots=True)
class Retrieved:
    """That a chunk went into a prompt; the prompt has its text.

    Attributes:
        source: Path of the document within the folder.
        chunk: The chunk's id.
        score: See `Passage`.
    """

    source: str
    chunk: str
    score: float


@dataclass(frozen=True, slots=True)
class Given:
    """A document that a test puts in the place of what a search would find.

    Attributes:
        source: Where it seems to come from.
        text: All of it.
        state: The only state that gets it, as it appears among the visited ones; all if empty.
    """

    source: str
    text: str
    state: str = ""


@dataclass(frozen=True, slots=True)
class Base:
    """A knowledge base.

    Attributes:
        name: What people call it; the folder as written where the workflow gives no name.
        directory: Its folder.
        store: The file that keeps the vectors.
        written: The folder as written, by which a store tells several apart.
        model: Of the embeddings.
        format: Of the store.
        chunk_size: Characters of a chunk at most.
        top_k: How many chunks go into a prompt.
        chunk_template: Form of one chunk, or empty for the usual one.
        context_template: Form of all of them, or empty for the usual one.
        is_ours: Whether the store lies in the user's cache, where only we write.
    """

    name: str
    directory: Path
    store: Path
    written: str = ""
    model: str = DEFAULT_MODEL
    format: StoreFormat = StoreFormat.JSON
    chunk_size: int = DEFAULT_CHUNK_SIZE
    top_k: int = DEFAULT_TOP_K
    chunk_template: str = ""
    context_template: str = ""
    is_ours: bool = False


def base_of(
    name: str, spec: Mapping[str, object], find: Callable[[str], Path], folder: Path
) -> Base:
    """Return the knowledge base that *spec*, valid by the schema, describes.

    Args:
        name: Of the knowledge base; empty for one that stands in a state.
        spec: Its fields, as in the workflow.
        find: Where a path that the workflow names is; for the directory.
        folder: The workflow's folder, against which the store's path is relative.
    """
    written = str(spec["directory"])
    directory = find(written)
    file = spec.get("embeddings_file")
    kind = _format_of(spec.get("storage_format"), str(file or ""))
    return Base(
        name=name or written,
        directory=directory,
        store=folder / str(file) if file else _cached_store(directory, kind),
        written=written,
        model=str(spec.get("model") or DEFAULT_MODEL),
        format=kind,
        chunk_size=_number(spec, "chunk_size", DEFAULT_CHUNK_SIZE),
        top_k=_number(spec, "top_k", DEFAULT_TOP_K),
        chunk_template=str(spec.get("chunk_template") or ""),
        context_template=str(spec.get("context_template") or ""),
        is_ours=not file,
    )


def _format_of(said: object, file: str) -> StoreFormat:
    """What the workflow says, else what the file's name does."""
    if said:
        return StoreFormat(str(said))
    is_packed = file.lower().endswith(_MSGPACK_ENDINGS)
    return StoreFormat.MSGPACK if is_packed else StoreFormat.JSON


def _number(spec: Mapping[str, object], key: str, default: int) -> int:
    value = spec.get(key, default)
    return value if isinstance(value, int) else default


def cache_folder() -> Path:
    """Return the folder, in the user's cache, of stores that a workflow names no place for."""
    from platformdirs import user_cache_path

    return user_cache_path("finetune-fsm") / "knowledge"


def private_folder() -> Path:
    """Return the folder of locks, made in the cache for its owner only.

    Raises:
        OSError: it cannot be made.
    """
    folder = cache_folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    locks = folder / "locks"
    locks.mkdir(exist_ok=True)
    return locks


def _cached_store(directory: Path, kind: StoreFormat) -> Path:
    real = os.path.realpath(directory)
    name = hashlib.sha256(real.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    return cache_folder() / f"{name}.{kind}"
