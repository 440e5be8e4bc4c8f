"""A finetune, begun or gone on with, while a person watches and has a say."""

from __future__ import annotations

from collections.abc import Callable

from finetune_fsm.api import Hands, Wishes, finish, open_run, reopen_run
from finetune_fsm.errors import Problem
from finetune_fsm.improve.model import Draft
from finetune_fsm.llm.cache import Store, folder
from finetune_fsm.llm.meter import Budget
from finetune_fsm.loop.machine import Entered, Loop, Moment, Observer
from finetune_fsm.loop.outcomes import REFUSED
from finetune_fsm.loop.run import Run
from finetune_fsm.loop.settings import Approval
from finetune_fsm.loop.toolbox import Approve, Decision
from finetune_fsm.serve.board import QUESTION, Board
from finetune_fsm.serve.desk import Desk, Work
from finetune_fsm.serve.markup import Markup, address, element
from finetune_fsm.serve.pieces import button, diff, field, form, hidden, line, number
from finetune_fsm.serve.views import Part
from finetune_fsm.sinks import visible_line


def board() -> Board:
    """Return the board of a finetune that has not begun."""
    return Board(Part(QUESTION, Markup("")), Part("progress", Markup("")))


def tune(work: Work, desk: Desk, wishes: Wishes) -> None:
    """Improve the workflow of *work* as *wishes* say.

    Raises:
        FinetuneError: a file is wrong, another process is at it, or the world broke.
    """
    with (
        desk.model() as chosen,
        open_run(
            work.workflow, llm=chosen.llm, spec=chosen.spec, **wishes, **_hands(work)
        ) as session,
    ):
        work.folder = session.folder
        _finished(work, session.loop)


def go_on(work: Work, desk: Desk, *, budget: Budget | None, approval: Approval | None) -> None:
    """Go on with the run in the folder of *work*; what is None is as before.

    Raises as `tune` does.
    """
    assert work.folder is not None  # noqa: S101  # it was looked up by its folder
    with (
        desk.model() as chosen,
        reopen_run(
            work.folder,
            llm=chosen.llm,
            spec=chosen.spec,
            budget=budget,
            approval=approval,
            **_hands(work),
        ) as session,
    ):
        _finished(work, session.loop)


def _finished(work: Work, loop: Loop) -> None:
    try:
        finish(loop)
    finally:
        work.board.put("progress", Markup(""))


def _hands(work: Work) -> Hands:
    return Hands(
        observers=(_tidy(work.board),),
        approve=approver(work),
        progress=_progress(work.board),
        note=_note(work.board),
        stop=work.stop,
        store=Store(folder()),
    )


def approver(work: Work) -> Approve:
    """Return a say on drafts that asks the person who watches *work*."""

    def approve(run: Run, draft: Draft) -> Decision:
        said = work.board.ask(lambda asked: _question(work, run, draft, asked), work.stop)
        if said.get("say") in ("yes", "all"):
            return Decision(rest=said["say"] == "all")
        reason = visible_line(said.get("reason", ""), limit=300)
        message = f"a person refused it: {reason}" if reason else "a person refused it"
        return Decision((Problem(REFUSED, message),))

    return approve


def _question(work: Work, run: Run, draft: Draft, asked: int) -> Markup:
    best = run.best.candidate.text if run.best else run.original
    aimed = ", ".join(line(name, limit=60) for name in draft.scenarios[:6])
    return form(
        address("job", work.key, "answer"),
        element("h2", "Shall this change go on trial?", id="ask"),
        element("p", element("strong", "Why: "), line(draft.why, limit=600)),
        element("p", f"Meant for: {aimed}", class_="faint") if aimed else None,
        diff(best, draft.text, "The change"),
        hidden("number", str(asked)),
        element(
            "p",
            button("Approve", kind="main", name="say", value="yes"),
            button("Approve, and ask no more", name="say", value="all"),
            class_="buttons",
        ),
        field(
            "Or say why not",
            "reason",
            hint="The model is told, and may try again.",
            autocomplete="off",
        ),
        element("p", button("Reject", name="say", value="no"), class_="buttons"),
        label="A change to approve",
        live=True,
    )


def _tidy(board: Board) -> Observer:
    """Return an observer that takes the progress of one state away when the next begins."""

    def observe(moment: Moment) -> None:
        if isinstance(moment, Entered):
            board.put("progress", Markup(""))

    return observe


def _progress(board: Board) -> Callable[[int, int], None]:
    def show(done: int, total: int) -> None:
        told = f"Scenario {number(done)} of {number(total)}"
        bar = element("progress", told, value=str(done), max=str(total), aria_label=told)
        board.put("progress", element("p", f"{told} ", bar))

    return show


def _note(board: Board) -> Callable[[str], None]:
    def tell(message: str) -> None:
        board.put("progress", element("p", line(message, limit=1000), class_="note"))

    return tell
