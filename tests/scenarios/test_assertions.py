"""What an assertion says of a rollout."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from finetune_fsm.execution.rollout import Rollout, RunStatus
from finetune_fsm.scenarios.assertions import judge, trimmed
from finetune_fsm.scenarios.model import RUN_TYPES, Assertion, AssertionType, Verdict
from finetune_fsm.sinks import clean

BLANKS = " \t\n\r\x0b\f\xa0\ufeff\u2003"
words = st.text("aAbB " + BLANKS, max_size=6)
names = st.sampled_from(["x", "y", "z"])
PLAIN = ["equals", "contains", "not_contains", "regex", "state_reached"]
# Patterns without metacharacters, but one, so that a model without `re` can say what they find.
assertions = st.builds(
    Assertion,
    type=st.sampled_from(PLAIN).map(AssertionType),
    value=words,
    target=names,
    case_sensitive=st.booleans(),
)
rollouts = st.builds(
    Rollout,
    status=st.just(RunStatus.COMPLETED),
    visited=st.lists(words, max_size=3).map(tuple),
    variables=st.dictionaries(names, words, max_size=2),
)


def expected(assertion: Assertion, rollout: Rollout) -> bool:
    """The rules of the format, as plainly as they can be said."""
    wanted = assertion.value.strip(BLANKS)
    if assertion.type == "state_reached":
        return wanted in rollout.visited
    if assertion.target not in rollout.variables:
        return False
    actual = rollout.variables[assertion.target].strip(BLANKS)
    if assertion.type == "equals":
        return actual == wanted
    if assertion.type == "regex":
        return assertion.value in actual
    if not assertion.case_sensitive:
        actual, wanted = actual.lower(), wanted.lower()
    return (wanted in actual) == (assertion.type == "contains")


@given(assertions, rollouts)
@settings(max_examples=500)
@example(
    Assertion(AssertionType.NOT_CONTAINS, "a", "gone"), Rollout(RunStatus.COMPLETED, variables={})
)
@example(
    Assertion(AssertionType.EQUALS, "a\ufeff", "x"),
    Rollout(RunStatus.COMPLETED, variables={"x": "\xa0a"}),
)
@example(
    Assertion(AssertionType.CONTAINS, "", "x"), Rollout(RunStatus.COMPLETED, variables={"x": ""})
)
def test_a_verdict_is_what_the_format_says(assertion: Assertion, rollout: Rollout) -> None:
    result = judge(assertion, rollout)
    assert (result.verdict is Verdict.PASSED) == expected(assertion, rollout)
    assert result.verdict is not Verdict.ERROR
    assert result.assertion is assertion


@given(
    st.builds(
        Assertion,
        st.sampled_from(AssertionType),
        st.text(),
        st.text(max_size=3),
        negated=st.booleans(),
        values=st.lists(st.text(), max_size=4).map(tuple),
        schema=st.text(),
        path=st.text(),
        least=st.none() | st.floats(0, 9),
        most=st.none() | st.floats(0, 9),
    ),
    st.dictionaries(st.text(max_size=3), st.text(), max_size=2),
    st.lists(st.text(max_size=5), max_size=3),
)
@settings(max_examples=100)
@example(Assertion(AssertionType.EQUALS, "\x1b[2J", "x"), {"x": "\u202e\n" * 500}, [])
def test_a_message_is_one_short_line_that_can_be_printed_anywhere(
    assertion: Assertion, variables: dict[str, str], visited: list[str]
) -> None:
    rollout = Rollout(RunStatus.COMPLETED, visited=tuple(visited), variables=variables)
    message = judge(assertion, rollout).message
    assert message
    assert assertion.requirement
    assert message == clean(message)
    assert "\n" not in message
    assert len(message) < 700


@pytest.mark.parametrize("negated", [False, True])
@pytest.mark.parametrize("kind", sorted(set(AssertionType) - RUN_TYPES))
def test_a_variable_that_was_never_set_fails_every_check(kind: str, negated: bool) -> None:
    check = Assertion(AssertionType(kind), "a", "gone", negated=negated)
    result = judge(check, Rollout(RunStatus.COMPLETED))
    assert result.verdict is Verdict.FAILED
    assert result.message == "variable 'gone' was never set"
    assert result.actual is None


@pytest.mark.parametrize(
    ("kind", "options", "value", "actual", "verdict"),
    [
        ("regex", {}, "^Hel+o", "  Hello \n", "passed"),
        ("regex", {}, "^hel+o", "Hello", "failed"),
        ("regex", {}, "o$", "Hello\n\n", "passed"),
        ("regex", {}, " Hello", " Hello", "failed"),  # the text is trimmed, the pattern is not
        ("contains", {"regex": True}, " Hel+o", " Hello", "passed"),  # here both are
        ("contains", {"regex": True, "case_sensitive": False}, "^h.l", "HELLO", "passed"),
        ("not_contains", {"regex": True}, "[0-9]", "Hello", "passed"),
        ("not_contains", {"regex": True}, "[a-z]", "Hello", "failed"),
        ("not_contains", {"regex": True}, "(", "Hello", "error"),
        ("not_contains", {"regex": True}, "(a+)+$", "a" * 40 + "!", "error"),
        ("contains", {"regex": True}, "(a+)+$", "a" * 40 + "!", "error"),
        ("regex", {}, "a{2,1}", "Hello", "error"),
        ("contains", {}, "a.c", "abc", "failed"),
    ],
)
def test_patterns_are_searched_and_no_answer_is_neither_pass_nor_fail(
    kind: str, options: dict[str, bool], value: str, actual: str, verdict: str
) -> None:
    assertion = Assertion(AssertionType(kind), value, "x", **options)
    result = judge(assertion, Rollout(RunStatus.COMPLETED, variables={"x": actual}))
    assert result.verdict == verdict
    assert result.actual == actual


@pytest.mark.parametrize(
    ("kind", "value", "actual", "words"),
    [
        ("equals", "yes", "Yes", "only the letter case"),
        ("equals", "a b", "a  b", "only the white space"),
        ("equals", "yes", "I say yes.", "more around it"),
        ("equals", "yes", "", "is empty, not 'yes'"),
        ("contains", "yes", "YES!", "only the letter case"),
        ("contains", "yes", "no", "it is 'no'"),
        ("not_contains", "no", "a no", "contains 'no'"),
        ("regex", "[", "x", "never closed"),
    ],
)
def test_a_failure_says_how_near_it_was(kind: str, value: str, actual: str, words: str) -> None:
    rollout = Rollout(RunStatus.COMPLETED, variables={"x": actual})
    assert words in judge(Assertion(AssertionType(kind), value, "x"), rollout).message


def test_a_state_that_was_not_reached_shows_the_way_that_was_taken() -> None:
    rollout = Rollout(RunStatus.COMPLETED, visited=("ask", "answer", "end"))
    reached = judge(Assertion(AssertionType.STATE_REACHED, " end "), rollout)
    missed = judge(Assertion(AssertionType.STATE_REACHED, "check"), rollout)
    assert reached.verdict is Verdict.PASSED
    assert missed.verdict is Verdict.FAILED
    assert "ask -> answer -> end" in missed.message
    assert missed.actual == "ask -> answer -> end"


@given(st.text(st.sampled_from(BLANKS + "a\x1c\x85"), max_size=8))
def test_trimming_takes_off_what_javascript_takes_off(text: str) -> None:
    bare = trimmed(text)
    assert bare == "" or (bare[0] not in BLANKS and bare[-1] not in BLANKS)
    assert text.replace(bare, "", 1).strip(BLANKS) == ""
    assert trimmed(f"\x1c{text}\x85") == f"\x1c{text}\x85"
