"""Sets of characters as JavaScript means them, written for Python's `re`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

SPACE = (
    "\t\n\x0b\x0c\r \xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
r"""What JavaScript's ``\s`` and ``trim`` take for white space; Python's sets differ."""

LAST = 0x10FFFF
_WORD_FOLDS = frozenset({0x130, 0x131, 0x17F, 0x212A})
"""Not ASCII, but Python folds them onto an ASCII letter."""

_DIGIT = ((0x30, 0x39),)
_WORD = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
_BLANK = tuple((ord(character), ord(character)) for character in sorted(SPACE))
LINE_ENDS = ((0xA, 0xA), (0xD, 0xD), (0x2028, 0x2029))

Ranges = tuple[tuple[int, int], ...]
"""First and last code point of each run, ascending."""

SETS: Mapping[str, Ranges] = MappingProxyType(
    {"d": _DIGIT, "w": _WORD, "s": _BLANK, "D": _DIGIT, "W": _WORD, "S": _BLANK}
)


def ranges_of(letter: str, *, ignore_case: bool) -> Ranges:
    """Return the characters of a set, which is called ``w`` or, turned round, ``W``. Pure."""
    ranges = SETS[letter.lower()]
    if letter.islower():
        return ranges
    if ignore_case and letter == "W":
        ranges = tuple(sorted((*ranges, *((code, code) for code in _WORD_FOLDS))))
    return _complement(ranges)


def _complement(ranges: Ranges) -> Ranges:
    gaps: list[tuple[int, int]] = []
    start = 0
    for first, last in ranges:
        if first > start:
            gaps.append((start, first - 1))
        start = last + 1
    return (*gaps, (start, LAST))


def written_set(ranges: Ranges, *, negated: bool = False) -> str:
    """Write *ranges* as a set of Python's; ``[]`` matches nothing, ``[^]`` anything. Pure."""
    # Not as "(?a:\\W)": a scoped flag at the start misleads Python 3.11's search for a prefix.
    if not ranges:
        return written_set(((0, LAST),), negated=not negated)
    inner = "".join(
        _code(first) if first == last else f"{_code(first)}-{_code(last)}" for first, last in ranges
    )
    return f"[{'^' if negated else ''}{inner}]"


def _code(code: int) -> str:
    return f"\\U{code:08x}" if code > 0xFFFF else f"\\u{code:04x}"
