"""The gate: each thing that keeps a draft from being tried, and that a sound one passes."""

from __future__ import annotations

from pathlib import Path

import pytest
from policies import swapped

from finetune_fsm.codec import digest
from finetune_fsm.errors import Problem
from finetune_fsm.improve.gate import problems_with
from finetune_fsm.improve.grants import parse_grants
from finetune_fsm.improve.model import Attempt, Draft, Strategy
from finetune_fsm.scenarios.model import Assertion, AssertionType, Scenario, Suite
from finetune_fsm.workflow.load import check_text
from finetune_fsm.workflow.model import Workflow
from finetune_fsm.workflow.text import MODEL, parse

TEXT = """\
name: Shout
start_state: ask
states:
  ask: {type: input, prompt: "Word?", save_as: word, next: work}
  work: {type: prompt, prompt: "Shout {{word}}", save_as: loud, next: more}
  more: {type: prompt, prompt: "Again: {{loud}}", save_as: out, next: end}
"""

SUITE = Suite(
    "w.yaml",
    (Scenario("one", (Assertion(AssertionType.CONTAINS, "LISBON", "out"),), {"ask": "Lisbon"}),),
)


def workflow(text: str, folder: Path | None = None) -> Workflow:
    checked = check_text(text, folder=folder or Path())
    assert checked.workflow is not None, checked.problems
    return checked.workflow


def found(
    text: str,
    *allowed: str,
    original: str = TEXT,
    best: str = "",
    tried: frozenset[str] = frozenset(),
    folder: Path | None = None,
) -> tuple[Problem, ...]:
    return problems_with(
        Draft(Attempt(Strategy.REWRITE, 0), (), text, ""),
        original=workflow(original, folder),
        best=workflow(best or original, folder),
        suite=SUITE,
        tried=tried,
        grants=parse_grants(allowed),
    )


def codes(text: str, *allowed: str, **others: object) -> set[str]:
    return {problem.code for problem in found(text, *allowed, **others)}  # type: ignore[arg-type]


BETTER = swapped(TEXT, "Shout {{word}}", "Write {{word}} in capitals")


def test_a_sound_draft_passes() -> None:
    assert codes(BETTER) == set()


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("name: Shout", "name: [", "bad_yaml"),
        ("next: more", "next: nowhere", "unknown_target"),
        ("work: {type: prompt", "work: {type: promt", "unknown_type"),
        ("save_as: loud, next: more", "save_as: loud, next: more, nxt: end", "closed_place"),
        ("save_as: loud, next: more", "save_as: out, next: more", "unset_placeholder"),
        ("save_as: word, next: work", "save_as: error, next: work", "unset_placeholder"),
        ('{{loud}}", save_as: out', '{{loud}}", on_error: more, save_as: out', "self_fallback"),
        ("next: more", "next: end", "lost_support"),
        ("Shout {{word}}", "Shout {{word}} and {{other}}", "unset_placeholder"),
        ("Shout {{word}}", "Shout {{word}} and {{out}}", "unset_placeholder"),
        ("Shout {{word}}", "Shout {{word}} as in LISBON", "copied_words"),
        ("Shout {{word}}", "Shout", "lost_placeholder"),
        ("save_as: out, next", "next", "lost_support"),
        ("name: Shout", "name:  Shout", "no_change"),
        ("states:\n", "states:  # laid out differently\n", "no_change"),
    ],
)
def test_what_is_wrong_with_a_draft_is_named(old: str, new: str, code: str) -> None:
    refused = codes(swapped(TEXT, old, new))
    assert code in refused, refused


def test_the_same_workflow_is_not_tried_twice() -> None:
    tried = frozenset({digest(parse(BETTER).document)})
    assert codes(BETTER, tried=tried) == {"tried_before"}
    laid_out = swapped(BETTER, "states:\n", "states:   # laid out differently\n")
    assert codes(laid_out, tried=tried) == {"tried_before"}
    assert codes(TEXT, tried=tried) == {"no_change"}
    assert codes(swapped(BETTER, "Write", "Put"), tried=tried) == set()


def test_the_policy_compares_with_the_original_and_never_with_the_best() -> None:
    long = swapped(TEXT, "Shout {{", "x" * 1_400 + "{{")
    assert codes(long) == set()
    assert codes(swapped(TEXT, "Shout {{", "x" * 3_000 + "{{"), best=long) == {"overgrown"}
    assert codes(long, best=long) == {"no_change"}


def test_a_doubt_that_the_best_has_already_is_no_reason() -> None:
    odd = swapped(TEXT, "Again: {{loud}}", "Again: {{loud}} {{ loud }}")
    assert codes(odd) == {"odd_placeholder"}
    assert codes(swapped(odd, "Shout {{", "Cry {{"), original=odd) == set()
    assert codes(swapped(odd, "Shout {{", "Cry {{ x }} {{"), original=odd) == {"odd_placeholder"}


def test_a_state_may_follow_the_one_that_saves_the_result() -> None:
    longer = swapped(TEXT, "save_as: out, next: end", "save_as: out, next: bye")
    longer += "  bye: {type: prompt, prompt: Bye, next: end}\n"
    assert codes(longer, "structure") == set()
    assert codes(longer) == {"closed_place"}
    unused = swapped(longer, "prompt: Bye, next: end", "prompt: Bye, save_as: bye, next: fin")
    unused += "  fin: {type: prompt, prompt: Fin, next: end}\n"
    assert codes(unused, "structure") == {"unused_save"}


def test_a_problem_says_where_in_the_draft_it_is() -> None:
    (closed,) = found(swapped(TEXT, "name: Shout", "name: Other"))
    assert (closed.code, closed.line) == ("closed_place", 1)
    (dangling,) = found(swapped(TEXT, "next: more", "next: nowhere"))
    assert (dangling.code, dangling.line) == ("unknown_target", 5)


def test_only_errors_are_told_of_a_draft_that_has_some() -> None:
    draft = swapped(TEXT, "next: more", "next: nowhere, nxt: x")
    assert codes(draft) == {"unknown_target"}


def test_no_file_is_opened_that_a_draft_may_not_name(tmp_path: Path) -> None:
    (tmp_path / "private.yaml").write_text("hunter2: [")
    (tmp_path / "empty.txt").write_text("")
    prompt = swapped(TEXT, 'prompt: "Shout {{word}}"', "prompt_file: empty.txt")
    assert codes(prompt, folder=tmp_path) == {"closed_place", "capability_gain"}
    child = swapped(TEXT, "save_as: out, next: end", "save_as: out, next: ref")
    child += "  ref: {type: workflow_ref, workflow_ref: private.yaml}\n"
    refused = found(child, "structure", folder=tmp_path)
    assert {p.code for p in refused} == {"capability_gain"}
    assert "hunter2" not in str(refused)
    assert codes(prompt, "file:empty.txt", folder=tmp_path) == {"empty_file"}
    assert codes(child, "structure", "workflow:private.yaml", folder=tmp_path) == {"bad_ref"}


def test_a_draft_has_no_aliases_unless_the_original_has() -> None:
    options = swapped(TEXT, "save_as: loud", "options: {seed: 1}, save_as: loud")
    aliased = swapped(options, "options: {seed: 1}", "options: &o {seed: 1}")
    aliased = swapped(aliased, "save_as: out", "options: *o, save_as: out")
    assert codes(aliased) == {"alias"}
    assert codes(swapped(aliased, "Shout {{", "Cry {{"), original=aliased) == set()


def test_a_draft_is_bounded_as_a_text_of_a_model_is() -> None:
    comment = "# " + "x" * MODEL.size + "\n"
    assert codes(BETTER + comment) == {"too_large"}
    assert codes(BETTER + comment, original=TEXT + comment) == set()


def test_grants_reach_the_policy() -> None:
    other = swapped(TEXT, "save_as: loud", "model: llama3:70b, save_as: loud")
    assert codes(other) == {"closed_place", "capability_gain"}
    assert codes(other, "model:llama3:70b") == set()
