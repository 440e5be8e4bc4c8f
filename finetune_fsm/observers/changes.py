"""What a draft changes, why, and for whom, as lines of the session."""

from __future__ import annotations

from collections.abc import Iterator

from finetune_fsm.improve.model import Draft
from finetune_fsm.observers.lines import Line, Tone
from finetune_fsm.observers.verdicts import REASON_LIMIT, count
from finetune_fsm.reports.differences import DiffKind, DiffLine, differences
from finetune_fsm.sinks import clean, one_line
from finetune_fsm.workflow.edits import Edit, EditOp

NAMED = 4
"""Scenarios named at most; of more, how many they are."""

LONGEST = 80
"""Lines of a diff that a session shows; the whole text stands in the iteration's file."""

_TONES = {
    DiffKind.PLACE: Tone.FAINT,
    DiffKind.SAME: Tone.PLAIN,
    DiffKind.ADDED: Tone.ADDED,
    DiffKind.REMOVED: Tone.REMOVED,
}


def drafted(draft: Draft, parent: str) -> Iterator[Line]:
    """Yield why there is *draft*, whom it is meant to help, and how it differs from *parent*.

    Pure.

    Args:
        draft: A draft, checked or not.
        parent: The workflow that it changes, as text.
    """
    why = one_line(draft.why, limit=REASON_LIMIT)
    yield Line(f"  {why}", hang=4)
    if draft.scenarios:
        yield Line(f"  Meant for: {_named(draft.scenarios)}", hang=4)
    for edit in draft.edits:
        reason = one_line(edit.why, limit=REASON_LIMIT)
        more = f": {reason}" if reason and reason != why else ""
        yield Line(f"  - {_what(edit)}{more}", hang=4)
    yield from diff_lines(parent, draft.text, indent="    ")


def diff_lines(
    old: str, new: str, *, indent: str = "", context: int = 2, limit: int = LONGEST
) -> Iterator[Line]:
    """Yield how *new* differs from *old* as lines for people, changed words marked. Pure.

    Args:
        old: Any text.
        new: Any text.
        indent: In front of every line.
        context: Unchanged lines around a change.
        limit: Lines at most; more are counted.
    """
    # Hidden first, then compared: a piece of a secret is no secret that a sink would know.
    lines = differences(_hidden(old), _hidden(new), context=context)
    for line in lines[:limit]:
        yield _shown(line, indent)
    if len(lines) > limit:
        left = count(len(lines) - limit, "more line")
        yield Line(f"{indent}… {left} of the diff", Tone.FAINT)


def _hidden(text: str) -> str:
    return clean(text, limit=max(1, len(text)))


def _shown(line: DiffLine, indent: str) -> Line:
    if line.kind is DiffKind.PLACE:
        return Line(f"{indent}{line.text}", Tone.FAINT)
    sign = f"{indent}{line.kind}"
    shift = len(sign)
    marks = tuple((a + shift, b + shift) for a, b in line.marks) if line.partly else ()
    depth = len(line.text) - len(line.text.lstrip(" "))
    hang = min(shift + depth, 2 * len(indent) + 16) + 2
    return Line(f"{sign}{line.text}", _TONES[line.kind], marks, hang)


def _named(scenarios: tuple[str, ...]) -> str:
    names = ", ".join(f"'{one_line(name, limit=60)}'" for name in scenarios[:NAMED])
    more = len(scenarios) - NAMED
    return f"{names} and {more} more" if more > 0 else names


def _what(edit: Edit) -> str:
    steps = edit.path[1:] if edit.path[:1] == ("states",) else edit.path
    place = one_line(".".join(str(step) for step in steps))
    return f"{'remove' if edit.op is EditOp.REMOVE else 'set'} {place}"
