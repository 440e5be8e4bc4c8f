"""What a goal proposes: never at the cost of what a prompt must hold."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from flaws import ASK, HEAD, reached, scenario, workflow
from hypothesis import example, given, settings
from hypothesis import strategies as st
from judged import reports
from strategies import documents, texts, words

from finetune_fsm.execution.rollout import Rollout, RunStatus, Visit
from finetune_fsm.improve import proposals
from finetune_fsm.improve.gate import problems_with
from finetune_fsm.improve.goals.drafts import (
    BRIEFLY,
    FORGIVING,
    TRIMS,
    repairs_for,
    suspects_for,
    trims,
)
from finetune_fsm.improve.goals.goal import Goal, GoalKind
from finetune_fsm.improve.goals.sentences import unclear
from finetune_fsm.improve.model import Attempt, Draft, Strategy
from finetune_fsm.improve.strategies import Brief
from finetune_fsm.llm.base import Usage
from finetune_fsm.scenarios.evaluate import judge_rollout
from finetune_fsm.scenarios.model import Suite, SuiteReport
from finetune_fsm.workflow.load import check_text
from finetune_fsm.workflow.model import PLACEHOLDER, Workflow
from finetune_fsm.workflow.splice import splice
from finetune_fsm.workflow.text import dump

GOALS = [Goal(kind, "be kind" if kind is GoalKind.TEXT else kind.value) for kind in GoalKind]
TOKENS, CLARITY = Goal(GoalKind.TOKENS, "tokens"), Goal(GoalKind.CLARITY, "clarity")
goals = st.sampled_from(GOALS)

PIECES = (
    "Look at {{word}} twice. ", "Look at {{word}} twice. ", "Look at it twice. ",
    "Sort it by its kind. ", "Sort it by its kind. ", "You are a clerk. ", "Be very kind to all. ",
    "Never promise money. ", "Say {{word}}. ", "{{word}}\n", "Text:\n", "Say it in French. ",
    "Be nice etc. and so on. ", "{{wo. ", "rd}}\n", "Thank you!\n", "\n", "```\nx y. z\n```\n",
    "Reply with one word only. ", "Explain your reasoning. ", "Keep it to 20 words. ", "{{", "}}",
)  # fmt: skip
WHOLE = [p for p in PIECES if "{" not in p or "{{word}}" in p]
"""Those without a brace too many, which the gate sees as another one in another sentence."""

told = st.lists(st.sampled_from(PIECES) | words(), max_size=8).map("".join) | texts()


def with_prompts(*prompts: str) -> Workflow:
    states = "".join(f"  s{n}: {{type: prompt, prompt: x}}\n" for n in range(len(prompts)))
    one = workflow(ASK + states.replace("s0", "work"))
    held = dict(zip(list(one.states)[1:], prompts, strict=True))
    return replace(
        one,
        states={
            name: replace(state, prompt=held.get(name, state.prompt))
            for name, state in one.states.items()
        },
    )


@given(goals, told, told)
@example(TOKENS, "Be. {{x.\n}} Go {{y}}. Say it now. ", "")
@example(TOKENS, "Look at {{word}} now. Look at {{word}} now. ", "")
def test_no_trim_loses_a_placeholder_or_empties_a_prompt(
    goal: Goal, first: str, second: str
) -> None:
    one = with_prompts(first, second)
    old = {("states", name, "prompt"): s.prompt or "" for name, s in one.states.items()}
    found = trims(goal, one)
    assert len(found) <= TRIMS
    for repair in found:
        (edit,) = repair.edits
        assert isinstance(edit.value, str)
        before = old[edit.path]
        assert PLACEHOLDER.findall(edit.value) == PLACEHOLDER.findall(before)
        assert edit.value.strip()
        assert len(edit.value) < len(before)
        assert repair.why
        assert "\n" not in repair.why
        assert repair.scenarios == ()
    assert len({(r.edits[0].path, r.edits[0].value) for r in found}) == len(found)


@given(goals, told)
@example(TOKENS, "Reply with one word only. Explain your reasoning. and Never promise money. ")
def test_what_holds_a_rule_stays_unless_it_is_said_twice(goal: Goal, text: str) -> None:
    for repair in trims(goal, with_prompts(text)):
        new = str(repair.edits[0].value)
        for rule in ("Never promise money.", "Keep it to 20 words.", "Say it in French.", "Text:"):
            said = [bool(re.search(rf"\b{rule}", prompt)) for prompt in (text, new)]
            assert said[0] is said[1]


@given(told)
def test_a_trim_for_clarity_makes_it_clearer(text: str) -> None:
    one = with_prompts(text)
    for repair in trims(CLARITY, one):
        path, value = repair.edits[0].path, str(repair.edits[0].value)
        assert len(unclear(with_prompts(value))) < len(unclear(one)), path


@settings(max_examples=30)
@given(documents(), goals, st.lists(st.sampled_from(WHOLE), min_size=2, max_size=5).map("".join))
def test_every_repair_is_one_that_the_gate_lets_pass(
    document: dict[str, object], goal: Goal, text: str
) -> None:
    states = document["states"]
    assert isinstance(states, dict)
    for state in states.values():
        if state["type"] == "prompt" and "prompt" in state:
            state["prompt"] += " " + text
    one = check_text(dump(document), folder=Path()).workflow
    assert one
    for repair in repairs_for(goal, one):
        new = splice(one.text, repair.edits).text
        draft = Draft(Attempt(Strategy.REPAIR, 0), repair.edits, new, repair.why)
        wrong = problems_with(draft, original=one, best=one, suite=Suite("", ()), tried=())
        assert wrong == ()


@given(goals, st.data())
def test_what_a_model_is_asked_about_exists_and_no_test_is_told(
    goal: Goal, data: st.DataObject
) -> None:
    one = workflow(LONG)
    report = data.draw(reports(one))
    found = suspects_for(goal, one, report)
    assert len({suspect.path for suspect in found}) == len(found)
    for suspect in found:
        assert suspect.scenarios == suspect.requirements == ()
        assert suspect.reason
        brief = Brief(one, report, suspect, "tiny")
        assert brief.state.prompt
        asked = proposals.request(brief, Attempt(Strategy.REWRITE, 0))
        assert f"- {suspect.change}" in asked.text
    unseen = suspects_for(goal, one, SuiteReport(()))
    assert {(s.path, s.change) for s in found} == {(s.path, s.change) for s in unseen}
    if goal.kind is GoalKind.TEXT:
        assert [suspect.change for suspect in found] == ["be kind", "be kind"]


LONG = ASK + (
    "  work: {type: prompt, prompt: 'You are a clerk. Sort {{word}} by kind. Sort it well etc."
    " Thank you!', save_as: out, next: more}\n"
    "  more: {type: prompt, prompt: 'Shorten {{out}}.', save_as: short}\n"
)


def test_the_likeliest_comes_first() -> None:
    text = (
        "Sort the mail by its kind. You are a clerk in a big office. Look at the mail closely."
        " Reply with one word only. Explain your reasoning. Sort the mail by its kind. {{word}}"
    )
    whys = [repair.why for repair in trims(TOKENS, with_prompts(text))]
    assert whys == [
        "'work' says it twice: Sort the mail by its kind.",
        "'work' wants the answer alone and also: Explain your reasoning.",
        "'work' may do without: You are a clerk in a big office.",
        "'work' may do without: Look at the mail closely.",
    ]
    assert [r.why for r in trims(CLARITY, with_prompts(text))] == whys[:2]


@pytest.mark.parametrize(
    "kept",
    [
        "Sort the mail by its kind.",  # the task, wherever it stands
        "Is it about money?",
        "Answer in the tone of a clerk who is\nnot in a hurry.",
        "Kinds:\nbilling\nsupport\n",
        "Kinds:\nAbout bills.\n",
        "- be kind\n",
        "Reply as JSON.",
        "Write the answer to this\n",
        "Greet them, then go.",
    ],
)
def test_what_says_the_task_or_its_form_stays(kept: str) -> None:
    text = f"You are a clerk. Sort the mail by its kind. Look closely at it.\n{kept}\n{{{{word}}}}"
    if kept in text.split("\n", 1)[0]:
        text = f"You are a clerk. {kept} Look closely at it.\n{{{{word}}}}"
    texts = [str(repair.edits[0].value) for repair in trims(TOKENS, with_prompts(text))]
    assert len(texts) == 2
    assert all(kept.strip() in new for new in texts)


def test_so_many_are_tried_and_each_once() -> None:
    many = " ".join(f"Look {word} at it." for word in ("up", "down", *"abcdefgh"))
    assert len(trims(TOKENS, with_prompts(f"Sort the mail. {many}"))) == TRIMS
    thrice = "Sort the mail now. " * 3
    assert [r.why for r in trims(TOKENS, with_prompts(f"{thrice}{{{{word}}}}"))] == [
        "'work' says it twice: Sort the mail now."
    ]


def test_a_line_and_a_paragraph_leave_no_gap() -> None:
    prompt = "Sort it by kind.\n\nThank you!\n\nLook closely at it. Be kind.\nText: {{word}}\n"
    texts = [str(r.edits[0].value) for r in trims(TOKENS, with_prompts(prompt))]
    assert "Sort it by kind.\n\nLook closely at it. Be kind.\nText: {{word}}\n" in texts
    assert "Sort it by kind.\n\nThank you!\n\nLook closely at it.\nText: {{word}}\n" in texts


@pytest.mark.parametrize("text", ["Sort {{word}}.", "Sort it.", "", "Text: {{word}}\nSort it: now"])
def test_the_only_sentence_stays(text: str) -> None:
    assert trims(TOKENS, with_prompts(text)) == ()


def test_sentences_to_add_are_said_once_and_where_they_are_missing() -> None:
    def added(kind: GoalKind, text: str) -> list[str]:
        found = repairs_for(Goal(kind, kind.value), with_prompts(text))
        return [str(r.edits[0].value) for r in found if r.code == "goal_sentence"]

    assert added(GoalKind.LENGTH, "Sort {{word}}.") == [f"Sort {{{{word}}}}.\n\n{BRIEFLY}"]
    assert added(GoalKind.LATENCY, "Sort {{word}} in one word.") == []
    assert added(GoalKind.TOKENS, f"Sort {{{{word}}}}. {BRIEFLY}") == []
    assert added(GoalKind.ROBUSTNESS, "Sort {{word}}.") == [f"Sort {{{{word}}}}.\n\n{FORGIVING}"]
    assert added(GoalKind.ROBUSTNESS, "Tell a joke.") == []
    assert added(GoalKind.CLARITY, "Sort {{word}}.") == []
    assert added(GoalKind.TEXT, "Sort {{word}}.") == []


def test_the_costliest_prompt_is_asked_about_first() -> None:
    one = workflow(LONG)
    short = Visit("work", "prompt", completion="Tea", usage=Usage(1, 10, 1, 0.1))
    long = Visit("more", "prompt", completion="Tea and cake", usage=Usage(1, 80, 9, 0.9))
    run = Rollout(RunStatus.COMPLETED, (short, long), ("work", "more", "end"), {})
    report = SuiteReport((judge_rollout(scenario("a", reached("end")), run),))
    for kind, told_first in (
        (GoalKind.TOKENS, "it spends 89 % of the tokens"),
        (GoalKind.LATENCY, "it spends 90 % of the seconds"),
        (GoalKind.LENGTH, "it spends 80 % of the characters"),
    ):
        first, second = suspects_for(Goal(kind, kind.value), one, report)
        assert (first.state, second.state) == ("more", "work")
        assert first.reason == told_first
        nothing = suspects_for(Goal(kind, kind.value), one, SuiteReport(()))
        assert [s.state for s in nothing] == ["work", "more"]  # the longer one


def test_clarity_asks_about_the_unclear_sentence() -> None:
    (suspect,) = suspects_for(CLARITY, workflow(LONG), SuiteReport(()))
    assert suspect.state == "work"
    assert "'Sort it well etc.'" in suspect.change


def test_a_prompt_from_a_file_moves_in(tmp_path: Path) -> None:
    path = tmp_path / "p.txt"
    path.write_text("You are a clerk. Sort {{word}} by kind.\n")
    text = HEAD + ASK + "  work: {type: prompt, prompt_file: p.txt, save_as: out}\n"
    one = check_text(text, folder=tmp_path).workflow
    assert one
    (repair,) = trims(TOKENS, one)
    document = check_text(splice(one.text, repair.edits).text, folder=tmp_path).workflow
    assert document
    assert document.states["work"].prompt == "Sort {{word}} by kind.\n"
    assert json.dumps(document.document).count("prompt_file") == 0
