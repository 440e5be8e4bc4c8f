"""Arguments of a call, as a model wrote them, held against the tool's own schema. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from finetune_fsm.llm.base import Tool
from finetune_fsm.schema import BadSchema, checker, flaw_in
from finetune_fsm.sinks import visible_line

_TOLD = 3
"""Complaints that a model is told."""


def flaws_in(arguments: Mapping[str, object], tool: Tool) -> str:
    """Return what *tool*'s schema has against *arguments*, or empty text.

    Patterns are not searched: the server looks at them itself, and one of them could take for ever.
    A schema that is none has nothing against anything.
    """
    if flaw_in(tool.parameters):
        return ""
    find = checker(tool.parameters, lambda *_: True)
    try:
        found = list(islice(find(arguments), _TOLD))
    except BadSchema:
        return ""
    told = (f"{_place(path)}{visible_line(message, limit=200)}" for path, message in found)
    return "; ".join(told)


def _place(path: tuple[str | int, ...]) -> str:
    return f"{visible_line('.'.join(map(str, path)), limit=100)}: " if path else ""
