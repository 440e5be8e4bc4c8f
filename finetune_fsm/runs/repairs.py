"""What is sound of a damaged run, as a run of its own."""

from __future__ import annotations

import os
from pathlib import Path

from finetune_fsm.errors import BadRun, StorageError
from finetune_fsm.runs.places import JOURNAL
from finetune_fsm.storage.files import sync_folder, write_all
from finetune_fsm.storage.journal import sound_prefix


def repaired(folder: Path) -> tuple[Path, int]:
    """Copy the sound records at the beginning of the run in *folder* into a new run beside it.

    Returns:
        The new run's folder, and how many bytes were not copied. *folder* is not changed.

    Raises:
        BadRun: not even the first record is sound.
        StorageError: it cannot be read or written.
    """
    try:
        data = (folder / JOURNAL).read_bytes()
        sound = sound_prefix(data)
        if not sound:
            raise BadRun(f"{folder / JOURNAL}:1: not even the first line is sound")
        copy = _new_folder(folder)
        handle = os.open(copy / JOURNAL, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            write_all(handle, sound)
            os.fsync(handle)
        finally:
            os.close(handle)
        sync_folder(copy)
    except OSError as error:
        raise StorageError(f"cannot copy {folder}: {error.strerror or error}") from error
    return copy, len(data) - len(sound)


def _new_folder(folder: Path) -> Path:
    number = 1
    while True:
        copy = folder.with_name(f"{folder.name}-repaired{number}")
        try:
            copy.mkdir(mode=0o700)
        except FileExistsError:
            number += 1
        else:
            return copy
