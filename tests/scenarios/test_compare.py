"""Workflows compared: as if each ran alone, but no question twice."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from finetune_fsm.errors import Cancelled, LLMError, LLMErrorKind
from finetune_fsm.llm.base import Completion, Request, Stop
from finetune_fsm.llm.memo import key_of
from finetune_fsm.llm.scripted import Reply, ScriptedLLM
from finetune_fsm.scenarios.benchmark import Benchmark
from finetune_fsm.scenarios.compare import compare_workflows
from finetune_fsm.scenarios.evaluate import Task, judge_all, roll_out_each
from finetune_fsm.scenarios.model import Assertion, AssertionType, Scenario, Suite
from finetune_fsm.workflow.model import State, StateKind, Workflow

ASK = State("ask", StateKind.INPUT, ("states", "ask"), prompt="Who?", save_as="name", next="one")
ONE = State(
    "one", StateKind.PROMPT, ("states", "one"), prompt="{{name}}", save_as="first", next="two"
)
TWO = State(
    "two", StateKind.PROMPT, ("states", "two"), prompt="<{{first}}>", save_as="reply", next="end"
)


def workflow(one: str = "", two: str = "", warm: float = 0.0) -> Workflow:
    """Two questions, each with words of its own; scenarios share the first when it has no name."""
    options = {"temperature": warm}
    states = (
        ASK,
        replace(ONE, prompt=one or ONE.prompt, options=options),
        replace(TWO, prompt=two or TWO.prompt, options=options),
    )
    return Workflow(f"{one}|{two}", "ask", {s.name: s for s in states}, Path(), {}, "")


def suite(count: int) -> Suite:
    check = Assertion(AssertionType.CONTAINS, "0", "reply")
    return Suite(
        "x", tuple(Scenario(f"s{n}", (check,), {"ask": f"n{n + 1}"}) for n in range(count))
    )


def reply(request: Request) -> Completion:
    """What a model with a mood would say; all of it follows from the question."""
    mood = request.options["seed"] if request.options["temperature"] else 0
    text = f"{request.text[-12:]}{mood}"
    return Completion(text, len(request.text), len(text))


WORKFLOWS = st.lists(
    st.builds(
        workflow,
        st.sampled_from(["", "same", "{{name}}!"]),
        st.sampled_from(["", "other {{first}}", "same"]),
        st.sampled_from([0.0, 0.9]),
    ),
    min_size=2,
    max_size=3,
)


@given(WORKFLOWS, st.integers(1, 4), st.integers(1, 3), st.integers(1, 4))
@example([workflow(), workflow()], 2, 2, 1)
@settings(max_examples=40)
def test_each_is_told_as_if_it_ran_alone_and_no_question_is_asked_twice(
    workflows: list[Workflow], scenarios: int, repeat: int, jobs: int
) -> None:
    tests, llm, told = suite(scenarios), ScriptedLLM(reply), []
    found = compare_workflows(
        workflows, tests, llm, repeat=repeat, jobs=jobs, seed=3, on_done=lambda *at: told.append(at)
    )
    for flow, contender in zip(workflows, found.contenders, strict=True):
        assert contender.name == flow.name
        for draw, report in enumerate(contender.reports):
            alone_too = [Task(flow, scenario, draw) for scenario in tests.scenarios]
            rollouts = tuple(roll_out_each(alone_too, ScriptedLLM(reply), seed=3))
            alone = judge_all(tests, rollouts)
            assert [r.verdict for r in report.results] == [r.verdict for r in alone.results]
            assert [r.rollout.variables for r in report.results] == [
                r.rollout.variables for r in alone.results
            ]
            assert replace(report.usage, seconds=0) == replace(alone.usage, seconds=0)
    keys = [key_of(request) for request in llm.requests]
    assert len(set(keys)) == len(keys) == found.asked.calls
    total = len(workflows) * scenarios * repeat
    assert told == [(n + 1, total) for n in range(total)]


def compared(*workflows: Workflow, llm: ScriptedLLM, **more: object) -> Benchmark:
    return compare_workflows(workflows, suite(2), llm, **more)


def test_a_shared_answer_takes_as_long_for_everybody_who_uses_it() -> None:
    llm = ScriptedLLM([Reply("0", when=("^n",), seconds=0.06), Reply("0")])
    found = compared(workflow(), workflow(two="other {{first}}"), llm=llm, jobs=1)
    first, second = (contender.price.seconds for contender in found.contenders)
    assert first >= 0.06
    assert second >= 0.06
    assert found.asked.seconds < first * 2 + second * 2


def test_draws_of_a_warm_state_differ_and_cold_ones_do_not() -> None:
    warm, cold = workflow(warm=0.9), workflow()
    found = compared(cold, warm, llm=ScriptedLLM(reply), repeat=3, seed=8)
    one, other = found.contenders
    assert one.verdicts == ((True,) * 3,) * 2
    assert other.verdicts == ((False, False, True),) * 2  # seeds 8, 9 and 10
    assert (one.flips.flips, other.flips.pairs) == (0, 2)


def test_a_reply_that_cannot_be_used_fails_all_who_asked_for_it() -> None:
    llm = ScriptedLLM([Reply(when=("^n1",), error=LLMErrorKind.EMPTY, once=True), Reply("0")])
    found = compared(workflow(), workflow(), llm=llm)
    assert [contender.passed for contender in found.contenders] == [(False, True)] * 2


def test_a_server_that_is_gone_ends_it_at_once() -> None:
    llm = ScriptedLLM([Reply(error=LLMErrorKind.UNREACHABLE)])
    with pytest.raises(LLMError):
        compared(workflow(), workflow(), llm=llm, jobs=1)
    assert len(llm.requests) == 1


def test_a_stop_ends_it() -> None:
    stop = Stop()
    llm = ScriptedLLM(lambda request: (stop.ask(), "0")[1])
    started = time.monotonic()
    with pytest.raises(Cancelled):
        compared(workflow(), workflow(), llm=llm, jobs=1, stop=stop)
    assert len(llm.requests) == 1
    assert time.monotonic() - started < 4


@pytest.mark.parametrize(
    ("many", "more"), [(1, {}), (2, {"repeat": 0}), (2, {"names": ["a"]}), (0, {})]
)
def test_what_is_no_comparison_is_refused(many: int, more: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="two workflows"):
        compared(*[workflow()] * many, llm=ScriptedLLM(reply), **more)


def test_one_model_is_asked_by_all_and_no_question_twice() -> None:
    named = [replace(workflow(), default_model=name) for name in ("a", "b")]
    llm = ScriptedLLM(reply)
    assert compared(*named, llm=llm).asked.calls == 8
    assert compared(*named, llm=llm, model="c").asked.calls == 4
    assert [request.model for request in llm.requests[8:]] == ["c"] * 4


def test_names_are_those_that_the_caller_gives() -> None:
    found = compared(workflow(), workflow(), llm=ScriptedLLM(reply), names=["a.yaml", "b.yaml"])
    assert [contender.name for contender in found.contenders] == ["a.yaml", "b.yaml"]
