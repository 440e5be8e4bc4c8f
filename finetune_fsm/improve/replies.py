"""What a model wrote, read leniently: a reply is data, never trusted and never fatal."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from finetune_fsm.errors import Problem
from finetune_fsm.sinks import one_line, visible

_FENCE = re.compile(r"^\s*(`{3,}|~{3,})[^\n`]*\r?\n(.*?)(?:\r?\n\s*\1\s*|\Z)", re.DOTALL)
_TRAILING_COMMA = re.compile(r",(\s*[}\]])")


def read_object(text: str) -> Mapping[str, object] | Problem:
    """Return the one JSON object in *text*, or the problem with it. Pure.

    Fences, prose around the object and trailing commas are forgiven. An object that is cut off is
    not: what is missing might have been the point.
    """
    for piece in _pieces(text):
        for repaired in (piece, _TRAILING_COMMA.sub(r"\1", piece)):
            try:
                data = json.loads(repaired)
            except (ValueError, RecursionError):
                continue
            if isinstance(data, dict):
                return data
    shown = one_line(text, limit=80) or "nothing"
    return Problem("bad_reply", f"the reply is no JSON object: {shown}", "answer with JSON only")


def _pieces(text: str) -> Iterator[str]:
    yield text
    fenced = _FENCE.search(text)
    if fenced:
        yield fenced[2]
    start = text.find("{")
    if start >= 0:
        yield _balanced(text[start:])


def _balanced(text: str) -> str:
    """Return the shortest prefix of *text* in which braces outside strings are balanced."""
    depth, quoted, escaped = 0, False, False
    for index, character in enumerate(text):
        if quoted:
            quoted = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character == '"':
            quoted = True
        elif character in "{}":
            depth += 1 if character == "{" else -1
            if depth == 0:
                return text[: index + 1]
    return text


def text_field(data: Mapping[str, object], name: str, *, limit: int) -> str | Problem:
    """Return the text under *name*, trimmed, or the problem with it. Pure.

    Args:
        data: A reply's object.
        name: The wanted key, snake_case; camelCase is taken too.
        limit: Characters allowed.
    """
    value = data.get(name, data.get(_camel(name)))
    if not isinstance(value, str) or not value.strip():
        return Problem("bad_reply", f"the reply has no text under '{name}'")
    trimmed = value.strip()
    if len(trimmed) > limit:
        return Problem("too_long", f"'{name}' has {len(trimmed)} characters, {limit} are allowed")
    if visible(trimmed, limit=limit + 1) != trimmed.replace("\r\n", "\n"):
        return Problem("control_characters", f"'{name}' holds control characters")
    return trimmed


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
