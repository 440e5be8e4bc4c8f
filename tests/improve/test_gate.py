"""The gate: each thing that keeps a draft from being tried, and that a sound one passes."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetune_fsm.codec import digest
from finetune_fsm.improve.gate import problems_with
from finetune_fsm.improve.model import Attempt, Draft, Strategy
from finetune_fsm.scenarios.model import Assertion, AssertionType, Scenario, Suite
from finetune_fsm.workflow.load import check_text
from finetune_fsm.workflow.model import Workflow
from finetune_fsm.workflow.text import parse

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


def workflow(text: str) -> Workflow:
    checked = check_text(text, folder=Path())
    assert checked.workflow is not None
    return checked.workflow


def codes(text: str, tried: frozenset[str] = frozenset()) -> set[str]:
    draft = Draft(Attempt(Strategy.REWRITE, 0), (), text, "")
    best = workflow(TEXT)
    found = problems_with(draft, original=best, best=best, suite=SUITE, tried=tried)
    return {problem.code for problem in found}


def test_a_sound_draft_passes() -> None:
    assert codes(TEXT.replace("Shout {{word}}", "Write {{word}} in capitals")) == set()


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("name: Shout", "name: [", "bad_yaml"),
        ("next: more", "next: nowhere", "unknown_target"),
        ("type: prompt", "type: promt", "unknown_type"),
        ("save_as: loud, next: more", "save_as: loud, next: more, nxt: end", "closed_place"),
        ("next: more", "next: end", "unreachable"),
        ("Shout {{word}}", "Shout {{word}} and {{other}}", "unset_placeholder"),
        ("Shout {{word}}", "Shout {{word}} and {{out}}", "unset_placeholder"),
        ("Shout {{word}}", "Shout {{word}} as in LISBON", "copied_words"),
        ("Shout {{word}}", "Shout", "lost_placeholder"),
        ("save_as: out, next", "next", "lost_support"),
        ("# ", "# ", "no_change"),
        ("Shout: ", "Shout:  ", "no_change"),
    ],
)
def test_what_is_wrong_with_a_draft_is_named(old: str, new: str, code: str) -> None:
    found = codes(TEXT.replace(old, new, 1))
    assert code in found, found


def test_the_same_workflow_is_not_tried_twice() -> None:
    text = TEXT.replace("Shout {{word}}", "Write {{word}} in capitals")
    tried = frozenset({digest(parse(text).document)})
    assert codes(text, tried) == {"tried_before"}
    assert codes(text.replace("states:", "states:   # laid out differently"), tried) == {
        "tried_before"
    }
