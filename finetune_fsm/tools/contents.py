"""What a tool server is, as a digest: an allowance is bound to it and never to a name.

A server whose command, package or files change under its old name is another server
(CVE-2025-54136 was just that).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from finetune_fsm.codec import digest
from finetune_fsm.tools.model import Specification
from finetune_fsm.workflow.outline import list_at, mapping_at, text_at

FILES = 1000
"""Files of a tools folder that are looked at, the first by name."""

SIZE = 20_000_000
"""Bytes of one of them that count."""

KINDS = (".js", ".mjs", ".cjs", ".ts", ".py", ".sh")
"""Endings of files that decide what a server does; others are what it works on, and may change."""


def content_of(wanted: Specification) -> str:
    """Return the digest of all that decides what the server *wanted* does.

    That is its command, package and arguments, the names (not the values) of its variables, the
    code in its tools folder, and the programs that its command and arguments name.
    """
    document = wanted.document
    said = {key: value for key, value in document.items() if key != "env"}
    variables = sorted(mapping_at(document, "env"))
    return digest({"server": said, "env": variables, "files": dict(_files(wanted))})


def tools_folder(wanted: Specification) -> Path:
    """Where the tools folder of *wanted* is: beside the workflow, else in the current folder."""
    name = text_at(wanted.document, "tools_directory") or ""
    beside = wanted.folder / name
    return beside if beside.exists() else Path(name).absolute()


def _files(wanted: Specification) -> Iterator[tuple[str, str]]:
    if text_at(wanted.document, "tools_directory"):
        yield from _folder(tools_folder(wanted))
    command = text_at(wanted.document, "command")
    for name in (command, *list_at(wanted.document, "args")):
        if isinstance(name, str) and name:
            place = wanted.folder / name
            if _is_file(place) and (name is command or place.suffix in KINDS):
                yield name, _digest_of(place)


def _folder(folder: Path) -> Iterator[tuple[str, str]]:
    found = 0
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(set(folders) - {"node_modules", ".git", "__pycache__"})
        for name in sorted(names):
            place = Path(root, name)
            if place.suffix in KINDS and _is_file(place) and found < FILES:
                found += 1
                yield place.relative_to(folder).as_posix(), _digest_of(place)


def _is_file(place: Path) -> bool:
    try:
        return place.is_file()
    except (OSError, ValueError):
        return False


def _digest_of(place: Path) -> str:
    try:
        with place.open("rb") as stream:
            return hashlib.sha256(stream.read(SIZE)).hexdigest()
    except OSError as error:
        return f"unreadable: {error.strerror}"


def contents_of(servers: Mapping[str, Mapping[str, object]], folder: Path) -> Mapping[str, str]:
    """Return the digests of the servers of the workflow in *folder*, by name."""
    return {
        name: content_of(Specification(name, document, folder))
        for name, document in servers.items()
    }
