"""What nobody but a person may change in a workflow, checked by code on the result.

The original and the draft are compared as documents, whatever edits lie between them: each place
that differs must be one that is open to change, nothing may be gained that the original could not
do, nothing that a test relies on may go, and no words of a test may come in. Security never
depends on what a model was told. What a person grants (`grants`) widens some of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from finetune_fsm.errors import Problem
from finetune_fsm.improve.bounds import (
    hidden_text,
    never_ending,
    odd_options,
    overgrown,
    too_many_states,
)
from finetune_fsm.improve.capabilities import capabilities, gains
from finetune_fsm.improve.copies import copied_words, given_answers
from finetune_fsm.improve.flows import new_flows, set_by_children
from finetune_fsm.improve.grants import NOTHING, Grants
from finetune_fsm.improve.places import changes, closed_places
from finetune_fsm.improve.supports import lost_supports
from finetune_fsm.improve.ways import unasked
from finetune_fsm.scenarios.model import Suite
from finetune_fsm.sinks import one_line
from finetune_fsm.workflow.graph import available
from finetune_fsm.workflow.model import BUILT_IN_VARIABLES, PLACEHOLDER, State, StateKind, Workflow

__all__ = ["CODES", "capabilities", "is_refusal", "trespasses", "violations"]

CODES: Mapping[str, str] = {
    "closed_place": "a place that only a person may change",
    "capability_gain": "something that the original could not do",
    "path_flow": "other text in the path of a file",
    "unasked": "an action without the question before it",
    "lost_support": "something that a test relies on is gone",
    "copied_words": "words of a test",
    "overgrown": "a text that grows beyond measure",
    "hidden_text": "characters that nobody sees",
    "too_many_states": "too many states",
    "odd_option": "an option out of range",
    "endless": "a run that need never end",
    "lost_placeholder": "a placeholder is gone",
    "unset_placeholder": "a placeholder that nothing sets",
}
"""What the policy refuses: each problem's code, and what it is about in a few words."""


def is_refusal(problem: Problem) -> bool:
    """Whether *problem* is the policy's: the draft is valid, but it must not be. Pure."""
    return problem.code in CODES


def violations(
    original: Workflow, draft: Workflow, suite: Suite, grants: Grants = NOTHING
) -> tuple[Problem, ...]:
    """Return all that is not allowed in *draft*, whatever made it.

    Reads the children of both, to see which variables get into their paths; those of *draft* only
    when it may name them.

    Args:
        original: The user's workflow, never a draft of it.
        draft: What to judge, read against the same folder.
        suite: Tells what tests rely on and which words are theirs.
        grants: What the user allows beyond the rules.
    """
    refused = trespasses(original, draft, suite, grants)
    if refused:
        return refused
    changed = tuple(changes(original.document, draft.document))
    return (
        *new_flows(original, draft, grants),
        *_unasked(original, draft),
        *lost_supports(original, draft, suite),
        *copied_words(original, changed, suite, draft.file_states),
        *given_answers(original, draft, suite),
        *overgrown(original, changed),
        *hidden_text(original, changed),
        *too_many_states(original, draft),
        *odd_options(original, draft),
        *never_ending(original, draft),
        *_lost_placeholders(original, draft),
        *_unset_placeholders(original, draft),
    )


def trespasses(
    original: Workflow, draft: Workflow, suite: Suite, grants: Grants = NOTHING
) -> tuple[Problem, ...]:
    """Return where *draft* leaves what is open to it, and what it would gain. Pure.

    Opens no file, so that it can be asked before any file that a draft names is opened.
    """
    changed = tuple(changes(original.document, draft.document))
    return (
        *closed_places(original, draft, changed, grants),
        *gains(original, draft, suite, grants),
    )


def _unasked(original: Workflow, draft: Workflow) -> Iterator[Problem]:
    """Actions before which a person was always asked, and would not be any more."""
    questions = [s.name for s in original.states.values() if s.kind is StateKind.INPUT]
    acted = unasked(original, [""])
    for name, question in sorted(unasked(draft, questions) - unasked(original, questions)):
        if (name, "") in acted:
            message = f"a run could come to '{one_line(name)}' without '{one_line(question)}'"
            path = draft.states[name].origin
            yield Problem("unasked", message, "keep the question before it", path)


def _lost_placeholders(original: Workflow, draft: Workflow) -> Iterator[Problem]:
    """A placeholder that something sets carries data; one that nothing sets is a mistake."""
    still = [s for s in original.states.values() if s.owner in draft.file_states]
    saved = (state.save_as for state in still)
    known = {*original.variables, *BUILT_IN_VARIABLES, *saved}
    for state in still:
        heirs = _heirs(state, original, draft)
        for field, read in _FIELDS.items():
            lost = read(state).difference(*(read(heir) for heir in heirs))
            for name in sorted(name for name in lost if name in known):
                where = one_line(f"{state.name}.{field}")
                message = f"{where} loses the placeholder {{{{{name}}}}}"
                path = (*state.origin, field)
                yield Problem("lost_placeholder", message, f"keep {{{{{name}}}}}", path)


_FIELDS: Mapping[str, Callable[[State], frozenset[str]]] = {
    "prompt": lambda state: frozenset(PLACEHOLDER.findall(state.prompt or "")),
    "default_value": lambda state: frozenset(PLACEHOLDER.findall(state.default_value or "")),
}


def _heirs(state: State, original: Workflow, draft: Workflow) -> tuple[State, ...]:
    """What *state* has become: itself, or all steps of its owner when their number changed."""
    old = [s for s in original.states.values() if s.owner == state.owner]
    new = [s for s in draft.states.values() if s.owner == state.owner]
    if len(old) == len(new):
        return (draft.states[state.name],)
    return tuple(new)


def _unset_placeholders(original: Workflow, draft: Workflow) -> Iterator[Problem]:
    """Placeholders that nothing can have set, where it was otherwise or there were none."""
    elsewhere = BUILT_IN_VARIABLES | set_by_children(draft)
    for state in draft.states.values():
        old = original.states.get(state.name)
        known = (old.reads - available(original, old.name)) if old else frozenset()
        for name in sorted(state.reads - available(draft, state.name) - elsewhere - known):
            shown = one_line(state.name)
            message = f"'{shown}' would read {{{{{name}}}}}, which nothing has set before it"
            hint = "use only placeholders that are set before"
            yield Problem("unset_placeholder", message, hint, state.origin)
