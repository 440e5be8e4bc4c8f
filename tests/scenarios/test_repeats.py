"""Scenarios that are run several times."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune_fsm.codec import plain, restore
from finetune_fsm.execution.rollout import Rollout, RunStatus
from finetune_fsm.llm.base import Request
from finetune_fsm.llm.scripted import ScriptedLLM
from finetune_fsm.reports import csv_report, json_report, junit_report, markdown_report, text_report
from finetune_fsm.scenarios.evaluate import judge_rollout, roll_out, run_suite, together
from finetune_fsm.scenarios.model import Assertion, AssertionType, Scenario, Suite, Verdict
from finetune_fsm.workflow.model import State, StateKind, Workflow

SAY = State("say", StateKind.PROMPT, ("states", "say"), prompt="Well?", save_as="reply", next="end")
TALKER = Workflow("Talker", "say", {"say": SAY}, Path(), {}, "")
CHECKS = {
    "yes": Assertion(AssertionType.EQUALS, "yes", "reply"),
    "odd": Assertion(AssertionType.REGEX, "(", "reply"),
}


def asked(repeat: int, rate: float = 1.0, check: str = "yes") -> Scenario:
    return Scenario("A", (CHECKS[check],), repeat=repeat, pass_rate=rate)


def replying(replies: list[str]) -> ScriptedLLM:
    def answer(request: Request) -> str:
        return replies[request.draw]

    return ScriptedLLM(answer)


@given(
    st.lists(st.sampled_from(["yes", "no"]), min_size=1, max_size=6),
    st.integers(1, 10),
)
@settings(max_examples=60)
def test_a_scenario_passes_when_enough_of_its_runs_do(replies: list[str], tenths: int) -> None:
    llm = replying(replies)
    rollout = roll_out(TALKER, asked(len(replies), tenths / 10), llm)
    assert [request.draw for request in llm.requests] == list(range(len(replies)))
    result = judge_rollout(asked(len(replies), tenths / 10), rollout)
    passed = replies.count("yes")
    assert result.passed == (passed * 10 >= tenths * len(replies))
    assert rollout.spent.calls == len(replies)
    assert rollout.usage.calls == 1
    if len(replies) > 1:
        assert (result.passed_draws, len(result.draws)) == (passed, len(replies))
        # what is told in full goes with the verdict, where a run has it
        told = [found.verdict for found in result.assertions]
        assert told == [result.verdict] or result.verdict not in result.draws
    assert restore(Rollout, json.loads(json.dumps(plain(rollout)))) == rollout
    texts = {rollout.variables["reply"], *(r.variables["reply"] for r in rollout.further)}
    assert texts == set(replies)
    assert "yes" not in str(plain(result.without_texts().rollout))


def test_a_run_that_cannot_be_judged_leaves_the_verdict_open() -> None:
    scenario = asked(2, 0.5, "odd")
    draws = [Rollout(RunStatus.COMPLETED, variables={"reply": text}) for text in ("a", "b")]
    assert judge_rollout(scenario, together(scenario, draws)).verdict is Verdict.ERROR
    failing = [draws[0], Rollout(RunStatus.FAILED)]
    assert judge_rollout(scenario, together(scenario, failing)).verdict is Verdict.ERROR
    sure = Scenario("A", scenario.assertions, repeat=2)
    assert judge_rollout(sure, together(sure, failing)).verdict is Verdict.FAILED


def test_a_further_rollout_of_several_draws_takes_other_draws() -> None:
    llm = replying(["yes"] * 6)
    roll_out(TALKER, asked(3), llm, draw=1)
    assert [request.draw for request in llm.requests] == [3, 4, 5]


@pytest.mark.parametrize(("rate", "passed"), [(0.75, True), (0.8, False)])
def test_every_report_tells_how_many_runs_passed(rate: float, passed: bool) -> None:
    suite = Suite("x.yaml", (asked(4, rate),))
    report = run_suite(TALKER, suite, replying(["yes", "no", "yes", "yes"]))
    assert report.solved is passed
    assert report.usage.calls == 4
    words = "3 of 4 runs passed, 30 to 95 %"
    for form in (text_report, markdown_report, *([] if passed else [junit_report, csv_report])):
        assert words in form.render(report, workflow="x.yaml", timestamp="now")
    shape = json_report.shape(report, workflow="x.yaml", timestamp="now")
    draws = shape["tests"][0]["draws"]
    assert (draws["passed"], draws["total"]) == (3, 4)
    assert draws["low"] == pytest.approx(0.3006, abs=1e-3)
    odd = 1 if passed else 0  # the run that shows the verdict comes first
    assert [n for n, verdict in enumerate(draws["verdicts"]) if verdict == "failed"] == [odd]
