"""What tests rely on stays."""

from __future__ import annotations

from pathlib import Path

import pytest
from policies import codes, equals, problems, reached, suite, swapped

TEXT = """\
name: W
start_state: ask
variables: {tone: calm}
states:
  ask: {type: input, prompt: "Which?", save_as: review, next: sort}
  sort: {type: prompt, prompt: "Sort {{review}}", save_as: mood, next: more}
  more: {type: input, prompt: "More on {{mood}}?", save_as: wish, next: answer}
  answer: {type: prompt, prompt: "Answer {{wish}} {{review}}", save_as: reply, next: end}
"""
ANSWERED = suite(equals("mood"), reached("answer"), ask="a", more="b")


def refused(*pairs: str, tests: object = ANSWERED, allow: tuple[str, ...] = ()) -> list[str]:
    found = problems(TEXT, swapped(TEXT, *pairs), *allow, tests=tests)  # type: ignore[arg-type]
    return [p.message for p in found if p.code == "lost_support"]


def test_a_state_that_tests_answer_or_look_for_cannot_go() -> None:
    start, end = TEXT.index("  more:"), TEXT.index("  answer:")
    gone = swapped(TEXT[:start] + TEXT[end:], "next: more", "next: answer", "{{wish}} ", "")
    found = problems(TEXT, gone, "structure", tests=ANSWERED)
    assert [(p.code, p.message, p.path) for p in found] == [
        ("lost_support", "the tests rely on the state 'more', which is gone", ("states", "more"))
    ]
    assert codes(TEXT, gone, "structure", tests=suite(equals("reply"), ask="a")) == []
    last = swapped(TEXT[:end], "next: answer", "next: end")
    assert "lost_support" in codes(TEXT, last, "structure", tests=suite(reached("answer")))
    assert codes(TEXT, last, "structure", tests=suite(reached("sort"))) == []


def test_the_value_that_a_test_wants_is_no_state() -> None:
    last = swapped(TEXT[: TEXT.index("  answer:")], "next: answer", "next: end")
    tests = suite(equals("mood", "answer"))
    assert codes(TEXT, last, "structure", tests=tests) == []


def test_a_state_reached_only_by_an_error_is_as_good_as_gone() -> None:
    said = "the tests rely on the state 'more', to which only an error would lead"
    pairs = ("save_as: mood, next: more", "save_as: mood, on_error: more, next: answer")
    assert refused(*pairs) == [said]
    assert refused(*pairs, tests=suite(reached("sort"))) == []
    (found,) = [
        p for p in problems(TEXT, swapped(TEXT, *pairs), tests=ANSWERED) if p.message == said
    ]
    assert found.path == ("states", "more")
    assert found.hint


def test_what_only_an_error_reached_before_needs_no_other_way() -> None:
    old = swapped(TEXT, "save_as: mood, next: more", "save_as: mood, on_error: more, next: answer")
    assert codes(old, swapped(old, "Which?", "Which one?"), tests=ANSWERED) == []


def test_names_that_the_original_does_not_have_are_not_lost() -> None:
    tests = suite(reached("nowhere"), reached("end"), equals("nothing"), nobody="x")
    assert refused("Which?", "Which one?", tests=tests) == []


def test_an_answer_that_tests_give_is_kept() -> None:
    said = ["the tests answer 'more', and nothing keeps the answer"]
    assert refused('{{mood}}?", save_as: wish', '{{mood}}?"') == said
    found = problems(TEXT, swapped(TEXT, "save_as: wish, ", ""), tests=ANSWERED)
    assert [p.path for p in found if p.code == "lost_support"] == [("states", "more")]
    assert next(p.hint for p in found if p.code == "lost_support") == "keep its save_as"
    renamed = ('{{mood}}?", save_as: wish', '{{mood}}?", save_as: hope', "{{wish}}", "{{hope}}")
    assert refused(*renamed) == []
    assert (
        refused('{{mood}}?", save_as: wish', '{{mood}}?"', tests=suite(equals("mood"), ask="a"))
        == []
    )
    silent = swapped(TEXT, "save_as: wish, ", "", "{{wish}} ", "")
    assert codes(silent, swapped(silent, "Which?", "Which one?"), tests=ANSWERED) == []


def test_a_variable_that_tests_look_at_is_still_saved() -> None:
    said = ["the tests look at 'mood', which nothing saves any more"]
    assert refused("save_as: mood, ", "") == said
    assert refused("save_as: mood", "save_as: feeling") == said
    assert refused("save_as: mood, ", "", tests=suite(equals("reply"))) == []
    moved = ("save_as: mood, ", "", "save_as: reply", "save_as: mood")
    assert refused(*moved) == []
    by_error = (
        "save_as: mood, ",
        "on_error: answer, ",
        "next: answer",
        "next: end",
        "save_as: reply",
        "save_as: mood",
    )
    assert refused(*by_error, tests=suite(equals("mood"))) == said
    assert refused("save_as: reply, ", "", tests=suite(equals("tone"))) == []


def test_an_answer_is_not_saved_as_a_result() -> None:
    taken = ("save_as: wish", "save_as: mood", "{{wish}}", "{{mood}}")
    assert refused(*taken) == ["the tests look at 'mood', and 'more' would fill it in"]
    found = problems(TEXT, swapped(TEXT, *taken), tests=ANSWERED)
    (lost,) = [p for p in found if p.code == "lost_support"]
    assert lost.path == ("states", "more")
    assert lost.hint
    assert refused(*taken, tests=suite(equals("reply"))) == []
    assert refused("save_as: wish", "save_as: tone", tests=suite(equals("tone")))
    assert refused("save_as: wish", "save_as: wanted", tests=suite(equals("wanted"))) == []
    assert refused("save_as: reply", "save_as: mood") == []


def test_answers_that_tests_look_at_may_change_places() -> None:
    pair = (
        "save_as: review",
        "save_as: wish",
        "save_as: wish, next: answer",
        "save_as: review, next: answer",
    )
    assert refused(*pair, tests=suite(equals("wish"), equals("review"), ask="a")) == []


PARENT = """\
name: P
start_state: ask
states:
  ask: {type: input, prompt: "Which?", next: child}
  child: {type: workflow_ref, workflow_ref: a.yaml, next: last}
  last: {type: prompt, prompt: "Hi", next: end}
"""


@pytest.fixture
def family(tmp_path: Path) -> Path:
    for name in ("a.yaml", "b.yaml"):
        state = "  s: {type: prompt, prompt: A, save_as: x, next: end}\n"
        (tmp_path / name).write_text("name: C\nstart_state: s\nstates:\n" + state)
    return tmp_path


def test_a_child_whose_states_tests_look_for_stays_what_it_is(family: Path) -> None:
    other = swapped(PARENT, "a.yaml", "b.yaml")
    for tests in (
        suite(reached("child_ref_s")),
        suite(equals("x"), child_ref_s="x"),
        suite(reached("child")),
    ):
        found = problems(PARENT, other, "workflow:b.yaml", tests=tests, folder=family)
        assert [p.message for p in found] == [
            "the tests rely on the workflow that 'child' runs, which is another"
        ]
        assert found[0].path == ("states", "child")
    for tests in (suite(reached("last")), suite(reached("child_s")), suite(reached("last_ref_s"))):
        assert codes(PARENT, other, "workflow:b.yaml", tests=tests, folder=family) == []
    short = swapped(PARENT, '  last: {type: prompt, prompt: "Hi", next: end}\n', "")
    short = swapped(short, "next: last", "next: end")
    tests = suite(reached("last_ref_s"))
    assert codes(PARENT, short, "structure", tests=tests, folder=family) == []
    gone = swapped(PARENT, "  child: {type: workflow_ref, workflow_ref: a.yaml, next: last}\n", "")
    gone = swapped(gone, "next: child", "next: last")
    tests = suite(reached("child_ref_s"))
    assert codes(PARENT, gone, "structure", tests=tests, folder=family) == ["lost_support"]


def test_what_a_child_may_set_is_not_filled_in_by_an_answer(family: Path) -> None:
    new = swapped(PARENT, 'prompt: "Which?"', 'prompt: "Which?", save_as: x')
    tests = suite(equals("x"))
    assert codes(PARENT, new, tests=tests, folder=family) == ["lost_support"]
    assert codes(PARENT, new, tests=suite(equals("y")), folder=family) == []
