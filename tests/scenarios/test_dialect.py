"""JavaScript's patterns mean in Python what they mean in JavaScript."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from finetune_fsm.scenarios.character_sets import SPACE
from finetune_fsm.scenarios.dialect import LIMIT, BadPattern, is_literal, translate

ESCAPES = r"\d \D \w \W \s \S \b \B \1 \2 \k<n> \/ \n \x41 \u0061 \u{1F600} \cA \0 \A \p{L} \ud800"
OPENINGS = "(?: (?= (?! (?<= (?<! (?<n> (?<m$> (?P<x> (?i) (?> {2} {1,} {,2} {0,3} *? ++"
CLASSES = r"[ab] [^a] [a-c] [] [^] [\w-] [^\W\d] [a-\d] [z-a] [[a] [&&a]"
PIECES = st.sampled_from(
    [*"ab1 .^$|()[]{}*+?-/#\\\"'é", *ESCAPES.split(), *OPENINGS.split(), *CLASSES.split()]
)
patterns = st.lists(PIECES, max_size=12).map("".join) | st.text(max_size=30)


def found(pattern: str, text: str, *, ignore_case: bool = False) -> bool:
    flags = re.IGNORECASE if ignore_case else 0
    return re.search(translate(pattern, ignore_case=ignore_case), text, flags) is not None


@given(patterns, st.booleans())
@example("(" * 300, False)
@example("a{99999999999999999999}", False)
@example("\\", True)
@settings(max_examples=300)
def test_any_text_is_translated_into_a_pattern_or_refused_with_a_reason(
    pattern: str, ignore_case: bool
) -> None:
    try:
        written = translate(pattern, ignore_case=ignore_case)
    except BadPattern as error:
        refusal = error
        assert refusal.reason
        assert not refusal.reason.endswith(".")
    else:
        re.compile(written, re.IGNORECASE if ignore_case else 0)


@given(st.text(max_size=40), st.text(max_size=10), st.text(max_size=10))
@settings(max_examples=100)
def test_every_punctuation_character_can_be_escaped_and_then_is_itself(
    text: str, before: str, after: str
) -> None:
    text = "".join(c for c in text if not "\ud800" <= c <= "\udfff")
    pattern = "".join(c if c.isalnum() or not c.isascii() else f"\\{c}" for c in text)
    assert found(pattern, before + text + after)


@given(st.characters(blacklist_categories=("Cs",)), st.sampled_from([r"\d", r"\w", r"\s", "."]))
@settings(max_examples=300)
@example("٣", r"\d")
@example("é", r"\w")
@example("\ufeff", r"\s")
@example("\x1c", r"\s")
@example("\u2028", ".")
def test_sets_hold_the_characters_that_javascript_puts_there(character: str, written: str) -> None:
    members = {
        r"\d": character in "0123456789",
        r"\w": character.isascii() and (character.isalnum() or character == "_"),
        r"\s": character in SPACE,
        ".": character not in "\n\r\u2028\u2029",
    }
    assert found(f"^{written}$", character) == members[written]
    assert found(f"^[{written}]$", character) == (
        members[written] if written != "." else character == "."
    )
    if written != ".":
        assert found(f"^{written.upper()}$", character) != members[written]
        assert found(f"^[{written.upper()}]$", character) != members[written]


# Every row was checked against V8: the pattern, a text, whether it is found there.
MEANINGS = [
    ("a$", "a\n", False),
    (r"\bb", "éb", True),
    (r"\B", "", True),
    ("a{,3}", "a{,3}", True),
    ("a{,3}", "aaa", False),
    ("x{", "x{", True),
    ("[]", "", False),
    ("[^]", "\n", True),
    ("[]a]", "]a]", False),
    ("[[]", "[", True),
    ("[a&&b]", "&", True),
    (r"[a-\d]", "-", True),
    (r"[\b]", "\x08", True),
    (r"\/", "/", True),
    (r"A", "A", True),
    (r"\cJ", "\n", True),
    (r"\0", "\0", True),
    (r"\u{1F600}", "😀", True),
    (r"\ud83d\ude00", "😀", True),
    (r"(?<year>\d{4})-\k<year>", "2024-2024", True),
    (r"(?<$>a)\k<$>", "aa", True),
    (r"(a)|b\1c", "bc", True),
    (r"\1(a)", "a", True),
    (r"(a\1)", "a", True),
    (r"(a)\1", "ab", False),
    (r"(?<=a)b", "ab", True),
    (r"(?<!a)b", "ab", False),
    ("(?=a)*b", "b", True),
    ("a #b", "a #b", True),
]


@pytest.mark.parametrize(("pattern", "text", "expected"), MEANINGS)
def test_a_pattern_means_what_it_means_in_javascript(
    pattern: str, text: str, expected: bool
) -> None:
    assert found(pattern, text) is expected


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("straße", "STRASSE", False),
        ("ÄB", "äb", True),
        (r"[\W]", "k", False),
        (r"[^\W]", "s", True),
    ],
)
def test_without_case_letters_are_folded_and_sets_stay_what_they_are(
    pattern: str, text: str, expected: bool
) -> None:
    assert found(pattern, text, ignore_case=True) is expected


@pytest.mark.parametrize(
    ("pattern", "reason", "hint"),
    [
        ("(", "never closed", r"\("),
        ("a)", "closes no group", r"\)"),
        ("[a", "never closed", r"\["),
        ("*a", "nothing to repeat", r"\*"),
        ("a++", "nothing to repeat", r"\+"),
        ("^*", "nothing to repeat", ""),
        ("{2}", "nothing to repeat", ""),
        ("[b-a]", "out of order", ""),
        ("[a--b]", "out of order", ""),
        ("a{3,2}", "out of order", ""),
        ("\\", "lone", ""),
        (r"\2(a)", "does not exist", ""),
        (r"\k<n>", "must name a group", r"\k<name>"),
        (r"\kx(?<n>a)", "must name a group", ""),
        ("(?<n>a)(?<n>b)", "called 'n'", ""),
        ("(?<n", "name is broken", "(?<name>"),
        ("(?P<n>a)", "Python", "(?<name>"),
        ("(?i)a", "flags", "case_sensitive: false"),
        ("(?>a)", "unknown kind of group", ""),
        (r"\Aa", "no meaning", "'^'"),
        (r"a\Z", "no meaning", "'$'"),
        (r"\p{L}", "no meaning", "set"),
        (r"\x4", "hexadecimal", ""),
        (r"\u{110000}", "hexadecimal", ""),
        (r"\ud83d", "half a character", ""),
        ("(?<=a*)b", "look-behind", ""),
        ("(" * 60 + ")" * 60, "nested", ""),
        ("a" * (LIMIT + 1), "501 characters", ""),
    ],
)
def test_what_cannot_be_used_is_refused_with_what_to_do(
    pattern: str, reason: str, hint: str
) -> None:
    with pytest.raises(BadPattern) as caught:
        translate(pattern)
    assert reason in caught.value.reason
    assert hint in caught.value.hint


@given(st.text(max_size=20), st.text(max_size=20))
@settings(max_examples=100)
@example("a-b", "xa-by")
def test_a_literal_pattern_is_found_exactly_where_the_text_is(pattern: str, text: str) -> None:
    if is_literal(pattern) and not any("\ud800" <= c <= "\udfff" for c in pattern):
        assert found(pattern, text) is (pattern in text)
