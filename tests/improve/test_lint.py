"""What lint finds: each doubt on the smallest workflow that raises it, none on sound ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from flaws import ASK, FLAWS, HEAD, WORK, equals, reached, scenario, workflow
from hypothesis import given, settings
from strategies import workflows

from finetune_fsm.errors import Severity, errors_in
from finetune_fsm.improve.lint import Finding, findings, fixed, run_findings
from finetune_fsm.improve.lint_rules import RULES
from finetune_fsm.improve.lint_tests import TEST_RULES, WHY
from finetune_fsm.improve.mending import MENDING
from finetune_fsm.improve.repairs import RULES as REPAIRS
from finetune_fsm.scenarios.load import find_suite, load_suite
from finetune_fsm.scenarios.model import Suite
from finetune_fsm.workflow.load import check_file, check_text
from finetune_fsm.workflow.model import Workflow
from finetune_fsm.workflow.splice import splice


def found(one: Workflow, suite: Suite | None = None) -> tuple[Finding, ...]:
    return findings(one, check_text(one.text, folder=Path()).problems, suite)


def codes(one: Workflow, suite: Suite | None = None) -> list[str]:
    return [finding.code for finding in found(one, suite)]


def described(text: str) -> str:
    return HEAD.replace("\n", f"\ndescription: {text}\n", 1)


def asking(prompt: str, more: str = "") -> str:
    return ASK + f"  work: {{type: prompt, prompt: '{prompt}'{more}, save_as: out, next: end}}\n"


CHOICE = (
    ASK + "  work:\n    type: prompt\n    prompt: 'Of {{word}}?'\n    next_options:\n"
    "      - {state: left, description: A left}\n      - {state: right, description: A right}\n"
)
LEFT = "  left: {type: transition, next: end}\n  right: {type: prompt, prompt: R, next: end}\n"

DOUBTS: dict[str, tuple[Workflow, tuple[str | int, ...]]] = {
    "wrong_start": (
        workflow(ASK + WORK, HEAD.replace("ask", "work")), ("start_state",)),
    "late_variable": (
        FLAWS["wrong_order"].workflow, ("states", "work", "prompt")),
    "lost_text": (
        workflow(ASK.replace("save_as: word, ", "") + WORK.replace("{{word}}", "it")),
        ("states", "ask")),
    "ignored_input": (
        workflow("  ask: {type: input, prompt: A, save_as: word, next: end}\n"),
        ("states", "ask", "save_as")),
    "idle_choice": (
        workflow(CHOICE + LEFT.replace("type: prompt, prompt: R", "type: transition")),
        ("states", "work", "next_options")),
    "missing_fallback": (
        workflow(CHOICE + LEFT + "  third: {type: prompt, prompt: T, next: end}\n"),
        ("states", "work", "next_options")),
    "crossed_options": (
        workflow(CHOICE.replace("A left", "x").replace("A right", "A left").replace(
            "description: x", "description: A right") + LEFT),
        ("states", "work", "next_options")),
    "contradiction": (
        workflow(asking("Shout {{word}}. Explain why. Reply with the word alone.")),
        ("states", "work", "prompt")),
    "short_limit": (
        workflow(asking("Write two sentences on {{word}}", ", options: {num_predict: 8}")),
        ("states", "work", "options", "num_predict")),
    "odd_default": (
        workflow(ASK.replace("'Word?'", "'Word? (default: tea)', default_value: milk") + WORK),
        ("states", "ask", "default_value")),
    "other_language": (
        workflow(asking("In French: {{word}}"), described("Says it in Danish")),
        ("states", "work", "prompt")),
    "unsaid_choices": (
        workflow(asking("Mood of {{word}}"), described("Says glad or sad")),
        ("states", "work", "prompt")),
    "unsaid_limit": (
        workflow(asking("Tell of {{word}}"), described("Tells it in one sentence")),
        ("states", "work", "prompt")),
}  # fmt: skip


@pytest.mark.parametrize("code", DOUBTS)
def test_a_doubt_has_its_place_its_reason_and_a_state_and_field(code: str) -> None:
    one, path = DOUBTS[code]
    (finding,) = [finding for finding in found(one) if finding.code == code]
    assert finding.problem.path == path
    assert finding.problem.line > 0
    assert finding.problem.severity is Severity.WARNING
    assert finding.why == WHY[code]
    assert finding.field in ("", *path)
    assert finding.state == (path[1] if path[0] == "states" else "")


def test_every_rule_has_an_example_and_a_reason() -> None:
    assert {rule.__name__ for rule in RULES} == set(DOUBTS)
    assert {rule.__name__ for rule in (*RULES, *TEST_RULES)} <= set(WHY)


def test_what_mends_are_rules_that_there_are() -> None:
    plain = {"crossed_options", "contradiction", "short_limit", "odd_default", "other_language"}
    rules = {rule.__name__ for rule in REPAIRS} | plain
    assert {name for names in MENDING.values() for name in names} <= rules
    assert set(MENDING) <= set(WHY)


@pytest.mark.parametrize(
    "states",
    [
        ASK + WORK,
        asking("Shout {{word}}. Reply with it alone. Do not explain."),
        asking("Write at most 3 words on {{word}}", ", options: {num_predict: 8}"),
        CHOICE.replace("A right", "Anything else") + LEFT,
        ASK.replace("'Word?'", "'Word? (default: tea)', default_value: Tea") + WORK,
    ],
)
def test_nothing_is_found_in_a_sound_workflow(states: str) -> None:
    assert codes(workflow(states)) == []


def test_a_length_may_be_told_in_other_words_than_the_description() -> None:
    head = described("Tells it in one word")
    assert codes(workflow(asking("Shout {{word}}. Reply with the word alone."), head)) == []


def test_the_choice_after_it_reads_a_reply() -> None:
    saved = CHOICE.replace("    next_options", "    save_as: kind\n    next_options")
    more = (
        LEFT.replace("next: end", "next: last") + "  last: {type: prompt, prompt: L, next: end}\n"
    )
    assert "unused_save" not in codes(workflow(saved + more))


# ---- with tests -------------------------------------------------------------------------------


def test_tests_tell_what_is_wanted_and_by_whom() -> None:
    lost = workflow(ASK.replace("next: work", "next: end") + WORK)
    suite = Suite("w.yaml", (
        scenario("one", reached("work")), scenario("two", equals("out", "x")),
        scenario("three", equals("other", "y")),
    ))  # fmt: skip
    named = {finding.code: finding.scenarios for finding in found(lost, suite)}
    assert named["unreached_wanted"] == ("one",)
    both = [f.scenarios for f in found(lost, suite) if f.code == "unset_target"]
    assert both == [("two",), ("three",)]


def test_answers_that_are_compared_whole_must_be_told() -> None:
    one = workflow(asking("Mood of {{word}}?"))
    answers = ("sunny", "rainy", "sunny")
    suite = Suite("w", tuple(scenario(str(n), equals("out", a)) for n, a in enumerate(answers)))
    (finding,) = [f for f in found(one, suite) if f.code == "untold_answers"]
    assert (finding.state, finding.scenarios) == ("work", ("0", "1", "2"))
    told = workflow(asking("Is {{word}} sunny?"))
    assert "untold_answers" not in codes(told, suite)
    twice = Suite("w", suite.scenarios[:2])  # two answers, each once: perhaps an open question
    assert "untold_answers" not in codes(one, twice)


def test_what_a_test_looks_at_is_a_result() -> None:
    states = CHOICE + LEFT.replace("type: prompt, prompt: R", "type: transition")
    assert "idle_choice" in codes(workflow(states), Suite("w", (scenario("a", reached("end")),)))
    assert "idle_choice" not in codes(
        workflow(states), Suite("w", (scenario("a", reached("left")),))
    )
    step = (
        ASK.replace("work", "a") + "  a: {type: prompt, prompt: '{{word}}', save_as: x, next: b}\n"
    )
    step += "  b: {type: transition, next: c}\n  c: {type: prompt, prompt: C, next: end}\n"
    assert "unused_save" in codes(workflow(step))
    assert "unused_save" not in codes(
        workflow(step), Suite("w", (scenario("a", equals("x", "y")),))
    )


# ---- repairs ----------------------------------------------------------------------------------

FIXED = {
    "misspelt_placeholder": "Shout {{word}}",
    "odd_placeholder": "Shout {{word}}",
    "ignored_input": "Word: {{word}}",
    "wrong_order": "save_as: word, next: trim",
    "renamed_save": "save_as: city",
    "contradiction": '"Shout {{word}}. Reply with the word alone."',
    "other_language": "in Danish: {{word}}",
    "odd_default": "default_value: Porto",
}


@pytest.mark.parametrize("code", FIXED)
def test_an_obvious_repair_is_made(code: str) -> None:
    flaw = FLAWS[code]
    suite = flaw.suite if code != "odd_default" else None  # 'Porto' is a test's input there
    done = fixed(flaw.workflow, suite=suite)
    assert FIXED[code] in done.text
    assert done.made
    assert done.refused == ()
    after = check_text(done.text, folder=Path()).workflow
    assert after is not None
    left = [finding for finding in found(after, suite) if finding.repair]
    assert left == []


def test_crossed_options_are_exchanged() -> None:
    one, _ = DOUBTS["crossed_options"]
    done = fixed(one)
    assert [finding.code for finding in done.made] == ["crossed_options"]
    assert "{state: left, description: A left}" in done.text
    half = CHOICE.replace("A right", "Not left") + LEFT
    assert codes(workflow(half)) == []


def test_where_two_states_could_be_meant_nothing_is_obvious() -> None:
    two = ASK.replace("work", "a") + "".join(
        f"  {name}: {{type: prompt, prompt: '{{{{word}}}}', next: {to}}}\n"
        for name, to in (("a", "b"), ("b", "work"))
    )
    one = workflow(two + WORK.replace("{{word}}", "{{city}}"))
    assert {"lost_text", "unset_placeholder"} <= set(codes(one))
    assert fixed(one).made == ()
    assert fixed(one).text == one.text


def test_a_forgotten_input_is_not_obvious_beside_a_variable_that_nothing_sets() -> None:
    one = workflow(ASK + WORK.replace("{{word}}", "{{amount}}"))
    assert [bool(finding.repair) for finding in found(one)] == [False, False]


def test_a_repair_that_only_a_person_may_make_is_told_and_not_made() -> None:
    one, _ = DOUBTS["wrong_start"]
    done = fixed(one)
    assert done.text == one.text
    assert [(f.code, why) for f, why in done.refused] == [
        ("wrong_start", "start_state may not be changed")
    ]


def test_failing_runs_point_at_fields_with_the_likeliest_repair() -> None:
    flaw = FLAWS["cut_reply"]
    first = run_findings(flaw.workflow, flaw.run(flaw.workflow), file="w.yaml")[0]
    assert first.problem.message == (
        "failing scenarios point at work.num_predict: the replies of 'work' are cut after 2 tokens"
    )
    assert (first.state, first.field, first.scenarios) == ("work", "options", ("one",))
    assert first.problem.place == "w.yaml:5:73"
    assert first.repair[0].value == 64


@settings(max_examples=40)
@given(workflows())
def test_fixing_keeps_a_workflow_valid_and_finds_nothing_more_to_fix(one: Workflow) -> None:
    before = found(one)
    done = fixed(one)
    checked = check_text(done.text, folder=Path())
    assert errors_in(checked.problems) == ()
    assert checked.workflow is not None
    after = found(checked.workflow)
    told = {(f.problem.path, f.problem.message) for f in before}
    assert {(f.problem.path, f.problem.message) for f in after} <= told
    refused = [finding.repair for finding, _ in done.refused]
    assert all(finding.repair in refused for finding in after if finding.repair)
    assert bool(done.made) == (done.text != one.text)


@settings(max_examples=40)
@given(workflows())
def test_an_obvious_repair_takes_its_finding_away_and_brings_none(one: Workflow) -> None:
    before = {(f.code, f.problem.path, f.problem.message) for f in found(one)}
    for finding in found(one):
        if finding.repair:
            text = splice(one.text, finding.repair).text
            after = check_text(text, folder=Path()).workflow
            assert after is not None
            left = {(f.code, f.problem.path, f.problem.message) for f in found(after)}
            assert left < before
            assert (finding.code, finding.problem.path, finding.problem.message) not in left


EXAMPLES = Path(__file__).parents[2] / "examples"
FLAWED = {"recipe-scaler", "ticket-triage", "trip-planner"}
"""Examples that are there to be improved, with a flaw that shows in the text."""


@pytest.mark.parametrize(
    "folder", sorted(p for p in EXAMPLES.iterdir() if p.is_dir()), ids=lambda p: p.name
)
def test_no_example_raises_a_false_alarm(folder: Path) -> None:
    path = folder / f"{folder.name}.yaml"
    checked = check_file(path)
    assert checked.workflow is not None
    tests = find_suite(path)
    suite = load_suite(tests, workflow=checked.workflow) if tests else None
    told = findings(checked.workflow, checked.problems, suite)
    assert bool(told) == (folder.name in FLAWED), told
