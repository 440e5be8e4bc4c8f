"""The disk under a microscope: every change that a process makes in one folder, numbered.

The product knows nothing of this. It changes files through the functions of `os` alone, and those
are replaced here, for the paths below one folder: before an operation happens, a plan is asked
what shall become of it. A plan may kill the process, let a write come out short or torn, raise
what a full or broken disk raises, or only take notes.
"""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

JOURNAL = "journal.jsonl"

VERBS = ("open", "write", "fsync", "ftruncate", "replace", "unlink", "mkdir", "chmod")
"""The functions of `os` that change something, and what they are told of."""

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


@dataclass(frozen=True, slots=True)
class Operation:
    """One change of the folder, about to happen.

    Attributes:
        number: From 1.
        verb: The function of `os`, one of `VERBS`.
        path: What it changes, relative to the folder; of a rename, the old name.
        data: What is written.
        target: The new name, of a rename.
        size: To which a file is cut.
        folder: Whether *path* is a folder.
    """

    number: int
    verb: str
    path: str
    data: bytes = b""
    target: str = ""
    size: int = 0
    folder: bool = False

    @property
    def kind(self) -> str:
        """For tables: what is done to which sort of thing."""
        name = self.path.rpartition("/")[2]
        if self.folder:
            return f"folder {self.verb}"
        if name == JOURNAL:
            return f"journal {self.verb}"
        return f"lock {self.verb}" if name == "lock" else f"file {self.verb}"


Perform = Callable[[bytes], int]
"""Does the operation, of a write with these bytes; returns what `os` does, as far as it counts."""

Plan = Callable[[Operation, Perform], int]
"""Decides what becomes of an operation; may do it, and may raise."""


def obey(operation: Operation, perform: Perform) -> int:  # a Plan
    """Let it happen."""
    return perform(operation.data)


def note_in(found: list[Operation]) -> Plan:
    """Let everything happen and keep it in *found*."""

    def plan(operation: Operation, perform: Perform) -> int:
        result = perform(operation.data)
        found.append(operation)
        return result

    return plan


@dataclass(frozen=True, slots=True)
class Kill:
    """A plan: SIGKILL at one operation.

    Attributes:
        number: Of the operation.
        when: ``before`` it, ``after`` it, or within a write: when ``half`` of its bytes, or
            ``almost`` all, are written.
        sign: How: SIGKILL; SIGSTOP holds the process there instead.
    """

    number: int
    when: str = "before"
    sign: signal.Signals = signal.SIGKILL

    def __call__(self, operation: Operation, perform: Perform) -> int:
        if operation.number != self.number:
            return perform(operation.data)
        part = {"half": operation.data[: len(operation.data) // 2], "almost": operation.data[:-1]}
        try:
            return 0 if self.when == "before" else perform(part.get(self.when, operation.data))
        finally:  # also when there was nothing to do, such as to make a folder that is there
            os.kill(os.getpid(), self.sign)


@dataclass(frozen=True, slots=True)
class Fail:
    """A plan: one operation, or every one from there on, fails.

    Attributes:
        number: Of the first that fails, counted among those of *verbs*.
        error: The number of the error, such as `errno.ENOSPC`.
        verbs: What can fail.
        lasting: Whether all later ones fail too.
    """

    number: int
    error: int
    verbs: tuple[str, ...]
    lasting: bool = False

    def on(self, hits: list[Operation]) -> Plan:
        """The plan; what it made fail is added to *hits*."""
        numbers = itertools.count(1)

        def plan(operation: Operation, perform: Perform) -> int:
            if operation.verb not in self.verbs:
                return perform(operation.data)
            number = next(numbers)
            if number == self.number or (self.lasting and number > self.number):
                hits.append(operation)
                raise OSError(self.error, os.strerror(self.error), operation.path)
            return perform(operation.data)

        return plan


class Disk:
    """Stands between a process and *folder* while `watched` holds.

    Args:
        folder: What lies below it is watched.
        plan: Decides.
    """

    def __init__(self, folder: Path, plan: Plan) -> None:
        self._root = os.path.realpath(folder)
        self._plan = plan
        self._numbers = itertools.count(1)
        self._names: dict[int, tuple[str, bool]] = {}
        self._real = {name: getattr(os, name) for name in (*VERBS, "close")}

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Put the functions in place inside the block."""
        try:
            for name in self._real:
                setattr(os, name, getattr(self, f"_{name}"))
            yield
        finally:
            for name, function in self._real.items():
                setattr(os, name, function)

    def _inside(self, path: object) -> str | None:
        if not isinstance(path, str | os.PathLike):
            return None
        whole = os.path.abspath(os.fspath(path))  # noqa: PTH100  # links stay as named
        if whole == self._root:
            return "."
        below = whole.removeprefix(self._root + os.sep)
        return below if below != whole else None

    def _act(self, verb: str, path: str, perform: Perform, **more: object) -> int:
        operation = Operation(next(self._numbers), verb, path, **more)  # type: ignore[arg-type]
        return self._plan(operation, perform)

    def _open(self, path: object, flags: int, mode: int = 0o777, **more: object) -> int:
        name = self._inside(path)

        def perform(_: bytes) -> int:
            return self._real["open"](path, flags, mode, **more)

        if name is None:
            return perform(b"")
        handle = self._act("open", name, perform) if flags & _WRITING else perform(b"")
        self._names[handle] = (name, Path(self._root, name).is_dir())
        return handle

    def _close(self, handle: int) -> None:
        self._names.pop(handle, None)
        self._real["close"](handle)

    def _write(self, handle: int, data: bytes) -> int:
        if handle not in self._names:
            return self._real["write"](handle, data)
        name, _ = self._names[handle]
        write = self._real["write"]
        return self._act("write", name, lambda part: write(handle, part), data=bytes(data))

    def _fsync(self, handle: int) -> None:
        if handle not in self._names:
            return self._real["fsync"](handle)
        name, folder = self._names[handle]
        self._act("fsync", name, lambda _: self._real["fsync"](handle) or 0, folder=folder)
        return None

    def _ftruncate(self, handle: int, size: int) -> None:
        if handle not in self._names:
            return self._real["ftruncate"](handle, size)
        name, _ = self._names[handle]
        cut = self._real["ftruncate"]
        self._act("ftruncate", name, lambda _: cut(handle, size) or 0, size=size)
        return None

    def _replace(self, source: object, target: object, **more: object) -> None:
        name, new = self._inside(source), self._inside(target)

        def perform(_: bytes) -> int:
            return self._real["replace"](source, target, **more) or 0

        if name is None or new is None:
            perform(b"")
        else:
            self._act("replace", name, perform, target=new)

    def _unlink(self, path: object, **more: object) -> None:
        self._simple("unlink", path, lambda: self._real["unlink"](path, **more))

    def _chmod(self, path: object, mode: int, **more: object) -> None:
        self._simple("chmod", path, lambda: self._real["chmod"](path, mode, **more))

    def _mkdir(self, path: object, mode: int = 0o777, **more: object) -> None:
        make = self._real["mkdir"]
        self._simple("mkdir", path, lambda: make(path, mode, **more), folder=True)

    def _simple(
        self, verb: str, path: object, do: Callable[[], None], *, folder: bool = False
    ) -> None:
        name = self._inside(path)
        if name is None:
            do()
        else:
            self._act(verb, name, lambda _: do() or 0, folder=folder)


def wait(seconds: float, ready: Callable[[], bool]) -> bool:
    """Return whether *ready* became true within so many seconds."""
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True
