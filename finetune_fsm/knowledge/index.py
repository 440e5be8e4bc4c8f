"""A folder's chunks with their vectors, brought up to date before it is searched.

Scenarios that run side by side, in threads or in processes, build a store once: who comes second
waits, and finds it built. What is embedded is written down every half minute and when a build
breaks off, so that the next one goes on from there.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from finetune_fsm.errors import (
    Busy,
    ExecutionError,
    LLMError,
    LLMErrorKind,
    StorageError,
)
from finetune_fsm.knowledge import store as stores
from finetune_fsm.knowledge.chunks import chunks_of
from finetune_fsm.knowledge.documents import (
    Folder,
    ReadBytes,
    ReadDocument,
    documents_in,
    text_in,
)
from finetune_fsm.knowledge.model import Base, Chunk, Passage, private_folder
from finetune_fsm.knowledge.search import Matrix, demand_library
from finetune_fsm.llm.base import Stop
from finetune_fsm.sinks import one_line
from finetune_fsm.storage.lock import Lock

BATCH = 32
"""Texts that are embedded by one call."""

CHUNK_LIMIT = 200_000
"""Chunks of one knowledge base at most."""

SAVE_EVERY = 30.0
"""Seconds of embedding between two times that it is written down."""

TRUST = 60.0
"""Seconds after which a model is asked again whether its weights are still the same."""

HELD = 8
"""Indices that one process holds."""

_LOOK = 0.05  # seconds between two looks at a lock and the stop flag


class Model(Protocol):
    """What gives vectors, and says of what weights."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    def fingerprint(self, model: str, *, stop: Stop | None = None) -> str:
        """Return what tells the weights called *model* from others of that name."""
        ...

    def embed(
        self, model: str, texts: Sequence[str], *, stop: Stop | None = None
    ) -> tuple[tuple[float, ...], ...]:
        """Return a vector for each of *texts*."""
        ...


@dataclass(frozen=True, slots=True)
class Reading:
    """How files are read; what reads them stands above this package.

    Attributes:
        file: Reads the bytes of a file.
        document: Reads the bytes of a PDF or Word file.
    """

    file: ReadBytes
    document: ReadDocument


@dataclass(frozen=True, slots=True)
class Index:
    """A knowledge base, ready to be searched.

    Attributes:
        chunks: Sorted by source, then in the order of the document.
        matrix: A vector of each.
        problems: What was left out or went wrong, a sentence each.
        embedded: How many texts this took the model.
        files: How many documents there are.
    """

    chunks: tuple[Chunk, ...]
    matrix: Matrix
    problems: tuple[str, ...] = ()
    embedded: int = 0
    files: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """What a search gave.

    Attributes:
        passages: The nearest first, at most as many as the knowledge base asks for.
        problems: See `Index`.
    """

    passages: tuple[Passage, ...]
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Held:
    """An index in memory: of which files, as the disk names them, and when the model was asked."""

    index: Index
    folder: Folder
    asked: float


class Shelf:
    """Indices in memory; safe to use from several threads."""

    def __init__(self) -> None:
        self._held: OrderedDict[tuple[object, ...], _Held] = OrderedDict()
        self._lock = threading.Lock()
        self._turns: dict[str, threading.Lock] = {}

    def get(self, key: tuple[object, ...], folder: Folder) -> Index | None:
        """Return the index of *folder* as it is now, or None."""
        with self._lock:
            held = self._held.get(key)
            if held is None or held.folder != folder or time.monotonic() - held.asked > TRUST:
                return None
            self._held.move_to_end(key)
            return held.index

    def put(self, key: tuple[object, ...], folder: Folder, index: Index) -> None:
        """Hold *index*."""
        with self._lock:
            self._held[key] = _Held(index, folder, time.monotonic())
            while len(self._held) > HELD:
                self._held.popitem(last=False)

    def drop(self, key: tuple[object, ...]) -> None:
        """Forget the index with *key*."""
        with self._lock:
            self._held.pop(key, None)

    def turn(self, store: str) -> threading.Lock:
        """The lock among the threads of this process for the file *store*."""
        with self._lock:
            return self._turns.setdefault(store, threading.Lock())


_SHELF = Shelf()  # one for the process: its rollouts share no other object


def search(
    base: Base, question: str, model: Model, reading: Reading, *, stop: Stop | None = None
) -> Found:
    """Return the chunks of *base* nearest to *question*.

    Raises:
        ExecutionError: there is no such folder, or it is too large.
        LLMError: the model gives no vectors.
        MissingExtra: a library is not installed.
        Cancelled: *stop* was asked for.
    """
    index = index_of(base, model, reading, stop=stop)
    if not index.chunks:
        return Found((), index.problems)
    (vector,) = _embedded(model, base.model, (question,), stop)
    if len(vector) != index.matrix.length:  # other weights under the same name
        index = index_of(base, model, reading, stop=stop, afresh=True)
        if len(vector) != index.matrix.length:
            raise _unusable(base.model, "vectors of different lengths")
    nearest = index.matrix.nearest(vector, base.top_k)
    passages = tuple(Passage(index.chunks[place], score) for place, score in nearest)
    return Found(passages, index.problems)


def index_of(
    base: Base, model: Model, reading: Reading, *, stop: Stop | None = None, afresh: bool = False
) -> Index:
    """Return the index of *base* as its folder is now, embedding what is new.

    Args:
        base: The knowledge base.
        model: Embeds.
        reading: Reads files.
        stop: Ends it early; what was embedded is kept.
        afresh: Whether no vector of before may be used.

    Raises:
        ExecutionError: there is no such folder, or it is too large.
        LLMError: the model gives no vectors.
        MissingExtra: a library is not installed.
        Cancelled: *stop* was asked for.
    """
    demand_library()
    place = os.path.realpath(base.store)
    key = (place, os.path.realpath(base.directory), base.model, base.chunk_size, model.name)
    folder = documents_in(base.directory, but=base.store)
    if not afresh and (index := _SHELF.get(key, folder)):
        return index
    with _alone(_SHELF.turn(place), place, base, stop):
        if not afresh and (index := _SHELF.get(key, folder)):
            return index  # another thread has built it meanwhile
        _SHELF.drop(key)
        index = _Build(base, model, reading, stop).index(folder, afresh=afresh)
        _SHELF.put(key, folder, index)
    return index


@contextmanager
def _alone(turn: threading.Lock, place: str, base: Base, stop: Stop | None) -> Iterator[None]:
    """Keep other threads and processes from building the same store; wait for them first."""
    while not turn.acquire(timeout=_LOOK):
        if stop:
            stop.check()
    try:
        lock = _file_lock(place, base, stop)
        try:
            yield
        finally:
            if lock:
                lock.release()
    finally:
        turn.release()


def _file_lock(place: str, base: Base, stop: Stop | None) -> Lock | None:
    """Take the lock of a store; None where no lock can be had, as writing is atomic anyway.

    It lies in the user's cache, for a workflow's folder is no place for files nobody asked for.
    """
    name = hashlib.sha256(place.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    told = False
    try:
        path = private_folder() / name
        while True:
            try:
                return Lock.take(path, "the knowledge base")
            except Busy:
                if stop:
                    if not told:
                        stop.tell(f"another process builds the knowledge base {_shown(base)}")
                    stop.check()
                told = True
                time.sleep(_LOOK)
    except (StorageError, OSError):
        return None


class _OtherLength(Exception):
    """New vectors are longer or shorter than those in the store."""


class _Build:
    """One refresh of one store, which nobody else touches meanwhile."""

    def __init__(self, base: Base, model: Model, reading: Reading, stop: Stop | None) -> None:
        self._base = base
        self._model = model
        self._reading = reading
        self._stop = stop
        self._stored = stores.Stored()
        self._before: object = None
        self._problems: list[str] = []

    def index(self, folder: Folder, *, afresh: bool) -> Index:
        """Return the index of the documents in *folder*."""
        base = self._base
        space = (base.model, self._model.fingerprint(base.model, stop=self._stop))
        self._open()
        if afresh:
            self._forget(space)
        chunks, texts = self._read(folder)
        try:
            embedded = self._embed(chunks, space)
        except _OtherLength:  # the provider does not say when weights change
            self._forget(space)
            embedded = self._embed(chunks, space)
        names = [stores.name_of(chunk.text) for chunk in chunks]
        use = stores.Use(base.written, base.chunk_size, space, tuple(names))
        self._stored.keep(use, texts)
        self._save()
        vectors = self._stored.vectors.get(space, {})
        matrix = Matrix([vectors[name] for name in names])
        return Index(chunks, matrix, tuple(self._problems), embedded, len(folder.places))

    def _forget(self, space: stores.Space) -> None:
        self._stored.vectors.pop(space, None)
        self._before = None  # new vectors of the same names are to be written

    def _open(self) -> None:
        try:
            self._stored = stores.read(self._base.store)
        except stores.BrokenStore as error:
            name = one_line(self._base.store.name)
            self._problems.append(f"the store '{name}' is built again: {error}")
        else:
            self._before = self._stored.contents

    def _read(self, folder: Folder) -> tuple[tuple[Chunk, ...], list[str]]:
        """The chunks of all documents, and the digests of the texts that were slow to read."""
        chunks: list[Chunk] = []
        left_out = list(folder.problems)
        slow: list[str] = []
        for place in folder.places:
            if self._stop:
                self._stop.check()
            try:
                text, name = text_in(
                    place,
                    read=self._reading.file,
                    read_document=self._reading.document,
                    known=self._stored.texts,
                )
            except ExecutionError as error:
                left_out.append((place.source, str(error)))
                continue
            slow += [name] if name else []
            chunks += chunks_of(place.source, text, self._base.chunk_size)
            if len(chunks) > CHUNK_LIMIT:
                raise ExecutionError(
                    f"the folder makes more than {CHUNK_LIMIT} chunks — name a smaller one, or "
                    "raise chunk_size"
                )
        if left_out:
            self._problems.append(_left_out(left_out))
        if not chunks:
            self._problems.append("the folder holds no documents with text")
        return tuple(chunks), slow

    def _embed(self, chunks: Sequence[Chunk], space: stores.Space) -> int:
        """Embed what has no vector; what is done is written down, however it ends."""
        known = self._stored.vectors.setdefault(space, {})
        named = {stores.name_of(chunk.text): chunk.text for chunk in chunks}
        todo = [(name, text) for name, text in named.items() if name not in known]
        saved = time.monotonic()
        try:
            for start in range(0, len(todo), BATCH):
                if self._stop:
                    done = f"{start} of {len(todo)} chunks"
                    self._stop.tell(f"building the knowledge base {_shown(self._base)}: {done}")
                self._take(todo[start : start + BATCH], known)
                if time.monotonic() - saved > SAVE_EVERY:
                    self._save()
                    saved = time.monotonic()
        except BaseException:
            self._save()
            raise
        return len(todo)

    def _take(self, batch: Sequence[tuple[str, str]], known: dict[str, stores.Vector]) -> None:
        texts = [text for _, text in batch]
        vectors = _embedded(self._model, self._base.model, texts, self._stop)
        if known and len(next(iter(known.values()))) != len(vectors[0]):
            raise _OtherLength
        known |= {name: vector for (name, _), vector in zip(batch, vectors, strict=True)}

    def _save(self) -> None:
        """Write the store if it holds anything else than the file; it need not be possible."""
        contents = self._stored.contents
        if contents == self._before:
            return
        base = self._base
        try:
            stores.write(base.store, self._stored, base.format)
        except (StorageError, OSError) as error:
            problem = f"its store cannot be kept, so the next run embeds again: {error}"
            if problem not in self._problems:
                self._problems.append(problem)
        else:
            self._before = contents


def _embedded(
    model: Model, name: str, texts: Sequence[str], stop: Stop | None
) -> tuple[stores.Vector, ...]:
    """The vectors of *texts*, of one length."""
    vectors = model.embed(name, texts, stop=stop)
    if len(vectors) != len(texts) or len({len(vector) for vector in vectors}) > 1:
        raise _unusable(name, f"{len(vectors)} vectors for {len(texts)} texts")
    try:
        return tuple(stores.vector_of(vector) for vector in vectors)
    except (ValueError, TypeError, OverflowError) as error:
        raise _unusable(name, "vectors that are no numbers") from error


def _unusable(model: str, what: str) -> LLMError:
    return LLMError(
        LLMErrorKind.PROTOCOL,
        f"the embedding model '{one_line(model)}' gave {what}",
        hint="name a model that is made for embeddings",
    )


_NAMED = 3  # files that a sentence names


def _left_out(problems: Sequence[tuple[str, str]]) -> str:
    named = [f"'{one_line(name, limit=80)}' ({reason})" for name, reason in problems[:_NAMED]]
    more = f" and {len(problems) - _NAMED} more" if len(problems) > _NAMED else ""
    return f"left out: {', '.join(named)}{more}"


def _shown(base: Base) -> str:
    return f"'{one_line(base.name, limit=80)}'"
