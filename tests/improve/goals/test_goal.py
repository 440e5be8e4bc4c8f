"""A goal is one of five words or a text, and a slip of the pen is neither."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from strategies import texts

from finetune_fsm.codec import plain, restore
from finetune_fsm.errors import UsageError
from finetune_fsm.improve.goals.goal import GOAL_LIMIT, MEASURED, Goal, GoalKind, parse_goal
from finetune_fsm.sinks import clean

WORDS = [kind.value for kind in MEASURED]


@st.composite
def slips(draw: st.DrawFn) -> tuple[str, str]:
    """One of the five words, and the same with a letter lost, doubled, exchanged or in capitals."""
    word = draw(st.sampled_from(WORDS))
    at = draw(st.integers(1, len(word) - 2))
    wrong = [
        word[:at] + word[at + 1 :],
        word[:at] + word[at] + word[at:],
        word[:at] + word[at + 1] + word[at] + word[at + 2 :],
        word.upper(),
        word + ".",
    ]
    return word, draw(st.sampled_from(wrong))


@given(texts() | st.sampled_from(WORDS) | st.text(max_size=400))
@example("goal\u202e")
@example("two\nlines here")
@example("a\tb c")
def test_any_text_is_a_goal_or_said_to_be_none(text: str) -> None:
    try:
        goal = parse_goal(text)
    except UsageError as error:
        said = str(error)
        assert clean(said) == said
        assert "\n" not in said
        return
    assert goal.text == text.strip()
    assert goal.is_text is (goal.text not in WORDS)
    assert 0 < len(goal.text) <= GOAL_LIMIT
    assert clean(goal.text) == goal.text
    assert not {"\n", "\t"} & {*goal.text}
    assert parse_goal(goal.text) == goal
    assert restore(Goal, plain(goal)) == goal


@given(slips())
def test_a_slip_of_the_pen_is_told_and_not_taken_for_a_text(slip: tuple[str, str]) -> None:
    word, wrong = slip
    if wrong == word:
        return
    with pytest.raises(UsageError, match=f"did you mean '{word}'"):
        parse_goal(wrong)


@pytest.mark.parametrize("word", WORDS)
def test_the_five_words_are_measured(word: str) -> None:
    assert parse_goal(f" {word} ") == Goal(GoalKind(word), word)


@pytest.mark.parametrize("text", ["friendly", "Answer like a pirate.", "fewer tokens", "text", "é"])
def test_other_words_are_a_text(text: str) -> None:
    assert parse_goal(text) == Goal(GoalKind.TEXT, text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "needs words: tokens, latency, length, robustness or clarity"),
        (" \n ", "needs words"),
        ("be kind " * 40, "300 characters at most, this one has 319"),
        ("be\x00kind now", "cannot be seen"),
        ("be kind\nand brief", "one line"),
        ("latncy", "Or write a sentence"),
    ],
)
def test_what_is_no_goal_is_told_with_what_to_do(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_goal(text)
