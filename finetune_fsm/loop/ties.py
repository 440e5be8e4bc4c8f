"""Who wins when no verdict tells two workflows apart: a goal, a judge, or what there is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from finetune_fsm.errors import Problem
from finetune_fsm.improve.compare import Standing
from finetune_fsm.improve.goals.goal import Goal, GoalKind
from finetune_fsm.improve.goals.measures import Showing, paired, preference
from finetune_fsm.improve.goals.metric import Metric, improves
from finetune_fsm.improve.goals.perturbed import perturbed
from finetune_fsm.improve.judge import prefers, weighed
from finetune_fsm.improve.samples import Sample
from finetune_fsm.llm.base import Completion, Request
from finetune_fsm.loop.outcomes import Tried
from finetune_fsm.loop.run import Run
from finetune_fsm.loop.settings import OnTie
from finetune_fsm.loop.toolbox import Toolbox
from finetune_fsm.loop.trials import Trial, without
from finetune_fsm.loop.workflows import best_of, parsed
from finetune_fsm.scenarios.evaluate import Task, judge_rollout
from finetune_fsm.scenarios.model import ScenarioResult, SuiteReport
from finetune_fsm.workflow.model import Workflow


def settled(run: Run, trials: Sequence[Tried], tools: Toolbox) -> list[Tried]:
    """Return *trials* with at most one more accepted, among those that change no verdict.

    Raises:
        LLMError: the world broke while judging.
    """
    even = [place for place, tried in enumerate(trials) if _is_even(run, place, tried)]
    goal = run.settings.goal
    if goal is not None and not goal.is_text:
        return _measured(run, goal, trials, even)
    if goal is not None or run.on_tie is OnTie.JUDGE:
        return _judged(run, goal.text if goal else "", trials, even, tools)
    return list(trials)


def _is_even(run: Run, place: int, tried: Tried) -> bool:
    if run.laps[place].out or tried.comparison is None:
        return False
    return tried.comparison.standing is Standing.TIE


def _measured(run: Run, goal: Goal, trials: Sequence[Tried], even: list[int]) -> list[Tried]:
    assert run.best is not None  # noqa: S101  # the trials were compared with it
    found, gains = list(trials), dict[int, float]()
    best = Showing(best_of(run), _results(run, goal, run.best.report, run.extra))
    for place in even:
        workflow, lap = parsed(run, run.candidates[place].text), run.laps[place]
        showing = Showing(workflow, _results(run, goal, trials[place].report, lap.extra))
        old, new = paired(goal, best, showing)
        if improves(goal, old, new):
            gains[place] = abs(new.value - old.value)
        reason = f"all tests still pass; {new.name}: {in_numbers(old, new)}"
        found[place] = replace(found[place], reason=reason)
    if gains:
        chosen = max(gains, key=lambda place: gains[place])
        found[chosen] = replace(found[chosen], accepted=True)
    return found


def _judged(
    run: Run, goal: str, trials: Sequence[Tried], even: list[int], tools: Toolbox
) -> list[Tried]:
    """Let the judge prefer one; he sees nothing of what is held out."""
    found = list(trials)
    for place in even:
        shown = without(found[place].report, run.holdout)
        model = run.settings.model
        if prefers(model, best_of(run), run.shown, shown, _asking(tools), goal=goal):
            reason = "all tests still pass, and its results are preferred in both orders"
            found[place] = replace(found[place], accepted=True, reason=reason)
            return found
        reason = "all tests still pass, but its results are not clearly better"
        found[place] = replace(found[place], reason=reason)
    return found


def _asking(tools: Toolbox) -> Callable[[Request], Completion]:
    def ask(request: Request) -> Completion:
        reply = tools.ask(request)
        return Completion("") if isinstance(reply, Problem) else reply

    return ask


def extra_samples(run: Run, workflow: Workflow, tools: Toolbox) -> tuple[Sample, ...]:
    """Run *workflow* on perturbed inputs, if that is the goal; one sample each, else none.

    Raises:
        LLMError: the world broke.
        Cancelled: a stop was asked for, or a budget is spent.
    """
    if run.settings.goal is None or run.settings.goal.kind is not GoalKind.ROBUSTNESS:
        return ()
    assert run.suite is not None  # noqa: S101  # there is something to perturb
    scenarios = perturbed(run.suite, run.settings.seed).scenarios
    rollouts = tools.roll_out([Task(workflow, scenario) for scenario in scenarios], run)
    return tuple(Sample(index, 0, rollout) for index, rollout in enumerate(rollouts))


def _results(
    run: Run, goal: Goal, report: SuiteReport, extra: Sequence[Sample]
) -> tuple[ScenarioResult, ...]:
    """What *goal* is measured on: the suite itself, or for robustness its perturbed form."""
    if goal.kind is not GoalKind.ROBUSTNESS:
        return report.results
    assert run.suite is not None  # noqa: S101  # as above
    scenarios = perturbed(run.suite, run.settings.seed).scenarios
    return tuple(judge_rollout(scenarios[s.scenario], s.rollout) for s in extra)


def goal_reached(run: Run, tools: Toolbox) -> tuple[Metric, Metric] | None:
    """Return how well the user's workflow and the best meet the goal; None without one.

    For a goal in words the judge compares the two; it is asked nothing when they are the same.

    Raises:
        LLMError: the world broke.
        Cancelled: a stop was asked for, or a budget is spent.
    """
    goal = run.settings.goal
    if goal is None or run.first is None or run.best is None:
        return None
    if goal.is_text:
        return _preferred(run, goal, run.first, tools)
    showings = []
    for trial in (run.first, run.best):
        workflow = parsed(run, trial.candidate.text)
        extra = extra_samples(run, workflow, tools)
        showings.append(Showing(workflow, _results(run, goal, trial.report, extra)))
    return paired(goal, *showings)


def _preferred(run: Run, goal: Goal, first: Trial, tools: Toolbox) -> tuple[Metric, Metric] | None:
    if run.best == first:
        return None
    shown = without(first.report, run.holdout)
    asking, model = _asking(tools), run.settings.model
    balance = weighed(model, best_of(run), shown, run.shown, asking, goal=goal.text)
    back = replace(balance, won=balance.lost, lost=balance.won)
    return preference(back), preference(balance)


def in_numbers(old: Metric, new: Metric) -> str:
    """Return two metrics as ``512 → 430 tokens``; a share in percent. Pure."""
    if new.unit == "share":
        return f"{old.value:.0%} → {new.value:.0%}"
    digits = 0 if min(old.value, new.value) >= 100 else 1  # three digits tell enough
    return f"{old.value:.{digits}f} → {new.value:.{digits}f} {new.unit}"
