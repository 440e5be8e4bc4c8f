"""Words of models and people, made fit for a workflow: names, texts and placeholders. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection
from difflib import get_close_matches

from finetune_fsm.sinks import visible, visible_line
from finetune_fsm.workflow.model import BUILT_IN_VARIABLES, END

TEXT_LIMIT = 2_000
"""Characters of a prompt that a model writes."""

LINE_LIMIT = 200
"""Characters of a name, a question or a description of a way."""

_NAME_LIMIT = 40
_RESERVED = frozenset({END, *BUILT_IN_VARIABLES})
_IN_BRACES = re.compile(r"\{+\s*([^{}]{1,60}?)\s*\}+")
_BRACES = re.compile(r"\{{2,}|\}{2,}")


def slug(text: str, otherwise: str) -> str:
    """Return *text* as a name for a state and a variable; *otherwise* when nothing of it is one."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[:_NAME_LIMIT].rstrip("_")
    if name[:1].isdigit():
        name = f"n_{name}"
    return f"{name}_text" if name in _RESERVED else name or otherwise


def unique(name: str, taken: Collection[str]) -> str:
    """Return *name*, with a number behind it when it is among *taken*."""
    numbered = (f"{name}_{number}" for number in range(2, len(taken) + 3))
    return name if name not in taken else next(n for n in numbered if n not in taken)


def line(text: str, *, limit: int = LINE_LIMIT) -> str:
    """Return *text* on one line, without braces that would be placeholders."""
    return plain(visible_line(text, limit=limit))


def plain(text: str) -> str:
    """Return *text* with the names of its placeholders in place of them."""
    return with_placeholders(text, lambda _: None)


def with_placeholders(text: str, known: Callable[[str], str | None]) -> str:
    """Return *text* with every placeholder put right, and none that means nothing.

    Args:
        text: As a model wrote it, with ``{{name}}``, ``{{ name }}`` or ``{name}``.
        known: Given a name as written, the variable that it means, or None.
    """
    pieces, end = list[str](), 0
    for match in _IN_BRACES.finditer(text):
        variable = known(match[1])
        double = "{{" in match[0]
        meant = f"{{{{{variable}}}}}" if variable else match[1] if double else match[0]
        pieces += _without_braces(text[end : match.start()]), meant
        end = match.end()
    return "".join((*pieces, _without_braces(text[end:])))


def _without_braces(text: str) -> str:
    return _BRACES.sub(lambda match: match[0][0], text)


def nearest(written: str, names: Collection[str], *, otherwise: str | None = None) -> str | None:
    """Return the one of *names* that *written* means, however it is spelt."""
    name = slug(written, "")
    if name in names:
        return name
    close = get_close_matches(name, sorted(names), n=1, cutoff=0.75) if name else []
    return close[0] if close else otherwise


def cleaned(text: str, *, limit: int = TEXT_LIMIT) -> str:
    """Return *text* without what cannot be seen or written, trimmed."""
    return visible(text.strip(), limit=limit).strip()
