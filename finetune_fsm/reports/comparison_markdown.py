"""A benchmark as Markdown: a table of the workflows, then a section for each match."""

from __future__ import annotations

from collections.abc import Iterator

from finetune_fsm.reports.comparison_text import (
    FINE_PRINT,
    counts,
    draws,
    headline,
    label,
    p_value,
    prices,
    rate,
    span,
    summary_line,
)
from finetune_fsm.reports.markdown_report import escaped
from finetune_fsm.scenarios.benchmark import Benchmark, Contender, Match, Shift


def render(benchmark: Benchmark, *, tests: str, timestamp: str) -> str:
    """Return *benchmark* as Markdown, with a line end at its end.

    Foreign text stays text: it makes no heading, list, table cell, link, image or HTML.

    Args:
        benchmark: What to tell.
        tests: The test file as the user named it.
        timestamp: When it was made, ISO 8601.
    """
    repeat = benchmark.baseline.repeat
    each = f", {repeat} draws each" if repeat > 1 else ""
    parts = [
        f"# Comparison on {escaped(tests)}",
        f"Made: {escaped(timestamp)}",
        f"Scenarios: {len(benchmark.baseline.scenarios)}{each}",
        "\n".join(_table(benchmark)),
        " ".join(FINE_PRINT) + ".",
    ]
    for number, match in enumerate(benchmark.matches, 1):
        parts += _section(benchmark, number, match)
    return "\n\n".join([*parts, summary_line(benchmark)]) + "\n"


def _table(benchmark: Benchmark) -> Iterator[str]:
    yield "| | Workflow | Passed | Rate | 95 % interval | Flips | Calls | Tokens | Seconds |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for number, contender in enumerate(benchmark.contenders):
        yield f"| {' | '.join(_cells(number, contender))} |"


def _cells(number: int, contender: Contender) -> Iterator[str]:
    price, flips = contender.price, contender.flips
    yield label(number)
    yield escaped(contender.name)
    yield f"{contender.passes} of {contender.runs}"
    yield rate(contender)
    yield span(contender.interval)
    yield f"{100 * flips.seen:.0f} % ({span(flips.interval)})" if flips else "unknown"
    yield f"{price.calls:.1f}"
    yield f"{price.tokens:.0f}"
    yield f"{price.seconds:.2f}"


def _section(benchmark: Benchmark, number: int, match: Match) -> Iterator[str]:
    repeat = benchmark.baseline.repeat
    yield f"## {headline(number, match)}"
    yield f"{counts(match)}; {p_value(match)} (exact sign test)"
    rows = [("Won", shift) for shift in match.wins] + [("LOST", shift) for shift in match.losses]
    if rows:
        yield "\n".join(_line(word, shift, repeat) for word, shift in rows)
    yield f"Beside {label(0)}: {prices(benchmark.baseline, benchmark.contenders[number])}"


def _line(word: str, shift: Shift, repeat: int) -> str:
    line = f"- {word}: {escaped(shift.scenario)}"
    return f"{line} ({draws(shift, repeat)})" if repeat > 1 else line
