"""Words of the tests in a draft, however they are dressed up."""

from __future__ import annotations

from pathlib import Path

import pytest
from policies import codes, equals, problems, suite, swapped

from finetune_fsm.improve.copies import COMPACT, COPIED_WORDS, literals
from finetune_fsm.scenarios.model import Assertion, AssertionType

TEXT = """\
# a hint of the author: melancholy
name: Mood
start_state: ask
variables: {usual: "glad, thoughtful"}
states:
  ask: {type: input, prompt: "Which review?", save_as: review, next: sort}
  sort: {type: prompt, prompt: "The mood of {{review}}", save_as: mood, next: end}
"""
TESTS = suite(
    equals("mood", "wonderful"),
    equals("mood", "joyous"),
    equals("mood", "Io"),
    equals("mood", "ok"),
    equals("mood", "melancholy"),
    equals("mood", "thoughtful"),
    equals("mood", "心情很好"),
    equals("mood", "心情A级"),
    equals("mood", "charming"),
    equals("mood", "aaaaaaaa"),
    Assertion(AssertionType.CONTAINS, "Très bien", "mood"),
    Assertion(AssertionType.CONTAINS, r"^(?<delighted>enchanted\.)|[a-j]", "mood", regex=True),
    Assertion(AssertionType.REGEX, r"\bspellbound\b", "mood"),
    Assertion(AssertionType.REGEX, "Synopsis: .+ Ending in: ", "mood", description="ending in"),
    Assertion(AssertionType.STATE_REACHED, "sort"),
    ask="The hotel in Lisbon was rather loud",
)  # fmt: skip


def said(text: str) -> list[str]:
    return codes(TEXT, swapped(TEXT, '"The mood of', f'"{text} The mood of'), tests=TESTS)


@pytest.mark.parametrize(
    "text",
    [
        "Say wonderful.",
        "Say WONDERFUL!",
        "Say wonder-ful.",
        "won-derful is the word.",
        "Say w o n d e r f u l.",
        "Say won\u200bder\u00adful.",
        "Say wonder{{usual}}ful.",
        "Say \uff57\uff4fnderful.",
        "Say joyous.",
        "Say _joyous_.",
        "Say jo\u200byous.",
        "Is it Io?",
        "is it IO?",
        "très   bien",
        "TRÈS-BIEN",
        "请说心情很好吧",
        "请说心情A级吧",
        "Say charm-ing.",
        "Say a aaaa aaaa.",
        "Say prewonderful or wonder-ful.",
        "Say enchanted.",
        "Say Spellbound.",
        "Begin with Synopsis:",
        "If the hotel in Lisbon comes up, say so.",
        "Look for in Lisbon was rather",
        "See Lisbon: was rather loud",
    ],
)
def test_words_of_a_test_cannot_come_in(text: str) -> None:
    assert "copied_words" in said(text)


@pytest.mark.parametrize(
    "text",
    [
        "Say it in one word.",
        "Say ok.",
        "Say joy o us.",
        "Say melancholy or thoughtful.",
        "Say jo-yous.",
        "Say prewonder-ful.",
        "Is it Ios?",
        "très bienvenu",
        "The hotel in Paris is rather loud.",
        "The hotel in the Lisbon area was rather loud",
        "Are they delighted?",
        "Sort it.",
        "Say what it is ending in.",
        "abcdefghij",
        "wonder full of",
        "心情很",
    ],
)
def test_other_words_may(text: str) -> None:
    assert "copied_words" not in said(text)


def test_the_refusal_names_place_and_words() -> None:
    new = swapped(TEXT, '"The mood of', '"Io? The mood of')
    (found,) = problems(TEXT, new, tests=TESTS)
    assert found.message == "sort.prompt copies words of a test: 'io'"
    assert found.path == ("states", "sort", "prompt")
    assert found.hint


def test_a_run_of_words_is_a_copy_from_four_on() -> None:
    assert COPIED_WORDS == 4
    assert said("the hotel in Lisbon") == ["copied_words"]
    assert said("hotel in Lisbon") == []
    assert said("was rather loud indeed") == []
    assert said("Lisbon was rather loud") == ["copied_words"]


def test_any_text_of_a_draft_is_looked_at() -> None:
    routes = "{state: ask, description: wonderful}, {state: end, description: x}"
    for old, new in (
        ("save_as: review, next", "save_as: review, default_value: wonderful, next"),
        ("save_as: mood, next", "save_as: mood, options: {stop: [wonderful]}, next"),
        ("Which review?", "Which wonderful review?"),
        ("save_as: mood, next: end", f"save_as: mood, next_options: [{routes}]"),
    ):
        assert "copied_words" in codes(TEXT, swapped(TEXT, old, new), tests=TESTS), new


def test_a_word_is_found_that_is_the_whole_text() -> None:
    new = swapped(
        TEXT, "save_as: review, next", "save_as: review, default_value: 'wonder{{usual}}ful', next"
    )
    assert codes(TEXT, new, tests=TESTS) == ["copied_words"]


def test_a_run_of_words_that_the_author_uses_is_no_copy() -> None:
    old = swapped(TEXT, "a hint of the author", "hotel in Lisbon was")
    assert codes(old, swapped(old, '"The mood', '"A hotel in Lisbon was'), tests=TESTS) == []
    rest = swapped(old, '"The mood', '"A hotel in Lisbon was rather')
    assert codes(old, rest, tests=TESTS) == ["copied_words"]


def test_a_new_state_cannot_be_named_after_a_test() -> None:
    def named(name: str) -> list[str]:
        new = swapped(TEXT, "save_as: mood, next: end", f"save_as: mood, next: {name}")
        state = f"  {name}: {{type: prompt, prompt: Hi, next: end}}\n"
        return codes(TEXT, new + state, "structure", tests=TESTS)

    assert named("spellbound")
    assert set(named("wonderful")) == {"copied_words"}
    assert named("another") == []
    found = problems(
        TEXT,
        swapped(TEXT, "save_as: mood, next: end", "save_as: mood, next: Io")
        + "  Io: {type: prompt, prompt: Hi, next: end}\n",
        "structure",
        tests=TESTS,
    )
    assert ("states", "Io") in {p.path for p in found}
    assert all(p.hint for p in found)
    assert "the state 'Io' is named after a test: 'io'" in {p.message for p in found}


def test_what_a_prompt_file_says_is_no_copy(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("Wonderful? The mood of {{review}}")
    filed = swapped(TEXT, 'prompt: "The mood of {{review}}"', "prompt_file: p.txt")
    moved = swapped(TEXT, "The mood of", "Is it wonderful? The mood of")
    assert codes(filed, moved, tests=TESTS, folder=tmp_path) == []


def test_what_is_escaped_in_the_file_is_no_copy() -> None:
    escaped = swapped(TEXT, "glad, thoughtful", "glad, \\u0077onderful")
    draft = swapped(escaped, '"The mood', '"Is it wonderful? The mood')
    assert codes(escaped, draft, tests=TESTS) == []


DEFAULTS = suite(
    equals("mood", "no"),
    Assertion(AssertionType.CONTAINS, "a b", "mood"),
    equals("mood", "?!"),
    equals("mood", ""),
    Assertion(AssertionType.REGEX, "maybe", "mood"),
    Assertion(AssertionType.STATE_REACHED, "sort"),
    ask="hm",
)


@pytest.mark.parametrize(
    ("default", "refused"),
    [
        ("no", True),
        ("No.", True),
        (" no ", True),
        ("oh no, never", True),
        ("A  b", True),
        ("?!", True),
        ("nothing", False),
        ("a c", False),
        ("!?", False),
        ("maybe", False),
        ("sort", False),
        ("hm", False),
    ],
)
def test_a_default_cannot_give_an_answer_however_short(default: str, refused: bool) -> None:
    new = swapped(
        TEXT, "save_as: review, next", f"save_as: review, default_value: '{default}', next"
    )
    assert codes(TEXT, new, tests=DEFAULTS) == (["copied_words"] if refused else [])


def test_the_default_that_the_author_gave_stays_allowed() -> None:
    old = swapped(TEXT, "save_as: review, next", "save_as: review, default_value: no, next")
    assert codes(old, swapped(old, "Which review?", "Which one?"), tests=DEFAULTS) == []
    changed = swapped(old, "default_value: no", "default_value: oh no")
    found = problems(old, changed, tests=DEFAULTS)
    assert [p.path for p in found] == [("states", "ask", "default_value")]
    assert found[0].message == "the default of 'ask' gives a test's answer: 'no'"
    assert found[0].hint
    new = swapped(TEXT, "save_as: mood, next: end", "save_as: mood, next: new")
    new += "  new: {type: input, prompt: Hi, default_value: 'no', next: end}\n"
    assert codes(TEXT, new, "structure", tests=DEFAULTS) == ["copied_words"]


def test_only_telling_texts_are_literals() -> None:
    assert literals(TESTS) == {
        *("wonderful", "joyous", "Io", "melancholy", "thoughtful", "心情很好", "Très bien"),
        *("心情A级", "charming", "aaaaaaaa"),
        *("enchanted", "spellbound", "Synopsis: .", "The hotel in Lisbon was rather loud"),
    }
    tokens = ("yes", "Yes", "a", "42", "7", "I", " ")
    short = suite(*(equals("x", token) for token in tokens))
    assert literals(short) == {"Yes", "42"}
    assert literals(suite(equals("x", "abcd"), equals("x", " d e "))) == {"abcd"}
    assert COMPACT == 8


@pytest.mark.parametrize(
    ("pattern", "pieces"),
    [
        (r"\x41bcdefghi", {"bcdefghi"}),
        (r"\u0041bcdefghi", {"bcdefghi"}),
        (r"\p{Uppercase}+", set()),
        (r"\k<delighted>", set()),
        (r"\k{delighted}\u{1F600}", set()),
        (r"[^abcdefghij]+[abcdefgh\]ijklmnop]", set()),
        (r"(?:abcdefghij)", {":abcdefghij"}),
        (r"(?P<delighted>a)", set()),
        (r"\dabcdefgh", {"abcdefgh"}),
        (r"abcdefg", set()),
        (r"abcd efgh|ijklmnop", {"abcd efgh", "ijklmnop"}),
    ],
)
def test_the_plain_pieces_of_a_pattern_are_literals(pattern: str, pieces: set[str]) -> None:
    assert literals(suite(Assertion(AssertionType.REGEX, pattern, "x"))) == pieces


def test_the_texts_of_every_type_are_words_of_a_test() -> None:
    def of(kind: str, value: str = "", **fields: object) -> Assertion:
        return Assertion(AssertionType(kind), value, "mood", **fields)

    tests = suite(
        of("one_of", values=("cheerful", "gloomy")),
        of("contains_all", values=("overjoyed",), negated=True),
        of("contains_any", values=("serene",)),
        of("starts_with", "Salutations"),
        of("ends_with", "Sincerely"),
        of("similarity", "What a splendid afternoon"),
        of("numeric", "4711"),
        of("json_path", '{"place":["Lisbon",1908,true,null]}', path="$"),
        of("is_json", schema='{"properties":{"colour":{"enum":["azure"],"pattern":"^crim"}}}'),
        of("length", least=7777.0),
        Assertion(AssertionType.PATH, values=("gathering", "sorting")),
        Assertion(AssertionType.VISITS, "gathering", most=3.0),
        Assertion(AssertionType.STATE_NOT_REACHED, "sorting"),
    )
    assert literals(tests) == {
        *("cheerful", "gloomy", "overjoyed", "serene", "Salutations", "Sincerely"),
        *("What a splendid afternoon", "4711", "Lisbon", "1908", "azure"),
    }
