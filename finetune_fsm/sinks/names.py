"""Foreign text as the name of a file."""

from __future__ import annotations

import hashlib
import re
import unicodedata

_RESERVED = frozenset(
    {"aux", "con", "nul", "prn"}
    | {f"{port}{number}" for port in ("com", "lpt") for number in range(10)}
)
"""Names that mean devices on Windows, whatever comes after a dot."""

_DIGEST = 12  # hexadecimal digits; among a million texts two are alike with a chance of 1 in 500


def slug(text: str, *, limit: int = 50) -> str:
    """Return *text* as a file name part: ``[a-z0-9-]``, never empty, never a device. Pure.

    Args:
        text: Anything.
        limit: Characters at most, >= 8.
    """
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    name = re.sub(r"[^a-z0-9]+", "-", ascii_text.lower()).strip("-")[:limit].strip("-")
    return f"x-{name}" if name in _RESERVED else name or "workflow"


def distinct_slug(text: str, *, limit: int = 50) -> str:
    """Return *text* as `slug` does, with a digest, so that two texts have two names. Pure.

    Args:
        text: Anything.
        limit: Characters at most, >= 24.
    """
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST]
    return f"{slug(text, limit=limit - _DIGEST - 1)}-{digest}"
