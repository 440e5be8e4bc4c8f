"""The whole workflow, written anew by a warm model, and read back as edits of the old one.

What a small model sees when it sees everything, it sometimes repairs at once, above all what is
wrong with the structure. What it changes besides is left out: only places that are open to change
become edits, and those go through the gate like all others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from finetune_fsm.errors import InvalidDocument, Problem
from finetune_fsm.improve import wording
from finetune_fsm.improve.places import ABSENT, Change, changes, is_open
from finetune_fsm.improve.strategies.brief import Brief, Form, Reading
from finetune_fsm.workflow.edits import Edit, EditOp
from finetune_fsm.workflow.outline import mapping_at
from finetune_fsm.workflow.text import MODEL, parse

_FENCED = re.compile(r"^(`{3,})[^\n`]*\n(.*?)(?:^\1|\Z)", re.DOTALL | re.MULTILINE)


def _values(brief: Brief) -> Mapping[str, str]:
    return {"workflow": wording.shown(brief.workflow), "results": wording.results(brief.report)}


def _tokens(brief: Brief) -> int:
    """Twice what the present text takes, at three characters a token."""
    return 200 + 2 * len(brief.workflow.text) // 3


def _read(data: Mapping[str, object], brief: Brief, why: str) -> Reading:
    reply = str(data.get("text", ""))
    fenced = _FENCED.search(reply)
    try:
        new = parse(fenced[2] if fenced else reply, limits=MODEL).document
    except InvalidDocument as error:
        problem = error.problems[0]
        return Problem("bad_reply", f"the reply is no YAML: {problem.message}")
    if not isinstance(new, dict) or not isinstance(new.get("states"), dict):
        return Problem("bad_reply", "the reply is no workflow", "answer with the whole YAML")
    edits = tuple(_edits(brief, new, why))
    return edits or Problem("no_change", "nothing of what it changes may be changed")


def _edits(brief: Brief, new: Mapping[str, object], why: str) -> Iterator[Edit]:
    old = brief.workflow.document
    before, after = mapping_at(old, "states"), mapping_at(new, "states")
    come = [name for name in after if name not in before and brief.structure]
    gone = [name for name in before if name not in after and brief.structure]
    yield from (Edit(EditOp.SET, ("states", name), after[name], why) for name in come)
    for change in changes(old, new):
        match change.path:
            case ("states", name, *_) if name in before and name in after and is_open(change):
                yield _edit(change, why)
            case ("start_state",) if brief.structure:
                yield _edit(change, why)
    yield from (Edit(EditOp.REMOVE, ("states", name), None, why) for name in gone)


def _edit(change: Change, why: str) -> Edit:
    if change.new is ABSENT:
        return Edit(EditOp.REMOVE, change.path, None, why)
    return Edit(EditOp.SET, change.path, change.new, why)


WHOLE = Form(_values, None, _read, _tokens)
