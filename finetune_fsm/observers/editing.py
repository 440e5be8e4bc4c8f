"""A draft in a person's hands, until the gate has nothing against it or the person gives up."""

from __future__ import annotations

from finetune_fsm.errors import InvalidDocument, Problem
from finetune_fsm.improve.grants import parse_grants
from finetune_fsm.improve.model import Draft
from finetune_fsm.improve.person import own_draft, with_grants
from finetune_fsm.loop.handlers.checking import objections
from finetune_fsm.loop.run import Run
from finetune_fsm.loop.workflows import best_of, original_of
from finetune_fsm.observers.dialogue import Dialogue
from finetune_fsm.observers.lines import Line, Tone
from finetune_fsm.sinks import one_line


def edited_draft(run: Run, draft: Draft, talk: Dialogue) -> Draft | None:
    """Return what a person made of *draft*; None when they leave it as it is."""
    text = draft.text
    while True:
        written = talk.edit(text)
        if isinstance(written, Problem):
            talk.tell(refusal(written))
            return None
        if written == draft.text:
            talk.tell(Line("  Nothing was changed", Tone.FAINT))
            return None
        own = checked(run, draft, written)
        if isinstance(own, Draft):
            return own
        for problem in own:
            talk.tell(refusal(problem))
        if talk.ask("Edit it once more? [Y/n] ").strip().lower() in ("n", "no"):
            return None
        text = written


def checked(run: Run, instead_of: Draft, text: str) -> Draft | tuple[Problem, ...]:
    """Return the draft that *text* is, or all that the gate has against it."""
    try:
        own = own_draft(text, best_of(run), instead_of)
    except InvalidDocument as error:
        return error.problems
    found = objections(run, own)
    if not found:
        return own
    assert run.suite is not None  # noqa: S101  # the gate would not have looked
    grants = parse_grants(run.settings.allow)
    return with_grants(found, own, original_of(run), run.suite, grants)


def refusal(problem: Problem) -> Line:
    """Return *problem* as a line."""
    place = f"line {problem.line}: " if problem.line else ""
    hint = f" — {problem.hint}" if problem.hint else ""
    return Line(f"  {one_line(f'{place}{problem.message}{hint}', limit=400)}", Tone.WARNING)
