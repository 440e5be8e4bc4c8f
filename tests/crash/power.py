"""What a disk may hold after the power failed: a model of what is not synced.

The operations of one run are played on a small model of a file system that promises only what
POSIX does: the bytes of a file are on the disk when the file was synced, its name when its folder
was. Everything else may have arrived, or not, or in part. After each operation the model yields
the contents that a disk might show then.

Source: the method, not the code, is that of Pillai et al., "All File Systems Are Not Created
Equal", OSDI 2014 (ALICE).
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from crash.disk import Operation

Image = Mapping[str, bytes | None]
"""Contents by relative path; None for a folder."""


@dataclass(slots=True)
class _File:
    """One file: its bytes now, and those that are on the disk for certain."""

    now: bytes = b""
    safe: bytes = b""


@dataclass(frozen=True, slots=True)
class _Change:
    """A change of names in one folder: *new* stands for *file* from now on, *old* for nothing."""

    new: str = ""
    file: _File | None = None  # None for a folder
    old: str = ""


@dataclass(slots=True)
class Model:
    """A folder with what is safe and what is not."""

    _names: dict[str, _File | None] = field(default_factory=dict)
    _safe: dict[str, _File | None] = field(default_factory=dict)
    _pending: dict[str, list[_Change]] = field(default_factory=dict)

    def play(self, operation: Operation) -> None:
        """Let *operation* happen."""
        path = operation.path
        match operation.verb:
            case "mkdir":
                self._change(path, _Change(path))
            case "open" if path not in self._names:
                self._change(path, _Change(path, _File()))
            case "write":
                self._file(path).now += operation.data  # nobody here writes but at the end
            case "ftruncate":
                self._file(path).now = self._file(path).now[: operation.size]
            case "replace":
                self._change(path, _Change(operation.target, self._file(path), path))
            case "unlink":
                self._change(path, _Change(old=path))
            case "fsync" if operation.folder:
                _apply(self._safe, self._pending.pop(path, []))
            case "fsync":
                self._file(path).safe = self._file(path).now

    def images(self) -> Iterator[Image]:
        """Yield what the disk may show if the power fails now."""
        every = list(itertools.chain.from_iterable(self._pending.values()))
        chosen = [[], every, *([change] for change in every)]
        for changes in chosen:
            names = dict(self._safe)
            _apply(names, changes)
            for arrived in (_nothing, _everything, _half, _zeros):
                yield _seen(names, arrived)

    def _file(self, path: str) -> _File:
        file = self._names[path]
        if file is None:
            raise ValueError(f"{path} is a folder")
        return file

    def _change(self, path: str, change: _Change) -> None:
        _apply(self._names, [change])
        self._pending.setdefault(str(PurePosixPath(path).parent), []).append(change)


def _apply(names: dict[str, _File | None], changes: Sequence[_Change]) -> None:
    for change in changes:
        names.pop(change.old, None)
        if change.new:
            names[change.new] = change.file


def _nothing(file: _File) -> bytes:
    return file.safe


def _everything(file: _File) -> bytes:
    return file.now


def _half(file: _File) -> bytes:
    """The first half of what was added last."""
    added = file.now[len(file.safe) :]
    return file.safe + added[: len(added) // 2]


def _zeros(file: _File) -> bytes:
    """The new length, and of the new bytes only the last ones."""
    added = file.now[len(file.safe) :]
    return file.safe + bytes(len(added) // 2) + added[len(added) // 2 :]


def _seen(names: Mapping[str, _File | None], arrived: object) -> Image:
    """The contents below folders that are there themselves."""
    image: dict[str, bytes | None] = {}
    for path, file in sorted(names.items()):
        parents = [str(parent) for parent in PurePosixPath(path).parents][:-1]
        if all(parent in names for parent in parents):
            image[path] = arrived(file) if file is not None else None  # type: ignore[operator]
    return image


def failures(operations: Sequence[Operation]) -> Iterator[tuple[int, Image]]:
    """Yield every different image, each with the number of operations that had begun."""
    model = Model()
    seen: set[tuple[tuple[str, bytes | None], ...]] = set()
    for operation in operations:
        model.play(operation)
        for image in model.images():
            key = tuple(image.items())
            if key not in seen:
                seen.add(key)
                yield operation.number, image


def build(image: Image, folder: Path, keep: Mapping[str, bytes]) -> None:
    """Make *folder* hold *image* and *keep*, which was there before, and nothing else."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, data in keep.items():
        (folder / name).write_bytes(data)
    for name, content in image.items():
        if content is None:
            (folder / name).mkdir(exist_ok=True)
        else:
            (folder / name).write_bytes(content)
