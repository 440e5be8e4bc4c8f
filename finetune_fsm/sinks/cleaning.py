"""The core of every sink: secrets hidden, then nothing left that steers a reader's screen."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from finetune_fsm.sinks.environment import known

if TYPE_CHECKING:
    from finetune_fsm.sinks.secrets import Secrets

LIMIT = 20_000
"""Characters shown of one text at most."""

_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c"  # C0 without tab and newline, DEL, C1, a bidi mark
    "\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff"  # zero width, separators, bidi controls
    "\U000e0000-\U000e007f"  # tags
    "\ud800-\udfff\ufffe\uffff]"  # lone surrogates, non-characters
)


def clean(text: str, *, limit: int = LIMIT, secrets: Secrets | None = None) -> str:
    r"""Return *text* safe for a terminal, a log or a report: newlines and tabs stay.

    Secrets become ``***``. Everything that could steer the reader's screen becomes visible as
    ``\x1b`` or ``\u202e``; text beyond *limit* characters is cut and the cut is said.

    Args:
        text: Anything.
        limit: Characters of *text* that are shown.
        secrets: What to hide; those of the process's environment if None.
    """
    shown, left = (secrets or known()).head(text, limit)
    return _with_cut(_steadied(shown), left)


def one_line(text: str, *, limit: int = 200, secrets: Secrets | None = None) -> str:
    """Return *text* cleaned, on one line, white space folded, at most *limit* characters."""
    hidden = secrets or known()
    folded = " ".join(clean(text, limit=limit * 4, secrets=hidden).split())
    return _fitted(hidden.mask(folded), limit)  # folding may have joined what was apart


def visible(text: str, *, limit: int = LIMIT) -> str:
    """Return *text* as `clean` does, but with its secrets: for models and for comparing. Pure."""
    return _with_cut(_steadied(text[:limit]), len(text) - limit)


def visible_line(text: str, *, limit: int = 200) -> str:
    """Return *text* as `one_line` does, but with its secrets: for models. Pure."""
    return _fitted(" ".join(visible(text, limit=limit * 4).split()), limit)


def _steadied(text: str) -> str:
    return _UNSAFE.sub(_escape, text.replace("\r\n", "\n"))


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _with_cut(shown: str, left: int) -> str:
    return f"{shown}… {left} more characters" if left > 0 else shown


def _fitted(line: str, limit: int) -> str:
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"
