"""Tools in a rollout: the servers of its states, and the talk between a model and them.

Whatever a model does wrong with a tool, an unknown name or bad arguments, it is told as the result
of the call, as it is told what the tool itself says went wrong. A server that dies or hangs is
another matter: then the state cannot go on, and its ``on_error`` answers for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from finetune_fsm.errors import ExecutionError, ToolError
from finetune_fsm.execution.rollout import ToolUse
from finetune_fsm.llm.base import Completion, Message, Request, Stop, Tool, ToolCall
from finetune_fsm.sinks import one_line, visible_line
from finetune_fsm.tools.arguments import flaws_in
from finetune_fsm.tools.model import Place, Specification, ToolServer, ToolSource
from finetune_fsm.tools.naming import Offered, distinct
from finetune_fsm.tools.results import as_data
from finetune_fsm.workflow.model import State, Workflow

CALLS = 16
"""Calls of one reply that are made; a model that wants more is not told what it wants."""

TOOLS = 128
"""Tools that one state is offered at most; some servers of models take no more."""

RECORDED = 2000
"""Characters of a result that the record of a visit keeps."""

LAST = "Answer now with what you know. There are no more tools."
"""The last turn of a talk in which the model never stopped asking for tools."""


@dataclass(frozen=True, slots=True)
class Kit:
    """The tools of one state.

    Attributes:
        offered: By the name for the model.
        servers: By their names in the workflow.
        problems: Why a server that the state names is not among them, a sentence each.
    """

    offered: Mapping[str, Offered] = field(default_factory=dict)
    servers: Mapping[str, ToolServer] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    @property
    def tools(self) -> tuple[Tool, ...]:
        """What a request offers."""
        return tuple(offered.tool for offered in self.offered.values())


class Bench:
    """The tool servers of one rollout: each started when a state first needs it, ended together.

    Args:
        source: Where they come from.
        place: Whom they work for.
    """

    def __init__(self, source: ToolSource, place: Place) -> None:
        self._source = source
        self._place = place
        self._open: dict[tuple[str, str], ToolServer] = {}
        self._failed: dict[tuple[str, str], str] = {}

    def kit(self, workflow: Workflow, state: State, stop: Stop) -> Kit:
        """Return the tools of *state*, whose servers run then.

        Raises:
            MissingExtra: the library that speaks to servers is not installed.
            SourceChanged: a server is not what was allowed.
            Cancelled: *stop* was asked for.
        """
        servers: dict[str, ToolServer] = {}
        problems: list[str] = []
        for name in dict.fromkeys(state.mcp_servers):
            try:
                server = self._server(workflow, name, stop)
                if all(server is not other for other in servers.values()):
                    servers[name] = server  # a script stands for all of them
            except ToolError as error:
                problems.append(f"tool server '{one_line(name)}' cannot be used: {error}")
        offered = distinct({name: server.offers for name, server in servers.items()})
        if len(offered) > TOOLS:
            problems.append(f"the servers offer {len(offered)} tools; {TOOLS} are all that is used")
            offered = dict(list(offered.items())[:TOOLS])
        return Kit(offered, servers, tuple(problems))

    def close(self) -> None:
        """End all servers."""
        while self._open:
            _, server = self._open.popitem()
            server.close()

    def forget(self, server: ToolServer) -> None:
        """End *server*, which broke; the states to come go on without it."""
        for key in [key for key, held in self._open.items() if held is server]:
            del self._open[key]
            self._failed[key] = "it broke in this run before"
        server.close()

    def _server(self, workflow: Workflow, name: str, stop: Stop) -> ToolServer:
        key = (str(workflow.folder), name)
        if key in self._failed:
            raise ToolError(self._failed[key])
        if key not in self._open:
            wanted = Specification(name, workflow.mcp_servers[name], workflow.folder)
            try:
                self._open[key] = self._source.open(wanted, self._place, stop=stop)
            except ToolError as error:
                self._failed[key] = str(error)
                raise
        return self._open[key]


def converse(
    request: Request,
    *,
    ask: Callable[[Request], Completion],
    use: Callable[[ToolCall], str],
    rounds: int,
) -> tuple[Completion, bool]:
    """Return the model's answer to *request*, after all the calls of tools that it wanted.

    Args:
        request: Offers the tools.
        ask: Asks the model.
        use: Makes a call and returns what the model is told.
        rounds: Times that the model may want tools; then it is asked once more, without any.

    Returns:
        The reply, and whether the model had to be stopped.
    """
    for _ in range(rounds):
        completion = ask(request)
        if not completion.tool_calls:
            return completion, False
        calls = completion.tool_calls[:CALLS]
        said = Message("assistant", completion.text, tool_calls=calls)
        told = (Message("tool", use(call), answers=call.id, tool=call.name) for call in calls)
        request = replace(request, messages=(*request.messages, said, *told))
    last = Message("user", LAST)
    return ask(replace(request, messages=(*request.messages, last), tools=())), True


def call(kit: Kit, wanted: ToolCall, *, stop: Stop, bench: Bench) -> tuple[ToolUse, str]:
    """Make the call that a model *wanted*; return the record of it and what the model is told.

    Raises:
        ToolBroke: the server died or hung; it has been ended.
        Cancelled: *stop* was asked for.
    """
    started = time.monotonic()
    name, arguments = wanted.name, wanted.arguments
    offered = kit.offered.get(name)
    if offered is None or wanted.problem:
        wrong = wanted.problem or _unknown(name, kit)
    else:
        wrong = flaws_in(arguments, offered.tool)
    if offered is None or wrong:
        return ToolUse(name, arguments, error=_cut(wrong)), _error(wrong)
    server = kit.servers[offered.server]
    try:
        found = server.call(offered.own, arguments, stop=stop)
    except ToolError as error:
        bench.forget(server)
        seconds = time.monotonic() - started
        why = f"tool server '{one_line(offered.server)}' broke: {error}"
        raise ToolBroke(why, ToolUse(name, arguments, error=_cut(why), seconds=seconds)) from error
    use = ToolUse(name, arguments, seconds=time.monotonic() - started)
    if found.failed:
        return replace(use, error=_cut(found.text)), as_data(_error(found.text), tool=name)
    return replace(use, result=_cut(found.text)), as_data(found.text, tool=name)


class ToolBroke(ExecutionError):
    """A tool server died or hung during a call, whose record is `use`."""

    def __init__(self, message: str, use: ToolUse) -> None:
        super().__init__(message)
        self.use = use


def _unknown(name: str, kit: Kit) -> str:
    there = ", ".join(kit.offered) or "none at all"
    return f"there is no tool '{visible_line(name, limit=64)}'; the tools are: {there}"


def _error(text: str) -> str:
    return f"Error: {text}"


def _cut(text: str) -> str:
    return text if len(text) <= RECORDED else f"{text[: RECORDED - 1]}…"
