"""Rules that repair: each on the smallest workflow that has its flaw."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetune_fsm.execution.rollout import Rollout, RunError, RunStatus, Visit
from finetune_fsm.improve.blame import suspects
from finetune_fsm.improve.model import Repair
from finetune_fsm.improve.policy import violations
from finetune_fsm.improve.repairs import repairs
from finetune_fsm.scenarios.evaluate import judge_all
from finetune_fsm.scenarios.model import (
    Assertion,
    AssertionType,
    Scenario,
    Suite,
    SuiteReport,
)
from finetune_fsm.workflow.load import check_text
from finetune_fsm.workflow.model import Workflow
from finetune_fsm.workflow.splice import splice

HEAD = "name: W\nstart_state: ask\nstates:\n"
ASK = "  ask: {type: input, prompt: 'Word?', save_as: word, next: work}\n"


def workflow(states: str) -> Workflow:
    checked = check_text(HEAD + states, folder=Path())
    assert checked.workflow is not None, checked.problems
    return checked.workflow


def rollout(*visited: str, routed: tuple[str, str] = ("", ""), **variables: str) -> Rollout:
    visits = tuple(
        Visit(name, "prompt", next=routed[1], routed=name == routed[0]) for name in visited
    )
    return Rollout(RunStatus.COMPLETED, visits, (*visited, "end"), variables)


def report(run: Rollout, *checks: Assertion) -> tuple[SuiteReport, Suite]:
    suite = Suite("w.yaml", (Scenario("one", checks, {"ask": "Lisbon"}),))
    return judge_all(suite, (run,)), suite


def equals(target: str, value: str) -> Assertion:
    return Assertion(AssertionType.EQUALS, value, target)


def reached(state: str) -> Assertion:
    return Assertion(AssertionType.STATE_REACHED, state)


CASES = {
    "misspelt_placeholder": (
        ASK + "  work: {type: prompt, prompt: 'Shout {{wrod}}', save_as: out, next: end}\n",
        rollout("ask", "work", out="?", word="Lisbon"),
        equals("out", "LISBON"),
        "Shout {{word}}",
    ),
    "missing_save": (
        ASK + "  work: {type: prompt, prompt: 'Shout {{word}}', next: end}\n",
        rollout("ask", "work", word="Lisbon"),
        equals("out", "LISBON"),
        "save_as: out",
    ),
    "ignored_input": (
        ASK + "  work: {type: prompt, prompt: 'Shout it', save_as: out, next: end}\n",
        rollout("ask", "work", out="IT", word="Lisbon"),
        equals("out", "LISBON"),
        "{{word}}",
    ),
    "unreached_state": (
        ASK.replace("next: work", "next: end")
        + "  work: {type: prompt, prompt: 'Shout {{word}}', save_as: out, next: end}\n",
        rollout("ask", word="Lisbon"),
        reached("work"),
        "save_as: word, next: work",
    ),
    "swapped_options": (
        ASK + "  work:\n    type: prompt\n    prompt: '{{word}}?'\n    next_options:\n"
        "      - {state: left, description: Right}\n"
        "      - {state: right, description: Left}\n"
        "  left: {type: prompt, prompt: L, next: end}\n"
        "  right: {type: prompt, prompt: R, next: end}\n",
        rollout("ask", "work", "left", routed=("work", "left"), word="Lisbon"),
        reached("right"),
        "{state: right, description: Right}",
    ),
    "unsaid_choices": (
        ASK + "  # rainy or sunny\n"
        "  work: {type: prompt, prompt: 'Mood of {{word}}', save_as: out, next: end}\n",
        rollout("ask", "work", out="It looks fine.", word="Lisbon"),
        (equals("out", "sunny"), equals("out", "rainy")),
        "Choose the one that fits best: rainy, sunny.",
    ),
    "wordy_answer": (
        ASK + "  work: {type: prompt, prompt: 'Mood of {{word}}', save_as: out, next: end}\n",
        rollout("ask", "work", out="The mood is Sunny.", word="Lisbon"),
        equals("out", "sunny"),
        "Reply with the answer alone",
    ),
}


@pytest.mark.parametrize("code", CASES)
def test_a_flaw_has_a_repair_that_the_policy_allows(code: str) -> None:
    states, run, check, expected = CASES[code]
    broken = workflow(states)
    judged, suite = report(run, *(check if isinstance(check, tuple) else (check,)))
    found = [repair for repair in repairs(broken, judged) if repair.code == code]
    assert found
    text = splice(broken.text, found[0].edits).text
    assert expected in text
    repaired = check_text(text, folder=Path()).workflow
    assert repaired is not None
    assert violations(broken, repaired, suite) == ()


@pytest.mark.parametrize("code", CASES)
def test_what_is_repaired_is_not_repaired_again(code: str) -> None:
    states, run, check, _ = CASES[code]
    judged, _suite = report(run, *(check if isinstance(check, tuple) else (check,)))
    first: Repair = next(r for r in repairs(workflow(states), judged) if r.code == code)
    text = splice(HEAD + states, first.edits).text
    again = check_text(text, folder=Path()).workflow
    assert again is not None
    assert first.edits not in [repair.edits for repair in repairs(again, judged)]


def test_a_workflow_that_passes_needs_no_repair() -> None:
    good = workflow(
        ASK + "  work: {type: prompt, prompt: 'Shout {{word}}', save_as: out, next: end}\n"
    )
    judged, _ = report(rollout("ask", "work", out="LISBON", word="x"), equals("out", "LISBON"))
    assert repairs(good, judged) == ()
    assert suspects(good, judged) == ()


def test_the_state_that_wrote_the_wrong_text_is_blamed_before_those_that_fed_it() -> None:
    chain = workflow(
        ASK + "  work: {type: prompt, prompt: 'A {{word}}', save_as: a, next: more}\n"
        "  more: {type: prompt, prompt: 'B {{a}}', save_as: b, next: end}\n"
    )
    judged, _ = report(rollout("ask", "work", "more", a="x", b="y"), equals("b", "z"))
    blamed = suspects(chain, judged)
    assert [(s.state, s.field) for s in blamed] == [("more", "prompt"), ("work", "prompt")]
    assert blamed[0].requirements == ("the answer must be exactly: z",)
    assert blamed[0].scenarios == ("one",)


def test_the_state_that_took_the_wrong_way_is_blamed_for_what_was_not_reached() -> None:
    states, run, check, _ = CASES["swapped_options"]
    judged, _ = report(run, check)
    assert suspects(workflow(states), judged)[0].path == ("states", "work", "next_options")


def test_the_state_that_broke_off_is_blamed() -> None:
    one = workflow(ASK + "  work: {type: prompt, prompt: 'A {{word}}', save_as: a, next: end}\n")
    broke = Rollout(
        RunStatus.FAILED, visited=("ask", "work"), error=RunError("work", "the reply is empty")
    )
    judged, _ = report(broke, equals("a", "x"))
    assert suspects(one, judged)[0].path == ("states", "work", "prompt")
    assert "the reply is empty" in suspects(one, judged)[0].reason
