"""Metrics are counted from the steps of a run: they add up, and no stop changes them."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune_fsm.api import finish, open_loop, open_run, reopen_run
from finetune_fsm.codec import plain
from finetune_fsm.errors import LLMError, LLMErrorKind
from finetune_fsm.llm.base import Purpose, Request, Stop, Usage
from finetune_fsm.llm.meter import Budget
from finetune_fsm.llm.scripted import ScriptedLLM
from finetune_fsm.loop.machine import Loop
from finetune_fsm.loop.outcomes import Checked, Ending, Prepared, Ran
from finetune_fsm.loop.run import Run
from finetune_fsm.loop.table import LoopState
from finetune_fsm.loop.trials import Score
from finetune_fsm.reports import metrics_json
from finetune_fsm.reports.measuring import metrics_of
from finetune_fsm.reports.metrics import RunMetrics, interval, rate
from finetune_fsm.runs import places
from finetune_fsm.runs.history import load
from finetune_fsm.scenarios.model import SuiteReport

WORKFLOW = """\
name: Desk
description: Sorts a mail, then answers it with one word, yes or no.
start_state: ask
states:
  ask: {type: input, prompt: "Which mail?", save_as: mail, next: sort}
  sort:
    type: prompt
    prompt: "What is it about? {{mail}}"
    save_as: topic
    next_options:
      - {state: bill, description: it is about money}
      - {state: other, description: it is about something else}
  bill: {type: prompt, prompt: "Answer the bill {{mail}}", save_as: answer, next: end}
  other: {type: prompt, prompt: "Answer {{mial}} soon", save_as: answer, next: end}
"""

TESTS = """\
workflow: desk.yaml
test_scenarios:
""" + "".join(
    f"""\
  - name: "{topic} {number}"
    inputs: [{{state: ask, value: The {topic} of May {number}}}]
    assertions: [{{type: equals, target: answer, value: {wanted}}}]
"""
    for topic, wanted in (("money", "yes"), ("lamp", "no"))
    for number in range(3)
)

PROMPTS = (
    "One word, yes or no: {{mail}}",
    "Say it {{nicely}}",  # refused: nothing sets it
)


OPTIONS = {"jobs": 1, "candidates": 2, "max_iterations": 8}


def reply(request: Request) -> str:
    """A model whose every reply follows from the question alone."""
    text = request.text
    money = "money" in text.partition("Which reply")[0]
    match request.purpose:
        case Purpose.STATE:
            if "One word" in text:
                return "yes" if money else "no"
            return f"I think it is {text[-8:]}"
        case Purpose.ROUTE:
            return "1" if "of May 1" in text else "2"
        case Purpose.ANALYSIS:
            change = {"state": "other", "change": "Say which words."}
            return json.dumps({"analysis": "No form.", "suggestions": [change]})
        case Purpose.PROPOSAL:
            number = 1 if "Answer the bill" in text and "was refused" not in text else 0
            return json.dumps({"problem": "No form.", "new_prompt": PROMPTS[number]})
        case _:
            return "nothing"


def put(folder: Path, *, tests: bool = True) -> Path:
    """Put the workflow into *folder* and return it."""
    (folder / "desk.yaml").write_text(WORKFLOW)
    if tests:
        (folder / "desk.test.yaml").write_text(TESTS)
    return folder / "desk.yaml"


def measured(where: Path) -> RunMetrics:
    history = load(where)
    return metrics_of(history.run, history.entries)


def timeless(value: object, *dropped: str) -> object:
    """The plain data *value* without what no two runs share, and without what is *dropped*."""
    if isinstance(value, dict):
        return {
            k: timeless(v, *dropped) for k, v in value.items() if k not in ("seconds", *dropped)
        }
    return [timeless(item, *dropped) for item in value] if isinstance(value, list) else value


def check(metrics: RunMetrics, run: Run) -> None:
    """Hold the *metrics* of *run* to all that must be so of any."""
    check_sums(metrics, run)
    check_counts(metrics)
    check_rates(metrics, run)
    check_drafts(metrics)
    json.dumps(metrics_json.shape(metrics), allow_nan=False)


def same(one: Usage, other: Usage) -> bool:
    return timeless(plain(one)) == timeless(plain(other)) and one.seconds == pytest.approx(
        other.seconds
    )


def check_sums(metrics: RunMetrics, run: Run) -> None:
    by_iteration = sum((row.usage for row in metrics.iterations), Usage())
    by_state = sum((row.usage for row in metrics.states), Usage())
    lost = sum((row.lost for row in metrics.iterations), Usage())
    assert same(by_iteration, by_state)
    assert same(by_state, metrics.usage)
    assert same(metrics.usage + metrics.lost, run.usage)
    assert lost == metrics.lost
    for row, record in zip(metrics.iterations, run.history, strict=False):
        assert same(row.usage + row.lost, record.usage)
    steps = Counter[LoopState]()
    for row in metrics.iterations:
        steps.update({state.state: state.steps for state in row.states})
    assert steps == {row.state: row.steps for row in metrics.states}


def check_counts(metrics: RunMetrics) -> None:
    def walk(value: object) -> None:
        if isinstance(value, dict | list):
            for item in value.values() if isinstance(value, dict) else value:
                walk(item)
        if isinstance(value, int | float):
            assert value >= -1e-9

    walk(plain(metrics))
    for row in metrics.workflow_states:
        assert row.errors <= row.visits
        assert sum(times for _, times in row.ways) <= row.visits


def check_rates(metrics: RunMetrics, run: Run) -> None:
    assert [row.iteration for row in metrics.iterations if row.tested] == [
        record.iteration for record in run.history
    ]
    assert all(row.tested for row in metrics.iterations[:-1])
    for row, record in zip(metrics.iterations, run.history, strict=False):
        assert row.train
        assert row.holdout
        assert row.train.passed + row.holdout.passed == record.passed
        assert row.train.total + row.holdout.total == record.total
        assert sum(candidate.accepted for candidate in row.candidates) == record.accepted
        for candidate in row.candidates:
            assert candidate.ran <= candidate.rollouts
    for row in metrics.iterations:
        for score in (row.train, row.holdout):
            around, seen = (interval(score), rate(score)) if score else (None, None)
            assert (around is None) is (seen is None)
            assert around is None or 0 <= around.low <= (seen or 0) <= around.high <= 1
    if run.best and metrics.iterations:
        assert split(run.best.report, run.holdout) == (
            metrics.iterations[-1].train,
            metrics.iterations[-1].holdout,
        )


def split(report: SuiteReport, holdout: tuple[int, ...]) -> tuple[object, object]:
    """What *report* passes on either side, in another way: by index."""
    sides = []
    for held in (False, True):
        mine = [r.passed for i, r in enumerate(report.results) if (i in holdout) is held]
        sides.append(Score(sum(mine), len(mine), len(mine)))
    return sides[0], sides[1]


def check_drafts(metrics: RunMetrics) -> None:
    for row in metrics.strategies:
        assert row.attempts >= row.drafts >= row.refused + row.tried
        assert row.tried >= row.accepted
    spent = sum(row.usage.calls for row in metrics.strategies)
    assert spent <= sum(s.usage.calls for s in metrics.states if s.state is LoopState.MODIFYING)
    on_trial = [c for row in metrics.iterations for c in row.candidates if c.strategy]
    assert len(on_trial) == sum(row.tried for row in metrics.strategies)
    assert sum(c.accepted for c in on_trial) == sum(row.accepted for row in metrics.strategies)
    codes = sum(times for row in metrics.iterations for _, times in row.refused)
    assert codes >= sum(row.refused for row in metrics.strategies)


def visits(loop: Loop) -> int:
    """Visits of all rollouts of *loop*, each object once: those of PREPARING come in RUNNING."""
    outcomes = [entry.outcome for entry in loop.entries]
    samples = [s for o in outcomes if isinstance(o, Prepared) for s in o.samples]
    for outcome in outcomes:
        if isinstance(outcome, Ran):
            laps = [s for lap in outcome.laps for s in (*lap.samples, *lap.extra)]
            samples += [*outcome.again, *outcome.extra, *laps]
    return sum(len(r.visits) for r in {id(s.rollout): s.rollout for s in samples}.values())


TEXTS = st.sampled_from(
    ["", "yes", "no", "1", "2", PROMPTS[0], PROMPTS[1], "One word. {{mail}}", "\x1b[2J", "é" * 300]
) | st.text(max_size=10)
OBJECTS = st.fixed_dictionaries(
    {},
    optional={
        "problem": TEXTS,
        "new_prompt": TEXTS,
        "addition": TEXTS,
        "next": TEXTS | st.sampled_from(["bill", "end"]),
        "analysis": TEXTS,
        "suggestions": st.lists(
            st.fixed_dictionaries({"state": st.just("other"), "change": TEXTS}), max_size=2
        ),
    },
)
REPLIES = OBJECTS.map(json.dumps) | TEXTS


@settings(max_examples=12)
@given(
    st.lists(REPLIES, min_size=1, max_size=8),
    st.booleans(),
    st.integers(1, 3),
    st.none() | st.integers(5, 60),
)
def test_whatever_a_model_says_the_metrics_add_up_after_every_step(
    tmp_path_factory: pytest.TempPathFactory,
    replies: list[str],
    tested: bool,
    repeat: int,
    calls: int | None,
) -> None:
    def anything(request: Request) -> str:
        if request.purpose is Purpose.STATE:
            return reply(request)
        return replies[len(llm.requests) % len(replies)]

    llm = ScriptedLLM(anything)
    loop: Loop = open_loop(
        put(tmp_path_factory.mktemp("any"), tests=tested),
        llm=llm,
        repeat=repeat,
        budget=Budget(calls=calls),
        jobs=1,
        max_iterations=4,
    )
    for entry in loop:
        metrics = metrics_of(loop.run, loop.entries)
        check(metrics, loop.run)
        assert metrics.usage.calls == len(llm.requests)
        assert sum(row.steps for row in metrics.states) == entry.number
        assert sum(row.visits for row in metrics.workflow_states) == visits(loop)
    purposes = Counter(request.purpose for request in llm.requests)
    spent = {row.state: row.usage.calls for row in metrics.states}
    assert spent.get(LoopState.ANALYZING, 0) == purposes[Purpose.ANALYSIS]
    assert spent.get(LoopState.MODIFYING, 0) == purposes[Purpose.PROPOSAL]
    refused = [e.outcome for e in loop.entries if isinstance(e.outcome, Checked)]
    told = Counter({c: n for row in metrics.iterations for c, n in row.refused})
    assert set(told) == {outcome.problems[0].code for outcome in refused if outcome.problems}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ScriptedLLM]:
    """A run to its end: its folder, and who was asked."""
    llm = ScriptedLLM(reply)
    workflow = put(tmp_path_factory.mktemp("whole"))
    with open_run(workflow, llm=llm, **OPTIONS) as session:
        finish(session.loop)
    return session.folder, llm


def test_the_run_of_these_tests_has_everything_to_count(whole: tuple[Path, ScriptedLLM]) -> None:
    metrics = measured(whole[0])
    assert [row.strategy for row in metrics.strategies][:2] == ["repair", "rewrite"]
    assert any(row.accepted for row in metrics.strategies)
    assert any(row.refused for row in metrics.strategies)
    assert any(row.drafts < row.attempts for row in metrics.strategies)
    assert any(len(row.candidates) > 1 for row in metrics.iterations)
    assert all(row.holdout and row.holdout.total == 2 for row in metrics.iterations)
    assert {"CONFIRMING", "MODIFYING"} <= {row.state for row in metrics.states if row.usage.calls}


def test_where_calls_go_is_what_the_model_was_asked(whole: tuple[Path, ScriptedLLM]) -> None:
    folder, llm = whole
    metrics = measured(folder)
    purposes = Counter(request.purpose for request in llm.requests)
    assert metrics.usage.calls == len(llm.requests)
    assert sum(row.usage.calls for row in metrics.strategies) == purposes[Purpose.PROPOSAL]
    states = {row.state: row for row in metrics.workflow_states}
    assert set(states) == {"ask", "sort", "bill", "other"}
    assert states["ask"].usage == Usage()
    assert [row.state for row in metrics.workflow_states if row.ways] == ["sort"]
    ways = dict(states["sort"].ways)
    assert ways == {"bill": states["bill"].visits, "other": states["other"].visits}
    rollouts = sum(c.rollouts for row in metrics.iterations for c in row.candidates)
    assert states["ask"].visits == states["sort"].visits >= rollouts
    # Two questions a visit: what it is about, and where to go.
    assert states["sort"].usage.calls == 2 * states["sort"].visits


@settings(max_examples=8)
@given(st.data())
def test_a_journal_cut_anywhere_has_metrics_and_resumed_those_of_the_whole_run(
    whole: tuple[Path, ScriptedLLM], data: st.DataObject
) -> None:
    folder, _ = whole
    path = folder / places.JOURNAL
    journal = path.read_bytes()
    wanted = measured(folder)
    cut = data.draw(st.integers(journal.index(b"\n") + 1, len(journal) - 1))
    try:
        path.write_bytes(journal[:cut])
        check(measured(folder), load(folder).run)
        with reopen_run(folder, llm=ScriptedLLM(reply)) as session:
            live = metrics_of(finish(session.loop), session.loop.entries)
        assert timeless(plain(live)) == timeless(plain(wanted))
        assert measured(folder) == live
    finally:
        path.write_bytes(journal)


def breaks(number: int, kind: str) -> tuple[ScriptedLLM, Stop]:
    """A model with which the request of this *number* ends the session, and its stop."""
    stop = Stop()

    def answer(request: Request) -> str:
        if len(llm.requests) == number:
            if kind == "dead":
                raise LLMError(LLMErrorKind.UNREACHABLE, "gone")
            stop.ask()
        return reply(request)

    llm = ScriptedLLM(answer)
    return llm, stop


@settings(max_examples=6)
@given(
    st.lists(
        st.tuples(st.integers(1, 12), st.sampled_from(["dead", "stopped"])), min_size=1, max_size=3
    )
)
def test_sessions_that_broke_off_cost_what_they_lost_and_nothing_else(
    whole: tuple[Path, ScriptedLLM],
    tmp_path_factory: pytest.TempPathFactory,
    stops: list[tuple[int, str]],
) -> None:
    workflow = put(tmp_path_factory.mktemp("broken"))
    with open_run(workflow, llm=ScriptedLLM(reply), **OPTIONS) as session:
        folder = session.folder
    sent = 0
    for number, kind in [*stops, (-1, "")]:
        llm, stop = breaks(number, kind)
        with reopen_run(folder, llm=llm, stop=stop) as session:
            with suppress(LLMError):
                finish(session.loop)
            live = metrics_of(session.loop.run, session.loop.entries)
            check(live, session.loop.run)
        assert measured(folder) == live
        sent += len(llm.requests)
    metrics, broken = measured(folder), sent - len(load(folder).calls)
    assert broken >= 1
    assert metrics.lost == Usage(calls=broken)
    assert timeless(plain(metrics), "lost") == timeless(plain(measured(whole[0])), "lost")


def test_a_budget_that_is_spent_leaves_the_metrics_of_what_was_done(tmp_path: Path) -> None:
    budget = Budget(calls=20)
    with open_run(put(tmp_path), llm=ScriptedLLM(reply), budget=budget, **OPTIONS) as session:
        run = finish(session.loop)
    assert run.ending is Ending.CALLS
    metrics = measured(session.folder)
    check(metrics, run)
    assert metrics.usage.calls == 20
    assert not metrics.iterations[-1].tested


def test_before_the_first_step_there_is_nothing(tmp_path: Path) -> None:
    loop = open_loop(put(tmp_path), llm=ScriptedLLM(reply))
    assert metrics_of(loop.run, loop.entries) == RunMetrics()


def test_a_repair_by_the_model_is_a_further_attempt(whole: tuple[Path, ScriptedLLM]) -> None:
    folder, llm = whole
    metrics = measured(folder)
    rewrites = next(row for row in metrics.strategies if row.strategy == "rewrite")
    assert any("was refused" in request.text for request in llm.requests)
    refused = Counter({code: n for row in metrics.iterations for code, n in row.refused})
    assert rewrites.drafts == rewrites.refused + rewrites.tried
    assert rewrites.refused == refused["unset_placeholder"] + refused["no_change"]
    assert refused["unset_placeholder"] == 1
    assert rewrites.attempts == rewrites.usage.calls


def test_rollouts_on_perturbed_inputs_count_too(tmp_path: Path) -> None:
    """They are made for a goal, once all tests pass."""

    def rewords(request: Request) -> str:
        if request.purpose is Purpose.PROPOSAL:
            new = "In one word, yes or no. One word: {{mail}}"
            return json.dumps({"problem": "-", "new_prompt": new})
        return reply(request)

    workflow = put(tmp_path)
    sound = WORKFLOW.replace("Answer the bill", PROMPTS[0][:21]).replace(
        "Answer {{mial}} soon", PROMPTS[0]
    )
    workflow.write_text(sound)
    llm = ScriptedLLM(rewords)
    loop = open_loop(workflow, llm=llm, goal="robustness", **OPTIONS)
    run = finish(loop)
    metrics = metrics_of(run, loop.entries)
    check(metrics, run)
    assert any(o.extra for e in loop.entries if isinstance(o := e.outcome, Ran))
    assert sum(row.visits for row in metrics.workflow_states) == visits(loop)
    on_trial = [c for row in metrics.iterations[1:] for c in row.candidates]
    assert any(c.rollouts > c.ran for c in on_trial)


def test_json_holds_the_same_values(whole: tuple[Path, ScriptedLLM]) -> None:
    metrics = measured(whole[0])
    data = json.loads(json.dumps(metrics_json.shape(metrics), allow_nan=False))
    assert data["llm_calls"] == metrics.usage.calls
    assert data["tokens"] == data["prompt_tokens"] + data["completion_tokens"]
    assert data["lost"] == {"llm_calls": 0, "retries": 0}
    for name in ("llm_calls", "prompt_tokens", "completion_tokens", "cached", "retries"):
        by_state = sum(row[name] for row in data["states"])
        by_iteration = sum(row[name] for row in data["iterations"])
        assert by_state == by_iteration == data[name]
    for told, meant in zip(data["iterations"], metrics.iterations, strict=True):
        assert (told["iteration"], told["tested"]) == (meant.iteration, meant.tested)
        assert {row["code"]: row["times"] for row in told["refused"]} == dict(meant.refused)
        check_score(told["train"], meant.train)
        check_score(told["holdout"], meant.holdout)
        for one, other in zip(told["candidates"], meant.candidates, strict=True):
            assert (one["scenarios"], one["rollouts"]) == (other.ran, other.rollouts)
            assert one["rollout_usage"]["llm_calls"] == other.usage.calls
            assert one["reason"] == other.reason
            assert (one["wins"] is None) is (other.comparison is None)
    for told, meant in zip(data["strategies"], metrics.strategies, strict=True):
        assert (told["strategy"], told["drafts"]) == (meant.strategy, meant.drafts)
        assert (told["tried"], told["accepted"]) == (meant.tried, meant.accepted)
    routes = {row["state"]: row["ways"] for row in data["workflow_states"]}
    assert {way["state"] for way in routes["sort"]} == {"bill", "other"}


def check_score(told: dict, meant: Score | None) -> None:
    assert meant
    assert (told["passed"], told["ran"], told["total"]) == (meant.passed, meant.ran, meant.total)
    assert told["rate"] == pytest.approx(meant.passed / meant.ran, abs=1e-4)
    assert told["interval"][0] <= told["rate"] <= told["interval"][1]
