"""The ways, run on small cases with known truth: bounded, repeatable, blind for the hold-out.

GEPA itself is no dependency of the tests: `make quality-scripted` installs and runs it. What we
wrote around it is tested here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from quality import rewrite
from quality.calls import Counted
from quality.cases import Case, cases
from quality.check import values
from quality.gepa_ways import WHOLE, Adapter, judged, prompts_of, put_in, record
from quality.jobs import Job, do, done, path_of
from quality.run import jobs_of, pairs, run
from quality.truth import model
from quality.verdict import verdict
from quality.ways import Seen, Shipped, Task
from quality.worker import worker

from finetune_fsm.errors import LLMError, LLMErrorKind
from finetune_fsm.llm.scripted import ScriptedLLM
from finetune_fsm.scenarios.evaluate import roll_out

SMALL = cases(["01", "17", "25"])
FIRST, SKIPPED, GOOD = SMALL
STEPS = cases(["11"])[0]
WAYS = ("ours", "rewrite")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", SMALL, ids=lambda case: case.name)
def test_a_way_keeps_to_the_cap_sees_no_holdout_and_can_be_repeated(
    way: str, case: Case, tmp_path: Path
) -> None:
    rows = [
        do(Job(case.name, way, 1, 40), case, model(case, 1), tmp_path / str(n)) for n in range(2)
    ]
    timed = ("seconds", "wall_seconds")
    one, two = ({k: v for k, v in row.items() if k not in timed} for row in rows)
    assert one == two
    assert one["calls"] <= 40
    log = (tmp_path / "0" / f"{case.name}.{way}.1.calls.jsonl").read_text("utf-8")
    asked = "\n".join(
        content for line in log.splitlines() for _, content in json.loads(line)["messages"]
    )
    assert len(log.splitlines()) == one["calls"]
    seen = {value for value in values(case.holdout) if value in asked}
    assert seen == set()
    assert any(value in asked for value in values(case.train))


@pytest.mark.parametrize("cap", [0, 3, 11])
@pytest.mark.parametrize("way", WAYS)
def test_a_way_that_runs_out_of_calls_ships_what_it_has(way: str, cap: int, tmp_path: Path) -> None:
    row = do(Job(FIRST.name, way, 0, cap), FIRST, model(FIRST), tmp_path)
    assert row["calls"] <= cap
    assert row["valid"]


def test_what_was_done_is_not_done_again(tmp_path: Path) -> None:
    jobs = jobs_of(["01", "25"], ["rewrite"], [0], cap=30, options={})
    first, broken = run(jobs, "script", tmp_path)
    stamps = [path_of(job, tmp_path).stat().st_mtime_ns for job in jobs]
    again, _ = run(jobs, "script", tmp_path)
    assert broken == 0
    assert again == first
    assert [path_of(job, tmp_path).stat().st_mtime_ns for job in jobs] == stamps
    assert done(replace(jobs[0], cap=31), tmp_path) is None
    assert done(replace(jobs[0], options={"iterations": 2}), tmp_path) is None
    path_of(jobs[0], tmp_path).write_text(json.dumps({**first[0], "material": "old"}), "utf-8")
    assert done(jobs[0], tmp_path) is None


def test_a_job_that_breaks_is_told_leaves_no_result_and_the_others_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {"rewrite": {"iterations": "many"}}
    jobs = jobs_of(["25"], ["rewrite", "ours"], [0], cap=30, options=options)
    rows, broken = run(jobs, "script", tmp_path)
    assert (len(rows), broken) == (1, 1)
    assert not path_of(jobs[0], tmp_path).exists()
    assert "25-book-reviews.rewrite.0: broke" in capsys.readouterr().out


def test_a_broken_world_is_no_result(tmp_path: Path) -> None:
    def fail(_: object) -> str:
        raise LLMError(LLMErrorKind.UNREACHABLE, "gone")

    with pytest.raises(LLMError):
        do(Job(FIRST.name, "rewrite"), FIRST, ScriptedLLM(fail), tmp_path)
    assert not list(tmp_path.glob("*.json"))


def test_options_are_json_or_text() -> None:
    assert pairs(["a=1", "b=true", "c=[2]", "d=judge"]) == {
        "a": 1,
        "b": True,
        "c": [2],
        "d": "judge",
    }
    with pytest.raises(SystemExit, match="KEY=VALUE"):
        pairs(["nothing"])


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda text: text, {"changed": False}),
        (lambda text: f"{text}# a comment\n", {"changed": False}),
        (lambda text: "states: [", {"valid": False, "changed": True}),
        (
            lambda text: text.replace(
                "Is the dish", "Beef goulash with noodles is none. Is the dish"
            ),
            {"hard_coded": True, "more_powerful": False},
        ),
        (
            lambda text: text.replace("Is the", "Pork sausages with cabbage is none. Is the"),
            {"hard_coded": True, "valid": True},
        ),
        (
            lambda text: text.replace("save_as: veggie", "save_as: veggie\n    files: [a.txt]"),
            {"more_powerful": True, "hard_coded": False},
        ),
        (lambda text: text.replace("Veggie check", "Check"), {"closed_places": True}),
    ],
)
def test_a_verdict_tells_what_is_wrong_with_what_was_shipped(
    change: Callable[[str], str], found: Mapping[str, bool]
) -> None:
    llm = worker(FIRST.folder / "script.yaml")
    shipped = Shipped(change(FIRST.start.text), "")
    said = verdict(FIRST, shipped, llm, seed=0)
    assert {name: bool(said[name]) for name in found} == found


def test_a_verdict_pairs_scenarios_and_finds_the_first_that_solved() -> None:
    llm = worker(FIRST.folder / "script.yaml")
    counted = Counted(llm, 9)
    spent = [counted.spent, replace(counted.spent, calls=7), replace(counted.spent, calls=8)]
    texts = (FIRST.start.text, FIRST.reference.text, FIRST.start.text)
    seen = tuple(Seen(one, text) for one, text in zip(spent, texts, strict=True))
    said: dict[str, Any] = verdict(FIRST, Shipped(texts[1], "", seen), llm, seed=0)
    assert said["solved_calls"] == 7
    assert said["train"]["after"] == said["train"]["total"]
    assert len(said["train"]["won"]) == said["train"]["total"] - said["train"]["before"]
    broken: dict[str, Any] = verdict(FIRST, Shipped("", "", seen[:1]), llm, seed=0)
    assert broken["solved_calls"] is None
    assert len(broken["train"]["lost"]) == broken["train"]["before"] > 0


def task_of(case: Case, *, cap: int = 50) -> Task:
    llm = Counted(worker(case.folder / "script.yaml"), cap)
    return Task(case.folder / "workflow.yaml", case.folder / "x", case.start, case.train, llm, cap)


def adapter_of(case: Case, *, cap: int = 50) -> Adapter:
    return Adapter(task_of(case, cap=cap), lambda parts: put_in(case.start, parts), SimpleNamespace)


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_prompts_taken_out_and_put_in_again_change_nothing(case: Case) -> None:
    parts = prompts_of(case.start)
    assert put_in(case.start, parts) == case.start.text
    assert all("{{" in text or text for text in parts.values())


def test_steps_are_components_of_their_own() -> None:
    assert list(prompts_of(STEPS.start)) == ["invite", "invite_step_1"]


def test_a_candidate_scores_the_share_of_assertions_that_it_passes() -> None:
    batch = list(SKIPPED.train.scenarios)
    found = adapter_of(SKIPPED).evaluate(batch, prompts_of(SKIPPED.start), capture_traces=True)
    assert len(found.scores) == len(batch)
    assert all(score == 1 / 3 for score in found.scores)
    assert [trace.scenario for trace in found.trajectories] == batch
    assert adapter_of(SKIPPED).evaluate(batch, prompts_of(SKIPPED.start)).trajectories is None


def test_a_candidate_that_is_no_workflow_scores_nothing_costs_nothing_and_is_told_why() -> None:
    task = task_of(FIRST)
    adapter = Adapter(task, lambda parts: parts[WHOLE], SimpleNamespace)
    for text in ("Sure! Here is a better workflow.", "name: x\nstates: {}\nstart_state: y\n", ""):
        found = adapter.evaluate(list(FIRST.train.scenarios), {WHOLE: text}, capture_traces=True)
        assert set(found.scores) == {0.0}
        records = adapter.make_reflective_dataset({WHOLE: text}, found, [WHOLE])[WHOLE]
        assert all(one["Feedback"].startswith("This is no valid workflow: ") for one in records)
    assert task.llm.spent.calls == 0


def test_scenarios_that_the_cap_did_not_allow_score_nothing() -> None:
    found = adapter_of(GOOD, cap=2).evaluate(
        list(GOOD.train.scenarios), prompts_of(GOOD.start), capture_traces=True
    )
    assert found.scores == [1.0, 1.0, 0.0, 0.0, 0.0, 0.0]


def test_feedback_is_in_words_and_speaks_of_lost_placeholders() -> None:
    start = SKIPPED.start
    parts = {**prompts_of(start), "amount": "How much?"}
    scenario = SKIPPED.train.scenarios[0]
    rollout = roll_out(start, scenario, worker(SKIPPED.folder / "script.yaml"))
    trace = judged(scenario, rollout)
    said = record(start, parts, "amount", trace)
    assert said["Inputs"]["{{expense}}"] == scenario.inputs["expense"]
    assert said["Inputs"]["The prompt as the model got it"].startswith("How much was paid?")
    assert said["Generated Outputs"] == rollout.variables["amount"]
    assert "the variable 'category' was never set" in said["Feedback"]
    assert "must keep the placeholder {{expense}}" in said["Feedback"]
    assert "\\W" not in json.dumps(said)
    unasked = record(start, parts, "category", trace)
    assert unasked["Generated Outputs"].startswith("(never asked; the run went expense -> amount")
    found = adapter_of(FIRST).evaluate(
        list(FIRST.train.scenarios), prompts_of(FIRST.start), capture_traces=True
    )
    shown = [
        record(FIRST.start, prompts_of(FIRST.start), "check", one) for one in found.trajectories
    ]
    assert any("'veggie' the answer must be" in one["Feedback"] for one in shown)
    assert "\\W" not in json.dumps(shown)
    assert "line: " in record(start, {WHOLE: start.text}, WHOLE, trace)["Generated Outputs"]


@pytest.mark.parametrize(
    ("reply", "taken"),
    [
        ("```yaml\nname: a\nstates: {b: {}}\nstart_state: b\n```", True),
        ("name: a\nstates: {b: {}}\nstart_state: b", True),
        ("Here:\n```\nname: a\nstates: {b: {}}\nstart_state: b\n", True),
        ("```yaml\nname: a\nstates: {}\nstart_state: b\n```", False),
        ("name: [", False),
        ("just words", False),
        ("", False),
    ],
)
def test_a_rewrite_is_taken_when_three_keys_are_there(reply: str, taken: bool) -> None:
    assert rewrite.acceptable(rewrite.fenced(reply)) is taken
