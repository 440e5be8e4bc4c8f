"""A workflow's scenarios, run and judged while a person watches."""

from __future__ import annotations

from finetune_fsm.execution.rollout import Rollout
from finetune_fsm.llm.meter import Meter, Metered
from finetune_fsm.reports.text_report import WORDS, duration, reasons, summary_line
from finetune_fsm.scenarios.evaluate import run_suite
from finetune_fsm.scenarios.model import ScenarioResult, Suite, Verdict
from finetune_fsm.serve.board import Board
from finetune_fsm.serve.desk import Desk, Work
from finetune_fsm.serve.markup import Markup, element
from finetune_fsm.serve.pieces import badge, fold, line, text_block
from finetune_fsm.serve.views import Part, Rows
from finetune_fsm.workflow.model import Workflow

SHOWN = 500
"""Results that a page shows."""

_TONES = {Verdict.PASSED: "good", Verdict.FAILED: "bad", Verdict.ERROR: "warn"}


def board() -> Board:
    """Return the board of a test that has not begun."""
    starting = element("p", badge("starting", "live"))
    return Board(Part("status", starting), Rows("results", ()), Part("result", Markup("")))


def judge(work: Work, desk: Desk, workflow: Workflow, suite: Suite) -> None:
    """Run *suite* on *workflow* as *work*; each result is on the board when it is there.

    Raises:
        FinetuneError: no model is to be had, or the world broke.
        Cancelled: it was stopped.
    """
    total = len(suite.scenarios)
    passed = 0

    def told(number: int, result: ScenarioResult) -> None:
        nonlocal passed
        passed += result.passed
        if number < SHOWN:
            work.board.add("results", _result(number, result))
        so_far = f" {number + 1} of {total} scenarios, {passed} passed"
        work.board.put("status", element("p", badge("testing", "live"), so_far))

    work.board.put("status", element("p", badge("testing", "live"), f" {total} scenarios"))
    try:
        with desk.model() as chosen:
            llm = Metered(chosen.llm, Meter())
            report = run_suite(workflow, suite, llm, stop=work.stop, on_result=told, texts=False)
    finally:
        work.board.put("status", element("p", badge("stopped", "warn")))
    verdict = badge("passed", "good") if report.solved else badge("failed", "bad")
    work.board.put("status", element("p", verdict, f" {summary_line(report)}"))


def _result(number: int, result: ScenarioResult) -> Markup:
    verdict = badge(WORDS[result.verdict].strip(), _TONES[result.verdict])
    name = line(result.scenario.name)
    took = element("small", f" {duration(result.rollout.seconds)}")
    title = element("h3", verdict, f" {name}", took)
    why = [element("li", reason) for reason in reasons(result)]
    visits = _visits(result.rollout)
    shown = fold("What was said", visits, key=f"r{number}") if visits else None
    return element("article", title, element("ul", why) if why else None, shown)


def _visits(rollout: Rollout) -> list[Markup]:
    return [
        element(
            "div",
            element("h4", line(visit.state)),
            text_block(visit.completion, f"What was said in {line(visit.state)}"),
        )
        for visit in rollout.visits
        if visit.completion
    ]
