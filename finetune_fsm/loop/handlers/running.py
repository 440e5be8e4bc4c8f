"""RUNNING: really run the candidates, each on as many scenarios as it takes to know its place."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace

from finetune_fsm.execution.rollout import Rollout
from finetune_fsm.improve.race import Course, Lap, Leg, race
from finetune_fsm.improve.samples import Sample
from finetune_fsm.loop.outcomes import Ran
from finetune_fsm.loop.run import Run
from finetune_fsm.loop.ties import extra_samples
from finetune_fsm.loop.toolbox import Toolbox
from finetune_fsm.loop.workflows import best_of, parsed
from finetune_fsm.scenarios.evaluate import Task
from finetune_fsm.workflow.model import StateKind, Workflow

SAMPLED, GREEDY = 0.2, 0.01
"""Flip rates expected before any was seen: with a temperature, and without."""

MEASURED = 4
"""Scenarios of a sampled workflow that are run twice at the start, to see whether they flip."""


def handle(run: Run, tools: Toolbox) -> Ran:
    """Run the user's workflow on everything, and later candidates against the best.

    Raises:
        LLMError: the world broke.
        Cancelled: a stop was asked for, or a budget is spent.
    """
    assert run.suite is not None  # noqa: S101  # the table comes here only with a suite
    if run.best is None:
        return Ran((Lap(_baseline(run, tools)),))
    scenarios = run.suite.scenarios
    workflows = [parsed(run, candidate.text) for candidate in run.candidates]
    best = best_of(run)

    def task(leg: Leg) -> Task:
        workflow = best if leg.place is None else workflows[leg.place]
        return Task(workflow, scenarios[leg.scenario], leg.draw, _whose(leg, len(workflows)))

    def roll(legs: Sequence[Leg]) -> Generator[Rollout, None, None]:
        return tools.roll_out([task(leg) for leg in legs], run, hurry=False)

    course = Course(
        suite=run.suite,
        best=run.best.report.results,
        holdout=run.holdout,
        repeat=run.settings.repeat,
        width=run.settings.jobs or tools.llm.slots,
        flip_rate=run.flips.rate(_expected(best)),
        even=run.solved,
    )
    meant = [candidate.draft.scenarios if candidate.draft else () for candidate in run.candidates]
    laps, again = race(course, meant, roll)
    if not run.solved or all(lap.out for lap in laps):
        return Ran(laps, again)
    through = (
        lap if lap.out else replace(lap, extra=extra_samples(run, workflow, tools))
        for lap, workflow in zip(laps, workflows, strict=True)
    )
    return Ran(tuple(through), again, extra_samples(run, best, tools))


def _whose(leg: Leg, many: int) -> str:
    if leg.place is None:
        return "best"
    return f"candidate {leg.place + 1}/{many}" if many > 1 else ""


def _baseline(run: Run, tools: Toolbox) -> tuple[Sample, ...]:
    """Every scenario, as often as asked for; what PREPARING ran is not run again."""
    assert run.suite is not None  # noqa: S101  # the table comes here only with a suite
    workflow = parsed(run, run.original)
    scenarios = run.suite.scenarios
    every = range(len(scenarios))
    found = run.laps[0].samples if run.laps else ()
    draws = [(i, draw) for draw in range(1 if found else 0, run.settings.repeat) for i in every]
    if run.settings.repeat == 1 and _expected(workflow) is SAMPLED:
        draws += [(i, 1) for i in every[:MEASURED]]
    tasks = [Task(workflow, scenarios[i], draw) for i, draw in draws]
    rollouts = tools.roll_out(tasks, run)
    return (*found, *(Sample(*at, rolled) for at, rolled in zip(draws, rollouts, strict=True)))


def _expected(workflow: Workflow) -> float:
    """The flip rate to expect: replies are sampled where a state asks for a temperature."""
    states = (s for s in workflow.states.values() if s.kind is StateKind.PROMPT)
    return SAMPLED if any(state.options.get("temperature") for state in states) else GREEDY
