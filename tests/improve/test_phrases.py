"""What words tell: narrow on purpose, silent rather than wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_fsm.improve.phrases import (
    choices_in,
    contradictory,
    languages_in,
    limits_in,
    lists_in,
    sentences,
    tells_length,
    told_defaults,
    wanted_tokens,
)


@given(st.text(st.sampled_from("ab .!?\n\r,"), max_size=60))
def test_the_sentences_of_a_text_are_the_text(text: str) -> None:
    assert "".join(sentences(text)) == text
    assert all(sentences(text))


def test_sentences_end_with_a_stop_or_a_line() -> None:
    text = "One. Two?\nThree, v1.5 of it\n\nFour"
    assert [part.strip() for part in sentences(text) if part.strip()] == [
        "One.", "Two?", "Three, v1.5 of it", "Four",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "members"),
    [
        ("one of invoice, newsletter or personal", ("invoice", "newsletter", "personal")),
        ("Reply with one word: work, spam or other", ("work", "spam", "other")),
        ("answer yes or no", ("yes", "no")),
        ("One of these words: python, sql, html", ("python", "sql", "html")),
    ],
)  # fmt: skip
def test_a_list_of_words_is_seen(text: str, members: tuple[str, ...]) -> None:
    assert [found for _, found in lists_in(text)][-1:] == [members]


def test_a_list_to_choose_from_is_announced_or_long() -> None:
    told = (
        "Says glad or sad",
        "Answer with yes or no",
        "kitchen, cleaning or repairs",
        "It is a or b",
    )
    assert [len(list(choices_in(text))) for text in told] == [1, 1, 1, 1]
    for text in ("Rewrites an angry or careless email", "Works and rests, runs and walks"):
        assert list(choices_in(text)) == []


@pytest.mark.parametrize("text", ["Write one sentence.", "a, b", "to be, it says", "a or a"])
def test_what_is_no_list_is_none(text: str) -> None:
    assert list(lists_in(text)) == []


def test_limits_are_told_in_a_few_ways() -> None:
    assert limits_in("There is room for one sentence, at most 25 words.") == (
        "one sentence", "at most 25 words",
    )  # fmt: skip
    assert limits_in("Write about the sea.") == ()
    assert tells_length("One friendly sentence with the name")
    assert tells_length("Reply with the plural alone")
    assert not tells_length("Tell our visitors about it: where it lives")


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Write two short sentences.", 16),
        ("Write 100 words about {{x}}", 100),
        ("Write three paragraphs", 120),
        ("Reply in at most 3 words", 0),
        ("no more than five sentences", 0),
        ("Is it good?", 0),
    ],
)
def test_what_is_asked_needs_so_many_tokens(text: str, tokens: int) -> None:
    assert wanted_tokens(text) == tokens


@pytest.mark.parametrize(
    "text",
    [
        "Give the plural. Explain the rule in two sentences. Reply with the plural alone.",
        "Reply with the number only.\nGive reasons for it.",
        "Also justify it. Answer with one word, nothing else.",
    ],
)
def test_a_prompt_that_wants_more_and_no_more_contradicts_itself(text: str) -> None:
    assert len(contradictory(text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "Reply with the number alone. Do not explain it.",
        "Explain it well.",
        "Explain it to yourself, not in the reply. Reply with the number alone.",
        "Reply with the name only, without any explanation.",
        "Never explain. Reply with yes or no, nothing else.",
        "He gives many examples. Reply with the title alone",
    ],
)
def test_what_only_looks_so_is_none(text: str) -> None:
    assert contradictory(text) == ()


def test_defaults_that_a_question_tells() -> None:
    assert told_defaults("Which language? Just press Enter for English.") == ("English",)
    assert told_defaults("City (default: Lisbon)") == ("Lisbon",)
    assert told_defaults("Write in English, unless asked.") == ("English",)
    assert told_defaults("It defaults to 'Rome'") == ("Rome",)
    for text in ("Which city?", "Press Enter. Or type it", "the default value", "leave it empty"):
        assert told_defaults(text) == ()


def test_languages_are_names_with_a_capital() -> None:
    assert languages_in("From French to Danish, polish it, French") == ("French", "Danish")
