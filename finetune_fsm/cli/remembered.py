"""The names of models that were listed last: a key press in a shell must not ask a server."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from finetune_fsm.errors import StorageError

FORMAT = 1  # 1: models

LIMIT = 500
"""Names that are kept."""

_SIZE_LIMIT = 200_000  # bytes


def path() -> Path:
    """Return where they are: a file in the user's cache."""
    from platformdirs import user_cache_path

    return user_cache_path("finetune-fsm") / "models.json"


def remember_models(names: Iterable[str]) -> None:
    """Keep *names* in place of those before; where that does not work nobody misses them."""
    from finetune_fsm.storage.files import write_text

    kept = sorted({name for name in names if len(name) < 200})[:LIMIT]
    if kept:
        with suppress(StorageError, OSError, RuntimeError):
            write_text(path(), json.dumps({"format": FORMAT, "models": kept}) + "\n")


def models() -> tuple[str, ...]:
    """Return the names that were kept; none when there are none, or none of ours."""
    with suppress(OSError, ValueError, RuntimeError):
        where = path()
        if where.stat().st_size <= _SIZE_LIMIT:
            data = json.loads(where.read_text("utf-8"))
            names = data.get("models") if isinstance(data, dict) else None
            if isinstance(names, list) and data.get("format") == FORMAT:
                return tuple(name for name in names if isinstance(name, str))
    return ()
