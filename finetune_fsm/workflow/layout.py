"""Plain data as YAML lines: the clean dump, and the pieces that `splice` puts into a file.

Text of several lines and long text become ``|`` blocks, everything else one line. What is written
reads back equal, by our rules and by those of YAML 1.1.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping

from finetune_fsm.errors import Path
from finetune_fsm.workflow.scalars import INTEGER_LIMIT, double_quoted, inline, number

STEP = 2
LONG = 100
"""Characters from which a text gets a block of its own."""

_DEPTH = 32
_KEY_LIMIT = 500
_UNBLOCKABLE = re.compile(
    "[^\t\n\x20-\x7e\xa1-\xac\xae-\u200a\u2010-\u2027\u2030-\ud7ff"
    "\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)


def dump(document: object) -> str:
    """Return *document* as clean YAML that reads back equal. Pure.

    Raises:
        ValueError: something in it cannot be written; see `unwritable`.
    """
    found = unwritable(document)
    if found is not None:
        path, reason = found
        raise ValueError(f"{'/'.join(map(str, path)) or 'the document'}: {reason}")
    if isinstance(document, str):
        return double_quoted(document) + "\n"
    head, lines = block(document, 0)
    return "\n".join([*([head] if head else []), *lines]) + "\n"


def unwritable(value: object, path: Path = ()) -> tuple[Path, str] | None:
    """Return where and why *value* is not plain data that YAML can hold, or None. Pure."""
    if len(path) > _DEPTH:
        return path, f"more than {_DEPTH} mappings or lists inside each other"
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str) or _has_surrogates(key):
                return path, f"a key must be text, not {key!r:.60}"
            if found := unwritable(item, (*path, key)):
                return found
        return None
    if isinstance(value, list | tuple):
        numbered = (unwritable(item, (*path, i)) for i, item in enumerate(value))
        return next((found for found in numbered if found), None)
    reason = _odd_scalar(value)
    return (path, reason) if reason else None


def _odd_scalar(value: object) -> str:
    if isinstance(value, str):
        return "half of a surrogate pair is no character" if _has_surrogates(value) else ""
    if value is None or isinstance(value, bool):
        return ""
    if isinstance(value, int):
        return "" if abs(value) < INTEGER_LIMIT else "a whole number of more than 18 digits"
    if isinstance(value, float):
        return "" if math.isfinite(value) else "not a finite number"
    return f"{type(value).__name__} is no plain data"


_SURROGATES = re.compile("[\ud800-\udfff]")


def _has_surrogates(text: str) -> bool:
    return _SURROGATES.search(text) is not None


def block(value: object, indent: int, *, step: int = STEP) -> tuple[str, list[str]]:
    """Return *value* in block style as what follows ``key:`` on its line, and the lines below.

    Args:
        value: Writable plain data.
        indent: Column of what stands below, in spaces.
        step: Spaces by which each further level is indented.
    """
    if isinstance(value, Mapping) and value:
        return "", list(_mapping_lines(value, indent, step))
    if isinstance(value, list | tuple) and value:
        return "", [line for item in value for line in _item_lines(item, indent, step)]
    if isinstance(value, str) and wants_block(value):
        return text_block(value, indent, step)
    return flow(value), []


def flow(value: object) -> str:
    """Return *value* on one line: brackets and quotes. Pure."""
    if isinstance(value, str):
        return inline(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key_text(k)}: {flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    if value is None or isinstance(value, int | float):
        return number(value)
    raise TypeError(f"no plain form for {type(value).__name__}")


def wants_block(text: str) -> bool:
    """Say whether *text* reads best, and can be written, as a ``|`` block. Pure.

    Text that ends in blank lines cannot: in a file they would be taken for layout.
    """
    if _UNBLOCKABLE.search(text) or not text.strip() or text.endswith("\n\n"):
        return False
    return "\n" in text.removesuffix("\n") or len(text) > LONG


def text_block(text: str, indent: int, step: int) -> tuple[str, list[str]]:
    """Return *text* as a ``|`` block: its header, and its lines at *indent*. Pure."""
    chomp = "" if text.endswith("\n") else "-"
    # Leading white space would be taken for indentation: say how deep the block stands.
    indicator = str(step) if text[:1] in (" ", "\t", "\n") else ""
    lines = text.removesuffix("\n").split("\n")
    return f"|{indicator}{chomp}", [" " * indent + line if line else "" for line in lines]


def key_text(key: str) -> str:
    """Return *key* as it stands before the colon. Pure."""
    return inline(key)


def entry_lines(key: str, value: object, indent: int, *, step: int = STEP) -> list[str]:
    """Return ``key: value`` as block lines, the key at column *indent*. Pure."""
    pad = " " * indent
    head, below = block(value, indent + step, step=step)
    name = key_text(key)
    if len(name) > _KEY_LIMIT:  # YAML bounds what may stand before a colon
        return [f"{pad}? {name}", f"{pad}: {head}".rstrip(), *below]
    return [f"{pad}{name}: {head}".rstrip(), *below]


def _mapping_lines(value: Mapping[str, object], indent: int, step: int) -> Iterator[str]:
    for key, item in value.items():
        yield from entry_lines(key, item, indent, step=step)


def item_lines(value: object, indent: int, *, step: int = STEP) -> list[str]:
    """Return ``- value`` as block lines, the dash at column *indent*. Pure."""
    return list(_item_lines(value, indent, step))


def _item_lines(value: object, indent: int, step: int) -> Iterator[str]:
    pad = " " * indent
    head, below = block(value, indent + 2, step=2 if isinstance(value, str) else step)
    if head or not below:
        yield f"{pad}- {head}"
        yield from below
        return
    yield f"{pad}- {below[0][indent + 2 :]}"
    yield from below[1:]
