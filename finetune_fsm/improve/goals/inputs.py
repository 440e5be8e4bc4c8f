"""What of a scenario's input may change without its meaning.

Numbers, what stands in quotes, names, code, and every word that an assertion looks for stay as they
are. Where it cannot be told what an assertion looks for, as with patterns, no word is changed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from finetune_fsm.scenarios.model import Scenario

CONTAINING = 4
"""Letters from which on a wanted word protects the longer and shorter words that hold it."""

_PLAIN = re.compile(r"(?P<core>[^\W\d_]+(?:['\u2019-][^\W\d_]+)*)(?P<marks>[,.;:!?]*)")
_QUOTED = re.compile(
    r"\"[^\"]*\"|\u201c[^\u201d]*\u201d|\u201e[^\u201c]*\u201c|\u00ab[^\u00bb]*\u00bb|`[^`]*`"
    r"|\u2018[^\u2019]*\u2019|(?<!\w)'[^']+'(?!\w)"
)
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Word:
    """A piece of an input between two spaces that is nothing but a word.

    Attributes:
        start: Where its letters begin.
        core: Its letters.
        marks: The punctuation after them.
        first: Whether it begins the text or a sentence.
    """

    start: int
    core: str
    marks: str
    first: bool

    @property
    def end(self) -> int:
        """Where the letters end and the punctuation begins."""
        return self.start + len(self.core)

    @property
    def stop(self) -> int:
        """Where the punctuation ends."""
        return self.end + len(self.marks)


class Wanted:
    """What the assertions of a scenario look for."""

    def __init__(self, scenario: Scenario) -> None:
        checks = scenario.assertions
        texts = (text.strip() for a in checks for text in (a.value, *a.values))
        self.values = tuple(text for text in texts if text)
        self.patterns = any(a.is_pattern or a.schema for a in checks)
        self.text = "\n".join(self.values).casefold()

    @cached_property
    def words(self) -> frozenset[str]:
        """All words of the values, case folded."""
        return frozenset(_WORD.findall(self.text))

    def needs(self, word: str) -> bool:
        """Whether *word* may be one of those looked for, or a form of one."""
        folded = word.casefold()
        parts = {folded, *_WORD.findall(folded)}
        if parts & self.words:
            return True
        return any(
            (len(sought) >= CONTAINING and sought in folded)
            or (len(folded) >= CONTAINING and folded in sought)
            for sought in self.words
        )

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where a whole value stands in *text*, in any letter case."""
        found = (re.finditer(re.escape(value), text, re.IGNORECASE) for value in self.values)
        return [match.span() for matches in found for match in matches]


def free_words(text: str, wanted: Wanted) -> tuple[Word, ...]:
    """Return the words of *text* that nothing depends on, in order. Pure."""
    closed = [match.span() for match in _QUOTED.finditer(text)] + wanted.spans(text)
    found = []
    first = True
    for match in re.finditer(r"\S+", text):
        piece, begins = match[0], first
        first = piece[-1] in ".!?"
        plain = _PLAIN.fullmatch(piece)
        if plain is None or not _is_cased(plain["core"]) or wanted.needs(plain["core"]):
            continue
        if not any(start < match.end() and match.start() < end for start, end in closed):
            found.append(Word(match.start(), plain["core"], plain["marks"], begins))
    return tuple(found)


def _is_cased(word: str) -> bool:
    """Whether it is of a script that parts words and has capitals: others are left alone."""
    return all(letter.islower() or letter.isupper() for letter in word if letter.isalpha())
