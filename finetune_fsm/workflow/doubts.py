"""Warnings: what a valid workflow says that its author hardly means."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from finetune_fsm.errors import Path, Problem, Severity
from finetune_fsm.schema import suggestion
from finetune_fsm.sinks import one_line
from finetune_fsm.workflow.graph import successors, unreachable, without_end
from finetune_fsm.workflow.model import (
    BUILT_IN_VARIABLES,
    END,
    ERROR_VARIABLES,
    PLACEHOLDER,
    State,
    Workflow,
)

_USUAL_STATE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
_USUAL_VARIABLE = re.compile(r"[A-Za-z0-9_]+")
_BRACES = re.compile(r"\{\{[^{}\n]{0,40}(\}\})?")


def graph_doubts(workflow: Workflow) -> Iterator[Problem]:
    """Yield what is odd about the ways through *workflow*. Pure."""
    if workflow.start_state == END:
        yield _doubt("empty_run", "a run ends before its first state", ("start_state",))
        return
    lost = set(unreachable(workflow))
    for name in workflow.file_states:
        if name in lost:
            message = f"no way leads to the state '{one_line(name)}'"
            hint = "name it in a 'next', or remove it"
            yield _doubt("unreachable", message, ("states", name), hint)
    caught = [name for name in without_end(workflow) if name not in lost]
    if caught:
        owner = workflow.states[caught[0]].owner
        shown = one_line(", ".join(f"'{name}'" for name in caught))
        message = f"no way leads from {shown} to the end: only the limit on steps stops the run"
        yield _doubt("no_way_to_end", message, ("states", owner), "let one of them go to 'end'")


def name_doubts(workflow: Workflow) -> Iterator[Problem]:
    """Yield names that are allowed and will surprise. Pure."""
    for name in workflow.file_states:
        if not _USUAL_STATE.fullmatch(name):
            hint = "letters, digits, _ and - are safe everywhere"
            message = f"'{one_line(name)}' is an unusual name for a state"
            yield _doubt("unusual_name", message, ("states", name), hint)
    for name in workflow.variables:
        if name in BUILT_IN_VARIABLES:
            message = f"the variable '{name}' is replaced by the one that every run sets"
            yield _doubt("reserved_name", message, ("variables", name), "choose another name")
    for state in workflow.states.values():
        yield from _saved_name(state)
        targets = Counter(option.state for option in state.next_options)
        for target, count in targets.items():
            if count > 1:
                message = f"{count} options lead to '{one_line(target)}'"
                path: Path = ("states", state.owner, "next_options")
                yield _doubt("duplicate_option", message, path, "join them into one")


def _saved_name(state: State) -> Iterator[Problem]:
    name, path = state.save_as or "", (*state.origin, "save_as")
    if name and not _USUAL_VARIABLE.fullmatch(name):
        message = f"no prompt can use '{one_line(name)}': a placeholder holds letters, digits and _"
        yield _doubt("unusual_name", message, path, "choose another name")
    if name in ERROR_VARIABLES:
        message = f"'{name}' is set by every error as well"
        yield _doubt("reserved_name", message, path, "choose another name")


def variable_doubts(
    workflow: Workflow, *, set_elsewhere: frozenset[str], read_elsewhere: frozenset[str]
) -> Iterator[Problem]:
    """Yield placeholders that nothing sets, and what is set and never read. Pure.

    A reply that is saved just before the end is a result and needs no reader.

    Args:
        workflow: What to look at.
        set_elsewhere: Variables that child workflows bring back.
        read_elsewhere: Placeholders of child workflows, which see the caller's variables.
    """
    known = {*workflow.variables, *workflow.saved_variables, *BUILT_IN_VARIABLES, *set_elsewhere}
    read = {name for state in workflow.states.values() for name in state.reads} | read_elsewhere
    for state in workflow.states.values():
        for path, text in texts_of(state):
            yield from _unset(path, text, known)
            yield from _malformed(path, text, known)
    for name in workflow.variables:
        if name not in read:
            message = f"the variable '{name}' is never used"
            yield _doubt("unused_variable", message, ("variables", name), "remove it")
    for state in workflow.states.values():
        if state.save_as and state.save_as not in read and END not in successors(workflow, state):
            message = f"no prompt uses '{one_line(state.save_as)}'"
            hint = f"put {{{{{one_line(state.save_as)}}}}} into a prompt, or remove 'save_as'"
            yield _doubt("unused_save", message, (*state.origin, "save_as"), hint)


def texts_of(state: State) -> Iterator[tuple[Path, str]]:
    """Yield the texts in which placeholders are filled in, with their paths. Pure."""
    if state.prompt is not None:
        field = "prompt_file" if state.prompt_file is not None else "prompt"
        yield (*state.origin, field), state.prompt
    if state.default_value is not None:
        yield (*state.origin, "default_value"), state.default_value
    for index, name in enumerate(state.files):
        yield (*state.origin, "files", index), name


def _unset(path: Path, text: str, known: set[str]) -> Iterator[Problem]:
    for name in dict.fromkeys(PLACEHOLDER.findall(text)):
        if name not in known:
            near = suggestion(name, sorted(known))
            hint = near or "set it in 'variables' or with a 'save_as'"
            message = f"nothing sets {{{{{one_line(name, limit=60)}}}}}, so it stays as written"
            yield _doubt("unset_placeholder", message, path, hint)


def _malformed(path: Path, text: str, known: set[str]) -> Iterator[Problem]:
    """Yield braces that look like a placeholder and are none: spaces, dots, no end."""
    for match in dict.fromkeys(m.group() for m in _BRACES.finditer(text)):
        if PLACEHOLDER.fullmatch(match):
            continue
        inner = match[2:].removesuffix("}}").strip()
        near = [name for name in re.findall(r"\w+", inner) if name in known]
        hint = f"write {{{{{near[0]}}}}}" if near else "a placeholder is exactly {{name}}"
        message = f"'{one_line(match)}' is no placeholder and stays as written"
        yield _doubt("odd_placeholder", message, path, hint)


def _doubt(code: str, message: str, path: Path, hint: str = "") -> Problem:
    return Problem(code, message, hint, path, Severity.WARNING)
