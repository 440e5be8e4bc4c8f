"""What nobody but a person may change in a workflow, checked by code on the result.

The original and the draft are compared as documents, whatever edits lie between them: each place
that differs must be one that is open to change, nothing may be gained that the original could not
do, nothing that a test relies on may go, and no words of a test may come in. Security never
depends on what a model was told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from finetune_fsm.codec import digest
from finetune_fsm.errors import Path, Problem
from finetune_fsm.scenarios.model import AssertionType, Suite
from finetune_fsm.workflow.graph import available
from finetune_fsm.workflow.model import BUILT_IN_VARIABLES, END, PLACEHOLDER, Workflow

OPEN_FIELDS = frozenset({"prompt", "next", "on_error", "save_as", "default_value", "next_options"})
"""Fields of a state or a step that a draft may set."""

OPEN_OPTIONS = frozenset({"temperature", "top_p", "top_k", "num_predict", "seed", "stop"})
"""Sampling options that a draft may set."""

GROWTH = 3.0
"""A prompt may become so many times as long as it was, …"""

ROOM = 1_500
"""… or so many characters longer, whichever is more."""

COPIED_WORDS = 4
"""So many words of an input in a row, new in a prompt, are a copy."""

_NOTHING = object()


@dataclass(frozen=True, slots=True)
class Change:
    """One place where two documents differ; `old` or `new` is absent on one side."""

    path: Path
    old: object
    new: object


def violations(original: Workflow, draft: Workflow, suite: Suite) -> tuple[Problem, ...]:
    """Return all that is not allowed in *draft*, whatever made it. Pure."""
    changed = tuple(changes(original.document, draft.document))
    return (
        *_closed_places(changed),
        *_gains(original, draft),
        *_lost_supports(draft, suite),
        *_copied_words(original, changed, suite),
        *_overgrown(changed),
        *_lost_placeholders(original, changed),
        *_unset_placeholders(original, draft),
    )


def changes(old: object, new: object, path: Path = ()) -> Iterator[Change]:
    """Yield the deepest places where *old* and *new* differ. Pure."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in dict.fromkeys((*old, *new)):
            yield from changes(old.get(key, _NOTHING), new.get(key, _NOTHING), (*path, key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (left, right) in enumerate(zip(old, new, strict=True)):
            yield from changes(left, right, (*path, index))
    elif type(old) is not type(new) or old != new:
        yield Change(path, old, new)


def _closed_places(changed: Sequence[Change]) -> Iterator[Problem]:
    moved = {c.path[:-1] for c in changed if c.path[-1:] == ("prompt",) and c.old is _NOTHING}
    for change in changed:
        inlined = change.path[-1:] == ("prompt_file",) and change.new is _NOTHING
        if not _is_open(change.path) and not (inlined and change.path[:-1] in moved):
            where = ".".join(str(step) for step in change.path) or "the document"
            yield Problem("closed_place", f"{where} may not be changed", path=change.path)


def _is_open(path: Path) -> bool:
    if len(path) < 3 or path[0] != "states":
        return False
    rest = path[2:]
    if rest[0] == "steps" and len(rest) >= 3:
        rest = rest[2:]
    if rest[0] == "options":
        return len(rest) >= 2 and rest[1] in OPEN_OPTIONS
    return rest[0] in OPEN_FIELDS


def capabilities(document: Mapping[str, object]) -> frozenset[str]:
    """Return all that a workflow can reach beyond its own text, as tagged words. Pure.

    A tool server is bound to its whole specification, not to its name.
    """
    return frozenset(_capabilities(document, ()))


def _capabilities(node: object, path: Path) -> Iterator[str]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from _capability(str(key), value, path)
            yield from _capabilities(value, (*path, str(key)))
    elif isinstance(node, list):
        for item in node:
            yield from _capabilities(item, path)


def _capability(key: str, value: object, path: Path) -> Iterator[str]:
    if path == ("mcp_servers",):
        yield f"mcp:{key}:{digest(value)}"
    if path == ("rag",) or (key == "rag" and path):
        yield f"rag:{digest(value)}"
    if key in ("prompt_file", "file", "directory", "embeddings_file", "tools_directory"):
        yield f"path:{value}"
    if key == "workflow_ref":
        yield f"ref:{value}"
    if key in ("model", "default_model"):
        yield f"model:{value}"
    if key == "files" and isinstance(value, list):
        yield from (f"path:{item}" for item in value)
    if key in ("mcp_servers", "use_rag") and path:
        yield f"use:{path[-1]}:{digest(value)}"


def _gains(original: Workflow, draft: Workflow) -> Iterator[Problem]:
    for gained in sorted(capabilities(draft.document) - capabilities(original.document)):
        what = gained if len(gained) <= 80 else gained[:77] + "…"
        yield Problem("capability_gain", f"the draft could do what the original could not: {what}")


def _lost_supports(draft: Workflow, suite: Suite) -> Iterator[Problem]:
    names = {*draft.states, END}
    known = draft.saved_variables | set(draft.variables)
    for scenario in suite.scenarios:
        for state in scenario.inputs:
            if state not in names and "_ref_" not in state:
                yield Problem("lost_support", f"the tests answer state '{state}', which is gone")
        for assertion in scenario.assertions:
            reached = assertion.type is AssertionType.STATE_REACHED
            if reached and assertion.value not in names and "_ref_" not in assertion.value:
                yield Problem(
                    "lost_support", f"the tests look for state '{assertion.value}', which is gone"
                )
            target = assertion.target
            if target and target not in known and _is_closed(draft):
                yield Problem("lost_support", f"the tests look at '{target}', which nothing saves")


def _is_closed(draft: Workflow) -> bool:
    """Whether every variable comes from this file: no child workflow can set one."""
    return not any(state.workflow_ref for state in draft.states.values())


def literals(suite: Suite) -> frozenset[str]:
    """Return the texts of *suite* that would give an answer away. Pure.

    Short lower-case words (``yes``, ``no``) are left out: any sentence may hold them.
    """
    found = set()
    for scenario in suite.scenarios:
        found |= {value.strip() for value in scenario.inputs.values()}
        for assertion in scenario.assertions:
            if assertion.type is not AssertionType.STATE_REACHED and not assertion.regex:
                found.add(assertion.value.strip())
    return frozenset(text for text in found if _telling(text))


def _telling(text: str) -> bool:
    core = re.sub(r"\W", "", text)
    return len(core) >= 4 or (len(core) >= 2 and not core.islower())


def _copied_words(original: Workflow, changed: Sequence[Change], suite: Suite) -> Iterator[Problem]:
    before = _words(original.text)
    for change in changed:
        for text in _texts(change.new):
            after = _words(text)
            for literal in sorted(literals(suite)):
                copied = _copied(_words(literal), before, after)
                if copied:
                    hint = "write an instruction that holds for any input"
                    where = ".".join(str(step) for step in change.path[1:])
                    message = f"{where} copies words of a test: {copied!r}"
                    yield Problem("copied_words", message, hint, change.path)


def _words(text: str) -> str:
    """The text as words, case folded, each between two spaces."""
    words = " ".join(re.findall(r"[^\W_]+", text.casefold()))
    return f" {words} "


def _copied(literal: str, before: str, after: str) -> str:
    """What of *literal* is new in *after*: all of it, or a run of its words."""
    if literal.strip() and literal in after and literal not in before:
        return literal.strip()
    words = literal.split()
    for start in range(len(words) - COPIED_WORDS + 1):
        run = f" {' '.join(words[start : start + COPIED_WORDS])} "
        if run in after and run not in before:
            return run.strip()
    return ""


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _overgrown(changed: Sequence[Change]) -> Iterator[Problem]:
    for change in changed:
        old = len(change.old) if isinstance(change.old, str) else 0
        new = sum(len(text) for text in _texts(change.new))
        allowed = int(max(old * GROWTH, old + ROOM))
        if new > allowed:
            where = ".".join(str(step) for step in change.path[1:])
            message = f"{where} would have {new} characters, {allowed} are allowed"
            yield Problem("overgrown", message, "say it shorter", change.path)


def _lost_placeholders(original: Workflow, changed: Sequence[Change]) -> Iterator[Problem]:
    """A placeholder that something sets carries data; one that nothing sets is a mistake."""
    known = original.saved_variables | set(original.variables) | BUILT_IN_VARIABLES
    for change in changed:
        if isinstance(change.old, str) and isinstance(change.new, str):
            lost = set(PLACEHOLDER.findall(change.old)) - set(PLACEHOLDER.findall(change.new))
            for name in sorted(lost & known):
                where = ".".join(str(step) for step in change.path[1:])
                message = f"{where} loses the placeholder {{{{{name}}}}}"
                yield Problem("lost_placeholder", message, f"keep {{{{{name}}}}}", change.path)


def _unset_placeholders(original: Workflow, draft: Workflow) -> Iterator[Problem]:
    """Placeholders that the draft brings in, where nothing can have set them."""
    for state in draft.states.values():
        old = original.states.get(state.name)
        new = state.reads - (old.reads if old else frozenset())
        for name in sorted(new - available(draft, state.name) - BUILT_IN_VARIABLES):
            message = f"'{state.name}' would read {{{{{name}}}}}, which nothing has set before it"
            hint = "use only placeholders that are set before"
            yield Problem("unset_placeholder", message, hint, state.origin)
