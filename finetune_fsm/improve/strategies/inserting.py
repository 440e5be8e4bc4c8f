"""One more step: a prompt that works on what the suspect wrote."""

from __future__ import annotations

from collections.abc import Mapping

from finetune_fsm.errors import Problem
from finetune_fsm.improve.changes import with_placeholders_of
from finetune_fsm.improve.replies import text_field
from finetune_fsm.improve.strategies.brief import PROMPT_LIMIT, Brief, Form, Reading
from finetune_fsm.improve.strategies.prompting import TEXT, unquoted
from finetune_fsm.workflow.edits import Edit, EditOp
from finetune_fsm.workflow.model import BUILT_IN_VARIABLES, END, StateKind, Workflow


def _wanted(brief: Brief) -> str:
    """The variable that the new step writes: one that is tested and missing, else the same."""
    workflow = brief.workflow
    known = workflow.saved_variables | set(workflow.variables) | BUILT_IN_VARIABLES
    tested = (f.assertion.target for r in brief.failing for f in r.failures)
    missing = (name for name in tested if name and name not in known)
    return next(missing, brief.state.save_as or "")


def _values(brief: Brief) -> Mapping[str, str]:
    read = brief.state.save_as
    return {
        "read": f"{{{{{read}}}}}" if read else "the conversation so far",
        "wanted": _wanted(brief),
    }


def _read(data: Mapping[str, object], brief: Brief, why: str) -> Reading:
    text = text_field(data, "new_prompt", limit=PROMPT_LIMIT)
    if isinstance(text, Problem):
        return text
    state, wanted = brief.state, _wanted(brief)
    if state.kind is not StateKind.PROMPT or state.owner != state.name or state.next_options:
        return Problem("bad_place", f"no step can follow '{state.name}' alone")
    if not wanted:
        return Problem("bad_place", f"'{state.name}' keeps nothing that a step could work on")
    prompt = unquoted(text)
    if state.save_as:
        prompt = with_placeholders_of(f"{{{{{state.save_as}}}}}", prompt)
    name = _name(brief.workflow, state.name)
    step = {"type": "prompt", "prompt": prompt, "save_as": wanted, "next": state.next or END}
    return (
        Edit(EditOp.SET, ("states", name), step, why),
        Edit(EditOp.SET, (*state.origin, "next"), name, why),
    )


def _name(workflow: Workflow, after: str) -> str:
    """A name for the step that follows *after*, which no state has."""
    numbers = iter(range(2, len(workflow.states) + 3))
    return next(name for n in numbers if (name := f"{after}_{n}") not in workflow.states)


INSERT = Form(_values, lambda _: {"new_prompt": TEXT}, _read)
