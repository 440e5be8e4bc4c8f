"""Small changes to a document, as values, and their effect on plain data.

An edit names a place and what to put there. Its place must exist, or be a new key of an existing
mapping, or the index after a list's last; only the mappings in `GROWN` come into being by
themselves, so that a misspelt state is a problem and not a new state.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from finetune_fsm.errors import InvalidDocument, Path, Problem
from finetune_fsm.schema import suggestion
from finetune_fsm.sinks import one_line
from finetune_fsm.workflow.layout import unwritable

GROWN = frozenset({"options", "variables"})
"""Keys under which a missing mapping is made when something is set inside it."""


class EditOp(StrEnum):
    """What an edit does: put a value somewhere, or take it away."""

    SET = "set"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Edit:
    """One change.

    Attributes:
        op: Set or remove.
        path: Keys and list indices from the document's root; never empty.
        value: Plain data to put there; meaningless for a removal.
        why: The reason, for people, or empty.
    """

    op: EditOp
    path: Path
    value: object = None
    why: str = ""


class EditError(InvalidDocument):
    """Edits that cannot be made, one problem for each of them."""

    @property
    def problem(self) -> Problem:
        """The first of the problems."""
        return self.problems[0]


class _Refused(Exception):
    """One edit that cannot be made."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.problem = problem


def edited(document: object, edits: Iterable[Edit]) -> object:
    """Return *document* with *edits* made one after the other; *document* stays as it is. Pure.

    Setting an existing key keeps its position, a new one comes last. Setting the index after a
    list's last item appends; removing an item moves the later ones up.

    Raises:
        EditError: one or more cannot be made; says so of each.
    """
    problems = []
    for edit in edits:
        try:
            _refuse_odd(edit)
            document = _changed(document, edit, edit.path)
        except _Refused as refused:
            problems.append(refused.problem)
    if problems:
        raise EditError(problems)
    return document


def _refuse_odd(edit: Edit) -> None:
    if not edit.path:
        message = "an edit must name a place inside the document"
        raise _Refused(Problem("bad_path", message, "give a path such as states/NAME/prompt"))
    if edit.op is EditOp.SET and (odd := unwritable(edit.value, edit.path)):
        raise _Refused(Problem("bad_value", odd[1], "give plain text", odd[0]))


def _changed(item: object, edit: Edit, rest: Path) -> object:
    step, deeper = rest[0], rest[1:]
    if isinstance(item, Mapping):
        return _changed_mapping(item, edit, step, deeper)
    if isinstance(item, list | tuple):
        return _changed_list(item, edit, step, deeper)
    raise _Refused(_unknown(edit, deeper, "is no mapping and no list", ""))


def _changed_mapping(
    item: Mapping[str, object], edit: Edit, step: str | int, deeper: Path
) -> object:
    if not isinstance(step, str):
        raise _Refused(_unknown(edit, deeper, "is a mapping: it has keys, no numbers", ""))
    result = dict(item)
    if deeper:
        grown = step in GROWN and edit.op is EditOp.SET and item.get(step) is None
        if step not in item and not grown:
            raise _Refused(_unknown(edit, deeper, *_missing(step, tuple(item))))
        result[step] = _changed({} if grown else item[step], edit, deeper)
    elif edit.op is EditOp.SET:
        result[step] = edit.value
    elif step in item:
        del result[step]
    else:
        raise _Refused(_unknown(edit, deeper, *_missing(step, tuple(item))))
    return result


def _changed_list(item: Sequence[object], edit: Edit, step: str | int, deeper: Path) -> object:
    appends = edit.op is EditOp.SET and not deeper
    if isinstance(step, bool) or not isinstance(step, int) or step < 0:
        raise _Refused(_unknown(edit, deeper, "is a list: count its items from 0", ""))
    if step >= len(item) + appends:
        raise _Refused(_unknown(edit, deeper, f"has {len(item)} items, counted from 0", ""))
    result = list(item)
    if deeper:
        result[step] = _changed(item[step], edit, deeper)
    elif edit.op is EditOp.SET:
        result[step : step + 1] = [edit.value]
    else:
        del result[step]
    return result


def _missing(step: str, known: Sequence[str]) -> tuple[str, str]:
    shown = one_line(", ".join(map(str, known)))
    return f"has no '{one_line(step, limit=60)}'", suggestion(step, known) or f"it has: {shown}"


def _unknown(edit: Edit, deeper: Path, reason: str, hint: str) -> Problem:
    parents = edit.path[: -1 - len(deeper)]
    place = one_line("/".join(map(str, parents))) or "the document"
    return Problem("unknown_path", f"{place} {reason}", hint, edit.path)
