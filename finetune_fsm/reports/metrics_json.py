"""A run's metrics as plain data for JSON: every count, none of them twice under another name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from finetune_fsm.llm.base import Usage
from finetune_fsm.loop.trials import Score
from finetune_fsm.reports.metrics import (
    CandidateMetrics,
    Counts,
    IterationMetrics,
    RunMetrics,
    StateMetrics,
    StrategyMetrics,
    WorkflowStateMetrics,
    interval,
    rate,
)

Shape = Mapping[str, object]


def shape(metrics: RunMetrics) -> Shape:
    """Return *metrics* as plain data. Pure."""
    return {
        **_usage(metrics.usage),
        "lost": _requests(metrics.lost),
        "iterations": [_iteration(row) for row in metrics.iterations],
        "states": _states(metrics.states),
        "strategies": [_strategy(row) for row in metrics.strategies],
        "workflow_states": [_workflow_state(row) for row in metrics.workflow_states],
    }


def _iteration(row: IterationMetrics) -> Shape:
    return {
        "iteration": row.iteration,
        "tested": row.tested,
        "train": _score(row.train) if row.train else None,
        "holdout": _score(row.holdout) if row.holdout else None,
        "candidates": [_candidate(candidate) for candidate in row.candidates],
        "refused": _counts(row.refused, "code"),
        **_usage(row.usage),
        "lost": _requests(row.lost),
        "states": _states(row.states),
    }


def _candidate(row: CandidateMetrics) -> Shape:
    found = row.comparison
    return {
        "strategy": row.strategy,
        "change": row.change,
        "accepted": row.accepted,
        "reason": row.reason,
        "scenarios": row.ran,
        "rollouts": row.rollouts,
        "train": _score(row.train),
        "holdout": _score(row.holdout),
        "wins": len(found.wins) if found else None,
        "losses": len(found.losses) if found else None,
        "ties": found.ties if found else None,
        "rollout_usage": _usage(row.usage),
    }


def _states(rows: Sequence[StateMetrics]) -> list[Shape]:
    return [{"state": str(row.state), "steps": row.steps, **_usage(row.usage)} for row in rows]


def _strategy(row: StrategyMetrics) -> Shape:
    return {
        "strategy": str(row.strategy),
        "attempts": row.attempts,
        "drafts": row.drafts,
        "refused": row.refused,
        "tried": row.tried,
        "accepted": row.accepted,
        **_usage(row.usage),
        "rollout_usage": _usage(row.rollouts),
    }


def _workflow_state(row: WorkflowStateMetrics) -> Shape:
    return {
        "state": row.state,
        "visits": row.visits,
        "errors": row.errors,
        "ways": _counts(row.ways, "state"),
        "rollout_usage": _usage(row.usage),
    }


def _score(score: Score) -> Shape:
    share, around = rate(score), interval(score)
    return {
        "passed": score.passed,
        "ran": score.ran,
        "total": score.total,
        "rate": None if share is None else round(share, 4),
        "interval": [round(around.low, 4), round(around.high, 4)] if around else None,
    }


def _counts(counts: Counts, name: str) -> list[Shape]:
    return [{name: text, "times": times} for text, times in counts]


def _usage(usage: Usage) -> dict[str, object]:
    return {
        **_requests(usage),
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "tokens": usage.tokens,
        "cached": usage.cached,
        "seconds": round(usage.seconds, 3),
    }


def _requests(usage: Usage) -> dict[str, object]:
    return {"llm_calls": usage.calls, "retries": usage.retries}
