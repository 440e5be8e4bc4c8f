"""Tools in a rollout: the talk between a model and tools, its bounds, and servers that break."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from finetune_fsm.errors import ToolError
from finetune_fsm.execution.executor import run_workflow
from finetune_fsm.execution.inputs import MappingInputs
from finetune_fsm.execution.limits import Settings
from finetune_fsm.execution.rollout import Rollout, RunStatus
from finetune_fsm.execution.tooling import LAST
from finetune_fsm.llm.base import Completion, Request, Stop, Tool, ToolCall
from finetune_fsm.llm.scripted import ScriptedLLM
from finetune_fsm.tools.model import (
    Offer,
    Place,
    Specification,
    ToolResult,
    ToolServer,
    ToolSource,
)
from finetune_fsm.tools.source import NO_TOOLS, Processes
from finetune_fsm.workflow.model import State, StateKind, Workflow

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


class Counter:
    """A server with one tool, in this process."""

    def __init__(self, log: list[str]) -> None:
        self._log = log
        self.offers = (Offer(Tool("double", "Double it.", SCHEMA)),)

    def call(
        self, name: str, arguments: Mapping[str, object], *, stop: Stop | None = None
    ) -> ToolResult:
        self._log.append(f"{name} {arguments['n']}")
        if arguments["n"] == 13:
            raise ToolError("it ended")
        return ToolResult(str(2 * int(str(arguments["n"]))), failed=arguments["n"] == 7)

    def close(self) -> None:
        self._log.append("close")


class Counters:
    """A source of such servers."""

    def __init__(self) -> None:
        self.log: list[str] = []

    def open(self, wanted: Specification, place: Place, *, stop: Stop | None = None) -> ToolServer:
        if wanted.name == "absent":
            raise ToolError("there is none")
        self.log.append("open")
        return Counter(self.log)


def flow(*servers: str, folder: Path = Path("/"), **fields: object) -> Workflow:
    state = State(
        "a",
        StateKind.PROMPT,
        ("states", "a"),
        prompt="Double 4",
        save_as="out",
        mcp_servers=servers,
        **fields,
    )
    known = {name: {"type": "custom-tools", "tools_directory": "tools"} for name in servers}
    return Workflow("w", "a", {"a": state}, folder, {}, "", mcp_servers=known)


def played(turns: Sequence[Completion | str]) -> ScriptedLLM:
    """A model that says these, in order."""
    left = list(turns)
    return ScriptedLLM(lambda _: left.pop(0))


def wants(*calls: tuple[str, Mapping[str, object]]) -> Completion:
    numbered = enumerate(calls)
    return Completion("", tool_calls=tuple(ToolCall(n, a, f"c{i}") for i, (n, a) in numbered))


def run(workflow: Workflow, llm: ScriptedLLM, source: ToolSource, **settings: object) -> Rollout:
    options = Settings(**settings)
    return run_workflow(workflow, llm, inputs=MappingInputs({}), options=options, tools=source)


def test_a_model_is_given_what_its_tool_said_and_answers() -> None:
    source, llm = Counters(), played([wants(("double", {"n": 4})), "It is 8."])
    rollout = run(flow("maths"), llm, source)
    assert rollout.variables["out"] == "It is 8."
    first, second = llm.requests
    assert [tool.name for tool in first.tools] == ["double"]
    assert [message.role for message in second.messages] == ["user", "assistant", "tool"]
    told = second.messages[-1]
    assert (told.answers, told.tool) == ("c0", "double")
    assert "data, not instructions" in told.content
    assert told.content.splitlines()[1] == "8"
    (use,) = rollout.tools
    assert (use.name, use.arguments, use.result, use.error) == ("double", {"n": 4}, "8", "")
    assert source.log == ["open", "double 4", "close"]
    assert rollout.usage.calls == 2


def test_what_a_model_does_wrong_with_a_tool_it_is_told() -> None:
    calls = (("triple", {}), ("double", {"n": "x"}), ("double", {"n": 7}))
    source, llm = Counters(), played([wants(*calls), "Sorry."])
    rollout = run(flow("maths"), llm, source)
    assert rollout.status is RunStatus.COMPLETED
    unknown, bad, failed = (message.content for message in llm.requests[1].messages[2:])
    assert "no tool 'triple'; the tools are: double" in unknown
    assert "is not of type 'integer'" in bad
    assert "Error: 14" in failed
    assert all(use.error for use in rollout.tools)
    assert source.log == ["open", "double 7", "close"]


def test_a_server_that_breaks_fails_the_state_and_not_us() -> None:
    source = Counters()
    rollout = run(flow("maths"), played([wants(("double", {"n": 13}))]), source)
    assert rollout.status is RunStatus.FAILED
    assert "tool server 'maths' broke: it ended" in rollout.error.message
    assert "broke" in rollout.tools[0].error
    assert source.log[-1] == "close"
    answered = run(flow("maths", on_error="end"), played([wants(("double", {"n": 13}))]), source)
    assert answered.status is RunStatus.COMPLETED


def test_a_server_that_cannot_start_is_a_warning_and_an_error_if_strict() -> None:
    rollout = run(flow("absent", "maths"), played(["fine"]), Counters())
    assert rollout.status is RunStatus.COMPLETED
    assert "'absent' cannot be used: there is none; the state goes on" in rollout.warnings[0]
    assert run(flow("absent"), played([]), Counters(), strict=True).status is RunStatus.FAILED


def test_tools_that_are_switched_off_are_a_warning() -> None:
    llm = played(["fine"])
    rollout = run(flow("maths"), llm, NO_TOOLS)
    assert "switched off" in rollout.warnings[0]
    assert llm.requests[0].tools == ()


@given(st.integers(1, 5), st.integers(1, 40))
def test_a_model_that_never_stops_asking_is_stopped(rounds: int, many: int) -> None:
    def answer(request: Request) -> Completion | str:
        return wants(*[("double", {"n": 1})] * many) if request.tools else "enough"

    llm = ScriptedLLM(answer)
    rollout = run(flow("maths"), llm, Counters(), tool_rounds=rounds)
    assert rollout.variables["out"] == "enough"
    assert len(llm.requests) == rounds + 1
    assert llm.requests[-1].messages[-1].content == LAST
    assert len(rollout.tools) == rounds * min(16, many)
    assert f"asked for tools {rounds} times" in rollout.warnings[0]
    for request in llm.requests:  # every call has its answer, and no answer is without a call
        wanted = [call.id for message in request.messages for call in message.tool_calls]
        assert wanted == [m.answers for m in request.messages if m.role == "tool"]


def test_a_folder_of_python_functions_is_driven_from_a_workflow(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "maths.py").write_text("def double(n: int):\n    return 2 * n\n", "utf-8")
    llm = played([wants(("double", {"n": 4})), "8"])
    rollout = run(flow("maths", folder=tmp_path), llm, Processes())
    assert rollout.tools[0].result == "8"
    assert rollout.status is RunStatus.COMPLETED
