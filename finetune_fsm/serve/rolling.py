"""A workflow, run once while a person watches and answers its questions."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

from finetune_fsm.execution import rundir
from finetune_fsm.execution.executor import run_workflow
from finetune_fsm.execution.rollout import Rollout, RunStatus, Visit
from finetune_fsm.llm.base import LLM
from finetune_fsm.llm.meter import Meter, Metered
from finetune_fsm.reports.text_report import duration
from finetune_fsm.serve.board import QUESTION, Board
from finetune_fsm.serve.desk import Desk, Work
from finetune_fsm.serve.markup import Markup, address, element
from finetune_fsm.serve.pieces import badge, button, field, form, hidden, line, number, text_block
from finetune_fsm.serve.views import Growing, Part, Rows
from finetune_fsm.sinks import clean
from finetune_fsm.workflow.model import State, Workflow

_TONES = {RunStatus.COMPLETED: "good", RunStatus.FAILED: "bad", RunStatus.STOPPED: "warn"}


def board() -> Board:
    """Return the board of a run that has not begun."""
    return Board(
        Part("status", element("p", badge("starting", "live"))),
        Rows("visits", ()),
        Part("now", Markup("")),
        Growing("reply", ""),
        Part(QUESTION, Markup("")),
        Part("result", Markup("")),
    )


def roll(work: Work, desk: Desk, workflow: Workflow) -> None:
    """Run *workflow* as *work*; what comes is on its board.

    Raises:
        FinetuneError: no model is to be had, or the run directory cannot be written.
    """
    with desk.model() as chosen:
        llm = Metered(chosen.llm, Meter(), tell=partial(_note, work.board))
        rollout = _rolled_out(work, llm, workflow)
    work.board.wipe("reply")
    work.board.put("now", Markup(""))
    status = badge(str(rollout.status), _TONES[rollout.status])
    calls, took = number(rollout.usage.calls), duration(rollout.seconds)
    told = f" {calls} LLM calls, {number(rollout.usage.tokens)} tokens, {took}"
    work.board.put("status", element("p", status, told))
    work.board.put("result", _result(rollout))


def _rolled_out(work: Work, llm: LLM, workflow: Workflow) -> Rollout:
    """Run it in a run directory of its own, as the command does."""
    started = datetime.now(UTC)
    folder = rundir.create_run_directory(workflow.name, now=started)
    file = str(work.workflow)
    note = partial(
        rundir.write_metadata, folder, workflow=workflow.name, file=file, started=started
    )
    note()
    page = _Page(work)
    rollout = run_workflow(
        workflow,
        llm,
        inputs=page,
        on_enter=page.entered,
        on_visit=page.visited,
        on_text=partial(work.board.write, "reply"),
        stop=work.stop,
        run_directory=folder,
    )
    note(rollout=rollout)
    return rollout


class _Page:
    """Shows a run as it goes, and asks for what it needs to know."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def entered(self, name: str, state: State) -> None:
        board = self._work.board
        board.wipe("reply")
        model = f" asks {line(state.model)}" if state.model else ""
        board.put("now", element("h3", f"{line(name)} ", element("small", str(state.kind), model)))
        board.put("status", element("p", badge("running", "live"), f" in state {line(name)}"))

    def visited(self, visit: Visit) -> None:
        board = self._work.board
        board.add("visits", _visit(visit))
        board.wipe("reply")
        board.put("now", Markup(""))

    def answer(self, state_name: str, question: str, default: str | None) -> str | None:
        """Ask a person; empty text means the default, as everywhere."""

        def render(number_: int) -> Markup:
            hint = f"Leave it empty for: {line(default)}" if default else ""
            return form(
                address("job", self._work.key, "answer"),
                element("p", clean(question), class_="asked"),
                hidden("number", str(number_)),
                field("Your answer", "answer", hint=hint, autocomplete="off", autofocus=True),
                element("p", button("Answer", kind="main")),
                label=f"Question of {line(state_name)}",
                live=True,
            )

        return self._work.board.ask(render, self._work.stop).get("answer", "")


def _visit(visit: Visit) -> Markup:
    ways = element("p", f"→ {line(visit.next)}", class_="faint") if visit.next else None
    error = element("p", clean(visit.error, limit=2000), class_="problem") if visit.error else None
    said = "Answer" if visit.kind == "input" else "Reply"
    shown = text_block(visit.completion, f"{said} in {line(visit.state)}")
    asked = (
        element(
            "details",
            element("summary", "What was asked"),
            text_block(visit.prompt, f"What {line(visit.state)} asked"),
        )
        if visit.prompt
        else None
    )
    title = element("h3", f"{line(visit.state)} ", element("small", visit.kind))
    texts = shown if visit.completion else None
    return element("article", title, asked, texts, error, ways)


def _result(rollout: Rollout) -> Markup:
    warnings = [element("p", line(text, limit=1000), class_="note") for text in rollout.warnings]
    error = rollout.error
    where = f"In state {line(error.state)}: " if error and error.state else ""
    why = f"{where}{clean(error.message, limit=2000)}" if error else ""
    problem = element("p", why, class_="problem", role="alert") if why else None
    rows = [
        element("div", element("dt", line(name)), element("dd", clean(value, limit=4000)))
        for name, value in rollout.variables.items()
    ]
    variables = (
        element("details", element("summary", "Variables at the end"), element("dl", rows))
        if rows
        else None
    )
    return element("div", problem, warnings, variables)


def _note(board: Board, message: str) -> None:
    board.put("result", element("p", line(message, limit=1000), class_="note"))
