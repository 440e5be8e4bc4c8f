"""Suites, run and judged: in order, in parallel, and out at once when the world breaks."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune_fsm.errors import Cancelled, LLMError, LLMErrorKind
from finetune_fsm.execution.limits import Settings
from finetune_fsm.execution.rollout import Rollout, RunError, RunStatus
from finetune_fsm.llm.base import Completion, Request, Stop
from finetune_fsm.llm.memo import Memo
from finetune_fsm.llm.meter import Meter
from finetune_fsm.llm.scripted import Reply, ScriptedLLM
from finetune_fsm.scenarios.evaluate import (
    Task,
    judge_all,
    judge_rollout,
    roll_out,
    roll_out_each,
    run_suite,
)
from finetune_fsm.scenarios.model import Assertion, AssertionType, Scenario, Suite, Verdict
from finetune_fsm.workflow.model import State, StateKind, Workflow

ASK = State("ask", StateKind.INPUT, ("states", "ask"), prompt="Who?", save_as="name", next="say")
SAY = State(
    "say", StateKind.PROMPT, ("states", "say"), prompt="<{{name}}>", save_as="reply", next="end"
)


def greeter(**changes: object) -> Workflow:
    say = replace(SAY, **changes)
    return Workflow("Greeter", "ask", {"ask": ASK, "say": say}, Path(), {}, "")


def contains(value: str) -> Assertion:
    return Assertion(AssertionType.CONTAINS, value, "reply")


def suite(count: int) -> Suite:
    return Suite(
        "x.yaml",
        tuple(
            Scenario(f"scenario {n}", (contains(f"<{n}>"),), {"ask": str(n)}) for n in range(count)
        ),
    )


def echo(request: Request) -> str:
    return request.messages[-1].content


def tasks(workflow: Workflow, tests: Suite, draw: int = 0) -> list[Task]:
    return [Task(workflow, scenario, draw) for scenario in tests.scenarios]


def waiting(seconds: Mapping[str, float]) -> ScriptedLLM:
    def answer(request: Request) -> str:
        text = echo(request)
        time.sleep(seconds.get(text, 0.0))
        return text

    return ScriptedLLM(answer, slots=4)


@given(st.lists(st.sampled_from([0.0, 0.002, 0.02]), min_size=1, max_size=8), st.integers(1, 5))
@settings(max_examples=40)
def test_the_report_does_not_depend_on_which_scenario_ends_first(
    delays: list[float], jobs: int
) -> None:
    tests = suite(len(delays))
    llm = waiting({f"<{n}>": seconds for n, seconds in enumerate(delays)})
    heard: list[tuple[int, str]] = []
    report = run_suite(
        greeter(),
        tests,
        llm,
        jobs=jobs,
        on_result=lambda index, result: heard.append((index, result.scenario.name)),
    )
    assert tuple(result.scenario for result in report.results) == tests.scenarios
    assert report.solved
    assert heard == [(index, scenario.name) for index, scenario in enumerate(tests.scenarios)]
    counts: list[tuple[int, int]] = []
    rollouts = roll_out_each(
        tasks(greeter(), tests),
        llm,
        jobs=jobs,
        on_done=lambda done, total: counts.append((done, total)),
    )
    assert [rollout.variables["reply"] for rollout in rollouts] == [
        f"<{n}>" for n in range(len(delays))
    ]
    assert counts == [(n + 1, len(delays)) for n in range(len(delays))]


def test_scenarios_run_side_by_side_as_the_model_has_slots() -> None:
    together = threading.Barrier(4, timeout=5)

    def answer(request: Request) -> str:
        together.wait()
        return echo(request)

    assert run_suite(greeter(), suite(8), ScriptedLLM(answer, slots=4)).solved
    rollouts = roll_out_each(tasks(greeter(), suite(8)), ScriptedLLM(answer, slots=4))
    assert len(list(rollouts)) == 8


@pytest.mark.parametrize("jobs", [1, 2])
def test_no_more_scenarios_run_at_once_than_jobs(jobs: int) -> None:
    running: list[int] = []
    most: list[int] = []

    def answer(request: Request) -> str:
        running.append(1)
        most.append(len(running))
        time.sleep(0.01)
        running.pop()
        return echo(request)

    run_suite(greeter(), suite(6), ScriptedLLM(answer), jobs=jobs)
    assert max(most) <= jobs


@pytest.mark.parametrize("kind", [LLMErrorKind.UNREACHABLE, LLMErrorKind.MISSING_MODEL])
def test_a_server_that_is_gone_ends_the_evaluation_at_once(kind: LLMErrorKind) -> None:
    def answer(request: Request) -> str:
        if "<1>" in request.text:
            raise LLMError(kind, "gone")
        time.sleep(0.05)
        return echo(request)

    llm = ScriptedLLM(answer)
    started = time.monotonic()
    with pytest.raises(LLMError, match="gone"):
        run_suite(greeter(on_error="end"), suite(200), llm, jobs=2)
    assert time.monotonic() - started < 1.5
    assert len(llm.requests) < 10


def test_a_reply_that_cannot_be_used_fails_its_scenario_only() -> None:
    llm = ScriptedLLM(
        [Reply(when=("<1>",), error=LLMErrorKind.EMPTY), Reply("{{all}}", when=("(?P<all><.>)",))]
    )
    report = run_suite(greeter(), suite(3), llm)
    assert [result.verdict for result in report.results] == ["passed", "failed", "passed"]
    assert "say" in report.results[1].error
    assert report.results[1].assertions[0].verdict is Verdict.FAILED


def test_a_stop_ends_the_evaluation_though_the_model_does_not_notice() -> None:
    stop = Stop()
    release = threading.Event()

    def answer(request: Request) -> str:
        stop.ask()
        release.wait(20)
        return echo(request)

    started = time.monotonic()
    with pytest.raises(Cancelled):
        run_suite(greeter(), suite(4), ScriptedLLM(answer), jobs=1, stop=stop)
    release.set()
    assert time.monotonic() - started < 4


def test_a_stop_between_two_calls_starts_nothing_more() -> None:
    stop = Stop()
    llm = ScriptedLLM(lambda request: (stop.ask(), echo(request))[1])
    started = time.monotonic()
    with pytest.raises(Cancelled):
        list(roll_out_each(tasks(greeter(), suite(50)), llm, jobs=1, stop=stop))
    assert len(llm.requests) == 1
    assert time.monotonic() - started < 1.5


def test_a_stopped_rollout_is_none() -> None:
    stop = Stop()
    llm = ScriptedLLM(lambda request: (stop.ask(), echo(request))[1])
    with pytest.raises(Cancelled):
        roll_out(greeter(), suite(1).scenarios[0], llm, stop=stop)


def test_a_listener_that_raises_ends_the_evaluation() -> None:
    def listen(index: int, result: object) -> None:
        raise RuntimeError("full")

    llm = waiting({f"<{n}>": 0.02 for n in range(100)})
    with pytest.raises(RuntimeError, match="full"):
        run_suite(greeter(), suite(100), llm, jobs=2, on_result=listen)
    assert len(llm.requests) < 20


def test_evaluations_are_cold_and_seeded_unless_the_state_says_otherwise() -> None:
    llm = ScriptedLLM(echo)
    scenario = suite(1).scenarios[0]
    roll_out(greeter(), scenario, llm, seed=7)
    roll_out(greeter(options={"temperature": 0.9}), scenario, llm, seed=7)
    roll_out(greeter(), scenario, llm, options=Settings(defaults={"seed": 1, "top_k": 5}))
    first, second, third = (request.options for request in llm.requests)
    assert (first["temperature"], first["seed"]) == (0, 7)
    assert (second["temperature"], second["seed"]) == (0.9, 7)
    assert (third["temperature"], third["seed"], third["top_k"]) == (0, 1, 5)


def moody(request: Request) -> str:
    """Say something else with another seed, as a warm model does."""
    warm = request.options["temperature"]
    return f"{echo(request)} {request.options['seed'] if warm else 'cold'}"


@given(st.integers(0, 3), st.integers(0, 3), st.sampled_from([0, 0.8]))
@settings(max_examples=30)
def test_every_draw_is_asked_anew_and_a_warm_one_comes_out_otherwise(
    one: int, other: int, warm: float
) -> None:
    llm = ScriptedLLM(moody)
    memo = Memo(llm, Meter())
    flow = greeter(options={"temperature": warm})
    [first], [second] = (
        roll_out_each(tasks(flow, suite(1), draw), memo, seed=4) for draw in (one, other)
    )
    assert len(llm.requests) == (1 if one == other else 2)
    assert (first.variables == second.variables) is (one == other or not warm)
    assert roll_out(flow, suite(1).scenarios[0], llm, seed=4, draw=one).variables == first.variables


def test_a_states_own_seed_stays_in_every_draw() -> None:
    llm = ScriptedLLM(echo)
    for draw in (0, 1):
        roll_out(greeter(options={"seed": 9}), suite(1).scenarios[0], llm, draw=draw)
    assert [request.options["seed"] for request in llm.requests] == [9, 9]
    assert [request.draw for request in llm.requests] == [0, 1]


def test_no_run_directory_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    seen: list[str] = []

    def answer(request: Request) -> Completion:
        seen.append(request.text)
        return Completion("<0>")

    run_suite(greeter(prompt="{{run_directory}}"), suite(1), ScriptedLLM(answer))
    assert str(tmp_path) in seen[0]
    assert list(tmp_path.iterdir()) == []


VERDICTS = st.lists(st.sampled_from(["passed", "failed", "error"]), min_size=1, max_size=4)
_CHECKS = {
    "passed": contains("good"),
    "failed": contains("bad"),
    "error": Assertion(AssertionType.REGEX, "(", "reply"),
}


@given(VERDICTS, st.sampled_from(RunStatus))
@settings(max_examples=60)
def test_a_scenario_passes_when_the_run_completed_and_all_held_and_errs_when_none_failed(
    verdicts: list[str], status: RunStatus
) -> None:
    scenario = Scenario("s", tuple(_CHECKS[verdict] for verdict in verdicts))
    error = RunError("say", "no reply") if status is RunStatus.FAILED else None
    rollout = Rollout(status, variables={"reply": "good"}, error=error)
    result = judge_rollout(scenario, rollout)
    assert [found.verdict for found in result.assertions] == verdicts
    if status is not RunStatus.COMPLETED:
        assert result.verdict is Verdict.FAILED
        assert result.error
    else:
        worst = "failed" if "failed" in verdicts else "error" if "error" in verdicts else "passed"
        assert result.verdict == worst
        assert not result.error


def test_judging_apart_says_the_same_as_running_and_judging() -> None:
    tests, llm = suite(5), ScriptedLLM(echo)
    rollouts = tuple(roll_out_each(tasks(greeter(), tests), llm))
    apart = judge_all(tests, rollouts, seconds=3.0)
    at_once = run_suite(greeter(), tests, llm)
    assert [r.assertions for r in apart.results] == [r.assertions for r in at_once.results]
    assert apart.seconds == 3.0
    with pytest.raises(ValueError, match="shorter"):
        judge_all(tests, rollouts[:3])


@given(st.integers(1, 6), st.integers(1, 4))
@settings(max_examples=15)
def test_a_report_without_texts_says_the_same_and_the_listener_sees_them(
    count: int, jobs: int
) -> None:
    heard: list[str] = []
    whole = run_suite(greeter(), suite(count), ScriptedLLM(echo))
    lean = run_suite(
        greeter(),
        suite(count),
        ScriptedLLM(echo),
        jobs=jobs,
        on_result=lambda _, result: heard.append(result.rollout.variables["reply"]),
        texts=False,
    )
    assert heard == [f"<{n}>" for n in range(count)]
    assert [r.verdict for r in lean.results] == [r.verdict for r in whole.results]
    assert lean.usage.calls == whole.usage.calls
    for result in lean.results:
        assert not result.rollout.variables
        assert not any(visit.prompt or visit.completion for visit in result.rollout.visits)
