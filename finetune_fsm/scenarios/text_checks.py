"""Checks of a text without a pattern: its ends, its parts, its length, its number, its likeness.

Each takes an assertion and the text, white space at its ends left out, and returns a verdict and a
sentence. Pure.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from decimal import Context, Decimal, InvalidOperation

from finetune_fsm.llm.base import estimated_tokens
from finetune_fsm.scenarios.character_sets import SPACE
from finetune_fsm.scenarios.model import Assertion, AssertionType, Unit, Verdict
from finetune_fsm.scenarios.requirements import number
from finetune_fsm.scenarios.wording import listed, shown

Said = tuple[Verdict, str]
"""A verdict and why, one sentence about the text."""

COMPARED = 20_000
"""Characters of a text that similarity is found of; the time grows with their square."""

_NUMBER = re.compile(
    r"(?:(?<![\w.)\]])[-+\u2212])?"  # no sign is what stands between two numbers: 3-5
    r"(?:\d{1,3}(?:,\d{3})+(?!,?\d)|\d+|(?<![\d.])(?=\.\d))(?:\.\d+)?(?:[eE][-+]?\d+)?",
    re.ASCII,
)
_EXACT = Context(prec=60, traps=[])
"""Overflow and nonsense become infinite or not a number, which nothing is near to."""


def said(found: bool, fact: str) -> Said:
    """Return the verdict of a check that could be made."""
    return (Verdict.PASSED if found else Verdict.FAILED), fact


def bare(text: str) -> str:
    """Return *text* without white space at its ends, as JavaScript sees it."""
    return text.strip(SPACE)


def _folded(assertion: Assertion, *texts: str) -> list[str]:
    return list(texts) if assertion.case_sensitive else [text.casefold() for text in texts]


def _starts_with(assertion: Assertion, text: str) -> Said:
    got, wanted = _folded(assertion, text, bare(assertion.value))
    return _ends(assertion, text, "begin", found=got.startswith(wanted))


def _ends_with(assertion: Assertion, text: str) -> Said:
    got, wanted = _folded(assertion, text, bare(assertion.value))
    return _ends(assertion, text, "end", found=got.endswith(wanted))


def _ends(assertion: Assertion, text: str, verb: str, *, found: bool) -> Said:
    wanted = shown(assertion.value)
    if found:
        return said(True, f"{verb}s with {wanted}")
    return said(False, f"does not {verb} with {wanted}; it is {shown(text)}")


def _one_of(assertion: Assertion, text: str) -> Said:
    got, *wanted = _folded(assertion, text, *map(bare, assertion.values))
    if got in wanted:
        return said(True, f"is {shown(text)}")
    near = ""
    if got.casefold() in [one.casefold() for one in wanted]:
        near = "; only the letter case differs"
    elif any(one and one in got for one in wanted):
        near = "; there is more around it"
    return said(False, f"is {shown(text)}, none of {listed(assertion.values)}{near}")


def _contains_all(assertion: Assertion, text: str) -> Said:
    got, *wanted = _folded(assertion, text, *map(bare, assertion.values))
    missing = [value for value, one in zip(assertion.values, wanted, strict=True) if one not in got]
    if not missing:
        return said(True, f"contains all of {listed(assertion.values)}")
    return said(False, f"does not contain {listed(missing)}; it is {shown(text)}")


def _contains_any(assertion: Assertion, text: str) -> Said:
    got, *wanted = _folded(assertion, text, *map(bare, assertion.values))
    there = [value for value, one in zip(assertion.values, wanted, strict=True) if one in got]
    if there:
        return said(True, f"contains {listed(there)}")
    return said(False, f"contains none of {listed(assertion.values)}; it is {shown(text)}")


_COUNTS: Mapping[Unit, Callable[[str], int]] = {
    Unit.CHARACTERS: len,
    Unit.WORDS: lambda text: len(text.split()),
    Unit.LINES: lambda text: len(text.splitlines()),
    Unit.TOKENS: lambda text: estimated_tokens(text) if text else 0,
}


def _length(assertion: Assertion, text: str) -> Said:
    count = _COUNTS[assertion.unit](text)
    unit = str(assertion.unit) if count != 1 else str(assertion.unit)[:-1]
    return within(assertion, count, f"has {count} {unit}")


def within(assertion: Assertion, count: float, fact: str) -> Said:
    """Return whether *count* is in the range of *assertion*; *fact* says how much it is."""
    least, most = assertion.least, assertion.most
    if least is not None and count < least:
        return said(False, f"{fact}, fewer than {number(least)}")
    if most is not None and count > most:
        return said(False, f"{fact}, more than {number(most)}")
    return said(True, fact)


def _numeric(assertion: Assertion, text: str) -> Said:
    try:
        wanted = Decimal(assertion.value)
    except InvalidOperation:
        return (
            Verdict.ERROR,
            f"cannot be compared with {shown(assertion.value)}, which is no number",
        )
    found = _NUMBER.findall(text)
    if not found:
        return said(False, f"holds no number; it is {shown(text)}")
    last = found[-1]
    got = _EXACT.create_decimal(last.replace(",", "").replace("\u2212", "-"))
    off = _EXACT.abs(_EXACT.subtract(got, wanted))
    tolerance = Decimal(str(assertion.tolerance))
    is_near = off.is_finite() and off <= tolerance
    about = f", give or take {number(assertion.tolerance)}" if tolerance else ""
    word = "is" if is_near else "is not"
    return said(is_near, f"has the last number {shown(last)}, which {word} {wanted}{about}")


def likeness(one: str, other: str) -> float:
    """Return how alike two texts are, 0..1: twice the letters in common, by the summed lengths.

    In common they have their longest common subsequence. Of each the first `COMPARED` characters
    count. `difflib` would look for whole blocks, and takes minutes for a model's endless "aaaa".

    Source: Hyyro 2004, Bit-parallel LCS-length computation revisited.
    """
    one, other = one[:COMPARED], other[:COMPARED]
    if not one and not other:
        return 1.0
    places: dict[str, int] = defaultdict(int)
    for index, letter in enumerate(one):
        places[letter] |= 1 << index
    every = rest = (1 << len(one)) - 1
    for letter in other:
        met = rest & places.get(letter, 0)
        rest = ((rest + met) | (rest - met)) & every  # a bit that is gone is a letter in common
    return 2 * (len(one) - rest.bit_count()) / (len(one) + len(other))


def _similarity(assertion: Assertion, text: str) -> Said:
    got, wanted = _folded(assertion, text, bare(assertion.value))
    ratio = likeness(wanted, got)
    is_alike = ratio >= assertion.threshold
    # rounded down, so that a failure never seems to reach its threshold
    fact = f"is alike to {shown(assertion.value)} by {int(ratio * 1000) / 1000:.3f}"
    if is_alike:
        return said(True, fact)
    return said(False, f"{fact}, less than {number(assertion.threshold)}; it is {shown(text)}")


TEXT_CHECKS: Mapping[AssertionType, Callable[[Assertion, str], Said]] = {
    AssertionType.STARTS_WITH: _starts_with,
    AssertionType.ENDS_WITH: _ends_with,
    AssertionType.ONE_OF: _one_of,
    AssertionType.CONTAINS_ALL: _contains_all,
    AssertionType.CONTAINS_ANY: _contains_any,
    AssertionType.LENGTH: _length,
    AssertionType.NUMERIC: _numeric,
    AssertionType.SIMILARITY: _similarity,
}
