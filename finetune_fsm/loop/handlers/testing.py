"""TESTING: judge the rollouts, compare with the best, keep the candidate or go back."""

from __future__ import annotations

from finetune_fsm.errors import Problem
from finetune_fsm.improve.compare import Comparison, Standing, compare
from finetune_fsm.improve.judge import prefers
from finetune_fsm.llm.base import Completion, Request
from finetune_fsm.loop.outcomes import Tested
from finetune_fsm.loop.run import Run, Trial
from finetune_fsm.loop.toolbox import Toolbox
from finetune_fsm.loop.workflows import best_of
from finetune_fsm.scenarios.evaluate import judge_all
from finetune_fsm.scenarios.model import SuiteReport


def handle(run: Run, tools: Toolbox) -> Tested:
    """Judge the candidate; it is accepted only if it breaks nothing and wins something.

    What it wins is a scenario, an assertion of a scenario that still fails, or, with every
    scenario passing, the reflection LLM's blind preference in both orders. A tie keeps what the
    user has.

    Raises:
        LLMError: the world broke while judging.
    """
    assert run.suite is not None  # noqa: S101  # the table comes here only with a suite
    report = judge_all(run.suite, run.rollouts)
    if run.best is None:
        return Tested(report, accepted=True, reason="the workflow as it is")
    comparison = compare(run.best.report, report)
    if comparison.standing is Standing.TIE and run.solved:
        return _preferred(run, run.best, report, comparison, tools)
    accepted = comparison.standing is Standing.BETTER
    return Tested(report, accepted, _reason(comparison), comparison)


def _preferred(
    run: Run, best: Trial, report: SuiteReport, comparison: Comparison, tools: Toolbox
) -> Tested:
    def ask(request: Request) -> Completion:
        reply = tools.ask(request)
        return Completion("") if isinstance(reply, Problem) else reply

    better = prefers(run.settings.model, best_of(run), best.report, report, ask)
    reason = (
        "all tests still pass, and its results are preferred in both orders"
        if better
        else "all tests still pass, but its results are not clearly better"
    )
    return Tested(report, better, reason, comparison)


def _reason(comparison: Comparison) -> str:
    if comparison.losses:
        return f"it breaks {_named(comparison.losses)}"
    if comparison.wins:
        return f"it fixes {_named(comparison.wins)} and breaks nothing"
    if comparison.lost:
        return "assertions that passed fail now"
    if comparison.gained:
        return f"it breaks nothing, and {comparison.gained} more assertions pass"
    return "no verdict changes"


def _named(names: tuple[str, ...]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown
