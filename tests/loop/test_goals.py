"""Goals: tests first, then what is wanted, as far as it is measured or judged."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from finetune_fsm.api import finetune
from finetune_fsm.errors import UsageError
from finetune_fsm.llm.base import Completion, Purpose, Request
from finetune_fsm.llm.scripted import ScriptedLLM
from finetune_fsm.loop.run import Run

WORKFLOW = """\
name: Mood
description: Says whether a review is good or bad.
start_state: ask
states:
  ask: {type: input, prompt: "Which review?", save_as: review, next: sort}
  sort:
    type: prompt
    prompt: |
      You are a helpful assistant who loves to help. Is this review good or bad? Please note that
      every review matters a lot to all of us. Answer with that one word.

      {{review}}
    save_as: mood
    next: end
"""

TESTS = """\
workflow: mood.yaml
test_scenarios:
  - name: Likes it
    inputs: [{state: ask, value: The room was lovely and quiet and the people were friendly.}]
    assertions: [{type: contains, target: mood, value: good}]
  - name: Hates it
    inputs: [{state: ask, value: Never again will I stay there with my whole family.}]
    assertions: [{type: contains, target: mood, value: bad}]
"""


def mood(request: Request) -> str:
    words = ("lovely", "room", "quiet", "friendly")
    return "good" if any(word in request.text.lower() for word in words) else "bad"


def reply(request: Request) -> Completion:
    """Right in one word when told so; tokens are words."""
    if request.purpose is Purpose.ANALYSIS:
        text = json.dumps({"analysis": "It works.", "suggestions": []})
    elif request.purpose is Purpose.PROPOSAL:
        text = json.dumps({"problem": "-", "new_prompt": "Good or bad? One word: {{review}}"})
    elif request.purpose is Purpose.JUDGE:
        text = "1" if request.text.find("kindly") < request.text.find("Result 2") else "2"
    else:
        text = mood(request) + (
            "" if "one word" in request.text.lower() else ", I think, so it is."
        )
    words, answer = len(request.text.split()), len(text.split())
    return Completion(text, prompt_tokens=words, completion_tokens=answer)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mood.yaml").write_text(WORKFLOW)
    (tmp_path / "mood.test.yaml").write_text(TESTS)
    return tmp_path


class Timed(ScriptedLLM):
    """Says that it took a tenth of a second for every word that it read."""

    def complete(self, request: Request, **more: object) -> Completion:
        words = len(request.text.split())
        return replace(super().complete(request, **more), seconds=words / 10)


def improved(folder: Path, goal: str, model: object = reply) -> Run:
    return finetune(folder / "mood.yaml", llm=Timed(model), goal=goal, max_iterations=8)


@pytest.mark.parametrize("goal", ["tokens", "latency"])
def test_what_is_measured_gets_better_and_all_tests_still_pass(folder: Path, goal: str) -> None:
    run = improved(folder, goal)
    assert run.best is not None
    assert run.best.report.solved
    assert run.goal is not None
    old, new = run.goal
    assert new.value < old.value
    assert run.best.iteration > 1
    text = (folder / "mood.finetuned.yaml").read_text()
    assert "{{review}}" in text
    assert text != WORKFLOW


def test_what_is_said_twice_is_said_once(folder: Path) -> None:
    twice = "Answer with that one word. Answer with that one word."
    text = WORKFLOW.replace("Answer with that one word.", twice)
    (folder / "mood.yaml").write_text(text)
    run = improved(folder, "clarity")
    assert run.goal is not None
    assert run.goal[1].value < run.goal[0].value
    assert (folder / "mood.finetuned.yaml").read_text().count("Answer with that one word.") == 1


def test_without_a_goal_a_workflow_that_passes_stays_as_it_is(folder: Path) -> None:
    run = finetune(folder / "mood.yaml", llm=ScriptedLLM(reply))
    assert run.goal is None
    assert (folder / "mood.finetuned.yaml").read_text() == WORKFLOW


def test_the_goal_waits_for_the_tests(folder: Path) -> None:
    """A prompt that is shorter and fails is refused."""

    def forgets(request: Request) -> Completion:
        done = reply(request)
        needs = request.purpose is Purpose.STATE and "helpful" not in request.text
        return Completion("hm", prompt_tokens=1, completion_tokens=1) if needs else done

    run = improved(folder, "tokens", forgets)
    assert run.best is not None
    assert run.best.report.solved
    assert "helpful" in run.best.candidate.text
    lost = [t for r in run.history for t in r.trials if t.comparison and t.comparison.losses]
    assert lost


def test_robustness_is_the_pass_rate_on_inputs_that_are_written_otherwise(folder: Path) -> None:
    """The first prompt fails on shouted or misspelt input; the proposed one does not."""
    original = {line.split("value: ")[1][:-2] for line in TESTS.splitlines() if "inputs" in line}

    def brittle(request: Request) -> Completion:
        done = reply(request)
        odd = not any(text in request.text for text in original)
        if request.purpose is Purpose.STATE and odd and "One word:" not in request.text:
            return Completion("What?", prompt_tokens=1, completion_tokens=1)
        return done

    run = improved(folder, "robustness", brittle)
    assert run.goal is not None
    old, new = run.goal
    assert (old.value, new.value) == (0.0, 1.0)
    assert "One word:" in (folder / "mood.finetuned.yaml").read_text()


def test_a_goal_in_words_is_judged_blind_in_both_orders(folder: Path) -> None:
    def kind(request: Request) -> Completion:
        if request.purpose is Purpose.PROPOSAL:
            new = "Be kind: good or bad? One word: {{review}}"
            return Completion(json.dumps({"problem": "-", "new_prompt": new}))
        if request.purpose is Purpose.STATE and "Be kind" in request.text:
            return Completion(f"kindly {mood(request)}")
        return reply(request)

    run = improved(folder, "Sound friendly to everybody", kind)
    assert run.goal is not None
    assert run.goal[1].value == 1.0
    assert "Be kind" in (folder / "mood.finetuned.yaml").read_text()


@pytest.mark.parametrize(
    ("goal", "words"), [("", "words"), ("tokn", "tokens"), ("a\nb", "one line")]
)
def test_a_goal_that_makes_no_sense_is_refused_before_the_first_call(
    folder: Path, goal: str, words: str
) -> None:
    llm = ScriptedLLM([])
    with pytest.raises(UsageError, match=words):
        finetune(folder / "mood.yaml", llm=llm, goal=goal)
    assert llm.requests == []
