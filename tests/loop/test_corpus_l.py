"""Replies that a model should not give: the workflow stays as it was, and the run goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
from corpus.replies import ODD_BUT_HARMLESS, REPLIES, TESTS, WORKFLOW

from finetune_fsm.api import open_loop
from finetune_fsm.llm.base import Purpose, Request
from finetune_fsm.llm.scripted import ScriptedLLM
from finetune_fsm.loop.outcomes import Ending
from finetune_fsm.loop.run import Run
from finetune_fsm.workflow.load import load


def run_with(folder: Path, reply: str) -> tuple[Run, int]:
    source = folder / "mood.yaml"
    source.write_text(WORKFLOW)
    (folder / "mood.test.yaml").write_text(TESTS)

    def model(request: Request) -> str:
        return "I cannot say." if request.purpose is Purpose.STATE else reply

    loop = open_loop(source, llm=ScriptedLLM(model), max_iterations=3)
    steps = sum(1 for _ in loop)
    assert loop.run.output is not None
    assert loop.run.output.read_text() == WORKFLOW  # whatever was tried won nothing
    return loop.run, steps


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES)
def test_a_bad_reply_leaves_the_workflow_as_it_was(tmp_path: Path, reply: str) -> None:
    run, steps = run_with(tmp_path, reply)
    assert (tmp_path / "mood.yaml").read_text() == WORKFLOW
    assert run.ending is Ending.NOTHING_LEFT
    assert steps > 10  # it went on to other attempts
    tried = [trial.strategy for record in run.history for trial in record.trials]
    assert set(tried) <= {"", "repair"}  # the rules' own, which owe nothing to the reply


@pytest.mark.parametrize("reply", ODD_BUT_HARMLESS.values(), ids=ODD_BUT_HARMLESS)
def test_an_odd_reply_is_text_in_a_prompt_and_nothing_else(tmp_path: Path, reply: str) -> None:
    run, _ = run_with(tmp_path, reply)
    assert run.output is not None
    trials = [trial for record in run.history for trial in record.trials]
    snapshots = [t.snapshot for t in trials if t.strategy not in ("", "repair")]
    assert snapshots
    original = dict(load(run.output).document) | {"states": 0}
    for snapshot in snapshots:
        tried = load(snapshot, strict=True)
        assert "{{review}}" in (tried.states["sort"].prompt or "")
        assert dict(tried.document) | {"states": 0} == original
