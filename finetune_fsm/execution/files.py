"""Files that go with a prompt: where they may lie and how they are read.

A path that a person wrote literally may point anywhere, like a path in a script. A path that an
interpolated value helped to build (an answer, a model's reply) must stay inside the workflow's
folder, the current folder or the run directory, after links are resolved. Only regular files of a
bounded size are read: a device or a pipe would never end.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from finetune_fsm.errors import ExecutionError
from finetune_fsm.execution.documents import READERS, document_text
from finetune_fsm.execution.interpolation import Filled
from finetune_fsm.sinks import one_line, visible_line

TEXT_LIMIT = 1_000_000
"""Bytes of a text file, and characters of a document's text, at most."""

BINARY_LIMIT = 20_000_000
"""Bytes of an image or a document at most."""

IMAGE_KINDS = frozenset({".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp"})
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"RIFF", b"BM")
TEXT_KINDS = frozenset({".txt", ".md", ".json", ".yaml", ".yml", ".csv"})
_ALL_KINDS = ", ".join(sorted(IMAGE_KINDS | TEXT_KINDS | set(READERS)))


@dataclass(frozen=True, slots=True)
class Folders:
    """Where the files of a running workflow lie.

    Attributes:
        workflow: The workflow's folder; relative paths are looked up there first.
        run: The run directory.
    """

    workflow: Path
    run: Path | None = None

    @property
    def bases(self) -> tuple[Path, ...]:
        """Folders against which a relative path is looked up, in order."""
        return (self.workflow, *_current())

    @property
    def trusted(self) -> tuple[Path, ...]:
        """Folders, resolved, that a path built from a value must not leave."""
        folders = (*self.bases, *((self.run,) if self.run else ()))
        return tuple(Path(os.path.realpath(folder)) for folder in folders)


def _current() -> tuple[Path, ...]:
    with suppress(OSError):  # the current folder may have been deleted
        return (Path.cwd(),)
    return ()


@dataclass(frozen=True, slots=True)
class Attachments:
    """What a state's files add to its prompt.

    Attributes:
        text: Goes after the prompt; empty without text files.
        images: Raw bytes, in the order of the files.
        problems: One sentence for each file that could not be read.
    """

    text: str = ""
    images: tuple[bytes, ...] = ()
    problems: tuple[str, ...] = ()


def attach(paths: Sequence[Filled], folders: Folders) -> Attachments:
    """Read the files at *paths*; one that cannot be read becomes a problem.

    Raises:
        ExecutionError: a path built from a value leaves the folders it must stay in.
        MissingExtra: a PDF or Word file needs a library that is not installed.
    """
    texts: list[str] = []
    images: list[bytes] = []
    problems: list[str] = []
    for path in paths:
        place = locate(path, folders)
        try:
            if place.suffix.lower() in IMAGE_KINDS:
                images.append(_image_of(place))
            else:
                texts.append(_section(place.name, _text_of(place)))
        except ExecutionError as error:
            problems.append(f"file '{one_line(path.text)}' cannot be read: {error}")
    return Attachments("".join(texts), tuple(images), tuple(problems))


def _section(name: str, text: str) -> str:
    shown = visible_line(name)
    end = "" if text.endswith("\n") else "\n"
    return f"\n\n--- Content from {shown} ---\n{text}{end}--- End of {shown} ---"


def _image_of(place: Path) -> bytes:
    data = read_bytes(place, limit=BINARY_LIMIT)
    if not data.startswith(_SIGNATURES):  # a server's answer to no image looks like its own failure
        raise ExecutionError("it is not an image")
    return data


def _text_of(place: Path) -> str:
    suffix = place.suffix.lower()
    if suffix in TEXT_KINDS:
        return read_text(place)
    if suffix in READERS:
        data = read_bytes(place, limit=BINARY_LIMIT)
        return document_text(data, suffix, limit=TEXT_LIMIT)
    hint = "save it as .docx" if suffix == ".doc" else f"known kinds: {_ALL_KINDS}"
    raise ExecutionError(f"its kind is not known — {hint}")


def locate(path: Filled, folders: Folders) -> Path:
    """Return where *path* points: the first place that exists, else the first there is.

    Raises:
        ExecutionError: a value helped to build *path*, and it leaves the trusted folders.
    """
    places = [base / path.text for base in folders.bases]  # an absolute path stays alone
    found = next((place for place in places if os.path.exists(place)), places[0])  # noqa: PTH110  # never raises
    if not path.used:
        return found
    real = _resolved(found)
    if not any(real.is_relative_to(folder) for folder in folders.trusted):
        names = ", ".join(f"'{name}'" for name in path.used)
        raise ExecutionError(
            f"file '{one_line(path.text)}' is refused: its path comes from {names} and leads out "
            "of the workflow's folder, the current folder and the run directory — move the file "
            "there, or write its path in the workflow"
        )
    return real


def _resolved(place: Path) -> Path:
    try:
        return Path(os.path.realpath(place))
    except (OSError, ValueError) as error:  # ValueError: a NUL, or a broken surrogate
        raise ExecutionError(f"file '{one_line(place.name)}' has an impossible name") from error


def read_text(place: Path) -> str:
    """Return the text (UTF-8, a leading mark dropped) of the file at *place*, exactly.

    Raises:
        ExecutionError: it is no regular file, too long, not readable or not UTF-8.
    """
    try:
        return read_bytes(place, limit=TEXT_LIMIT).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ExecutionError(f"it is not UTF-8 text (byte {error.start})") from error


def read_bytes(place: Path, *, limit: int) -> bytes:
    """Return the bytes of the regular file at *place*, at most *limit* of them.

    Raises:
        ExecutionError: it is missing, no regular file, longer, or not readable.
    """
    try:
        real = os.path.realpath(place)
        _demand_regular(os.stat(real))  # noqa: PTH116  # before opening: to open some devices is to act on them
        handle = os.open(real, os.O_RDONLY | _CAREFULLY)
        with os.fdopen(handle, "rb") as stream:
            _demand_regular(os.fstat(handle))  # again: it may have been exchanged meanwhile
            data = stream.read(limit + 1)
    except FileNotFoundError as error:
        raise ExecutionError("there is no such file") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "its name is not possible"
        raise ExecutionError(reason or str(error)) from error
    if len(data) > limit:
        raise ExecutionError(f"it is longer than {limit} bytes")
    return data


_CAREFULLY = (  # a pipe must not block, and what is resolved must not become a link again
    getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
)


def _demand_regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ExecutionError("it is not a regular file")
