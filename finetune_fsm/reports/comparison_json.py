"""A benchmark as JSON, whole: every verdict of every draw, and what is concluded from them."""

from __future__ import annotations

from collections.abc import Mapping

from finetune_fsm.reports.comparison_text import ratios
from finetune_fsm.scenarios.benchmark import Benchmark, Contender, Match, Shift
from finetune_fsm.scenarios.statistics import FlipRate, Interval
from finetune_fsm.sinks import json_text

FORMAT = 1
"""1: tests, repeat, workflows with their scenarios, each but the first with a match."""


def render(benchmark: Benchmark, *, tests: str, timestamp: str) -> str:
    """Return *benchmark* as JSON, with a line end at its end.

    Args:
        benchmark: What to tell.
        tests: The test file as the user named it.
        timestamp: When it was made, ISO 8601.
    """
    return json_text(shape(benchmark, tests=tests, timestamp=timestamp)) + "\n"


def shape(benchmark: Benchmark, *, tests: str, timestamp: str) -> Mapping[str, object]:
    """Return what `render` writes, as plain data. Pure."""
    baseline = benchmark.baseline
    others = zip(benchmark.contenders[1:], benchmark.matches, strict=True)
    return {
        "format": FORMAT,
        "tests": tests,
        "timestamp": timestamp,
        "scenarios": len(baseline.scenarios),
        "repeat": baseline.repeat,
        "regressed": benchmark.regressed,
        "asked": {"llm_calls": benchmark.asked.calls, "tokens": benchmark.asked.tokens},
        "seconds": round(benchmark.seconds, 3),
        "workflows": [
            _workflow(baseline),
            *(
                {**_workflow(other), "against_first": _match(baseline, other, match)}
                for other, match in others
            ),
        ],
    }


def _workflow(contender: Contender) -> Mapping[str, object]:
    usage, price = contender.usage, contender.price
    rows = zip(contender.scenarios, contender.passed, contender.verdicts, strict=True)
    return {
        "workflow": contender.name,
        "passed": contender.passes,
        "runs": contender.runs,
        "pass_rate": contender.pass_rate,
        "interval": _interval(contender.interval),
        "flip_rate": _flips(contender.flips) if contender.flips else None,
        "llm_calls": usage.calls,
        "tokens": usage.tokens,
        "model_seconds": round(usage.seconds, 3),
        "per_run": {
            "llm_calls": price.calls,
            "tokens": price.tokens,
            "median_seconds": round(price.seconds, 3),
        },
        "scenarios": [
            {"name": name, "passed": passed, "draws": verdicts} for name, passed, verdicts in rows
        ],
    }


def _match(baseline: Contender, other: Contender, match: Match) -> Mapping[str, object]:
    found = ratios(baseline.price, other.price)
    return {
        "finding": str(match.finding),
        "wins": [_shift(shift) for shift in match.wins],
        "losses": [_shift(shift) for shift in match.losses],
        "ties": match.ties,
        "p_value": match.p_value,
        "scenarios_needed": match.takes,
        "ratio": {
            "llm_calls": found["calls"],
            "tokens": found["tokens"],
            "median_seconds": found["seconds"],
        },
    }


def _shift(shift: Shift) -> Mapping[str, object]:
    return {"name": shift.scenario, "passed_before": shift.before, "passed_after": shift.after}


def _flips(found: FlipRate) -> Mapping[str, object]:
    return {
        "seen": found.seen,
        "rate": found.rate,
        "pairs": found.pairs,
        "interval": _interval(found.interval),
    }


def _interval(interval: Interval) -> list[float]:
    return [interval.low, interval.high]
