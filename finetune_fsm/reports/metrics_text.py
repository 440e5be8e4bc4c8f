"""A run's metrics as tables for a terminal: the iterations in short, or all there is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import floor
from string import ascii_lowercase

from finetune_fsm.llm.base import Usage
from finetune_fsm.loop.trials import Score
from finetune_fsm.reports.columns import (
    WIDTH,
    cut,
    paragraph,
    seconds,
    short,
    sparkline,
    table,
)
from finetune_fsm.reports.comparison_text import span
from finetune_fsm.reports.metrics import (
    CandidateMetrics,
    IterationMetrics,
    RunMetrics,
    interval,
    rate,
)
from finetune_fsm.sinks import one_line

REST = "rest"
"""Stands for the number of an iteration that did not come to its test."""


_AS_IF = "counted as if no question had been asked before"


@dataclass(frozen=True, slots=True)
class Section:
    """A table with what it is about, and lines that fit a terminal."""

    title: str
    lines: tuple[str, ...]


def summary(metrics: RunMetrics) -> tuple[str, ...]:
    """Return one line per iteration with its heads; nothing before the first step. Pure."""
    if not metrics.iterations:
        return ()
    heads = ("iter", "train", "95 %", "held out", "95 %", "calls", "tokens", "seconds")
    lines = tuple(table(heads, [_summarised(row) for row in metrics.iterations]))
    unfinished = any(not row.tested for row in metrics.iterations)
    return (*lines, f"  {REST}: since the last test") if unfinished else lines


def trend(metrics: RunMetrics) -> str:
    """Return how the pass rates of the best went, as bars; empty before two tests. Pure."""
    tested = [row for row in metrics.iterations if row.tested]
    if len(tested) < 2:
        return ""
    splits = (("train", [r.train for r in tested]), ("held out", [r.holdout for r in tested]))
    return ", ".join(_trend(name, scores) for name, scores in splits if _rates(scores))


def _trend(name: str, scores: Sequence[Score | None]) -> str:
    rates = _rates(scores)
    first, last = (floor(100 * rate) for rate in (rates[0], rates[-1]))
    return f"{name} {sparkline(rates)} {first} → {last} %"


def _rates(scores: Sequence[Score | None]) -> list[float]:
    return [share for score in scores if score and (share := rate(score)) is not None]


def sections(metrics: RunMetrics) -> Iterator[Section]:
    """Yield all tables of *metrics* that have a row. Pure."""
    found = (
        Section("Iterations: what the best passes after each", summary(metrics)),
        Section("Candidates", tuple(_candidates(metrics))),
        Section("Drafts by strategy", _strategies(metrics)),
        Section("Drafts and answers refused", _refused(metrics)),
        Section("Spent, by iteration and state of the loop", _spending(metrics)),
        Section("States of the workflow, in all rollouts", _workflow_states(metrics)),
    )
    return (section for section in found if section.lines)


def _summarised(row: IterationMetrics) -> list[str]:
    usage = row.usage
    splits = (cell for score in (row.train, row.holdout) for cell in _passed(score))
    return [_number(row), *splits, short(usage.calls), short(usage.tokens), seconds(usage.seconds)]


def _number(row: IterationMetrics) -> str:
    return str(row.iteration) if row.tested else REST


def _passed(score: Score | None) -> tuple[str, str]:
    """Passed of those that ran, and the interval of the rate; dashes where nothing ran."""
    around = interval(score) if score else None
    if score is None or around is None:
        return "-", "-"
    return f"{short(score.passed)}/{short(score.ran)}", span(around)


def _candidates(metrics: RunMetrics) -> Iterator[str]:
    for row in metrics.iterations:
        for place, candidate in enumerate(row.candidates):
            letter = ascii_lowercase[place % 26] if len(row.candidates) > 1 else ""
            yield from _candidate(f"{row.iteration}{letter}", candidate)


def _candidate(label: str, row: CandidateMetrics) -> Iterator[str]:
    kept = "kept" if row.accepted else "not kept"
    how = one_line(row.strategy, limit=20) or "as it is"
    spent = f"{_many(row.rollouts, 'rollout')}, {_many(row.usage.calls, 'call')}"
    scenarios = f"{short(row.ran)} of {_many(row.total, 'scenario')}"
    yield cut(f"  {label:>4}  {how}, {kept}: {scenarios}, {spent}", WIDTH)
    said = [
        f"{name} {passed} ({around})"
        for name, (passed, around) in (
            ("train", _passed(row.train)),
            ("held out", _passed(row.holdout)),
        )
        if passed != "-"
    ]
    if row.comparison:
        found = row.comparison
        said.append(
            f"{short(len(found.wins))} won, {short(len(found.losses))} lost, "
            f"{short(found.ties)} tied"
        )
    yield from paragraph(", ".join(said), indent=8)
    yield from paragraph(row.change, indent=8)
    yield from paragraph(row.reason, indent=8)


def _strategies(metrics: RunMetrics) -> tuple[str, ...]:
    heads = ("strategy", "asked", "drafts", "refused", "tried", "kept")
    rows = [
        [
            str(row.strategy),
            *map(short, (row.attempts, row.drafts, row.refused, row.tried, row.accepted)),
            short(row.usage.calls),
            short(row.usage.tokens),
            seconds(row.usage.seconds),
            short(row.rollouts.calls),
        ]
        for row in metrics.strategies
    ]
    if not rows:
        return ()
    lines = table((*heads, "calls", "tokens", "seconds", "trials"), rows, name=0)
    return (
        *lines,
        "  calls, tokens, seconds: to get the drafts; trials: calls of the rollouts of",
        f"  those tried, {_AS_IF}",
    )


def _refused(metrics: RunMetrics) -> tuple[str, ...]:
    rows = [
        [_number(row), one_line(code), short(times)]
        for row in metrics.iterations
        for code, times in row.refused
    ]
    return tuple(table(("iter", "why", "times"), rows, name=1)) if rows else ()


def _spending(metrics: RunMetrics) -> tuple[str, ...]:
    """What was spent in each state; without steps that asked nothing, but for the sums."""
    if not (metrics.states or metrics.lost.requests):
        return ()
    rows = [
        [_number(row), str(state.state), short(state.steps), *_spent(state.usage)]
        for row in metrics.iterations
        for state in row.states
        if state.usage != Usage()
    ]
    rows += [["all", str(s.state), short(s.steps), *_spent(s.usage)] for s in metrics.states]
    steps = sum(state.steps for state in metrics.states)
    rows.append(["all", "together", short(steps), *_spent(metrics.usage)])
    if metrics.lost.requests:
        rows.append(["", "broken off", "", *_spent(metrics.lost)])
    heads = ("iter", "state", "steps", "calls", "read", "written", "seconds", "cached", "retries")
    return (*table(heads, rows, name=1), "  read, written: tokens; seconds: waiting for a model")


def _spent(usage: Usage) -> Sequence[str]:
    return (
        short(usage.calls),
        short(usage.prompt_tokens),
        short(usage.completion_tokens),
        seconds(usage.seconds),
        short(usage.cached),
        short(usage.retries),
    )


def _workflow_states(metrics: RunMetrics) -> tuple[str, ...]:
    heads = ("state", "visits", "errors", "calls", "read", "written", "seconds", "cached")
    rows: list[list[str]] = []
    for row in metrics.workflow_states:
        spent = list(_spent(row.usage))[:-1]
        rows.append([one_line(row.state), short(row.visits), short(row.errors), *spent])
        rows += [[f"  to {one_line(state)}", short(n), *[""] * 6] for state, n in row.ways]
    return (*table(heads, rows, name=0), f"  {_AS_IF}") if rows else ()


def _many(count: int, what: str) -> str:
    return f"{short(count)} {what}{'' if count == 1 else 's'}"
