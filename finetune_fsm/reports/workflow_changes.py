"""What differs in what two workflows do: comments, layout and the order of keys do not count. Pure.

States that come or go are told whole, and one that only has another name by both its names; all
else by its deepest place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from finetune_fsm.codec import canonical, plain
from finetune_fsm.errors import Path
from finetune_fsm.improve.places import ABSENT, changes
from finetune_fsm.sinks import one_line
from finetune_fsm.workflow.edits import Edit
from finetune_fsm.workflow.outline import mapping_at

_STATES = "states"


class Kind(StrEnum):
    """What happened to a place."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    RENAMED = "renamed"


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where two workflows differ.

    Attributes:
        kind: What happened to it.
        path: Where; of what was renamed, where it is now.
        old: What stood there, None if nothing did; of what was renamed, the name.
        new: The same of what stands there now.
        why: Reasons that were given, or empty.
    """

    kind: Kind
    path: Path
    old: object
    new: object
    why: str = ""

    @property
    def where(self) -> str:
        """The place for people, such as ``sort.prompt`` or ``state sort``."""
        if len(self.path) == 2 and self.path[0] == _STATES:
            return f"state {one_line(str(self.path[1]))}"
        steps = self.path[1:] if self.path[:1] == (_STATES,) else self.path
        return one_line(".".join(map(str, steps))) or "the document"


def workflow_changes(
    old: object, new: object, reasons: Sequence[Edit] = ()
) -> tuple[Difference, ...]:
    """Return where *new* differs from *old*, in the order of their keys. Pure.

    Args:
        old: A document, as parsed.
        new: Another.
        reasons: Edits that led there, each with its reason.
    """
    before, after = _states(old), _states(new)
    names = _renamed(before, after)
    whole = {name for name in {*before, *after} if (name in before) != (name in after)}
    found: dict[Path, Difference] = {}
    for change in changes(old, new):
        path = change.path
        if path[:1] == (_STATES,) and len(path) > 1 and path[1] in whole:
            path = path[:2]
            if path not in found and path[1] not in names.values():
                found[path] = _come_or_gone(str(path[1]), before, after, names)
            continue
        gone, come = change.new is ABSENT, change.old is ABSENT
        kind = Kind.REMOVED if gone else Kind.ADDED if come else Kind.CHANGED
        found[path] = Difference(
            kind, path, None if come else change.old, None if gone else change.new
        )
    return tuple(_explained(one, reasons) for one in found.values())


def _come_or_gone(
    name: str, before: Mapping[str, object], after: Mapping[str, object], names: Mapping[str, str]
) -> Difference:
    """The state *name*, which only one of the documents has; *names* are the old by the new."""
    path = (_STATES, name)
    if name in names:
        return Difference(Kind.RENAMED, path, names[name], name)
    if name in after:
        return Difference(Kind.ADDED, path, None, after[name])
    return Difference(Kind.REMOVED, path, before[name], None)


def _states(document: object) -> Mapping[str, object]:
    return mapping_at(document, _STATES)


def _renamed(before: Mapping[str, object], after: Mapping[str, object]) -> Mapping[str, str]:
    """Old names by new ones, of states that are alike in all else."""
    gone = {canonical(before[name]): name for name in before if name not in after}
    return {
        name: gone.pop(body)
        for name in after
        if name not in before and (body := canonical(after[name])) in gone
    }


def _explained(one: Difference, reasons: Iterable[Edit]) -> Difference:
    """Say why, by the edits above or below that place."""
    whys = (edit.why for edit in reasons if edit.why and _touches(edit.path, one.path))
    told = "; ".join(dict.fromkeys(whys))
    return Difference(one.kind, one.path, one.old, one.new, told) if told else one


def _touches(one: Path, other: Path) -> bool:
    shared = min(len(one), len(other))
    return one[:shared] == other[:shared]


def shape(found: Iterable[Difference]) -> Iterator[Mapping[str, object]]:
    """Yield each of *found* as plain data. Pure."""
    for one in found:
        data: Mapping[str, object] = plain(one)
        yield {**data, "where": one.where}
