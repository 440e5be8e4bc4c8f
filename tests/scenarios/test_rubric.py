"""A model as the judge of a text."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from strategies import texts

from finetune_fsm.codec import plain, restore
from finetune_fsm.errors import LLMError, LLMErrorKind
from finetune_fsm.execution.rollout import Rollout
from finetune_fsm.llm.base import Purpose, Request
from finetune_fsm.llm.memo import Call, Memo
from finetune_fsm.llm.meter import Meter
from finetune_fsm.llm.scripted import ScriptedLLM
from finetune_fsm.scenarios.evaluate import judge_rollout, roll_out
from finetune_fsm.scenarios.model import Assertion, AssertionType, Scenario, ScenarioResult
from finetune_fsm.scenarios.rubric import TEXT_LIMIT
from finetune_fsm.schema import check
from finetune_fsm.workflow.model import State, StateKind, Workflow

SAY = State("say", StateKind.PROMPT, ("states", "say"), prompt="Well?", save_as="reply", next="end")
TALKER = Workflow("Talker", "say", {"say": SAY}, Path(), {}, "", default_model="small")
POLITE = Assertion(AssertionType.LLM_RUBRIC, "It is polite.", "reply")


def verdict(holds: str, reason: str = "so it is") -> str:
    return json.dumps({"reason": reason, "holds": holds})


def judging(judgement: str | LLMError, reply: str = "Dear Sir") -> ScriptedLLM:
    def answer(request: Request) -> str:
        if request.purpose is not Purpose.JUDGE:
            return reply
        if isinstance(judgement, LLMError):
            raise judgement
        return judgement

    return ScriptedLLM(answer)


def judged(llm: ScriptedLLM, *checks: Assertion) -> ScenarioResult:
    scenario = Scenario("A", checks or (POLITE,))
    return judge_rollout(scenario, roll_out(TALKER, scenario, llm))


@pytest.mark.parametrize(
    ("judgement", "plain_verdict", "negated"),
    [
        (verdict("yes"), "passed", "failed"),
        (verdict("no"), "failed", "passed"),
        (verdict("maybe"), "error", "error"),
        ("yes", "error", "error"),
        ("", "error", "error"),
        ('{"reason": "it was cut", "holds": "n', "error", "error"),
        (LLMError(LLMErrorKind.BAD_REQUEST, "no grammar"), "error", "error"),
    ],
)
def test_the_judge_decides_and_an_answer_that_is_none_is_an_error(
    judgement: str | LLMError, plain_verdict: str, negated: str
) -> None:
    assert judged(judging(judgement)).verdict == plain_verdict
    assert judged(judging(judgement), replace(POLITE, negated=True)).verdict == negated


def test_the_judge_is_asked_with_a_form_and_says_why() -> None:
    llm = judging(verdict("no", "it lacks\n a greeting"))
    result = judged(llm)
    [asked] = [request for request in llm.requests if request.purpose is Purpose.JUDGE]
    assert asked.model == "small"
    assert asked.options["temperature"] == 0
    assert asked.schema is not None
    assert check(json.loads(verdict("no")), asked.schema) == ()
    assert check(json.loads(verdict("5")), asked.schema)
    assert "It is polite." in asked.text
    assert "Dear Sir" in asked.text
    message = result.assertions[0].message
    assert (
        "does not keep the rule 'It is polite.', says the judge 'small': it lacks a gr" in message
    )
    named = judging(verdict("yes"))
    judged(named, replace(POLITE, model="large"))
    assert named.requests[-1].model == "large"


@given(texts())
@settings(max_examples=40)
def test_whatever_the_judge_says_there_is_a_verdict_in_one_line(reply: str) -> None:
    result = judged(judging(reply, "Dear Sir"))
    assert result.assertions
    assert "\n" not in result.assertions[0].message


def test_a_judge_that_is_gone_ends_the_evaluation() -> None:
    with pytest.raises(LLMError):
        judged(judging(LLMError(LLMErrorKind.UNREACHABLE, "gone")))


def test_nobody_is_asked_where_there_is_nothing_to_judge() -> None:
    for llm, check_ in (
        (judging(verdict("yes")), replace(POLITE, target="other")),
        (judging(verdict("yes"), "x" * (TEXT_LIMIT + 1)), POLITE),
    ):
        assert not judged(llm, check_).passed
        assert len(llm.requests) == 1
    twice = judging(verdict("yes"))
    assert judged(twice, POLITE, replace(POLITE, weight=2.0)).passed
    assert len(twice.requests) == 2


def test_a_judgement_is_counted_kept_and_read_back_like_any_other_call() -> None:
    calls: list[Call] = []
    memo = Memo(judging(verdict("yes")), Meter(), record=calls.append)
    scenario = Scenario("A", (POLITE,))
    first = roll_out(TALKER, scenario, memo)
    assert [call.request.purpose for call in calls] == [Purpose.STATE, Purpose.JUDGE]
    assert (first.usage.calls, first.spent.calls) == (1, 2)
    again = roll_out(TALKER, scenario, memo, draw=1)
    assert len(calls) == 3  # the same text of another draw is not judged again
    assert judge_rollout(scenario, again).passed
    kept = restore(Rollout, json.loads(json.dumps(plain(first))))
    assert judge_rollout(scenario, kept) == judge_rollout(scenario, first)
