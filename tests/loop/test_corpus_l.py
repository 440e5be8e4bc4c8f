"""Replies that a model should not give: the workflow stays as it was, and the run goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
from corpus.replies import ODD_BUT_HARMLESS, REPLIES, TESTS, WORKFLOW

from finetune_fsm.api import open_loop
from finetune_fsm.llm.base import Purpose, Request
from finetune_fsm.llm.scripted import ScriptedLLM
from finetune_fsm.loop.outcomes import Ending
from finetune_fsm.workflow.load import load


def run_with(folder: Path, reply: str) -> tuple[Path, Ending | None, int]:
    source = folder / "mood.yaml"
    source.write_text(WORKFLOW)
    (folder / "mood.test.yaml").write_text(TESTS)

    def model(request: Request) -> str:
        return "I cannot say." if request.purpose is Purpose.STATE else reply

    loop = open_loop(source, llm=ScriptedLLM(model), max_iterations=3)
    steps = sum(1 for _ in loop)
    assert loop.run.output is not None
    return loop.run.output, loop.run.ending, steps


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES)
def test_a_bad_reply_leaves_the_workflow_as_it_was(tmp_path: Path, reply: str) -> None:
    output, ending, steps = run_with(tmp_path, reply)
    assert output.read_text() == WORKFLOW
    assert (tmp_path / "mood.yaml").read_text() == WORKFLOW
    assert ending is Ending.NOTHING_LEFT
    assert steps > 10  # it went on to other attempts
    assert sorted(p.name for p in tmp_path.glob("*iter*")) == ["mood.finetune-iter1.yaml"]


@pytest.mark.parametrize("reply", ODD_BUT_HARMLESS.values(), ids=ODD_BUT_HARMLESS)
def test_an_odd_reply_is_text_in_a_prompt_and_nothing_else(tmp_path: Path, reply: str) -> None:
    output, _, _ = run_with(tmp_path, reply)
    assert output.read_text() == WORKFLOW  # it was tried, and won nothing
    tried = load(tmp_path / "mood.finetune-iter2.yaml", strict=True)
    assert "{{review}}" in (tried.states["sort"].prompt or "")
    assert dict(tried.document) | {"states": 0} == dict(load(output).document) | {"states": 0}
