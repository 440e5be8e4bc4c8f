"""How each strategy asks, and what it makes of an answer; the wording is pinned to the letter."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import edits, layouts

from finetune_fsm.codec import canonical
from finetune_fsm.errors import Problem
from finetune_fsm.execution.rollout import Rollout, RunStatus, Visit
from finetune_fsm.improve import proposals
from finetune_fsm.improve.grants import Grants
from finetune_fsm.improve.model import Attempt, Strategy, Suspect
from finetune_fsm.improve.policy import trespasses
from finetune_fsm.improve.strategies import FORMS, Brief
from finetune_fsm.improve.strategies.choosing import CHOICES, possible
from finetune_fsm.scenarios.evaluate import judge_all
from finetune_fsm.scenarios.model import Assertion, AssertionType, Scenario, Suite, SuiteReport
from finetune_fsm.workflow.edits import Edit, EditOp, edited
from finetune_fsm.workflow.load import check_text
from finetune_fsm.workflow.model import Workflow
from finetune_fsm.workflow.splice import splice

TEXT = """\
name: Shop
description: Takes an order and thanks for it.
start_state: ask
states:
  ask: {type: input, prompt: "What would you like?", save_as: wish, default_value: tea, next: note}
  note: {type: prompt, prompt: "Note it: {{wish}}", save_as: slip, next: bye}
  pack: {type: prompt, prompt: "Pack {{slip}}", next: bye}
  bye: {type: prompt, prompt: "Thank them for {{wish}}", save_as: thanks, next: end}
"""

SUITE = Suite(
    "shop.yaml",
    (
        Scenario(
            "Packs a cake",
            (Assertion(AssertionType.CONTAINS, "cake", "parcel"),),
            {"ask": "A cake"},
        ),
    ),
)


def workflow(text: str = TEXT) -> Workflow:
    checked = check_text(text, folder=Path())
    assert checked.workflow is not None
    return checked.workflow


def report() -> SuiteReport:
    visits = (
        Visit("ask", "input", "What would you like?", "A cake", "note"),
        Visit("note", "prompt", "Note it", "one cake", "bye"),
        Visit("bye", "prompt", "Thank them", "Thanks!", "end"),
    )
    variables = {"wish": "A cake", "slip": "one cake", "thanks": "Thanks!"}
    rollout = Rollout(RunStatus.COMPLETED, visits, ("ask", "note", "bye", "end"), variables)
    return judge_all(SUITE, [rollout])


def brief(state: str = "note", *, structure: bool = True) -> Brief:
    suspect = Suspect(("states", state, "prompt"), "why", (), ("Packs a cake",))
    return Brief(workflow(), report(), suspect, "tiny", structure=structure)


def read(strategy: Strategy, reply: object, about: Brief) -> tuple[Edit, ...] | Problem:
    text = reply if isinstance(reply, str) else json.dumps(reply)
    found = proposals.read(text, about, strategy)
    return found if isinstance(found, Problem) else found[0]


def draft_of(found: tuple[Edit, ...], text: str = TEXT) -> Workflow:
    return workflow(splice(text, found).text)


ASKED = {
    Strategy.CHOICE: """\
A workflow is a list of steps; each names the step that follows it. Something in it is wired \
wrongly.

What the workflow is for: Shop: Takes an order and thanks for it.
The steps and what follows each:
- ask -> note
- note -> bye
- pack -> bye
- bye -> end

What must happen:
- When ask = 'A cake': the answer must contain: cake

Changes that are possible:
1. keep the answer of 'ask' as {{parcel}}
2. give 'ask' no default answer
3. let 'pack' follow 'ask'
4. let 'bye' follow 'ask'
5. let 'end' follow 'ask'
6. keep the answer of 'note' as {{parcel}}
7. let 'ask' follow 'note'
8. let 'pack' follow 'note'
9. let 'end' follow 'note'
10. keep the answer of 'bye' as {{parcel}}
11. let 'ask' follow 'bye'
12. let 'note' follow 'bye'
13. let 'pack' follow 'bye'
14. keep the answer of 'pack' as {{parcel}}
15. let 'ask' follow 'pack'
16. let 'note' follow 'pack'
17. let 'end' follow 'pack'
18. begin with 'note'
19. begin with 'pack'
20. begin with 'bye'

Which one of these changes makes it happen?
Reply with JSON: first "problem", one sentence that says what goes wrong now; then "change", the \
number of the change.""",
    Strategy.INSERT: """\
Task: Shop: Takes an order and thanks for it.

A prompt for a language model does a part of this task:
\"\"\"
Note it: {{wish}}
\"\"\"

In the end there should be these answers:
- When ask = 'A cake': the answer must contain: cake

One more step is needed after it. It reads {{slip}} and writes the final answer. Write the prompt \
for this step: what the model must do with {{slip}} and the exact form of the answer. The rules \
must fit all inputs, so leave the examples out.
Reply with JSON: first "problem", what the first prompt leaves undone; then "new_prompt", the \
prompt for the new step.""",
}


@pytest.mark.parametrize("strategy", ASKED)
def test_the_question_is_what_a_person_can_read(strategy: Strategy) -> None:
    asked = proposals.request(brief(), Attempt(strategy, 0))
    assert asked.text == ASKED[strategy]
    assert asked.options["temperature"] == 0


def test_the_whole_workflow_is_asked_for_warm_and_as_plain_text() -> None:
    asked = proposals.request(brief(), Attempt(Strategy.WHOLE, 0))
    assert asked.schema is None
    assert asked.options["temperature"] == proposals.WARM
    assert asked.options["num_predict"] >= len(TEXT) // 3
    assert asked.text.index(TEXT.strip()) < asked.text.index("0 of 1 scenarios passed.")
    assert asked.text.endswith("in one ```yaml block and nothing else.")


def test_questions_about_one_prompt_begin_alike() -> None:
    """A server reads what they share once."""
    texts = [
        proposals.request(brief(), Attempt(strategy, 0)).text
        for strategy in (Strategy.REWRITE, Strategy.ADDITION)
    ]
    shared = next(n for n, (a, b) in enumerate(zip(*texts, strict=False)) if a != b)
    assert shared > 0.4 * max(map(len, texts))


@pytest.mark.parametrize("number", range(1, CHOICES + 1))
def test_every_choice_is_a_valid_change_of_something(number: int) -> None:
    found = read(Strategy.CHOICE, {"problem": "It is lost.", "change": number}, brief())
    assert isinstance(found, tuple)
    assert canonical(draft_of(found).document) != canonical(workflow().document)
    assert {edit.why for edit in found} == {"It is lost."}


@pytest.mark.parametrize("number", [0, CHOICES + 1, "1", 1.0, True, None])
def test_a_choice_that_is_not_on_the_list_is_a_problem(number: object) -> None:
    assert isinstance(read(Strategy.CHOICE, {"problem": "-", "change": number}, brief()), Problem)


def test_who_may_not_change_the_structure_is_offered_no_other_start() -> None:
    words = [words for words, _ in possible(brief(structure=False))]
    assert words
    assert not any(text.startswith("begin with") for text in words)


@given(layouts(), st.booleans())
def test_choices_of_any_workflow_are_new_and_few(text: str, structure: bool) -> None:
    any_workflow = workflow(text)
    suspect = Suspect(("states", next(iter(any_workflow.states)), "prompt"), "")
    listed = possible(Brief(any_workflow, SuiteReport(()), suspect, "m", structure=structure))
    assert len(listed) <= CHOICES
    assert len({changes for _, changes in listed}) == len(listed)
    for _, changes in listed:
        assert edited(any_workflow.document, changes) != any_workflow.document


def test_a_step_is_put_in_and_works_on_what_the_one_before_it_wrote() -> None:
    found = read(Strategy.INSERT, {"problem": "-", "new_prompt": "Pack it well."}, brief())
    assert isinstance(found, tuple)
    draft = draft_of(found)
    assert draft.states["note"].next == "note_2"
    step = draft.states["note_2"]
    assert (step.next, step.save_as) == ("bye", "parcel")  # what is tested and nothing writes
    assert step.prompt == "Pack it well.\n\nSlip: {{slip}}"
    assert not list(trespasses(workflow(), draft, SUITE, Grants(structure=True)))


def test_a_name_that_is_taken_is_not_given_again() -> None:
    text = TEXT.replace("pack:", "note_2:")
    about = replace(brief(), workflow=workflow(text))
    found = read(Strategy.INSERT, {"problem": "-", "new_prompt": "Pack."}, about)
    assert isinstance(found, tuple)
    assert draft_of(found, text).states["note"].next == "note_3"


def test_no_step_follows_a_state_that_is_none_or_that_chooses() -> None:
    reply = {"problem": "-", "new_prompt": "Pack it."}
    assert isinstance(read(Strategy.INSERT, reply, brief("ask")), Problem)
    routed = TEXT.replace(
        "save_as: slip, next: bye",
        "save_as: slip, "
        "next_options: [{state: bye, description: a}, {state: pack, description: b}]",
    )
    about = replace(brief(), workflow=workflow(routed))
    assert isinstance(read(Strategy.INSERT, reply, about), Problem)


FENCES = st.sampled_from(["{}", "```yaml\n{}```", "Here it is:\n\n```\n{}\n```\nGood luck!"])


@given(FENCES, st.data())
def test_what_is_written_anew_is_read_back_as_what_it_changes(
    fence: str, data: st.DataObject
) -> None:
    changes = data.draw(
        st.lists(edits(workflow().document).filter(lambda e: e.path[0] == "states"), max_size=2)
    )
    try:
        text = splice(TEXT, changes).text
    except Exception:  # noqa: BLE001  # edits that contradict each other
        return
    if check_text(text, folder=Path()).workflow is None:
        return
    found = read(Strategy.WHOLE, fence.format(text), brief())
    if isinstance(found, Problem):
        return
    draft = check_text(splice(TEXT, found).text, folder=Path()).workflow
    if draft is not None:
        refused = trespasses(workflow(), draft, SUITE, Grants(structure=True))
        assert not [p for p in refused if p.code == "closed_place"]


def test_a_workflow_written_anew_keeps_what_is_not_a_models_to_change() -> None:
    new = (
        TEXT.replace("name: Shop", "name: Better shop")
        .replace("next: note}", "next: pack}")
        .replace("Pack {{slip}}", "Pack {{wish}}")
    )
    found = read(Strategy.WHOLE, f"```yaml\n{new}```", brief(structure=False))
    assert isinstance(found, tuple)
    assert {edit.path for edit in found} == {
        ("states", "ask", "next"),
        ("states", "pack", "prompt"),
    }


def test_a_workflow_written_anew_may_gain_and_lose_states_if_allowed() -> None:
    new = TEXT.replace("  pack:", "  wrap:").replace("next: note}", "next: wrap}")
    found = read(Strategy.WHOLE, new, brief())
    assert isinstance(found, tuple)
    draft = draft_of(found)
    assert list(draft.file_states) == ["ask", "note", "bye", "wrap"]
    kept = read(Strategy.WHOLE, new, brief(structure=False))
    assert isinstance(kept, tuple)
    assert {edit.path for edit in kept} == {("states", "ask", "next")}


@given(st.text() | st.sampled_from(["- a", "states: 1", "states: {}", "a: &a [*a]", "```yaml\n"]))
def test_no_reply_hurts(reply: str) -> None:
    for strategy in FORMS:
        found = proposals.read(reply, brief(), strategy)
        assert isinstance(found, Problem) or found[0]


def test_removals_come_after_what_they_depend_on() -> None:
    new = TEXT.replace("next: note}", "next: bye}").replace(
        '  note: {type: prompt, prompt: "Note it: {{wish}}", save_as: slip, next: bye}\n', ""
    )
    found = read(Strategy.WHOLE, new, brief())
    assert isinstance(found, tuple)
    assert [edit.op for edit in found][-1] is EditOp.REMOVE
