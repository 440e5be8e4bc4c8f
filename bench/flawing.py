"""Put one flaw into a sound workflow, of the kinds that people make: for `diagnosis.py`.

The rules were written beside some thirty hand-made cases; what they are worth shows on flaws that
nobody had in mind. Each flaw is one edit, made wherever it can be made.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from finetune_fsm.errors import InvalidDocument
from finetune_fsm.improve.scene import options_path, way_path
from finetune_fsm.workflow.edits import Edit, EditOp
from finetune_fsm.workflow.load import check_text
from finetune_fsm.workflow.model import END, PLACEHOLDER, State, StateKind, Workflow
from finetune_fsm.workflow.splice import splice


def flawed(workflow: Workflow) -> Iterator[tuple[str, Workflow]]:
    """Yield kind and workflow of every flaw that fits, valid ones alone, in document order."""
    for kind, edit in _flaws(workflow):
        try:
            text = splice(workflow.text, (edit,)).text
        except InvalidDocument:
            continue
        made = check_text(text, folder=workflow.folder).workflow
        if made is not None and made.document != workflow.document:
            yield kind, made


def _flaws(workflow: Workflow) -> Iterator[tuple[str, Edit]]:
    order = list(workflow.states)
    after = workflow.states[workflow.start_state].targets[0]
    if after != END:
        yield "wrong start", _set(("start_state",), after)
    for place, state in enumerate(order):
        yield from _in_state(workflow, workflow.states[state])
        yield from _on_the_way(workflow, workflow.states[state], order, place)


def _in_state(workflow: Workflow, state: State) -> Iterator[tuple[str, Edit]]:
    prompt = (*state.origin, "prompt")
    names = dict.fromkeys(PLACEHOLDER.findall(state.prompt or ""))
    for name in names if state.kind is StateKind.PROMPT and state.prompt_file is None else ():
        read = re.escape(f"{{{{{name}}}}}")
        yield "forgotten placeholder", _set(prompt, re.sub(read, "it", state.prompt or ""))
        if len(name) > 3:
            odd = f"{{{{{name[0]}{name[2]}{name[1]}{name[3:]}}}}}"
            yield "misspelt placeholder", _set(prompt, re.sub(read, odd, state.prompt or ""))
    if state.save_as:
        yield "forgotten save_as", Edit(EditOp.REMOVE, (*state.origin, "save_as"))
        yield "other save_as", _set((*state.origin, "save_as"), "outcome")
    if state.default_value:
        yield "odd default", _set((*state.origin, "default_value"), "TODO")
    if state.kind is StateKind.PROMPT:
        yield "low num_predict", _set((*options_path(workflow, state), "num_predict"), 1)


def _on_the_way(
    workflow: Workflow, state: State, order: list[str], place: int
) -> Iterator[tuple[str, Edit]]:
    path = way_path(workflow, state)
    if path is None:
        return
    options, ways = state.next_options, (*path, "next_options")
    if len(options) > 1:
        turned = [
            {"state": b.state, "description": a.description}
            for a, b in zip(options, (*options[1:], options[0]), strict=True)
        ]
        yield "turned options", _set(ways, turned)
    if len(options) > 2:
        for index in range(len(options)):
            yield "missing option", Edit(EditOp.REMOVE, (*ways, index))
    if options:
        return
    if state.next not in (END, None):
        yield "ends too early", _set((*path, "next"), END)
        beyond = workflow.states[state.next or END].targets[0]
        if beyond not in (END, state.next):
            yield "skipped state", _set((*path, "next"), beyond)
    if place:
        yield "loop", _set((*path, "next"), workflow.states[order[0]].owner)


def _set(path: tuple[str | int, ...], value: object) -> Edit:
    return Edit(EditOp.SET, path, value)
