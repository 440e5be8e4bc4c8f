"""Vectors of texts without any model: hashed words and pieces of words.

Two texts are near each other when they share words, or words of the same stem; of meaning this
knows nothing. It is for tests and offline examples of knowledge bases, where the same text must
always have the same vector, on every machine and in every version of Python.

Source: feature hashing with signs, Weinberger et al. 2009; pieces of words between marks for
their ends, Bojanowski et al. 2017.
"""

from __future__ import annotations

import math
import re
import zlib
from collections import Counter
from collections.abc import Iterator

SIZE = 512
"""Numbers in a vector: enough that a page of words seldom meets itself."""

_WORD = re.compile(r"\w+")
_PIECES = (3, 4, 5)  # characters of a piece of a word
_LONGEST = 40  # characters read of one word; scripts without spaces are cut into runs of that


def letter_vector(text: str) -> tuple[float, ...]:
    """Return the vector of *text*: `SIZE` numbers, of length 1 but for rounding. Pure.

    Upper and lower case are the same. A text without any word has a vector of its own.
    """
    sums = [0.0] * SIZE
    for feature, weight in _weighed(text):
        hashed = zlib.crc32(feature.encode("utf-8", "replace"))
        sums[(hashed >> 1) % SIZE] += weight if hashed & 1 else -weight
    length = math.sqrt(math.fsum(value * value for value in sums))
    if not length:
        return (1.0, *[0.0] * (SIZE - 1))
    # Rounded: no two machines need agree on the last bit of a logarithm. Plus 0.0: no -0.0.
    return tuple(round(value / length, 6) + 0.0 for value in sums)


def _weighed(text: str) -> Iterator[tuple[str, float]]:
    """The words of *text* and their pieces, each once, with its weight."""
    for word, times in Counter(_words(text)).items():
        # A word said ten times is not ten times as much, and short words say little.
        weight = (1 + math.log(times)) * min(1.0, len(word) / 6) ** 2
        pieces = _pieces(word)
        yield word, weight / 2
        for piece in pieces:
            yield piece, weight / math.sqrt(len(pieces))


def _words(text: str) -> Iterator[str]:
    for match in _WORD.finditer(text.casefold()):
        word = match[0]
        for start in range(0, len(word), _LONGEST):
            yield word[start : start + _LONGEST]


def _pieces(word: str) -> list[str]:
    marked = f"<{word}>"
    return [
        marked[start : start + size] for size in _PIECES for start in range(len(marked) - size + 1)
    ]
