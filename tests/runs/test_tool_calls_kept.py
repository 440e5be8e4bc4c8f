"""A finetune whose workflow calls a tool: what the journal says of it, and what a change means."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from finetune_fsm.api import finish, open_run, reopen_run
from finetune_fsm.errors import SourceChanged
from finetune_fsm.llm.base import Completion, Purpose, Request, ToolCall
from finetune_fsm.llm.scripted import ScriptedLLM
from finetune_fsm.runs.history import load
from finetune_fsm.tools.source import Processes

WORKFLOW = """
name: Adder
start_state: add
mcp_servers:
  maths: {type: custom-tools, tools_directory: tools}
states:
  add: {type: prompt, prompt: "Add 2 and 3", save_as: sum, mcp_servers: [maths]}
"""
TESTS = """
workflow: adder.yaml
test_scenarios:
  - name: Adds
    assertions:
      - {type: contains, target: sum, value: "5"}
"""
TOOL = """
def add(a: int, b: int) -> int:
    with open("calls", "a") as log:
        log.write("x")
    return a + b
"""


@pytest.fixture
def workflow(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "maths.py").write_text(TOOL, "utf-8")
    (tmp_path / "adder.test.yaml").write_text(TESTS, "utf-8")
    path = tmp_path / "adder.yaml"
    path.write_text(WORKFLOW, "utf-8")
    return path


def answer(request: Request) -> Completion | str:
    if request.purpose is not Purpose.STATE:
        return "{}"
    if request.messages[-1].role == "tool":
        return f"The sum is {request.messages[-1].content.splitlines()[1]}."
    return Completion("", tool_calls=(ToolCall("add", {"a": 2, "b": 3}, "c"),))


def test_a_call_is_in_the_journal_before_and_after(workflow: Path) -> None:
    with open_run(workflow, llm=ScriptedLLM(answer), tools=Processes()) as session:
        run = finish(session.loop)
        folder = session.folder
    assert run.best.report.solved
    history = load(folder)
    made = len((workflow.parent / "calls").read_text("utf-8"))
    assert made >= 1
    assert [intent.key for intent in history.begun] == [outcome.key for outcome in history.ended]
    assert len(history.begun) == made
    assert {intent.tool for intent in history.begun} == {"add"}
    assert {outcome.result.text for outcome in history.ended} == {"5"}


def test_a_run_does_not_go_on_with_another_server_under_the_same_name(workflow: Path) -> None:
    with open_run(workflow, llm=ScriptedLLM(answer), tools=Processes()) as session:
        next(iter(session.loop))
        folder = session.folder
    (workflow.parent / "tools" / "maths.py").write_text("def add(a, b): return 0", "utf-8")
    with (
        pytest.raises(SourceChanged, match="tool server 'maths' is not what it was"),
        reopen_run(folder, llm=ScriptedLLM(answer), tools=Processes()),
    ):
        pass
