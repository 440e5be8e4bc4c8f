"""The one door through which foreign text reaches a person.

Foreign is whatever a model, a file, a server or a test wrote. It may hold terminal escapes,
bidirectional overrides or broken surrogates; after `clean` it can be printed anywhere.
"""

from __future__ import annotations

import re
import unicodedata

LIMIT = 20_000
"""Characters shown of one text at most."""

_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 without tab and newline, DEL, C1
    "\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff"  # zero width, separators, bidi controls
    "\U000e0000-\U000e007f"  # tags
    "\ud800-\udfff\ufffe\uffff]"  # lone surrogates, non-characters
)


def clean(text: str, *, limit: int = LIMIT) -> str:
    r"""Return *text* safe for a terminal, a log or a report: newlines and tabs stay.

    Everything else that could steer the reader's screen becomes visible as ``\x1b`` or
    ``\u202e``; text beyond *limit* characters is cut and the cut is said. Pure.
    """
    shown = text[:limit].replace("\r\n", "\n")
    shown = _UNSAFE.sub(lambda match: _visible(match.group()), shown)
    if len(text) > limit:
        shown += f"… {len(text) - limit} more characters"
    return shown


def one_line(text: str, *, limit: int = 200) -> str:
    """Return *text* cleaned, on one line, white space folded, at most *limit* characters. Pure."""
    folded = " ".join(clean(text, limit=limit * 4).split())
    return folded if len(folded) <= limit else folded[: limit - 1].rstrip() + "…"


def slug(text: str, *, limit: int = 50) -> str:
    """Return *text* as a file name part: ``[a-z0-9-]``, never empty. Pure."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    name = re.sub(r"[^a-z0-9]+", "-", ascii_text.lower()).strip("-")[:limit].strip("-")
    return name or "workflow"


def _visible(character: str) -> str:
    code = ord(character)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
