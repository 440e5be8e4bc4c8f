"""Rules that repair: each on the smallest workflow that has its flaw, run with a scripted model."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from flaws import ASK, BOTH, FLAWS, SHOUTS, SIDE, WORK, Flaw, equals
from hypothesis import given, settings
from hypothesis import strategies as st
from judged import reports
from strategies import workflows

from finetune_fsm.errors import errors_in
from finetune_fsm.improve.gate import problems_with
from finetune_fsm.improve.grants import Grants, parse_grants
from finetune_fsm.improve.model import Attempt, Draft, Repair, Strategy
from finetune_fsm.improve.policy import CODES
from finetune_fsm.improve.repairs import RULES, repairs
from finetune_fsm.improve.rules_names import asks_for
from finetune_fsm.scenarios.model import Assertion, AssertionType, Scenario, Suite, SuiteReport
from finetune_fsm.workflow.load import check_text
from finetune_fsm.workflow.model import Workflow
from finetune_fsm.workflow.splice import splice


def repaired(flaw: Flaw, code: str) -> tuple[Repair, Workflow]:
    """The first repair of the rule, and the workflow with it."""
    broken = flaw.workflow
    found = [repair for repair in repairs(broken, flaw.run(broken)) if repair.code == code]
    assert found
    after = check_text(splice(broken.text, found[0].edits).text, folder=Path())
    assert after.workflow is not None, after.problems
    return found[0], after.workflow


def refused(
    repair: Repair, original: Workflow, suite: Suite, grants: Grants
) -> tuple[tuple[str, str], ...]:
    """What the gate says of a repair."""
    text = splice(original.text, repair.edits).text
    draft = Draft(Attempt(Strategy.REPAIR, 0), repair.edits, text, repair.why)
    found = problems_with(
        draft, original=original, best=original, suite=suite, tried=(), grants=grants
    )
    return tuple((p.code, p.message) for p in found)


def test_every_rule_has_its_flaw() -> None:
    guesses = {"renamed_answer"}  # what a state of its own would find out
    assert {rule.__name__ for rule in RULES} - guesses == set(FLAWS)


@pytest.mark.parametrize("code", FLAWS)
def test_a_flaw_fails_its_tests_and_its_repair_passes_them_and_the_gate(code: str) -> None:
    flaw = FLAWS[code]
    assert not flaw.run(flaw.workflow).solved
    repair, after = repaired(flaw, code)
    assert flaw.part in after.text
    assert flaw.run(after).solved
    assert refused(repair, flaw.workflow, flaw.suite, parse_grants(flaw.grants)) == ()


@pytest.mark.parametrize("code", FLAWS)
def test_what_is_repaired_is_not_repaired_again(code: str) -> None:
    flaw = FLAWS[code]
    first, after = repaired(flaw, code)
    report = flaw.run(after)
    assert first.edits not in [repair.edits for repair in repairs(after, report)]
    assert code not in [repair.code for repair in repairs(after, report)]


@pytest.mark.parametrize("code", [code for code, flaw in FLAWS.items() if flaw.grants])
def test_a_repair_of_the_structure_needs_its_grant(code: str) -> None:
    flaw = FLAWS[code]
    repair, _ = repaired(flaw, code)
    codes = [code for code, _ in refused(repair, flaw.workflow, flaw.suite, Grants())]
    assert codes[:1] == ["closed_place"]


def test_a_workflow_that_passes_needs_no_repair() -> None:
    good = Flaw(ASK + WORK, BOTH, SHOUTS, "", ())
    assert good.run(good.workflow).solved
    assert repairs(good.workflow, good.run(good.workflow)) == ()


def test_the_options_that_a_step_inherits_are_changed_where_they_stand() -> None:
    steps = (
        "  work:\n    type: prompt\n    options: {num_predict: 2, temperature: 0}\n    steps:\n"
        "      - {prompt: 'Shout {{word}}', save_as: out}\n"
        "      - {prompt: 'More of {{out}}', save_as: more}\n"
    )
    flaw = Flaw(ASK + steps, FLAWS["cut_reply"].scenarios, FLAWS["cut_reply"].replies, "", ())
    found, after = repaired(flaw, "cut_reply")
    assert found.edits[0].path == ("states", "work", "options", "num_predict")
    assert flaw.run(after).solved


def test_the_way_on_from_steps_is_changed_where_it_stands() -> None:
    steps = (
        "  ask:\n    type: input\n    next: end\n    steps:\n"
        "      - {prompt: 'Word?', save_as: word}\n      - {prompt: 'Why?', save_as: why}\n"
        "  work: {type: prompt, prompt: 'Shout {{word}}, {{why}}', save_as: out, next: end}\n"
    )
    flaw = Flaw(steps, BOTH, SHOUTS, "", ())
    found, after = repaired(flaw, "unreached_state")
    assert found.edits[0].path == ("states", "ask", "next")
    assert flaw.run(after).solved


def test_a_way_that_passing_runs_take_is_changed_last() -> None:
    states = (
        ASK.replace("next: work", "next: pick")
        + "  pick:\n    type: prompt\n    prompt: '{{word}}?'\n    next_options:\n"
        "      - {state: one, description: A city}\n      - {state: two, description: Else}\n"
        "  one: {type: transition, next: work}\n  two: {type: transition, next: work}\n"
        + WORK
        + "  other: {type: prompt, prompt: 'Shout {{word}}!', save_as: out, next: end}\n"
    )
    scenarios = (*BOTH, Scenario("three", (Assertion(AssertionType.STATE_REACHED, "other"),)))
    flaw = Flaw(states, scenarios, (*SHOUTS, ("<asked>\n(Lisbon|Porto)", "1"), ("", "2")), "", ())
    found, after = repaired(flaw, "unreached_state")
    assert found.edits[0].path == ("states", "two", "next")
    assert found.scenarios == ("three",)
    assert flaw.run(after).solved


def test_a_question_that_is_passed_by_is_asked_again() -> None:
    states = (
        "  ask: {type: input, prompt: 'Word?', save_as: word, next: work}\n"
        "  when: {type: input, prompt: 'Day?', save_as: day, next: work}\n"
        + WORK.replace("{{word}}", "{{word}} {{day}}")
    )
    answered = tuple(replace(s, inputs={**s.inputs, "when": "today"}) for s in BOTH)
    replies = (("Lisbon today", "LISBON"), ("Porto today", "PORTO"), ("", "WHAT?"))
    for scenarios in (answered, BOTH):
        flaw = Flaw(states, scenarios, replies, "", ())
        found, after = repaired(flaw, "unreached_state")
        assert found.edits[0].path == ("states", "ask", "next")
        assert after.states["ask"].next == "when"
    unread = Flaw(states.replace(" {{day}}", ""), answered, replies, "", ())
    assert repaired(unread, "unreached_state")[1].states["ask"].next == "when"


def test_an_answer_that_is_saved_as_what_is_asked_for_keeps_its_name() -> None:
    for question, first in (("Your message?", "missing_state"), ("Well?", "renamed_save")):
        ask = ASK.replace("Word?", question).replace("save_as: word", "save_as: message")
        flaw = Flaw(ask + WORK.replace("{{word}}", "{{amount}}"), BOTH, SHOUTS, "", ())
        assert repairs(flaw.workflow, flaw.run(flaw.workflow))[0].code == first


def test_what_a_prompt_reads_is_not_what_it_asks_for() -> None:
    states = FLAWS["renamed_save"].workflow.states
    assert asks_for(replace(states["find"], prompt="Which city is {{word}}?"), "city")
    assert asks_for(replace(states["find"], prompt="Where?", name="find_city"), "city")
    assert not asks_for(replace(states["find"], prompt="Trim {{city}}"), "city")


def test_a_variable_that_somebody_wants_is_not_renamed() -> None:
    flaw = FLAWS["unsaved_branch"]
    looked = replace(flaw.scenarios[0], assertions=(equals("outcome", "x"),), name="more")
    wanted = Flaw(flaw.states, (*flaw.scenarios, looked), flaw.replies, "", ())
    found = repairs(wanted.workflow, wanted.run(wanted.workflow))
    changed = [edit.path for repair in found for edit in repair.edits]
    assert ("states", "right", "save_as") not in changed


def test_options_of_which_one_is_always_chosen_are_exchanged_too() -> None:
    flaw = FLAWS["missing_option"]
    one = Flaw(flaw.states, flaw.scenarios[:2], (*SIDE, ("", "1")), "", ())
    report = one.run(one.workflow)
    assert [result.passed for result in report.results] == [True, False]
    found = [r for r in repairs(one.workflow, report) if r.code.startswith("swapped")]
    assert [(r.code, [edit.value for edit in r.edits]) for r in found] == [
        ("swapped_two", ["right", "left"])
    ]


def test_a_state_after_which_a_model_chooses_is_not_moved() -> None:
    chooses = "next_options: [{state: end, description: a}, {state: last, description: b}]"
    moved = FLAWS["wrong_order"].states.replace(
        "save_as: trimmed, next: end", f"save_as: trimmed, {chooses}"
    )
    moved += "  last: {type: transition, next: end}\n"
    one = Flaw(moved, BOTH, SHOUTS, "", ()).workflow
    assert "wrong_order" not in [r.code for r in repairs(one, SuiteReport(()))]


def test_no_rule_takes_a_list_of_answers_from_the_tests_alone() -> None:
    flaw = FLAWS["unsaid_choices"]
    silent = Flaw(
        flaw.states.replace("# rainy or sunny", "#"), flaw.scenarios, flaw.replies, "", ()
    )
    found = repairs(silent.workflow, silent.run(silent.workflow))
    texts = " ".join(str(edit.value) for repair in found for edit in repair.edits)
    assert not re.search("rainy|sunny", texts)


# ---- for any workflow and any report ----------------------------------------------------------


@settings(max_examples=80)
@given(st.data())
def test_no_repair_of_any_rule_makes_a_document_invalid(data: st.DataObject) -> None:
    one = data.draw(workflows())
    report = data.draw(reports(one))
    suite = Suite("w.yaml", tuple(result.scenario for result in report.results))
    for repair in repairs(one, report):
        spliced = splice(one.text, repair.edits).text
        assert errors_in(check_text(spliced, folder=Path()).problems) == (), repair
        known = {*CODES, *_DOUBTS}
        assert {code for code, _ in refused(repair, one, suite, Grants(structure=True))} <= known


_DOUBTS = {
    *("unreachable", "no_way_to_end", "duplicate_option", "unused_save", "unset_placeholder"),
    *("no_change", "odd_placeholder", "unused_variable", "empty_run"),
}
"""What the gate may say of a valid repair that does not help: findings that are new."""


@settings(max_examples=40)
@given(st.data())
def test_repairs_are_a_function_of_what_they_look_at_and_each_comes_once(
    data: st.DataObject,
) -> None:
    one = data.draw(workflows())
    report = data.draw(reports(one))
    found = repairs(one, report)
    assert found == repairs(one, report)
    assert all(repair.edits and repair.why for repair in found)
    changes = [repr([(e.op, e.path, e.value) for e in repair.edits]) for repair in found]
    assert len(set(changes)) == len(changes)
    names = {result.scenario.name for result in report.results if not result.passed}
    assert all(set(repair.scenarios) <= names for repair in found)
