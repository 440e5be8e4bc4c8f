"""Results of tools that a test file says, so that no server is started to test a workflow. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from finetune_fsm.llm.base import Stop, Tool
from finetune_fsm.tools.model import (
    Offer,
    Place,
    Specification,
    ToolResult,
    ToolServer,
    ToolSource,
)
from finetune_fsm.tools.results import joined

NOTHING = "the test scripts no result for these arguments"


@dataclass(frozen=True, slots=True)
class ScriptedTool:
    """What a tool gives back.

    Attributes:
        tool: Its name, as the model is offered it.
        arguments: A JSON object that must be part of a call's arguments; empty for any.
        result: What comes back.
        error: Why nothing does, instead; or empty.
    """

    tool: str
    arguments: str = ""
    result: str = ""
    error: str = ""

    def fits(self, name: str, arguments: Mapping[str, object]) -> bool:
        """Whether it answers this call."""
        return name == self.tool and holds(arguments, json.loads(self.arguments or "{}"))


def holds(whole: object, part: object) -> bool:
    """Whether *part* is in *whole*: keys that it does not name may be there, at any depth. Pure."""
    if isinstance(part, Mapping):
        return isinstance(whole, Mapping) and all(
            key in whole and holds(whole[key], wanted) for key, wanted in part.items()
        )
    if isinstance(part, bool) or isinstance(whole, bool):
        return part is whole
    if isinstance(part, list) and isinstance(whole, list):
        return len(part) == len(whole) and all(map(holds, whole, part))
    return whole == part


class Scripted:
    """Stands for all servers of a workflow; the first of *tools* that fits answers a call."""

    def __init__(self, tools: Sequence[ScriptedTool]) -> None:
        self._tools = tuple(tools)

    def open(self, wanted: Specification, place: Place, *, stop: Stop | None = None) -> ToolServer:
        """Return itself, whichever server is wanted."""
        del wanted, place, stop
        return self

    @property
    def offers(self) -> tuple[Offer, ...]:
        """Each tool that the script names, with the arguments that it names."""
        fields: dict[str, dict[str, object]] = {}
        for tool in self._tools:
            named = fields.setdefault(tool.tool, {})
            named |= {key: {} for key in json.loads(tool.arguments or "{}")}
        return tuple(
            Offer(Tool(name, "", {"type": "object", "properties": known}))
            for name, known in fields.items()
        )

    def call(
        self, name: str, arguments: Mapping[str, object], *, stop: Stop | None = None
    ) -> ToolResult:
        """Return what the script says."""
        del stop
        found = next((tool for tool in self._tools if tool.fits(name, arguments)), None)
        if found is None:
            return ToolResult(NOTHING, failed=True)
        return ToolResult(joined([found.error or found.result]), failed=bool(found.error))

    def close(self) -> None:
        """Do nothing: nothing is held open."""


_: tuple[type[ToolSource], type[ToolServer]] = (Scripted, Scripted)  # both protocols, says mypy
