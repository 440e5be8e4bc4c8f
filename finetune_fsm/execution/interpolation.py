"""Placeholders: exactly ``{{name}}``, filled once, and what was put in is never read again.

A reply that itself says ``{{password}}`` therefore stays that text, wherever it is used later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from finetune_fsm.errors import ExecutionError
from finetune_fsm.workflow.model import PLACEHOLDER

LIMIT = 1_000_000
"""Characters of one filled-in text at most: a loop that doubles a variable stops here."""


@dataclass(frozen=True, slots=True)
class Filled:
    """A text with its placeholders filled in.

    Attributes:
        text: The result.
        used: Names whose values went in, each once, in order.
        missing: Names that nothing has set, each once, in order; they stay as written.
    """

    text: str
    used: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def fill(text: str, variables: Mapping[str, str], *, limit: int = LIMIT) -> Filled:
    """Return *text* with every ``{{name}}`` of *variables* replaced by its value. Pure.

    Raises:
        ExecutionError: the result would be longer than *limit* characters.
    """
    pieces: list[str] = []
    used: dict[str, None] = {}
    missing: dict[str, None] = {}
    end = 0
    for match in PLACEHOLDER.finditer(text):
        name = match[1]
        pieces += text[end : match.start()], variables.get(name, match[0])
        (used if name in variables else missing)[name] = None
        end = match.end()
    pieces.append(text[end:])
    length = sum(map(len, pieces))  # before joining: the pieces may be one long value many times
    if length > limit:
        raise ExecutionError(
            f"the filled-in text has {length} characters, more than {limit} — "
            "a variable grows at every round, or a file is too long"
        )
    return Filled("".join(pieces), tuple(used), tuple(missing))
