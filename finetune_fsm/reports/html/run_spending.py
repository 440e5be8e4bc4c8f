"""Where a run's tokens and its time went, by iteration, by state, and by way of making drafts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from finetune_fsm.llm.base import Usage
from finetune_fsm.loop.table import LoopState
from finetune_fsm.reports.html.charts import bars, spread
from finetune_fsm.reports.html.markup import NOTHING, Html, joined, tag
from finetune_fsm.reports.html.parts import Table, line, paragraph
from finetune_fsm.reports.metrics import IterationMetrics, RunMetrics

_ROWS = 200

_HEADS = ("Calls", "Retries", "Tokens read", "Tokens written", "Kept replies", "Seconds")


def spending(metrics: RunMetrics) -> Html:
    """Return all of it; nothing before the first step. Pure."""
    if not metrics.iterations:
        return NOTHING
    return joined((_chart(metrics), _by_iteration(metrics), _by_state(metrics),
                   _by_strategy(metrics), _by_workflow_state(metrics)))  # fmt: skip


def _chart(metrics: RunMetrics) -> Html:
    values = [(_number(row), row.usage.tokens) for row in metrics.iterations]
    if not any(value for _, value in values):
        return NOTHING
    chart = bars("Spent in each iteration", "spending-chart", spread(values), "tokens")
    return tag("figure", chart, tag("figcaption", "Tokens by iteration."))


def _by_iteration(metrics: RunMetrics) -> Html:
    states = [
        state for state in LoopState if any(_in(row, state).calls for row in metrics.iterations)
    ]
    rows = [
        (
            _number(row),
            *(_short(_in(row, state)) for state in states),
            _short(row.usage),
        )
        for row in metrics.iterations[-_ROWS:]
    ]
    heads = ("Iteration", *states, "All")
    caption = "Tokens and seconds waited for models, by iteration and state of the loop"
    told = Table(caption, heads, rows).html()
    if all(row.tested for row in metrics.iterations):
        return told
    return joined((told, paragraph("rest: since the last test", kind="soft")))


def _by_state(metrics: RunMetrics) -> Html:
    rows = [(row.state, f"{row.steps:,}", *_cells(row.usage)) for row in metrics.states]
    if metrics.lost.requests:
        rows.append((_LOST, "", *_cells(metrics.lost)))
    return Table("Spent in each state of the loop", ("State", "Steps", *_HEADS), rows).html()


_LOST = "broke off, and asked again"


def _by_strategy(metrics: RunMetrics) -> Html:
    heads = ("Strategy", "Asked", "Drafts", "Refused", "Tried", "Kept", *_HEADS)
    rows = [
        (
            row.strategy,
            *(f"{n:,}" for n in (row.attempts, row.drafts, row.refused, row.tried, row.accepted)),
            *_cells(row.usage),
        )
        for row in metrics.strategies
    ]
    return Table("Drafts by the way they were made", heads, rows).html()


def _by_workflow_state(metrics: RunMetrics) -> Html:
    heads = ("State", "Visits", "Errors", *_HEADS, "Chosen ways")
    rows = [
        (
            line(row.state),
            f"{row.visits:,}",
            f"{row.errors:,}",
            *_cells(row.usage),
            ", ".join(f"{line(name)} {times:,}×" for name, times in row.ways),  # noqa: RUF001  # times
        )
        for row in metrics.workflow_states[:_ROWS]
    ]
    caption = "States of the workflow in all rollouts, as if no question had been asked before"
    return Table(caption, heads, rows, frozenset({9})).html()


def _in(row: IterationMetrics, state: LoopState) -> Usage:
    return sum((found.usage for found in row.states if found.state is state), Usage())


def _number(row: IterationMetrics) -> str:
    return str(row.iteration) if row.tested else "rest"


def _short(usage: Usage) -> str:
    return f"{usage.tokens:,}, {usage.seconds:.1f} s" if usage.calls or usage.cached else ""


def _cells(usage: Usage) -> Sequence[str]:
    return tuple(_each(usage))


def _each(usage: Usage) -> Iterator[str]:
    counts = (
        usage.calls,
        usage.retries,
        usage.prompt_tokens,
        usage.completion_tokens,
        usage.cached,
    )
    yield from (f"{count:,}" for count in counts)
    yield f"{usage.seconds:.1f}"
