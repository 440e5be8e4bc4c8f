"""Runs whose scenarios are drawn several times, or judged by a model: improved, and resumed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from steered import WORKFLOW, reply, steps

from finetune_fsm.api import finish, open_run, reopen_run
from finetune_fsm.llm.base import Purpose, Request
from finetune_fsm.llm.meter import Budget
from finetune_fsm.llm.scripted import ScriptedLLM
from finetune_fsm.reports.html import run_page
from finetune_fsm.runs.history import History, load

REPEATED = """\
workflow: mood.yaml
test_scenarios:
  - name: Likes it
    repeat: 3
    pass_rate: 0.6
    inputs: [{state: ask, value: The room was lovely and quiet}]
    assertions: [{type: equals, target: mood, value: good}]
  - name: Hates it
    repeat: 2
    inputs: [{state: ask, value: Never again will I stay there}]
    assertions: [{type: equals, target: mood, value: bad}]
"""

JUDGED = """\
workflow: mood.yaml
test_scenarios:
  - name: Likes it
    inputs: [{state: ask, value: The room was lovely and quiet}]
    assertions: [{type: llm_rubric, target: mood, value: It is one word alone.}]
  - name: Hates it
    repeat: 2
    inputs: [{state: ask, value: Never again will I stay there}]
    assertions:
      - {type: llm_rubric, target: mood, value: It is one word alone.}
      - {type: contains, target: mood, value: bad}
"""


def answer(request: Request) -> str:
    """The model of `steered`, which is a judge too: a text of one word has no blank."""
    if request.purpose is Purpose.JUDGE:
        wordy = "I think" in request.text
        return json.dumps({"reason": "counted", "holds": "no" if wordy else "yes"})
    return reply(request)


def put(folder: Path, tests: str) -> Path:
    folder.mkdir()
    (folder / "mood.yaml").write_text(WORKFLOW)
    (folder / "mood.test.yaml").write_text(tests)
    return folder / "mood.yaml"


def improved(workflow: Path, llm: ScriptedLLM, **options: object) -> History:
    with open_run(workflow, llm=llm, jobs=1, candidates=1, max_iterations=9, **options) as session:
        finish(session.loop)
        folder = session.folder
    return load(folder)


@pytest.mark.parametrize("tests", [REPEATED, JUDGED], ids=["repeated", "judged"])
def test_it_is_improved_and_a_stop_after_any_call_changes_nothing(
    tmp_path: Path, tests: str
) -> None:
    whole = improved(put(tmp_path / "whole", tests), ScriptedLLM(answer))
    run = whole.run
    assert run.first is not None
    assert run.best is not None
    assert (run.first.report.passed, run.best.report.passed) == (0, 2)
    draws = sum(1 + len(result.rollout.further) for result in run.best.report.results)
    assert draws == (5 if tests is REPEATED else 3)
    for calls in range(1, run.usage.calls, 5):
        place = put(tmp_path / f"torn{calls}", tests)
        first = ScriptedLLM(answer)
        torn = improved(place, first, budget=Budget(calls=calls))
        assert torn.run.usage.calls <= calls
        second = ScriptedLLM(answer)
        with reopen_run(torn.folder, llm=second, jobs=1, budget=Budget(calls=999)) as session:
            finish(session.loop)
        found = load(torn.folder)
        assert steps(found.folder) == steps(whole.folder)
        assert found.run.usage.calls == run.usage.calls
        assert len(first.requests) + len(second.requests) == run.usage.calls


def test_what_judges_and_further_draws_took_is_in_the_page(tmp_path: Path) -> None:
    history = improved(put(tmp_path / "run", JUDGED), ScriptedLLM(answer))
    best = history.run.best
    assert best is not None
    spent = [result.rollout.spent.calls for result in best.report.results]
    assert sum(spent) == 6  # three draws, each with its judge
    page = run_page.render(history, workflow=None)
    assert "<dd>6 calls, " in page
