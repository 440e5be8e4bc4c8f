"""A benchmark as plain lines: a table of the workflows, then what each match says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil, floor
from string import ascii_uppercase
from typing import assert_never

from finetune_fsm.reports.text_report import duration
from finetune_fsm.scenarios.benchmark import Benchmark, Contender, Finding, Match, Price, Shift
from finetune_fsm.scenarios.statistics import Interval
from finetune_fsm.sinks import one_line

_LIMIT = 500
"""Characters of one line of foreign text."""

_NOTHING = 1e-6
"""Calls, tokens or seconds of a run: less is none, and no share of it means anything."""

FINE_PRINT = (
    "calls and tokens: the mean of a run; seconds: its median, waiting for the model;",
    "counted as if each workflow ran alone, though equal questions are asked once",
)


def render(benchmark: Benchmark, *, tests: str, timestamp: str) -> str:
    """Return *benchmark* as text, with a line end at its end.

    Args:
        benchmark: What to tell.
        tests: The test file as the user named it.
        timestamp: When it was made, ISO 8601.
    """
    baseline = benchmark.baseline
    head = title(len(benchmark.contenders), len(baseline.scenarios), baseline.repeat, tests=tests)
    lines = [f"{head}  {one_line(timestamp)}", "", *table(benchmark)]
    for number, match in enumerate(benchmark.matches, 1):
        lines += ["", headline(number, match), *details(benchmark, number, match)]
    return "\n".join([*lines, "", summary_line(benchmark)]) + "\n"


def title(workflows: int, scenarios: int, repeat: int, *, tests: str) -> str:
    """Return what is compared, in one line: so many of each, on the test file *tests*."""
    each = f", {repeat} draws each" if repeat > 1 else ""
    where = one_line(tests, limit=_LIMIT)
    return f"Comparing {workflows} workflows on {_many(scenarios, 'scenario')} of {where}{each}"


def table(benchmark: Benchmark) -> tuple[str, ...]:
    """Return the workflows by letter, and a table of what they passed and what they took."""
    names = (
        f"{label(number)}  {one_line(contender.name, limit=_LIMIT)}"
        + ("  (the baseline)" if number == 0 else "")
        for number, contender in enumerate(benchmark.contenders)
    )
    rows = [_row(number, contender) for number, contender in enumerate(benchmark.contenders)]
    heads = ["", "passed", "rate", "95 % interval", "flips", "calls", "tokens", "seconds"]
    if benchmark.baseline.repeat == 1:  # nobody knows of flips
        for row in (heads, *rows):
            del row[4]
    return (*names, "", *_aligned([heads, *rows]), *FINE_PRINT)


def headline(number: int, match: Match) -> str:
    """Return what *match* says of the contender with *number*. Pure."""
    one, other = label(number), label(0)
    match match.finding:
        case Finding.BETTER | Finding.WORSE as finding:
            return f"{one} is {finding} than {other}"
        case Finding.NO_DIFFERENCE:
            return f"{one}: no difference seen from {other}"
        case Finding.TOO_FEW:
            return f"{one}: too few scenarios to tell from {other} — {takes(match)}"
        case _ as unknown:
            assert_never(unknown)


def takes(match: Match) -> str:
    """Return how many scenarios it would take to tell, in words; empty where these do. Pure."""
    if match.takes is None:
        return ""
    if len(match.wins) == len(match.losses):
        return f"it takes {match.takes} at least"
    return f"it would take about {match.takes} like these"


def details(benchmark: Benchmark, number: int, match: Match) -> Iterator[str]:
    """Yield the counts, what was won and lost by name, and the price beside the baseline's."""
    repeat = benchmark.baseline.repeat
    yield f"  {counts(match)}; {p_value(match)} (exact sign test)"
    yield from won(match, repeat)
    yield from lost(match, repeat)
    yield f"  {prices(benchmark.baseline, benchmark.contenders[number])}"


def counts(match: Match) -> str:
    """Return how many scenarios were won, lost and tied. Pure."""
    return f"{len(match.wins)} won, {len(match.losses)} lost, {match.ties} tied"


def won(match: Match, repeat: int) -> Iterator[str]:
    """Yield a line for each scenario that the workflow alone passed."""
    return (f"  + {_shift(shift, repeat)}" for shift in match.wins)


def lost(match: Match, repeat: int) -> Iterator[str]:
    """Yield a line for each scenario that the baseline alone passed."""
    return (f"  - {_shift(shift, repeat)}" for shift in match.losses)


def _shift(shift: Shift, repeat: int) -> str:
    name = one_line(shift.scenario, limit=_LIMIT)
    return name + (f"  ({draws(shift, repeat)})" if repeat > 1 else "")


def draws(shift: Shift, repeat: int) -> str:
    """Return how many of *repeat* draws passed in the baseline and here. Pure."""
    return f"baseline {shift.before} of {repeat}, here {shift.after}"


def prices(baseline: Contender, other: Contender) -> str:
    """Return how much of the baseline's price the *other* takes. Pure."""
    found = ratios(baseline.price, other.price)
    told = (f"{name} {ratio:.2f}x" for name, ratio in found.items() if ratio is not None)
    return ", ".join(told) or "it asked no model, or its baseline asked none"


def ratios(baseline: Price, other: Price) -> dict[str, float | None]:
    """Return the *other* price as a multiple of the *baseline*'s; None of what costs nothing."""
    pairs = {
        "calls": (other.calls, baseline.calls),
        "tokens": (other.tokens, baseline.tokens),
        "seconds": (other.seconds, baseline.seconds),
    }
    return {name: one / two if two > _NOTHING else None for name, (one, two) in pairs.items()}


def summary_line(benchmark: Benchmark) -> str:
    """Return what it all took, in one line. Pure."""
    used = sum(contender.usage.calls for contender in benchmark.contenders)
    asked = benchmark.asked.calls
    shared = f" for {used} answers" if asked < used else ""
    return (
        f"{_many(asked, 'model call')}{shared}, {benchmark.asked.tokens} tokens, "
        f"{duration(benchmark.seconds)}"
    )


def label(number: int) -> str:
    """Return the letter of the contender with *number*, 0 the baseline; numbers after Z. Pure."""
    return ascii_uppercase[number] if number < len(ascii_uppercase) else str(number + 1)


def rate(contender: Contender) -> str:
    """Return the pass rate in per cent, rounded down: 100 % means all. Pure."""
    return f"{100 * contender.passes // contender.runs if contender.runs else 0} %"


def span(interval: Interval) -> str:
    """Return *interval* in per cent, rounded outwards. Pure."""
    return f"{floor(100 * interval.low)} - {ceil(100 * interval.high)} %"


def p_value(match: Match) -> str:
    """Return the p-value in words, with three digits, and never as if it were nothing. Pure."""
    return f"p = {match.p_value:.3f}" if match.p_value >= 0.001 else "p below 0.001"


def _row(number: int, contender: Contender) -> list[str]:
    price, flips = contender.price, contender.flips
    return [
        label(number),
        f"{contender.passes} of {contender.runs}",
        rate(contender),
        span(contender.interval),
        f"{100 * flips.seen:.0f} % ({span(flips.interval)})" if flips else "",
        f"{price.calls:.1f}",
        f"{price.tokens:.0f}",
        f"{price.seconds:.2f}",
    ]


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield *rows* with every column as wide as its widest cell, to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
