"""A workflow's text for another folder, its relative paths still leading to the same files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path as FilePath

from finetune_fsm.errors import Path
from finetune_fsm.workflow.edits import Edit, EditOp
from finetune_fsm.workflow.model import PLACEHOLDER
from finetune_fsm.workflow.outline import Part, list_at, mapping_at, named, parts_in, text_at
from finetune_fsm.workflow.splice import splice
from finetune_fsm.workflow.text import parse

_BESIDE_ONLY = ("prompt_file", "workflow_ref")


def relocated(text: str, from_folder: FilePath, to_folder: FilePath) -> str:
    """Return *text* such that, stored in *to_folder*, it finds what it found in *from_folder*.

    Absolute paths and paths with placeholders stay as they are. So do paths that are looked for in
    the current folder too and are only there. All else in the text stays, comments included.

    Raises:
        InvalidDocument: *text* cannot be read.
    """
    origin, target = os.path.realpath(from_folder), os.path.realpath(to_folder)
    if origin == target:
        return text
    edits = tuple(
        Edit(EditOp.SET, path, _moved(name, origin, target))
        for path, name, beside_only in _paths(parse(text).document)
        if _moves(name, origin, beside_only=beside_only)
    )
    return splice(text, edits).text if edits else text


def _moves(name: str, origin: str, *, beside_only: bool) -> bool:
    if not name.strip() or PLACEHOLDER.search(name) or "\0" in name or FilePath(name).is_absolute():
        return False
    only_here = FilePath(name).exists() and not (FilePath(origin) / name).exists()
    return beside_only or not only_here


def _moved(name: str, origin: str, target: str) -> str:
    place = os.path.normpath(FilePath(origin) / name)
    try:
        moved = os.path.relpath(place, target)
    except ValueError:  # another drive, on Windows
        moved = place
    return moved.replace(os.sep, "/") + ("/" if name.endswith("/") else "")


def _paths(document: object) -> Iterator[tuple[Path, str, bool]]:
    """Yield every path of a file or folder: where it stands, itself, whether beside only."""
    for path, part in parts_in(document):
        yield from _part_paths(path, part)
    for name, base in named(document, "rag"):
        yield from _knowledge(("rag", name), base)
    for name, variable in named(document, "variables"):
        if file_name := text_at(variable, "file"):
            yield ("variables", name, "file"), file_name, True
    for name, server in named(document, "mcp_servers"):
        if folder := text_at(server, "tools_directory"):
            yield ("mcp_servers", name, "tools_directory"), folder, False


def _knowledge(path: Path, base: Part) -> Iterator[tuple[Path, str, bool]]:
    for key in ("directory", "embeddings_file"):
        if name := text_at(base, key):
            yield (*path, key), name, False


def _part_paths(path: Path, part: Part) -> Iterator[tuple[Path, str, bool]]:
    for key in _BESIDE_ONLY:
        if name := text_at(part, key):
            yield (*path, key), name, True
    for index, file in enumerate(list_at(part, "files")):
        if isinstance(file, str):
            yield (*path, "files", index), file, False
    yield from _knowledge((*path, "rag"), mapping_at(part, "rag"))
