"""A real server from npm, driven by a workflow: it sees the run directory and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetune_fsm.execution.executor import run_workflow
from finetune_fsm.execution.inputs import MappingInputs
from finetune_fsm.llm.base import Completion, Request, ToolCall
from finetune_fsm.llm.scripted import ScriptedLLM
from finetune_fsm.tools.source import Processes
from finetune_fsm.workflow.load import check_text

WORKFLOW = """
name: Filer
start_state: file
mcp_servers:
  files: {type: npx, package: "@modelcontextprotocol/server-filesystem", args: ["."]}
states:
  file: {type: prompt, prompt: "Write a note", save_as: said, mcp_servers: [files]}
"""


@pytest.mark.node
@pytest.mark.timeout(240)
def test_the_filesystem_server_writes_in_the_run_directory_and_nowhere_else(
    tmp_path: Path,
) -> None:
    home, inside = tmp_path / "home", tmp_path / "run"
    home.mkdir()
    inside.mkdir()
    (home / "secret.txt").write_text("mine", "utf-8")
    workflow = check_text(WORKFLOW, folder=home).workflow
    assert workflow is not None
    calls = (
        ToolCall("write_file", {"path": str(inside / "note.txt"), "content": "milk"}, "a"),
        ToolCall("read_text_file", {"path": str(inside / "note.txt")}, "b"),
        ToolCall("read_text_file", {"path": str(home / "secret.txt")}, "c"),
    )

    def answer(request: Request) -> Completion | str:
        done = len([message for message in request.messages if message.role == "tool"])
        return Completion("", tool_calls=(calls[done],)) if done < len(calls) else "done"

    rollout = run_workflow(
        workflow,
        ScriptedLLM(answer),
        inputs=MappingInputs({}),
        run_directory=inside,
        tools=Processes(),
    )
    assert rollout.warnings == ()
    wrote, read, refused = rollout.tools
    assert (wrote.error, read.result) == ("", "milk")
    assert "denied" in refused.error.lower()
    assert (inside / "note.txt").read_text("utf-8") == "milk"
