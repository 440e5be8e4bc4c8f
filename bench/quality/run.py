"""Improve the cases in several ways with one model, and compare.

    python bench/quality/run.py [--ways ours,gepa-prompts,gepa-yaml,rewrite] [--cases 01,05]
        [--llm llamacpp|script|...] [--cap 100] [--seeds 0] [--out DIR] [--docs FILE] [--report]
        [--promises] [--ours KEY=VALUE]... [--gepa KEY=VALUE]... [--rewrite KEY=VALUE]...

Each case, way and seed is a job of its own, whose result is written when it is done; jobs done
before with the same cap and options are not done again, so a run that was stopped goes on where
it stood. The cases are taken one after the other, all ways of one together, so that what is there
at any time can be compared. With --report nothing is run, and what is in DIR is summarised. With
--promises it fails when ours shipped what it never may, whoever wins.
"""

from __future__ import annotations

import argparse
import json
import sys
import traceback
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(1, str(Path(__file__).resolve().parents[2] / "tests"))

from finetune_fsm.storage.files import write_text
from quality.cases import cases, names
from quality.jobs import FORMAT, Job, do, done
from quality.models import opened
from quality.summary import broken_promises, cases_table, summarised, table
from quality.ways import WAYS

RESULTS = Path(__file__).resolve().parent / "results"
CAP = 100


def jobs_of(
    wanted: Sequence[str],
    ways: Sequence[str],
    seeds: Sequence[int],
    *,
    cap: int,
    options: Mapping[str, Mapping[str, object]],
) -> list[Job]:
    """Return the jobs, the ways of one case together. Pure, but for the names of the cases."""
    return [
        Job(case, way, seed, cap, options.get(way.partition("-")[0], {}))
        for case in names(wanted)
        for seed in seeds
        for way in ways
    ]


def run(jobs: Sequence[Job], spec: str, out: Path) -> tuple[list[Mapping[str, Any]], int]:
    """Do what of *jobs* is not done; return the results and how many jobs broke.

    Args:
        jobs: In this order.
        spec: Names the model.
        out: Where results are, and go.
    """
    there = {case.name: case for case in cases(sorted({job.case for job in jobs}))}
    rows, broken = [], 0
    with opened(spec) as model:
        for number, job in enumerate(jobs, start=1):
            row = done(job, out)
            if row is None:
                try:
                    row = do(job, there[job.case], model(there[job.case], job.seed), out)
                except Exception:  # noqa: BLE001  # one broken job must not take the night's run along
                    traceback.print_exc()
                    broken += 1
                    print(f"{number}/{len(jobs)} {job.name}: broke", flush=True)
                    continue
                print(f"{number}/{len(jobs)} {line(row)}", flush=True)
            rows.append(row)
    return rows, broken


def line(row: Mapping[str, Any]) -> str:
    """Return one job's result as a line."""
    parts = [
        f"{split} {row[split]['before']}->{row[split]['after']}/{row[split]['total']}"
        for split in ("train", "holdout")
    ]
    marks = [word for word in ("hard_coded", "more_powerful") if row[word]]
    marks += [] if row["valid"] else ["invalid"]
    name = ".".join((row["case"], row["variant"] or row["way"], str(row["seed"])))
    return (
        f"{name}: {', '.join(parts)}, {row['calls']} calls, {row['ending']}, "
        f"{row['seconds']:.0f} s{' '.join(['', *marks])}"
    )


def report(
    rows: Sequence[Mapping[str, Any]], out: Path, said: str, docs: Path | None, mark: str
) -> None:
    """Print the tables of *rows*, and write them to ``summary.json`` and into *docs*."""
    from crash.sweep import into_docs, machine

    named = [{**row, "way": row["variant"] or row["way"]} for row in rows]
    summary = summarised(named)
    whole = f"{table(summary)}\n\n{cases_table(named)}"
    print(f"\n{whole}")
    where = {"date": datetime.now(UTC).date().isoformat(), "machine": machine(), "command": said}
    data = {"format": FORMAT, **where, "jobs": len(rows), **summary}
    write_text(out / "summary.json", json.dumps(data, ensure_ascii=False, indent=1) + "\n")
    if docs:
        head = f"On {where['machine']}, {where['date']}, with `{said}`:"
        into_docs(docs, mark, f"\n{head}\n\n{whole}\n")


def pairs(texts: Iterable[str]) -> dict[str, object]:
    """Return ``KEY=VALUE`` texts as options; a value is JSON, or else text."""
    found: dict[str, object] = {}
    for text in texts:
        key, sign, value = text.partition("=")
        if not sign:
            raise SystemExit(f"'{text}' is no KEY=VALUE")
        try:
            found[key] = json.loads(value)
        except ValueError:
            found[key] = value
    return found


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    made = common(__doc__ or "", out=RESULTS, mark="quality")
    made.add_argument("--ways", default=",".join(WAYS))
    for way in ("ours", "gepa", "rewrite"):
        made.add_argument(f"--{way}", action="append", default=[], metavar="KEY=VALUE")
    return made


def common(description: str, *, out: Path, mark: str) -> argparse.ArgumentParser:
    """Return a parser of what every program over the jobs can be told."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--cases", default="", help="beginnings of their names; all without")
    made.add_argument("--llm", default="llamacpp")
    made.add_argument("--cap", type=int, default=CAP)
    made.add_argument("--seeds", default="0")
    made.add_argument("--out", type=Path, default=out)
    made.add_argument("--docs", type=Path, help="put the tables into this file")
    made.add_argument("--mark", default=mark, help="which place of that file")
    made.add_argument("--report", action="store_true", help="run nothing")
    made.add_argument("--promises", action="store_true", help="fail when ours breaks one")
    return made


def words(text: str) -> list[str]:
    """Return what stands between the commas of *text*; nothing of an empty one. Pure."""
    return [word for word in text.split(",") if word]


def main() -> int:
    """Run, print, write; 1 when a job broke."""
    given = parser().parse_args()
    ways = words(given.ways)
    if unknown := [way for way in ways if way not in WAYS]:
        raise SystemExit(f"there is no way {', '.join(unknown)}; there are {', '.join(WAYS)}")
    jobs = jobs_of(
        words(given.cases),
        ways,
        list(map(int, words(given.seeds))),
        cap=given.cap,
        options={way: pairs(getattr(given, way)) for way in ("ours", "gepa", "rewrite")},
    )
    return finished(jobs, given, "bench/quality/run.py")


def finished(jobs: Sequence[Job], given: argparse.Namespace, program: str) -> int:
    """Do *jobs*, or look at those that are done, and report; 1 when something went wrong."""
    if given.report:
        rows, broken = [row for job in jobs if (row := done(job, given.out))], 0
    else:
        rows, broken = run(jobs, given.llm, given.out)
    if rows:
        shown = [word for word in sys.argv[1:] if word != "--report"]
        said = " ".join(["python", program, *shown])
        report(rows, given.out, said, given.docs, given.mark)
    kept = broken_promises(rows) if given.promises else []
    print("".join(f"BROKEN: {promise}\n" for promise in kept), end="")
    return 1 if broken or kept else 0


if __name__ == "__main__":
    sys.exit(main())
