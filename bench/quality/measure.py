"""What a model makes of flawed workflows and references, before anything is improved.

    python bench/quality/measure.py [--cases 01,05] [--llm llamacpp] [--out FILE] [--table FILE]

A reference that the model does not pass cannot show a repair, and a flawed workflow that it
passes has no flaw for it. Writes a line of JSON for each case, with every answer; cases that are
there already are measured again only with --again. --table puts the counts into the cases' README.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(1, str(Path(__file__).resolve().parents[2] / "tests"))

from finetune_fsm.llm.base import LLM
from finetune_fsm.scenarios.evaluate import run_suite
from finetune_fsm.scenarios.model import ScenarioResult, Suite
from finetune_fsm.workflow.model import Workflow
from quality.cases import Case, cases
from quality.models import opened

OUT = Path(__file__).resolve().parent / "results" / "cases.jsonl"


def measured(case: Case, llm: LLM) -> dict[str, Any]:
    """Return how flawed workflow and reference of *case* do, with every answer."""
    rows = {
        f"{which}.{split}": _answers(workflow, suite, llm)
        for which, workflow in (("start", case.start), ("reference", case.reference))
        for split, suite in (("train", case.train), ("holdout", case.holdout))
    }
    calls = sum(
        one["calls"] for split in ("train", "holdout") for one in rows[f"reference.{split}"]
    )
    scenarios = len(case.train.scenarios) + len(case.holdout.scenarios)
    today = datetime.now(UTC).date().isoformat()
    return {"case": case.name, "date": today, "calls": round(calls / scenarios, 1), **rows}


def _answers(workflow: Workflow, suite: Suite, llm: LLM) -> list[dict[str, Any]]:
    return [_answer(result) for result in run_suite(workflow, suite, llm, jobs=1).results]


def _answer(result: ScenarioResult) -> dict[str, Any]:
    rollout = result.rollout
    return {
        "scenario": result.scenario.name,
        "passed": result.passed,
        "failures": [failure.message for failure in result.failures],
        "error": result.error,
        "visited": list(rollout.visited[:12]),
        "answers": {visit.state: visit.completion for visit in rollout.visits[:12]},
        "calls": rollout.usage.calls,
    }


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the counts of *rows* as Markdown, one line per case."""
    lines = [
        "| case | kind | structural | repair | flawed | reference | calls |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        case = cases([row["case"]])[0]
        structural = "yes" if case.structural else "no"
        counts = " | ".join(_counts(row, which) for which in ("start", "reference"))
        cells = f"{case.name} | {case.kind} | {structural} | {case.repair} | {counts}"
        lines.append(f"| {cells} | {row['calls']} |")
    return "\n".join(lines)


def _counts(row: Mapping[str, Any], which: str) -> str:
    found = (row[f"{which}.{split}"] for split in ("train", "holdout"))
    return " + ".join(f"{sum(one['passed'] for one in part)}/{len(part)}" for part in found)


def kept(path: Path) -> dict[str, Mapping[str, Any]]:
    """Return what was measured before, by case."""
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    rows = [json.loads(line) for line in lines if line]
    return {row["case"]: row for row in rows}


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", default="", help="beginnings of their names; all without")
    parser.add_argument("--llm", default="llamacpp")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--table", type=Path, help="put the counts into this file")
    given = parser.parse_args()
    rows = kept(given.out)
    wanted = cases([name for name in given.cases.split(",") if name])
    with opened(given.llm) as model:
        for case in wanted:
            if case.name in rows and not given.again:
                continue
            row = measured(case, model(case, 0))
            rows[case.name] = row
            print(table([row]).splitlines()[-1], flush=True)
            given.out.parent.mkdir(parents=True, exist_ok=True)
            lines = (json.dumps(rows[name], ensure_ascii=False) for name in sorted(rows))
            given.out.write_text("\n".join(lines) + "\n", "utf-8")
    if given.table:
        from crash.sweep import into_docs

        into_docs(given.table, "measured", table([rows[name] for name in sorted(rows)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
