"""The policy as a whole: what it lets through, what it names, and that all of it is in force."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from drafts import ORIGINALS, SUITE, Case, cases, faults, offer
from hypothesis import given, settings
from hypothesis import strategies as st
from policies import codes, equals, problems, suite, swapped, workflow

from finetune_fsm.errors import Problem
from finetune_fsm.improve.gate import problems_with
from finetune_fsm.improve.policy import CODES, is_refusal, trespasses, violations

TEXT = """\
name: Mood
start_state: ask
variables: {tone: calm}
mcp_servers: {disk: {command: ls}}
states:
  ask: {type: input, prompt: "Which?", save_as: review, default_value: "{{tone}}", next: sort}
  sort: {type: prompt, prompt: "In {{tone}}, {{lost}}: {{review}}", save_as: mood, next: sure}
  sure: {type: input, prompt: "Really?", save_as: really, next: act}
  act: {type: prompt, prompt: "Act on {{mood}}, {{really}}", mcp_servers: [disk], next: end}
"""


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> tuple[Case, ...]:
    return cases(tmp_path_factory.mktemp("drafts"))


@settings(max_examples=150)
@given(seed=st.integers(0, 2**32))
def test_no_draft_that_passes_the_gate_has_a_fault(originals: tuple[Case, ...], seed: int) -> None:
    rng = random.Random(seed)
    made = offer(rng, rng.choice(originals))
    found = problems_with(
        made.draft,
        original=made.case.workflow,
        best=made.case.workflow,
        suite=SUITE,
        tried=(),
        grants=made.grants,
    )
    if not found:
        assert faults(made) == []


def test_every_original_is_allowed_as_it_is(originals: tuple[Case, ...]) -> None:
    assert len(originals) == len(ORIGINALS)
    for case in originals:
        assert violations(case.workflow, case.workflow, SUITE) == ()


def test_what_is_open_to_no_draft_comes_first_and_alone() -> None:
    draft = swapped(TEXT, "tone: calm", "tone: harsh", ", {{really}}", "")
    assert codes(TEXT, draft) == ["closed_place"]
    assert codes(TEXT, swapped(TEXT, ", {{really}}", "")) == ["lost_placeholder"]


def test_trespasses_are_told_without_opening_a_file(tmp_path: Path) -> None:
    child = "name: C\nstart_state: a\nstates:\n  a: {type: prompt, prompt: A, next: end}\n"
    (tmp_path / "c.yaml").write_text(child)
    old = workflow(
        "name: W\nstart_state: a\nstates:\n  a: {type: workflow_ref, workflow_ref: c.yaml}\n",
        tmp_path,
    )
    (tmp_path / "c.yaml").unlink()
    assert trespasses(old, old, SUITE) == ()


def test_every_refusal_has_a_code_that_is_listed() -> None:
    assert set(CODES) == {
        *("closed_place", "capability_gain", "path_flow", "unasked", "lost_support"),
        *("copied_words", "overgrown", "hidden_text", "too_many_states", "odd_option"),
        *("endless", "lost_placeholder", "unset_placeholder"),
    }
    assert all(CODES.values())
    assert is_refusal(Problem("closed_place", "x"))
    assert not is_refusal(Problem("bad_yaml", "x"))


# ---- questions before actions -----------------------------------------------------------------


def test_an_action_stays_behind_its_question() -> None:
    pairs = ("save_as: mood, next: sure", "save_as: mood, on_error: act, next: sure")
    found = [p for p in problems(TEXT, swapped(TEXT, *pairs)) if p.code == "unasked"]
    assert [(p.message, p.path) for p in found] == [
        ("a run could come to 'act' without 'sure'", ("states", "act"))
    ]
    assert found[0].hint


def test_a_question_less_before_no_action_is_no_matter() -> None:
    bare = TEXT.replace(", mcp_servers: [disk]", "")
    draft = swapped(bare, "save_as: mood, next: sure", "save_as: mood, on_error: act, next: sure")
    assert codes(bare, draft) == []
    more = swapped(TEXT, "save_as: really, next: act}", "save_as: really, next: extra}")
    more += '  extra: {type: input, prompt: "Sure?", save_as: surely, next: act}\n'
    assert codes(TEXT, more, "structure") == []
    dead = swapped(TEXT, "save_as: really, next: act", "save_as: really, next: end")
    tests = suite(equals("mood"), act="x")
    revived = swapped(dead, "save_as: mood, next: sure", "save_as: mood, on_error: act, next: sure")
    assert "unasked" not in codes(dead, revived, tests=tests)


def test_who_was_not_always_asked_need_not_be() -> None:
    bare = swapped(TEXT, "save_as: mood, next: sure", "save_as: mood, on_error: act, next: sure")
    assert codes(bare, swapped(bare, "Which?", "Which one?")) == []


def test_only_a_question_must_be_passed() -> None:
    round_it = swapped(TEXT, '"{{tone}}", next: sort', '"{{tone}}", on_error: sure, next: sort')
    assert codes(TEXT, round_it) == []


def test_a_question_that_is_removed_is_not_asked() -> None:
    start, end = TEXT.index("  sure:"), TEXT.index("  act:")
    gone = swapped(TEXT[:start] + TEXT[end:], "next: sure", "next: act", ", {{really}}", "")
    assert codes(TEXT, gone, "structure") == ["unasked"]


# ---- placeholders -----------------------------------------------------------------------------


def test_a_prompt_keeps_the_data_it_reads() -> None:
    found = problems(TEXT, swapped(TEXT, "In {{tone}}, {{lost}}: ", ""))
    assert [(p.code, p.message, p.hint, p.path) for p in found] == [
        (
            "lost_placeholder",
            "sort.prompt loses the placeholder {{tone}}",
            "keep {{tone}}",
            ("states", "sort", "prompt"),
        )
    ]
    assert codes(TEXT, swapped(TEXT, ": {{review}}", "")) == ["lost_placeholder"]
    assert codes(TEXT, swapped(TEXT, ", {{lost}}", "")) == []  # nothing sets it: a mistake
    assert (
        codes(TEXT, swapped(TEXT, "In {{tone}}, {{lost}}: {{review}}", "{{review}}{{tone}}")) == []
    )


@pytest.mark.parametrize("default", ['default_value: "none", ', ""])
def test_a_default_keeps_the_data_it_reads(default: str) -> None:
    found = problems(TEXT, swapped(TEXT, 'default_value: "{{tone}}", ', default))
    assert [(p.code, p.path) for p in found] == [
        ("lost_placeholder", ("states", "ask", "default_value"))
    ]


def test_what_every_run_sets_is_data_too() -> None:
    text = swapped(TEXT, "Really?", "Really, after {{error}}?")
    assert codes(text, TEXT) == ["lost_placeholder"]


def test_a_prompt_that_moves_in_from_its_file_keeps_its_data(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("Sort {{review}}, {{tone}}")
    filed = swapped(TEXT, 'prompt: "In {{tone}}, {{lost}}: {{review}}"', "prompt_file: p.txt")
    kept = swapped(TEXT, "{{lost}}: ", "")
    assert codes(filed, kept, folder=tmp_path) == []
    assert codes(filed, swapped(kept, ", {{review}}", ""), folder=tmp_path) == ["lost_placeholder"]


STEPS = """\
name: W
start_state: ask
states:
  ask: {type: input, prompt: "?", save_as: a, next: work}
  work:
    type: prompt
    steps:
      - {prompt: "One {{a}}", save_as: b}
      - {prompt: "Two {{b}}", save_as: c}
    next: "on"
  "on": {type: prompt, prompt: "On {{c}}", next: off}
  "off": {type: prompt, prompt: "Off", next: end}
"""


def test_data_may_move_between_steps_only_when_their_number_changes() -> None:
    moved = swapped(STEPS, "Two {{b}}", "Two {{b}} {{a}}", "One {{a}}", "One")
    assert codes(STEPS, moved) == ["lost_placeholder"]
    more = swapped(moved, "save_as: c}", 'save_as: d}\n      - {prompt: "Three {{d}}", save_as: c}')
    assert codes(STEPS, more, "structure") == []
    assert codes(STEPS, swapped(more, " {{a}}", ""), "structure") == ["lost_placeholder"]


def test_what_was_fed_by_a_state_that_is_removed_need_not_be_read() -> None:
    start, end = STEPS.index("  work:"), STEPS.index('  "on":')
    gone = swapped(STEPS[:start] + STEPS[end:], "next: work", 'next: "on"', "{{c}}", "{{a}}")
    assert codes(STEPS, gone, "structure") == []
    emptied = swapped(STEPS, ", save_as: c", "", "On {{c}}", "On")
    assert codes(STEPS, emptied) == ["lost_placeholder"]


def test_a_placeholder_that_nothing_sets_cannot_come_in() -> None:
    found = problems(TEXT, swapped(TEXT, "Act on", "Act in {{nowhere}} on"))
    assert [(p.code, p.message, p.path) for p in found] == [
        (
            "unset_placeholder",
            "'act' would read {{nowhere}}, which nothing has set before it",
            ("states", "act"),
        )
    ]
    assert found[0].hint
    assert codes(TEXT, swapped(TEXT, "Which?", "Which {{mood}}?")) == ["unset_placeholder"]
    assert codes(TEXT, swapped(TEXT, "Act on", "Act in {{tone}} on")) == []
    assert codes(TEXT, swapped(TEXT, "Act on", "After {{error}} act on")) == []
    assert codes(TEXT, swapped(TEXT, "Act on", "After {{lost}} act on")) == ["unset_placeholder"]


def test_a_placeholder_that_was_set_stays_set() -> None:
    assert codes(TEXT, swapped(TEXT, "save_as: mood, ", "")) == ["unset_placeholder"]
    round_it = swapped(TEXT, '{{tone}}", next: sort}', '{{tone}}", next: sure}')
    round_it = round_it.replace(", mcp_servers: [disk]", "")
    bare = TEXT.replace(", mcp_servers: [disk]", "")
    assert codes(bare, round_it) == ["unset_placeholder"]
    new = swapped(TEXT, "next: end", "next: new")
    new += '  new: {type: prompt, prompt: "New {{gone}}", next: end}\n'
    assert codes(TEXT, new, "structure") == ["unset_placeholder"]


def test_what_a_child_sets_may_be_read_after_it(tmp_path: Path) -> None:
    state = "  a: {type: prompt, prompt: A, save_as: found, next: end}\n"
    (tmp_path / "c.yaml").write_text(f"name: C\nstart_state: a\nstates:\n{state}")
    text = (
        "name: W\nstart_state: a\nstates:\n"
        "  a: {type: workflow_ref, workflow_ref: c.yaml, next: b}\n"
        "  b: {type: prompt, prompt: Say, next: end}\n"
    )
    read = swapped(text, "prompt: Say", "prompt: 'Say {{found}}'")
    assert codes(text, read, folder=tmp_path) == []
    other = swapped(text, "prompt: Say", "prompt: 'Say {{other}}'")
    assert codes(text, other, folder=tmp_path) == ["unset_placeholder"]


# ---- every rule is in force -------------------------------------------------------------------


def test_every_rule_is_asked() -> None:
    long = "x" * 2_000
    cases = {
        "lost_support": ("save_as: mood, next", "next"),
        "copied_words": ("Which?", "Which, wonderful?"),
        "overgrown": ("Which?", f"Which {long}?"),
        "hidden_text": ("Which?", "Which \\u200b?"),
        "odd_option": ("save_as: mood,", "save_as: mood, options: {seed: -1},"),
        "endless": ("mcp_servers: [disk], next: end", "mcp_servers: [disk], next: ask"),
    }
    tests = suite(equals("mood", "wonderful"))
    for code, pair in cases.items():
        assert code in codes(TEXT, swapped(TEXT, *pair), tests=tests), code
    default = swapped(TEXT, '"{{tone}}", next', '"{{tone}} no", next')
    assert codes(TEXT, default, tests=suite(equals("mood", "no"))) == ["copied_words"]
