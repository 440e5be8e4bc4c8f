"""Tools on the wire: how they are offered, and what comes back as calls of them. All pure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from finetune_fsm.errors import LLMError, LLMErrorKind
from finetune_fsm.llm.base import Tool, ToolCall
from finetune_fsm.llm.transport import unexpected
from finetune_fsm.sinks import one_line

LIMIT = 100
"""Calls in one reply at most."""

_DEPTH = 32  # lists and mappings inside each other, in arguments
_SURROGATE = re.compile("[\ud800-\udfff]")


def offered(tools: tuple[Tool, ...]) -> list[dict[str, object]]:
    """Return *tools* as Ollama and OpenAI's protocol take them."""
    return [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": {"type": "object", "properties": {}} | dict(tool.parameters),
            },
        }
        for tool in tools
    ]


def call_of(name: str, arguments: object, call_id: str = "") -> ToolCall:
    """Return the call of the tool *name* with *arguments*, an object or JSON text of one.

    Whatever a model wrote is a call: one that cannot be made says why in its `problem`.
    """
    name, call_id = _whole(name), _whole(call_id)
    if not name:
        return ToolCall("", id=call_id, problem="the call names no tool")
    try:
        return ToolCall(name, _read(arguments), call_id)
    except _Refused as refused:
        return ToolCall(name, id=call_id, problem=str(refused))


class _Refused(Exception):
    """These are no arguments; says why."""


def _read(arguments: object) -> Mapping[str, object]:
    value = {} if arguments is None or arguments == "" else arguments  # of a tool without any
    value = _parsed(value) if isinstance(value, str) else value
    if not isinstance(value, Mapping):
        raise _Refused(f"the arguments are no JSON object: {one_line(repr(value), limit=60)}")
    return {_whole(str(key)): _cleaned(item, 1) for key, item in value.items()}


def _parsed(arguments: str) -> object:
    try:
        return json.loads(arguments, strict=False)  # models write line ends into texts as they are
    except (ValueError, RecursionError) as error:
        start = one_line(arguments, limit=120)
        why = one_line(str(error), limit=120)
        raise _Refused(f"the arguments are no JSON ({why}): {start}") from error


def _cleaned(value: object, depth: int) -> object:
    """Return *value* as a journal can hold it."""
    if depth > _DEPTH:
        raise _Refused(f"the arguments are more than {_DEPTH} lists or objects inside each other")
    if isinstance(value, str):
        return _whole(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise _Refused("the arguments hold a number that is not finite")
    if isinstance(value, Mapping):
        return {_whole(str(key)): _cleaned(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_cleaned(item, depth + 1) for item in value]
    return value


def _whole(text: str) -> str:
    return _SURROGATE.sub("\ufffd", text)


@dataclass(slots=True)
class _Begun:
    name: str = ""
    id: str = ""
    text: str = ""
    value: object = None


class Calls:
    """Gathers the calls of one reply, however they are cut into pieces.

    Args:
        who: Names the server in messages.
    """

    def __init__(self, who: str) -> None:
        self._who = who
        self._begun: dict[int, _Begun] = {}

    def add(self, pieces: object) -> str:
        """Take the *pieces* of one event and return what is new of their text, to be measured.

        Raises:
            LLMError: they do not look like calls (`PROTOCOL`), or are too many (`CUT_BY_LIMIT`).
        """
        if pieces is None:
            return ""
        if not isinstance(pieces, list):
            raise unexpected(repr(pieces), self._who)
        return "".join(self._add(piece) for piece in pieces)

    def all(self, *, made: str = "") -> tuple[ToolCall, ...]:
        """Return the calls in order; one without an id gets *made* and its number, if given."""
        found = [self._begun[index] for index in sorted(self._begun)]
        return tuple(
            call_of(
                begun.name,
                begun.value if begun.value is not None else begun.text,
                begun.id or (f"{made}{number:02d}" if made else ""),
            )
            for number, begun in enumerate(found)
        )

    def _add(self, piece: object) -> str:
        function = piece.get("function") if isinstance(piece, Mapping) else None
        if not isinstance(piece, Mapping) or not isinstance(function, Mapping):
            raise unexpected(repr(piece), self._who)
        name, said = function.get("name") or "", function.get("arguments")
        call_id = piece.get("id") or ""
        if not isinstance(name, str) or not isinstance(call_id, str):
            raise unexpected(repr(piece), self._who)
        begun = self._place(piece.get("index"), name)
        begun.name += "" if name == begun.name else name
        begun.id = begun.id or call_id
        if isinstance(said, str):
            begun.text += said
        elif said is not None:
            begun.value = said
        return name + (said if isinstance(said, str) else "" if said is None else repr(said))

    def _place(self, index: object, name: str) -> _Begun:
        last = max(self._begun, default=-1)
        if not isinstance(index, int) or isinstance(index, bool):
            goes_on = last >= 0 and not (name and self._begun[last].name)
            index = last if goes_on else last + 1  # some servers do not number them
        if index not in self._begun and len(self._begun) == LIMIT:
            message = f"the model asks for more than {LIMIT} tools in one reply"
            raise LLMError(LLMErrorKind.CUT_BY_LIMIT, message, hint="offer it fewer tools")
        return self._begun.setdefault(index, _Begun())


def unable(error: LLMError, model: str) -> LLMError:
    """Return what *error* means when tools were offered; often the same."""
    if error.kind is not LLMErrorKind.BAD_REQUEST or "tool" not in error.message.lower():
        return error
    message = f"the model '{one_line(model)}' cannot be offered tools ({error.message})"
    hint = "name a model that can use tools, such as qwen3 or llama3.1, or run with --no-tools"
    return LLMError(error.kind, message, hint=hint)
