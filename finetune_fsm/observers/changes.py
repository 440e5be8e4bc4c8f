"""What a draft changes, why, and for whom, as lines of the session."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from finetune_fsm.errors import Problem
from finetune_fsm.improve.model import Draft
from finetune_fsm.observers.lines import Line, Tone
from finetune_fsm.observers.verdicts import REASON_LIMIT, count
from finetune_fsm.reports.differences import DiffKind, DiffLine, differences
from finetune_fsm.reports.modifications import Fate, Modification
from finetune_fsm.reports.workflow_changes import Difference, Kind
from finetune_fsm.sinks import clean, one_line
from finetune_fsm.workflow.edits import Edit, EditOp
from finetune_fsm.workflow.text import dump

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


WHOLE = 2000
"""Lines of a diff that are shown to who asks for it."""

_FATES = {
    Fate.KEPT: Tone.GOOD,
    Fate.LOST: Tone.WARNING,
    Fate.REFUSED: Tone.WARNING,
    Fate.WAITING: Tone.PLAIN,
}


def modified(found: Modification) -> Iterator[Line]:
    """Yield what a run tried to change, how, and what became of it. Pure."""
    label = f"{found.label}: " if found.label else ""
    reason = one_line(found.reason, limit=REASON_LIMIT)
    how = one_line(found.strategy) or "draft"
    verdict = f"{label}{how}, {found.fate}{f': {reason}' if reason else ''}"
    yield Line(verdict, _FATES[found.fate], hang=4)
    yield from (against(problem) for problem in found.problems)
    if found.draft is not None:
        yield from drafted(found.draft, found.parent, limit=WHOLE)
    else:
        yield Line("  It made no draft", Tone.FAINT)


def against(problem: Problem) -> Line:
    """Return what stands against a draft, and how that would be mended. Pure."""
    hint = f" — {problem.hint}" if problem.hint else ""
    text = one_line(f"{problem.message}{hint}", limit=REASON_LIMIT)
    return Line(f"  Not usable: {text}", Tone.WARNING, hang=4)


def drafted(draft: Draft, parent: str, *, limit: int = LONGEST) -> Iterator[Line]:
    """Yield why there is *draft*, whom it is meant to help, and how it differs from *parent*.

    Pure.

    Args:
        draft: A draft, checked or not.
        parent: The workflow that it changes, as text.
        limit: Lines of the diff at most; more are counted.
    """
    why = one_line(draft.why, limit=REASON_LIMIT)
    yield Line(f"  {why}", hang=4)
    if draft.scenarios:
        yield Line(f"  Meant for: {_named(draft.scenarios)}", hang=4)
    for edit in draft.edits:
        reason = one_line(edit.why, limit=REASON_LIMIT)
        more = f": {reason}" if reason and reason != why else ""
        yield Line(f"  - {_what(edit)}{more}", hang=4)
    yield from diff_lines(parent, draft.text, indent="    ", limit=limit)


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


_SIGNS = {Kind.ADDED: "+", Kind.REMOVED: "-", Kind.CHANGED: "~", Kind.RENAMED: "~"}

_SHORT = 60  # columns of an old and a new value that stand beside each other


def differing(found: Difference) -> Iterator[Line]:
    """Yield one difference of two workflows: where, why, and what it was and is. Pure."""
    old, new = _value(found.old), _value(found.new)
    head = f"  {_SIGNS[found.kind]} {found.where} {found.kind}"
    beside = found.kind is Kind.CHANGED and "\n" not in old + new and len(old + new) <= _SHORT
    if found.kind is Kind.RENAMED:
        head = f"{head}, was {one_line(old)}"
    elif beside:
        head = f"{head}: {one_line(old)} → {one_line(new)}"
    yield Line(head, Tone.TITLE, hang=6)
    if found.why:
        yield Line(f"    {one_line(found.why, limit=REASON_LIMIT)}", hang=4)
    if not beside and found.kind is not Kind.RENAMED:
        lines = (old if found.old is not None else "", new if found.new is not None else "")
        yield from _without_places(diff_lines(*lines, indent="    ", limit=WHOLE))


def _without_places(lines: Iterable[Line]) -> Iterator[Line]:
    """Drop the headers: numbers of lines inside of a value are of no use."""
    return (line for line in lines if not line.text.lstrip().startswith("@@ -"))


def _value(value: object) -> str:
    """A value as a person writes it."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping | list):
        return dump(value).rstrip("\n")
    return "" if value is None else dump(value).strip()
