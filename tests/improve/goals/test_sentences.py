"""Sentences of a prompt, and what is unclear in them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from flaws import workflow
from hypothesis import example, given
from hypothesis import strategies as st
from strategies import texts, words

from finetune_fsm.improve.goals.sentences import (
    prompts,
    repeated,
    sentences,
    unclear,
)
from finetune_fsm.workflow.model import Workflow

STATES = """\
  ask: {type: input, prompt: 'Word? etc. etc.', save_as: word, next: work}
  work: {type: prompt, prompt: 'Say {{word}}.', save_as: out}
"""

PIECES = (
    "Sort it. ", "Sort it at once. ", "sort  it at ONCE.\n", "Reply with one word only. ",
    "Explain your reasoning. ", "Be nice etc. and so on. ", "e.g. ", "\n", "1. ", "- a\n",
    "Say {{word}}. ", "word " * 30, "! ", "Mr. Smith. ",
)  # fmt: skip
told = st.lists(st.sampled_from(PIECES) | words(), max_size=8).map("".join) | texts()


def with_prompt(text: str) -> Workflow:
    one = workflow(STATES)
    states = {**one.states, "work": replace(one.states["work"], prompt=text)}
    return replace(one, states=states)


@given(told)
@example("e.g.\nA. b")
def test_the_sentences_are_the_text_again(text: str) -> None:
    parts = sentences(text)
    assert "".join(parts) == text
    assert all(parts)


@given(told, told)
def test_saying_more_makes_nothing_clearer(text: str, more: str) -> None:
    before = len(unclear(with_prompt(text)))
    assert len(unclear(with_prompt(f"{text}\n\n{more}"))) >= before


@given(told)
def test_a_sentence_is_repeated_only_behind_the_first(text: str) -> None:
    parts = sentences(text)
    for index in repeated(text):
        same = [i for i, p in enumerate(parts) if p.lower().split() == parts[index].lower().split()]
        assert same[0] < index


@given(told)
def test_every_unclear_place_can_be_found_in_its_prompt(text: str) -> None:
    one = with_prompt(text)
    for place in unclear(one):
        assert place.path == ("states", "work", "prompt")
        assert place.sentence in text
        assert place.sentence
        assert place.why


@pytest.mark.parametrize(
    ("text", "whys"),
    [
        ("Sort the mail. Say one word.", []),
        ("Sort the mail now. Be brief. Be brief. Sort the MAIL now.", ["it is said twice"]),
        ("About {{word}} say this. About {{other}} say this.", []),
        (f"Say {'very ' * 25}much.", ["it has more than 25 words"]),
        (f"Say {'very ' * 23}much.", []),
        ("Use a nice tone and so on.", ["'and so on' can mean anything"]),
        ("What kind of fruit, or something else, is it?", []),
        ("Use lists where appropriate.", ["'where appropriate' can mean anything"]),
        (
            "Reply with one word only. Explain your reasoning.",
            ["another sentence asks for the answer alone"],
        ),
    ],
)
def test_what_is_unclear(text: str, whys: list[str]) -> None:
    assert [place.why for place in unclear(with_prompt(text))] == whys


def test_abbreviations_and_numbers_end_no_sentence() -> None:
    assert sentences("1. Ask Mr. Smith, e.g. today. Then go.") == (
        "1. Ask Mr. Smith, e.g. today. ",
        "Then go.",
    )
    assert sentences("Answer in one or\ntwo words.\nthen stop") == (
        "Answer in one or\ntwo words.\n",
        "then stop",
    )


def test_only_what_a_model_is_asked_is_a_prompt() -> None:
    assert [state.name for state in prompts(workflow(STATES))] == ["work"]
    assert prompts(with_prompt(" \n")) == ()
