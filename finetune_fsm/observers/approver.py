"""A person who is asked about drafts before they run: the keys y n e d a q.

What is decided is in the journal with the step, so a run that is resumed or replayed asks nothing
twice. A refusal goes back to the model, with its reason, as the gate's own findings do.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator

from finetune_fsm.errors import Cancelled, Problem
from finetune_fsm.improve.model import Draft
from finetune_fsm.improve.risk import is_risky
from finetune_fsm.loop.outcomes import REFUSED
from finetune_fsm.loop.run import Run
from finetune_fsm.loop.toolbox import Approve, Decision
from finetune_fsm.loop.workflows import best_of
from finetune_fsm.observers.changes import diff_lines, drafted
from finetune_fsm.observers.dialogue import Dialogue
from finetune_fsm.observers.editing import edited_draft
from finetune_fsm.observers.lines import Line
from finetune_fsm.sinks import one_line

PROMPT = "Try this change? [y,n,e,d,a,q,?] "

HELP = (
    "  y  yes: try it; the tests decide whether it is kept",
    "  n  no: say why in a line, and the model is shown it",
    "  e  edit: open it in $VISUAL or $EDITOR; the gate looks at what you make of it",
    "  d  diff: show the whole file with the change",
    "  a  all: try this one and ask no more in this run",
    "  q  quit: keep the best so far and end; 'agentmech resume' goes on here",
    "  ?  this help",
)

_EVERYTHING = sys.maxsize

Introduce = Callable[[Run, Draft], Iterable[Line]]
"""Says what is asked about."""


class Approver:
    """Asks a person about each draft; an `Approve`.

    Args:
        talk: The person; the one at the terminal without.
        introduce: The lines that come before the question.
    """

    def __init__(self, talk: Dialogue | None = None, *, introduce: Introduce | None = None) -> None:
        self._talk = talk or Dialogue()
        self._introduce = introduce or whole_change

    def __call__(self, run: Run, draft: Draft) -> Decision:
        """Show *draft* and return what the person decides.

        Raises:
            Cancelled: they want to stop, or nobody is there any more.
        """
        try:
            return self._decided(run, draft)
        except (EOFError, KeyboardInterrupt) as end:
            raise Cancelled from end

    def _decided(self, run: Run, draft: Draft) -> Decision:
        self._tell(self._introduce(run, draft))
        while True:
            match self._talk.ask(PROMPT).strip().lower():
                case "y" | "yes":
                    return Decision()
                case "a" | "all":
                    return Decision(rest=True)
                case "n" | "no":
                    return Decision((self._refusal(),))
                case "e" | "edit":
                    own = edited_draft(run, draft, self._talk)
                    if own is not None:
                        return Decision(draft=own)
                case "d" | "diff":
                    self._tell(_whole(run, draft))
                case "q" | "quit":
                    raise Cancelled
                case _:
                    self._tell(map(Line, HELP))

    def _refusal(self) -> Problem:
        reason = one_line(self._talk.ask("What is wrong with it? ").strip(), limit=300)
        said = f"a person refused it: {reason}" if reason else "a person refused it"
        return Problem(REFUSED, said)

    def _tell(self, lines: Iterable[Line]) -> None:
        for line in lines:
            self._talk.tell(line)


def whole_change(run: Run, draft: Draft) -> Iterator[Line]:
    """Yield what *draft* changes, why and for what."""
    yield from headline(run, draft)
    yield from drafted(draft, best_of(run).text)


def headline(run: Run, draft: Draft) -> Iterator[Line]:  # an Introduce
    """Yield what sort of change *draft* is, for who was told all else before."""
    del run
    risk = "more than prompts" if is_risky(draft.edits) else "prompts only"
    yield Line()
    yield Line(f"The gate has nothing against this change ({draft.attempt.strategy}, {risk})")


def _whole(run: Run, draft: Draft) -> Iterator[Line]:
    old = best_of(run).text
    return diff_lines(old, draft.text, indent="  ", context=len(old), limit=_EVERYTHING)


_: Approve = Approver()  # the signature is kept, and mypy says so
