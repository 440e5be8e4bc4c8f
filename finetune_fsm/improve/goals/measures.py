"""How well a workflow meets a goal, from rollouts that were made to test it: no call more.

What a run that broke off spent says nothing of the workflow, so only runs that came to an end
count. Seconds are those that a model took to answer, as `Usage` adds them up, not wall time: a
question that the run has asked before is not asked again, so a candidate's wall time is short where
it changes nothing; and runs side by side would wait for each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import assert_never

from finetune_fsm.execution.rollout import Rollout, RunStatus, Visit
from finetune_fsm.improve.goals.goal import Goal, GoalKind
from finetune_fsm.improve.goals.metric import Metric
from finetune_fsm.improve.goals.sentences import prompts, unclear
from finetune_fsm.improve.judge import Balance
from finetune_fsm.llm.base import estimated_tokens
from finetune_fsm.scenarios.model import ScenarioResult
from finetune_fsm.workflow.model import StateKind, Workflow


@dataclass(frozen=True, slots=True)
class Showing:
    """A workflow and how it fared.

    Attributes:
        workflow: What ran.
        results: One per scenario, of draw 0; for robustness those of the perturbed suite.
    """

    workflow: Workflow
    results: Sequence[ScenarioResult]


def measure(goal: Goal, workflow: Workflow, results: Sequence[ScenarioResult]) -> Metric:
    """Return how well *workflow* meets *goal*. Pure.

    Args:
        goal: What to measure; a goal in words is judged, not measured, and has n = 0 here.
        workflow: What ran.
        results: One per scenario, of draw 0; for robustness those of the perturbed suite. For
            clarity they do not count: the prompts themselves are looked at.
    """
    ended = [r for r in results if r.rollout.status is RunStatus.COMPLETED]
    match goal.kind:
        case GoalKind.TOKENS:
            return _tokens(ended, counted=all(_is_counted(r.rollout) for r in ended))
        case GoalKind.LATENCY:
            timed = [r.rollout.usage.seconds for r in ended if _is_timed(r.rollout)]
            value = median(timed) if timed else 0.0
            return Metric("model seconds per scenario", value, "s", True, len(timed))
        case GoalKind.LENGTH:
            lengths = [_length(workflow, result) for result in ended]
            return Metric(
                "characters of the result", _mean(lengths), "characters", True, len(ended)
            )
        case GoalKind.ROBUSTNESS:
            passed = sorted(r.scenario.name for r in results if r.passed)
            rate = len(passed) / len(results) if results else 0.0
            name = "pass rate on perturbed inputs"
            return Metric(name, rate, "share", False, len(results), tuple(passed))
        case GoalKind.CLARITY:
            count = len(prompts(workflow))
            name = "unclear places in the prompts"
            return Metric(name, float(len(unclear(workflow))), "places", True, count)
        case GoalKind.TEXT:
            return preference(Balance())
        case _ as never:
            assert_never(never)


def paired(goal: Goal, old: Showing, new: Showing) -> tuple[Metric, Metric]:
    """Return how well two workflows meet *goal*, measured alike. Pure.

    Only scenarios that can be measured on both sides count, by name; where a server, or a reply
    kept from an earlier run, does not tell the tokens of one side, both are estimated.
    """
    sides = (old, new)
    usable = [{r.scenario.name for r in s.results if _is_usable(goal, r)} for s in sides]
    common = usable[0] & usable[1]
    kept = [[r for r in s.results if r.scenario.name in common] for s in sides]
    if goal.kind is GoalKind.TOKENS:
        counted = all(_is_counted(r.rollout) for results in kept for r in results)
        return _tokens(kept[0], counted=counted), _tokens(kept[1], counted=counted)
    return measure(goal, old.workflow, kept[0]), measure(goal, new.workflow, kept[1])


def preference(balance: Balance) -> Metric:
    """Return how often the judge preferred a workflow to the one it began with. Pure.

    The value is the share of compared scenarios that it won in both orders, 0..1; what it lost
    counts as much as what was even.
    """
    share = balance.won / balance.compared if balance.compared else 0.0
    return Metric("preferred to the start", share, "share", False, balance.compared)


def _is_usable(goal: Goal, result: ScenarioResult) -> bool:
    if goal.kind is GoalKind.ROBUSTNESS:
        return True  # a run that breaks off has failed
    ended = result.rollout.status is RunStatus.COMPLETED
    return ended and (goal.kind is not GoalKind.LATENCY or _is_timed(result.rollout))


def _tokens(results: Sequence[ScenarioResult], *, counted: bool) -> Metric:
    """Tokens read and written, routing included, as the server counts them or by the texts."""
    count = (lambda r: r.usage.tokens) if counted else _estimate
    value = _mean([count(result.rollout) for result in results])
    unit = "tokens" if counted else "tokens, estimated"
    return Metric("tokens per scenario", value, unit, True, len(results))


def _is_counted(rollout: Rollout) -> bool:
    """Whether every call says its tokens; a reply kept from another run costs and says none."""
    usages = [visit.usage for visit in rollout.visits]
    return not any(usage.cached or (usage.calls and not usage.tokens) for usage in usages)


def _is_timed(rollout: Rollout) -> bool:
    return not rollout.usage.cached


def _estimate(rollout: Rollout) -> int:
    asked = [v for v in rollout.visits if v.usage.calls or v.usage.cached]
    return sum(_estimated(visit) for visit in asked)


def _estimated(visit: Visit) -> int:
    """A choice of the next state shows the model both texts again."""
    once = estimated_tokens(visit.prompt) + estimated_tokens(visit.completion)
    return 2 * once if visit.routed else once


def _length(workflow: Workflow, result: ScenarioResult) -> int:
    """Characters that the workflow gives back, white space at the ends left out.

    Those of the variables that the scenario looks at, but for what a person typed in; else of all
    that prompts saved; else of the last reply.
    """
    rollout = result.rollout
    states = workflow.states.values()
    typed = {s.save_as for s in states if s.kind is StateKind.INPUT}
    written = {s.save_as for s in states if s.kind is StateKind.PROMPT and s.save_as}
    sought = {a.target for a in result.scenario.assertions if a.target} - (typed - written)
    for names in (sought, written):
        texts = [rollout.variables[name] for name in names if name in rollout.variables]
        if texts:
            return sum(len(text.strip()) for text in texts)
    replies = [v.completion for v in rollout.visits if v.kind == StateKind.PROMPT]
    return len(replies[-1].strip()) if replies else 0


def _mean(values: Sequence[int]) -> float:
    return fmean(values) if values else 0.0
