"""Foreign values within a sentence: short, on one line, in quotes."""

from __future__ import annotations

from collections.abc import Sequence

from finetune_fsm.scenarios.character_sets import SPACE
from finetune_fsm.sinks import one_line

SHOWN = 120
"""Characters of one value."""

_LISTED = 3
_SHORTER = 40


def shown(text: str, *, limit: int = SHOWN) -> str:
    """Return *text* in quotes, cleaned and cut to *limit* characters, or the word for none."""
    return f"'{one_line(text, limit=limit)}'" if text.strip(SPACE) else "empty"


def listed(texts: Sequence[str]) -> str:
    """Return the first few of *texts*, and how many there are more."""
    parts = [shown(text, limit=_SHORTER) for text in texts[:_LISTED]]
    if len(texts) > len(parts):
        parts.append(f"{len(texts) - len(parts)} more")
    return f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else "".join(parts)
