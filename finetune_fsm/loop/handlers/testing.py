"""TESTING: judge the rollouts, compare with the best, keep one candidate or go back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from finetune_fsm.improve.compare import Comparison, Standing, compare
from finetune_fsm.improve.holdout import held_out
from finetune_fsm.improve.samples import Flips, Sample, flips, report_of, verdicts
from finetune_fsm.loop.outcomes import Tested, Tried
from finetune_fsm.loop.run import Run
from finetune_fsm.loop.ties import settled
from finetune_fsm.loop.toolbox import Toolbox
from finetune_fsm.scenarios.evaluate import judge_rollout
from finetune_fsm.scenarios.model import ScenarioResult


def handle(run: Run, tools: Toolbox) -> Tested:
    """Judge the candidates; one is accepted only if it breaks nothing and wins something.

    What it wins is a scenario, an assertion of a scenario that still fails, or, with every shown
    scenario passing and nobody winning more, what the goal or a judge wants. A tie keeps what the
    user has.

    Raises:
        LLMError: the world broke while judging.
    """
    if run.best is None:
        return _first(run)
    best = _redrawn(run)
    trials = [_tried(run, best, place) for place in range(len(run.candidates))]
    fit = [place for place, tried in enumerate(trials) if tried.accepted]
    chosen = max(fit, key=lambda place: _gain(trials[place]), default=None)
    for place in fit:
        if place != chosen:
            reason = "another candidate does better"
            trials[place] = replace(trials[place], accepted=False, reason=reason)
    if chosen is None and run.solved:
        trials = settled(run, trials, tools)
    counted = sum((flips(_pairs(run, p, t.results)) for p, t in enumerate(trials)), Flips())
    return Tested(tuple(trials), flips=counted + flips(_again(run)))


def _first(run: Run) -> Tested:
    results = _results(run, run.laps[0].samples)
    found = verdicts(_pairs(run, 0, results))
    report = report_of(found)
    tried = Tried(results, report, accepted=True, reason="the workflow as it is")
    settings = run.settings
    holdout = () if run.generated else held_out(report, settings.holdout, seed=settings.seed)
    return Tested((tried,), holdout, flips(_pairs(run, 0, results)))


def _tried(run: Run, best: Mapping[int, ScenarioResult], place: int) -> Tried:
    lap = run.laps[place]
    results = _results(run, lap.samples)
    found = verdicts(_pairs(run, place, results))
    comparison = compare(report_of({i: best[i] for i in found}), report_of(found))
    accepted = comparison.standing is Standing.BETTER and not lap.out
    reason = _reason(run, comparison) if accepted or not lap.out else lap.out
    if lap.out == "it breaks what passed":
        reason = _reason(run, comparison)
    return Tried(results, report_of(found), accepted, reason, comparison)


def _gain(tried: Tried) -> tuple[int, int]:
    assert tried.comparison is not None  # noqa: S101  # there was a best to compare with
    return len(tried.comparison.wins), tried.comparison.gained


def _redrawn(run: Run) -> Mapping[int, ScenarioResult]:
    """The best's verdict on every scenario, further draws included."""
    return verdicts(_again(run))


def _again(run: Run) -> list[tuple[int, ScenarioResult]]:
    assert run.best is not None  # noqa: S101  # there was one to compare with
    known = list(enumerate(run.best.report.results))
    further = zip(run.again, _results(run, run.again), strict=True)
    return known + [(sample.scenario, result) for sample, result in further]


def _results(run: Run, samples: tuple[Sample, ...]) -> tuple[ScenarioResult, ...]:
    assert run.suite is not None  # noqa: S101  # the table comes here only with a suite
    scenarios = run.suite.scenarios
    return tuple(judge_rollout(scenarios[s.scenario], s.rollout) for s in samples)


def _pairs(
    run: Run, place: int, results: tuple[ScenarioResult, ...]
) -> list[tuple[int, ScenarioResult]]:
    samples = run.laps[place].samples
    return [(sample.scenario, result) for sample, result in zip(samples, results, strict=True)]


def _reason(run: Run, comparison: Comparison) -> str:
    """Why, in words that a model may read: what is held out has no name here."""
    assert run.suite is not None  # noqa: S101  # as above
    secret = {run.suite.scenarios[index].name for index in run.holdout}
    if comparison.losses:
        return f"it breaks {_named(comparison.losses, secret)}"
    if comparison.wins:
        return f"it fixes {_named(comparison.wins, secret)} and breaks nothing"
    if comparison.lost:
        return "assertions that passed fail now"
    if comparison.gained:
        return f"it breaks nothing, and {comparison.gained} more assertions pass"
    return "no verdict changes"


def _named(names: tuple[str, ...], secret: set[str]) -> str:
    open_names = [name for name in names if name not in secret]
    shown = [f"'{name}'" for name in open_names[:3]]
    if len(open_names) > len(shown):
        shown.append(f"{len(open_names) - len(shown)} more")
    held = len(names) - len(open_names)
    if held:
        shown.append(f"{held} that {'is' if held == 1 else 'are'} held out")
    return f"{', '.join(shown[:-1])} and {shown[-1]}" if len(shown) > 1 else shown[0]
