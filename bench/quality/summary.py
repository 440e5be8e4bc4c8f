"""Results of many jobs as rates, intervals, sign tests and a table. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import sqrt
from typing import Any

from finetune_fsm.improve.compare import sign_test

Row = Mapping[str, Any]
"""One job's result, as `run` writes it."""

Z = 1.959964
"""Of a 95 % interval, two-sided."""


def wilson(hits: int, total: int) -> tuple[float, float]:
    """Return the 95 % interval of a rate, each end 0..1; the whole range without any trial.

    Source: Wilson 1927, score interval.
    """
    if not total:
        return 0.0, 1.0
    rate, square = hits / total, Z * Z
    middle = (rate + square / (2 * total)) / (1 + square / total)
    half = Z / (1 + square / total) * sqrt(rate * (1 - rate) / total + square / (4 * total**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def raised(row: Row) -> bool:
    """Whether more hold-out scenarios pass than before."""
    return bool(row["holdout"]["after"] > row["holdout"]["before"])


def solved(row: Row) -> bool:
    """Whether all hold-out scenarios pass."""
    return bool(row["holdout"]["after"] == row["holdout"]["total"])


def trained(row: Row) -> bool:
    """Whether all train scenarios pass."""
    return bool(row["train"]["after"] == row["train"]["total"])


def summarised(rows: Sequence[Row]) -> dict[str, Any]:
    """Return one entry per way, the union of both GEPAs, and the tests of ours against each."""
    ways = sorted({str(row["way"]) for row in rows}, key=_order)
    by_way = {way: [row for row in rows if row["way"] == way] for way in ways}
    summary: dict[str, Any] = {"ways": {way: of_way(mine) for way, mine in by_way.items()}}
    modes = [by_way[way] for way in ways if way.startswith("gepa-")]
    if len(modes) > 1:
        summary["gepa_union"] = union(modes)
    if "ours" in by_way:
        others = [way for way in ways if way != "ours"]
        summary["against"] = {way: against(by_way["ours"], by_way[way]) for way in others}
    return summary


def of_way(rows: Sequence[Row]) -> dict[str, Any]:
    """Return what one way did over its jobs."""
    flawed = [row for row in rows if not row["good"]]
    calls = [row["solved_calls"] for row in flawed if row["solved_calls"] is not None]
    distinct = [row["solved_distinct"] for row in flawed if row["solved_calls"] is not None]
    return {
        "jobs": len(rows),
        "flawed": len(flawed),
        "raised": rate(flawed, raised),
        "fresh": rate([row for row in flawed if row["fresh"]], raised),
        "solved": rate(flawed, solved),
        "trained": rate(flawed, trained),
        "to_solved": {
            "reached": len(calls),
            "median_calls": statistics.median(calls) if calls else None,
            "median_distinct": statistics.median(distinct) if distinct else None,
        },
        "good": len(rows) - len(flawed),
        "good_changed": sum(bool(row["changed"]) for row in rows if row["good"]),
        "invalid": sum(not row["valid"] for row in rows),
        "hard_coded": sum(bool(row["hard_coded"]) for row in rows),
        "more_powerful": sum(bool(row["more_powerful"]) for row in rows),
        "closed_places": sum(bool(row["closed_places"]) for row in rows),
        "lost": sum(len(row["train"]["lost"]) + len(row["holdout"]["lost"]) for row in rows),
        "median_calls": statistics.median(row["calls"] for row in rows) if rows else None,
        "tokens": sum(row["tokens"] for row in rows),
        "seconds": round(sum(row["seconds"] for row in rows), 1),
        "most_calls": max((row["calls"] for row in rows), default=0),
    }


def rate(rows: Sequence[Row], holds: Callable[[Row], bool]) -> dict[str, Any]:
    """Return how many of *rows* it holds for, and the rate with its 95 % interval."""
    hits = sum(map(holds, rows))
    low, high = wilson(hits, len(rows))
    share = hits / len(rows) if rows else 0.0
    return {"hits": hits, "of": len(rows), "rate": share, "low": low, "high": high}


def broken_promises(rows: Sequence[Row]) -> list[str]:
    """Return what ours shipped and never may, a line each."""
    found = []
    for row in rows:
        if row["way"] != "ours":
            continue
        wrong = {
            "an invalid workflow": not row["valid"],
            "words of a test": row["hard_coded"],
            "more power than the original": row["more_powerful"],
            "a change of what only a person may change": row["closed_places"],
            "another workflow for a good one": row["good"] and row["changed"],
            "a workflow that fails what passed before": row["train"]["lost"],
            "more calls than allowed": row["calls"] > row["cap"] or row["refused"] > 1,
        }
        found += [
            f"{row['case']}, seed {row['seed']}: {what}" for what, is_so in wrong.items() if is_so
        ]
    return found


def union(modes: Sequence[Sequence[Row]]) -> dict[str, Any]:
    """Return what several ways reach together: the best of them for each case and seed."""
    keyed = [{_key(row): row for row in mode if not row["good"]} for mode in modes]
    shared = sorted(set.intersection(*(set(rows) for rows in keyed)))
    groups = [[rows[key] for rows in keyed] for key in shared]
    firsts = [
        min(found)
        for group in groups
        if (found := [row["solved_calls"] for row in group if row["solved_calls"] is not None])
    ]
    low, high = wilson(sum(any(map(raised, g)) for g in groups), len(groups))
    return {
        "of": len(groups),
        "raised": sum(any(map(raised, group)) for group in groups),
        "low": low,
        "high": high,
        "solved": sum(any(map(solved, group)) for group in groups),
        "median_calls": statistics.median(firsts) if firsts else None,
    }


def against(ours: Sequence[Row], other: Sequence[Row]) -> dict[str, Any]:
    """Return the sign tests over the flawed cases that both have: hold-out raised, and solved."""
    mine = {_key(row): row for row in ours if not row["good"]}
    theirs = {_key(row): row for row in other if not row["good"]}
    keys = sorted(mine.keys() & theirs.keys())
    return {"pairs": len(keys), **_tested(keys, mine, theirs)}


def _tested(
    keys: Iterable[tuple[str, int]],
    mine: Mapping[tuple[str, int], Row],
    theirs: Mapping[tuple[str, int], Row],
) -> dict[str, Any]:
    keys = list(keys)
    found: dict[str, Any] = {}
    for name, holds in (("raised", raised), ("solved", solved)):
        wins = sum(holds(mine[key]) and not holds(theirs[key]) for key in keys)
        losses = sum(holds(theirs[key]) and not holds(mine[key]) for key in keys)
        found[name] = {"wins": wins, "losses": losses, "p": sign_test(wins, losses)}
    return found


def table(summary: Mapping[str, Any]) -> str:
    """Return *summary* as Markdown: a table of the ways, then a sentence for each comparison."""
    titles = (
        "way",
        "hold-out raised",
        "of fresh cases",
        "hold-out solved",
        "train solved",
        "calls to that, median (distinct)",
        "invalid",
        "hard-coded",
        "more powerful",
        "closed places",
        "good changed",
        "scenarios lost",
        "calls, median",
        "tokens",
        "model time",
    )
    lines = [f"| {' | '.join(titles)} |", "|" + "---|" * len(titles)]
    for way, found in summary["ways"].items():
        reached = found["to_solved"]
        cells = [
            way,
            _rate(found["raised"]),
            f"{found['fresh']['hits']} of {found['fresh']['of']}",
            _rate(found["solved"]),
            f"{found['trained']['hits']} of {found['trained']['of']}",
            f"{_number(reached['median_calls'])} ({_number(reached['median_distinct'])})",
            f"{found['invalid']} of {found['jobs']}",
            f"{found['hard_coded']} of {found['jobs']}",
            f"{found['more_powerful']} of {found['jobs']}",
            f"{found['closed_places']} of {found['jobs']}",
            f"{found['good_changed']} of {found['good']}",
            str(found["lost"]),
            _number(found["median_calls"]),
            f"{found['tokens']:,}",
            f"{found['seconds'] / 60:.0f} min",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *sentences(summary)])


def sentences(summary: Mapping[str, Any]) -> list[str]:
    """Return the comparisons in words."""
    said = []
    if both := summary.get("gepa_union"):
        said.append(
            f"- GEPA's two modes together raise the hold-out of {both['raised']} of {both['of']} "
            f"flawed workflows (95 % interval {_percent(both['low'])} to {_percent(both['high'])})"
            f", solve it in {both['solved']}; "
            f"calls to all train scenarios passed, the better mode of each: "
            f"median {_number(both['median_calls'])}."
        )
    for way, found in summary.get("against", {}).items():
        one, two = found["raised"], found["solved"]
        said.append(
            f"- ours against {way}, {found['pairs']} flawed workflows: hold-out raised in "
            f"{one['wins']} that it does not raise, {one['losses']} the other way round "
            f"(p = {one['p']:.3f}); solved {two['wins']} to {two['losses']} (p = {two['p']:.3f})."
        )
    return said


def cases_table(rows: Sequence[Row]) -> str:
    """Return one line per case: train and hold-out before and after, by way."""
    ways = sorted({str(row["way"]) for row in rows}, key=_order)
    lines = ["| case | start | " + " | ".join(ways) + " |", "|---|---|" + "---|" * len(ways)]
    for name, seed in sorted({_key(row) for row in rows}):
        mine = {row["way"]: row for row in rows if _key(row) == (name, seed)}
        one = next(iter(mine.values()))
        label = f"{name}, seed {seed}" if seed else name
        start = f"{one['train']['before']}/{one['train']['total']} + "
        start += f"{one['holdout']['before']}/{one['holdout']['total']}"
        cells = [_cell(mine[way]) if way in mine else "" for way in ways]
        lines.append(f"| {label} | {start} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(row: Row) -> str:
    marks = [
        word
        for word, true in (
            ("invalid", not row["valid"]),
            ("hard-coded", row["hard_coded"]),
            ("more powerful", row["more_powerful"]),
            ("changed", row["good"] and row["changed"]),
        )
        if true
    ]
    first = "" if row["solved_calls"] is None else f", {row['solved_calls']} calls"
    more = f" ({', '.join(marks)})" if marks else ""
    return f"{row['train']['after']} + {row['holdout']['after']}{first}{more}"


def _key(row: Row) -> tuple[str, int]:
    return str(row["case"]), int(row["seed"])


def _order(way: str) -> tuple[bool, str]:
    return way != "ours", way


def _rate(found: Mapping[str, Any]) -> str:
    interval = f"{_percent(found['low'])}-{_percent(found['high'])}"
    return f"{found['hits']} of {found['of']} ({_percent(found['rate'])} %, {interval})"


def _percent(share: float) -> str:
    return f"{100 * share:.0f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"
