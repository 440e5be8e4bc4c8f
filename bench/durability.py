"""What it costs to write everything down, and to go on from it.

    python bench/durability.py [--runs N] [--folder DIR] [--json FILE] [--docs FILE]

records  one record of a real run made durable: encoded, added, synced; median and 99th percentile
run      a whole finetune with its journal against the same without one, with a model that answers
         at once, in turns; the journal's share of it, and of a run whose model takes 1 s a call
short    a short run with a model that really takes 1 s a call
resume   a journal of 100 records read and folded (`runs.history.load`), and a run reopened until
         its first step begins

Medians of N runs. What a disk takes for a sync differs by a hundred between machines, so name the
folder of the disk that is meant; the system's temporary folder without.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from crash import guests
from crash.sweep import into_docs, machine

from finetune_fsm.api import finish, open_loop, open_run, reopen_run
from finetune_fsm.llm.base import Request
from finetune_fsm.llm.scripted import ScriptedLLM
from finetune_fsm.loop.machine import Moment
from finetune_fsm.runs import places
from finetune_fsm.runs.history import load
from finetune_fsm.storage.journal import Journal, Record, line_of, read

ITERATIONS = 9
RECORDS = 100
MODEL_SECONDS = 1.0

BUDGETS: Mapping[str, float] = {
    "journal's share of a run, 1 s model": 0.01,
    "reopen 100 records, to the first step": 0.100,
}
"""A share of 0..1, and seconds, that must not be exceeded."""

SCENARIOS = 6  # beside those of the workflow

_MORE = """\
  - name: Likes it {0}
    inputs: [{{state: ask, value: A lovely stay of {0} days}}]
    assertions: [{{type: equals, target: mood, value: good}}]
"""

_AGAIN = 20  # times that a run's records are written again


class _Begun(Exception):
    """The first step begins."""


def scripted(seconds: float = 0.0) -> ScriptedLLM:
    """Return a model that takes so long for a reply."""

    def answer(request: Request) -> str:
        time.sleep(seconds)
        return guests.reply(request.text, warm=bool(request.options.get("temperature")))

    return ScriptedLLM(answer, slots=1)


def fresh(folder: Path) -> Path:
    """Put the workflow into an empty *folder*; return its path."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    workflow = guests.write(folder)
    tests = folder / f"{guests.NAME}.test.yaml"
    tests.write_text(guests.TESTS + "".join(map(_MORE.format, range(SCENARIOS))), "utf-8")
    return workflow


def seconds_of(action: Callable[[], object]) -> float:
    """Return how long *action* takes."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def journaled(folder: Path, iterations: int, model: ScriptedLLM) -> float:
    """Return the seconds of a run that is written down."""
    workflow = fresh(folder)

    def work() -> None:
        with open_run(workflow, llm=model, max_iterations=iterations) as session:
            finish(session.loop)

    return seconds_of(work)


def bare(folder: Path, iterations: int) -> float:
    """Return the seconds of the same run when only the workflows are kept."""
    workflow = fresh(folder)
    loop = open_loop(workflow, llm=scripted(), max_iterations=iterations)
    return seconds_of(lambda: finish(loop))


def journal_of(folder: Path) -> Path:
    """Return the journal of the newest run in *folder*."""
    return places.find(folder / f"{guests.NAME}.yaml") / places.JOURNAL


def appended(folder: Path, records: Sequence[Record]) -> list[float]:
    """Return the seconds that each of *records* takes to become durable."""
    times = []
    for number in range(_AGAIN):
        journal = Journal.create(folder / f"{number}.jsonl")
        for record in records:
            began = time.perf_counter()
            journal.append(record.kind, record.data, at=record.at)
            times.append(time.perf_counter() - began)
        journal.close()
        (folder / f"{number}.jsonl").unlink()
    return times


def cut_to(journal: Path, count: int) -> bytes:
    """Return the bytes of the first *count* records, or of all when there are fewer."""
    return b"".join(line_of(record) for record in read(journal).records[:count])


def reopened(folder: Path, data: bytes) -> float:
    """Return the seconds from a journal with *data* to the first step of the session after it."""
    journal_of(folder).write_bytes(data)
    began = time.perf_counter()
    with (
        suppress(_Begun),
        reopen_run(folder / f"{guests.NAME}.yaml", llm=scripted(), observers=(_end,)) as session,
    ):
        session.loop.step()
    return time.perf_counter() - began


def _end(_: Moment) -> None:
    raise _Begun


def measured(folder: Path, runs: int) -> list[dict[str, object]]:
    """Return one row per figure: what, value, unit."""
    here = folder / "here"
    pairs = [(journaled(here, ITERATIONS, scripted()), bare(here, ITERATIONS)) for _ in range(runs)]
    journaled(here, ITERATIONS, scripted())
    records = read(journal_of(here)).records
    calls = sum(record.kind == "call" for record in records)
    (folder / "records").mkdir()
    times = sorted(appended(folder / "records", records))
    whole = statistics.median(run for run, _ in pairs)
    more = statistics.median(run - without for run, without in pairs)
    data = cut_to(journal_of(here), RECORDS)
    assert data.count(b"\n") == RECORDS
    journal_of(here).write_bytes(data)
    run = journal_of(here).parent
    loads = [seconds_of(lambda: load(run)) for _ in range(runs)]
    reopens = [reopened(here, data) for _ in range(runs)]
    size = statistics.median(len(line_of(record)) for record in records)
    short = journaled(folder / "short", 1, scripted(MODEL_SECONDS))
    wrote = read(journal_of(folder / "short")).records
    asked = sum(record.kind == "call" for record in wrote)
    each = statistics.fmean(times)
    rows = [
        ("records of the run", len(records), "", f"{calls} calls, median {size:.0f} bytes"),
        ("one record durable, median", statistics.median(times), "s", ""),
        ("one record durable, p99", times[int(len(times) * 0.99)], "s", ""),
        ("run with its journal, 0 s model", whole, "s", ""),
        ("more than without one", more, "s", "median of the pairs"),
        ("its records alone", each * len(records), "s", "written again, mean"),
        ("journal's share of a run, 0 s model", max(more, 0.0) / whole, "share", ""),
        ("journal's share of a run, 1 s model", more / (whole + calls), "share", "computed"),
        ("short run, 1 s model", short, "s", f"{asked} calls"),
        ("of that, its records", each * len(wrote) / short, "share", f"{len(wrote)} records"),
        (f"load {RECORDS} records", statistics.median(loads), "s", f"{len(data)} bytes"),
        (f"reopen {RECORDS} records, to the first step", statistics.median(reopens), "s", ""),
    ]
    return [
        {
            "what": what,
            "value": round(value, 6),
            "unit": unit,
            "more": more_words,
            "budget": BUDGETS.get(what),
            "kept": value <= BUDGETS.get(what, float("inf")),
        }
        for what, value, unit, more_words in rows
    ]


def table(rows: Sequence[Mapping[str, object]]) -> str:
    """Return *rows* as a Markdown table."""
    lines = [f"| {'what':<38} | {'value':>10} | {'goal':>10} | note |", "|---|---|---|---|"]
    for row in rows:
        value, budget = _shown(row["value"], row["unit"]), row["budget"]
        goal = "" if budget is None else f"<= {_shown(budget, row['unit']).strip()}"
        mark = "" if row["kept"] else "  NOT KEPT"
        lines.append(f"| {row['what']:<38} | {value:>10} | {goal:>10} | {row['more']}{mark} |")
    return "\n".join(lines)


def _shown(value: object, unit: object) -> str:
    assert isinstance(value, int | float)
    if unit == "share":
        return f"{100 * value:.2f} %"
    if unit != "s":
        return str(value)
    return f"{value:.2f} s" if value >= 1 else f"{1000 * value:.2f} ms"


def main() -> int:
    """Measure, print the table, write the JSON; 1 when a goal is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="on the disk that is meant")
    parser.add_argument("--json", type=Path, help="where the numbers go")
    parser.add_argument("--docs", type=Path, help="put the table into this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        rows = measured(Path(folder), options.runs)
    print(table(rows))
    if options.json:
        written = {"runs": options.runs, "python": sys.version.split()[0], "rows": rows}
        options.json.write_text(json.dumps(written, indent=2) + "\n", "utf-8")
    if options.docs:
        load = ", ".join(f"{average:.1f}" for average in os.getloadavg())
        said = f"On {machine()}; load averages {load}:"
        into_docs(options.docs, "cost", f"{said}\n\n{table(rows)}")
    return 0 if all(row["kept"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
