"""Vectors without a model: always the same, and near each other for texts with shared words."""

from __future__ import annotations

import math
from itertools import combinations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from finetune_fsm.codec import digest
from finetune_fsm.llm.letter_vectors import SIZE, letter_vector

WORDS = ("password", "reset", "shipping", "europe", "invoice", "weather", "tomato", "engine")


def nearness(one: str, other: str) -> float:
    pairs = zip(letter_vector(one), letter_vector(other), strict=True)
    return math.fsum(a * b for a, b in pairs)


@given(st.text(max_size=200))
@example("")
@example(" \n")
@example("\ud800 lone half")
@example("x" * 5000)
def test_any_text_has_a_vector_of_length_one(text: str) -> None:
    vector = letter_vector(text)
    assert len(vector) == SIZE
    assert math.fsum(value * value for value in vector) == pytest.approx(1, abs=1e-4)
    assert letter_vector(text) == vector


@given(st.text(max_size=60).filter(lambda text: text.isascii()))
def test_case_and_spaces_make_no_difference(text: str) -> None:
    assert letter_vector(f"  {text.upper()}\n") == letter_vector(text.lower())


@given(st.permutations(WORDS))
def test_texts_that_share_words_are_nearer_than_texts_that_do_not(words: list[str]) -> None:
    same, other = " ".join(words[:3]), " ".join(words[4:7])
    overlapping = " ".join((words[1], words[2], words[3]))
    assert nearness(same, overlapping) > nearness(same, other) + 0.2


def test_a_word_is_near_its_other_forms_and_to_no_other() -> None:
    assert nearness("password", "Passwords") > 0.6
    assert all(abs(nearness(one, other)) < 0.25 for one, other in combinations(WORDS, 2))


def test_a_question_is_nearest_to_the_text_that_answers_it() -> None:
    texts = (
        "To reset a password open the settings page and press Reset.",
        "The cat sat on the mat.",
        "Shipping takes three days within Europe.",
        "How do I cook my rice?",
    )
    scores = [nearness("How do I reset my password?", text) for text in texts]
    assert max(scores) == scores[0]
    assert nearness("今天天气很好", "今天天气不好") > nearness("今天天气很好", "我喜欢吃苹果")


def test_a_vector_is_what_it_was_in_every_release() -> None:
    """Stores of vectors are compared with it."""
    assert digest(letter_vector("The quick brown fox, twice: fox!")) == (
        "55d635a63cc3e61a19e1b8eab6064996808f03009503145cc89bce5bce9771d5"
    )
