"""Where a state goes on: the descriptions that a model chooses by, or the state that follows."""

from __future__ import annotations

from collections.abc import Mapping

from finetune_fsm.errors import Problem
from finetune_fsm.improve.replies import text_field
from finetune_fsm.improve.strategies.brief import Brief, Form, Reading
from finetune_fsm.workflow.edits import Edit, EditOp
from finetune_fsm.workflow.model import END


def _options(brief: Brief) -> Mapping[str, str]:
    options = enumerate(brief.state.next_options, start=1)
    return {"options": "\n".join(f"{n}. {o.state}: {o.description}" for n, o in options)}


def _descriptions(brief: Brief) -> Mapping[str, object]:
    count = len(brief.state.next_options)
    text = {"type": "string"}
    many = {"type": "array", "items": text, "minItems": count, "maxItems": count}
    return {"descriptions": many}


def _described(data: Mapping[str, object], brief: Brief, why: str) -> Reading:
    state = brief.state
    listed = data.get("descriptions")
    if not isinstance(listed, list) or len(listed) != len(state.next_options):
        return Problem("bad_reply", f"'descriptions' must list {len(state.next_options)} sentences")
    edits = []
    for index, (new, option) in enumerate(zip(listed, state.next_options, strict=True)):
        text = text_field({"description": new}, "description", limit=1_000)
        if isinstance(text, Problem):
            return text
        if text != option.description:
            path = (*brief.suspect.path, index, "description")
            edits.append(Edit(EditOp.SET, path, text, why))
    return tuple(edits)


def _steps(brief: Brief) -> Mapping[str, str]:
    states = brief.workflow.states.values()
    return {"steps": "\n".join(f"- {s.name} -> {', '.join(s.targets)}" for s in states)}


def _targets(brief: Brief) -> Mapping[str, object]:
    state = brief.state
    names = (*brief.workflow.file_states, END)
    others = [name for name in names if name not in (state.owner, state.next or END)]
    return {"next": {"enum": others}}


def _redirected(data: Mapping[str, object], brief: Brief, why: str) -> Reading:
    target = text_field(data, "next", limit=200)
    if isinstance(target, Problem):
        return target
    return (Edit(EditOp.SET, brief.suspect.path, target, why),)


ROUTES = Form(_options, _descriptions, _described)
REDIRECT = Form(_steps, _targets, _redirected)
