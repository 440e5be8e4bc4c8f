"""Run directories: one for each run, never shared, readable by their owner only."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from finetune_fsm.codec import plain
from finetune_fsm.errors import StorageError
from finetune_fsm.execution.rollout import Rollout, Visit
from finetune_fsm.sinks import slug
from finetune_fsm.storage.files import write_text

FORMAT = 1  # 1: metadata.json and, when asked for, trace.jsonl with one visit a line

METADATA = "metadata.json"
TRACE = "trace.jsonl"
RUNNING = "running"
"""Status in the metadata while the workflow runs, and for ever when it was killed."""

_TRIES = 10_000


def runs_folder() -> Path:
    """Return the folder of all run directories, ``~/.agentmech/runs``.

    Raises:
        StorageError: the user has no home.
    """
    try:
        return Path.home() / ".agentmech" / "runs"
    except RuntimeError as error:
        raise StorageError("there is no home folder for run directories — set HOME") from error


def create_run_directory(name: str, *, now: datetime, runs: Path | None = None) -> Path:
    """Make the directory ``<slug>-<UTC time>`` of a new run, mode 0700, and return it.

    Args:
        name: The workflow's name.
        now: The time of the start, with a time zone.
        runs: Folder to make it in; `runs_folder` without.

    Raises:
        StorageError: the folder cannot be written.
    """
    folder = runs if runs is not None else runs_folder()
    base = f"{slug(name)}-{now.astimezone(UTC):%Y-%m-%dT%H-%M-%S}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for number in range(1, _TRIES):
            path = folder / (base if number == 1 else f"{base}-{number}")
            if _made(path):
                return path
    except OSError as error:
        raise StorageError(f"cannot make a run directory in {folder}: {error.strerror}") from error
    raise StorageError(f"cannot make a run directory in {folder}: {_TRIES} runs in one second")


def _made(path: Path) -> bool:
    """Whether *path* was made just now; mkdir is the one step that two runs cannot both do."""
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        return False
    path.chmod(0o700)  # whatever the umask took away
    return True


@contextmanager
def temporary_run_directory() -> Iterator[Path]:
    """Lend a run directory that goes away with the block: evaluations leave nothing behind."""
    try:
        folder = tempfile.TemporaryDirectory(prefix="agentmech-", ignore_cleanup_errors=True)
    except OSError as error:
        raise StorageError(f"cannot make a temporary run directory: {error.strerror}") from error
    with folder as path:
        yield Path(path)


def write_metadata(
    directory: Path, *, workflow: str, file: str, started: datetime, rollout: Rollout | None = None
) -> None:
    """Write ``metadata.json``: what runs since when and, with *rollout*, how it ended.

    Variables are left out: they may hold what a person typed.

    Raises:
        StorageError: the directory cannot be written.
    """
    facts: dict[str, object] = {
        "format": FORMAT,
        "workflow": workflow,
        "file": file,
        "started": started.astimezone(UTC).isoformat(timespec="seconds"),
        "status": RUNNING if rollout is None else rollout.status,
    }
    if rollout is not None:
        facts |= {
            "seconds": round(rollout.seconds, 3),
            "visited": rollout.visited,
            "error": rollout.error,
            "warnings": rollout.warnings,
            "usage": rollout.usage,
        }
    path = directory / METADATA
    write_text(path, _json(facts, indent=2) + "\n")
    path.chmod(0o600)


def read_metadata(directory: Path) -> Mapping[str, object]:
    """Return what `write_metadata` wrote.

    Raises:
        StorageError: there is none, or none of a format that this version knows.
    """
    path = directory / METADATA
    try:
        facts = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise StorageError(f"cannot read {path}: {error}") from error
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise StorageError(f"{path} is not metadata of format {FORMAT}")
    return facts


def append_visit(directory: Path, visit: Visit) -> None:
    """Append *visit* to the trace, one line of JSON.

    Raises:
        StorageError: the trace cannot be written.
    """
    path = directory / TRACE
    try:
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(_json(visit) + "\n")
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error


def _json(value: object, *, indent: int | None = None) -> str:
    text = json.dumps(plain(value), indent=indent, ensure_ascii=False)
    # A lone surrogate has no UTF-8 form; written as \udc80 it is the same JSON.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
