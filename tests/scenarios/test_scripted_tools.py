"""Scenarios that say what tools give back: no server is started, and calls can be asserted."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from finetune_fsm.errors import errors_in
from finetune_fsm.llm.base import Completion, Request, ToolCall
from finetune_fsm.llm.scripted import ScriptedLLM
from finetune_fsm.scenarios.evaluate import run_suite
from finetune_fsm.scenarios.load import check_suite_text, dump_suite, suite_of
from finetune_fsm.tools.model import Place, Specification, ToolServer
from finetune_fsm.tools.scripted import NOTHING, Scripted, ScriptedTool, holds
from finetune_fsm.workflow.load import check_text
from finetune_fsm.workflow.text import parse

WORKFLOW = """
name: Reader
start_state: read
mcp_servers:
  files: {command: no-such-program}
  web: {command: no-such-program-either}
states:
  read: {type: prompt, prompt: "Read notes.txt", save_as: said, mcp_servers: [files, web]}
"""
TESTS = """
workflow: reader.yaml
test_scenarios:
  - name: Reads
    tools:
      - {tool: read_file, arguments: {path: notes.txt}, result: Buy milk.}
      - {tool: read_file, error: no such file}
    assertions:
      - {type: contains, target: said, value: Buy milk.}
      - {type: tool_called, tool: read_file, min: 1, max: 1}
      - {type: tool_args, tool: read_file, arguments: {path: notes.txt}}
      - {type: tool_args, tool: read_file, arguments: {path: other.txt}, not: true}
      - {type: tool_not_called, tool: write_file}
"""
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=6,
)


def answer(request: Request) -> Completion | str:
    last = request.messages[-1]
    if last.role == "tool":
        return last.content
    assert [tool.name for tool in request.tools] == ["read_file"]
    return Completion("", tool_calls=(ToolCall("read_file", {"path": "notes.txt"}, "c"),))


def test_a_workflow_with_tools_is_tested_without_any_server() -> None:
    workflow = check_text(WORKFLOW, folder=Path("/")).workflow
    checked = check_suite_text(TESTS, Path("/reader.test.yaml"), workflow=workflow)
    assert not errors_in(checked.problems)
    report = run_suite(workflow, checked.suite, ScriptedLLM(answer))
    assert report.solved, [result.assertions for result in report.results]
    assert report.results[0].rollout.warnings == ()


def test_a_suite_with_scripted_tools_reads_back_equal() -> None:
    suite = suite_of(parse(TESTS).document)
    assert suite_of(parse(dump_suite(suite)).document) == suite
    assert suite.scenarios[0].tools[1] == ScriptedTool("read_file", error="no such file")


def test_a_result_must_be_a_result_or_an_error() -> None:
    wrong = TESTS.replace("error: no such file", "error: x, result: y")
    assert errors_in(check_suite_text(wrong, Path("/x.test.yaml"), workflow=None).problems)


def test_the_first_that_fits_answers_and_what_none_fits_is_an_error() -> None:
    tools = (
        ScriptedTool("get", '{"id":1}', "one"),
        ScriptedTool("get", '{"id":2}', error="gone"),
        ScriptedTool("put", result="done"),
    )
    source = Scripted(tools)
    wanted = Specification("s", {"command": "x"}, Path("/"))
    server: ToolServer = source.open(wanted, Place(Path("/")))
    assert [offer.tool.name for offer in server.offers] == ["get", "put"]
    assert server.call("get", {"id": 1, "more": 2}).text == "one"
    gone, none = server.call("get", {"id": 2}), server.call("get", {"id": 3})
    assert (gone.text, gone.failed, none.text, none.failed) == ("gone", True, NOTHING, True)


@given(JSON)
def test_everything_holds_itself(value: object) -> None:
    assert holds(value, value)


@given(st.dictionaries(st.sampled_from("abc"), JSON), st.dictionaries(st.sampled_from("de"), JSON))
def test_more_keys_do_no_harm_and_missing_ones_do(
    part: dict[str, object], more: dict[str, object]
) -> None:
    assert holds({**more, **part}, part)
    if more:
        assert not holds(part, {**more, **part})


def test_true_is_not_one() -> None:
    assert not holds({"a": True}, {"a": 1})
    assert not holds({"a": 1}, {"a": True})
