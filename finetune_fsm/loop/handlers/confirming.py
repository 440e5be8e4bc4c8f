"""CONFIRMING: draw once more what the best has gained, before it goes out."""

from __future__ import annotations

from collections.abc import Sequence

from finetune_fsm.improve.samples import flips, verdicts
from finetune_fsm.loop.outcomes import Confirmed
from finetune_fsm.loop.run import Run
from finetune_fsm.loop.ties import goal_reached
from finetune_fsm.loop.toolbox import Toolbox
from finetune_fsm.loop.trials import Trial
from finetune_fsm.loop.workflows import best_of
from finetune_fsm.scenarios.evaluate import Task, judge_rollout
from finetune_fsm.scenarios.model import ScenarioResult
from finetune_fsm.scenarios.statistics import sign_test

SIGNIFICANT = 0.05

CHECKED = 4
"""Gained scenarios that are drawn again; a gain that is luck shows in fewer."""


def handle(run: Run, tools: Toolbox) -> Confirmed:
    """Run the best again on what it passes and the user's workflow does not.

    A scenario that fails this time is drawn once more; the majority decides. When nothing of what
    was drawn again is left, the gains were chance, and the user's own workflow goes out.

    Raises:
        LLMError: the world broke.
        Cancelled: a stop was asked for, or a budget is spent; then the best goes out as it is.
    """
    if run.best is None or run.first is None:
        return Confirmed()
    goal = goal_reached(run, tools)
    gained = _gained(run.first, run.best)
    checked = gained[:CHECKED]
    if not checked:
        return Confirmed(goal=goal)
    found = [(index, run.best.report.results[index]) for index in checked]
    found += _drawn(run, tools, checked, run.settings.repeat)
    doubtful = [i for i, result in found if not result.passed]
    if doubtful:
        found += _drawn(run, tools, doubtful, run.settings.repeat + 1)
    held = [index for index, result in verdicts(found).items() if result.passed]
    reason = _reason(run, len(gained), len(checked), len(held))
    return Confirmed(bool(held), reason, flips(found), goal if held else None)


def _gained(first: Trial, best: Trial) -> tuple[int, ...]:
    """Indexes of the scenarios that only the best passes."""
    pairs = zip(first.report.results, best.report.results, strict=True)
    return tuple(i for i, (old, new) in enumerate(pairs) if new.passed and not old.passed)


def _drawn(
    run: Run, tools: Toolbox, indexes: Sequence[int], draw: int
) -> list[tuple[int, ScenarioResult]]:
    assert run.suite is not None  # noqa: S101  # there is a best of it
    scenarios = [run.suite.scenarios[index] for index in indexes]
    best = best_of(run)
    rollouts = tools.roll_out([Task(best, scenario, draw) for scenario in scenarios], run)
    judged = map(judge_rollout, scenarios, rollouts)
    return list(zip(indexes, judged, strict=True))


def _reason(run: Run, gained: int, checked: int, held: int) -> str:
    """What was found, with the sign test of all that was won and lost against the start."""
    assert run.first is not None  # noqa: S101  # looked at by the caller
    assert run.best is not None  # noqa: S101  # as above
    lost = len(_gained(run.best, run.first))
    p_value = sign_test(gained, lost)
    again = f"{held} of {checked} gained scenarios pass in a further draw"
    if not held:
        return f"{again}: the gains were chance, the workflow stays as it was"
    certainty = "" if p_value < SIGNIFICANT else ", too few scenarios to rule out chance"
    return f"{again}; {gained} won, {lost} lost (sign test: p = {p_value:.2g}{certainty})"
