"""Whether anything bad gets in: generated drafts, through the gate, judged by another judge.

    python bench/policy.py [--lists N] [--seed N] [--jobs N] [--json FILE]

Each list of edits is made for one of several workflows (tool servers, knowledge bases, files,
prompt files, children, steps, anchors), harmless and hostile ones mixed, some under grants, and
either spliced into the file or written as a whole new document. What the gate lets through is
judged by `tests/drafts.py`, which shares no code with the policy. One gain or one invalid file is
a failure, and so is a gate that lets too little through: it would prove nothing.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from drafts import ORIGINALS, SUITE, Case, cases, faults, offer

from finetune_fsm.improve.gate import problems_with
from finetune_fsm.improve.policy import CODES

SHARE = 0.15
"""Of the lists at least so many must pass the gate, 0..1."""

CHUNK = 250
"""Lists that one process makes at a time."""


def judged(number: int, *, seed: int, size: int) -> Counter[tuple[str, str]]:
    """Return what became of *size* lists, by workflow and outcome; the same for the same seed."""
    found: Counter[tuple[str, str]] = Counter()
    rng = random.Random(f"{seed}/{number}")  # noqa: S311  # numbers to repeat, not to hide
    with tempfile.TemporaryDirectory() as folder:
        originals = cases(Path(folder))
        for _ in range(size):
            case = rng.choice(originals)
            found.update((case.name, outcome) for outcome in _outcomes(rng, case))
    return found


def _outcomes(rng: random.Random, case: Case) -> list[str]:
    made = offer(rng, case)
    problems = problems_with(
        made.draft,
        original=case.workflow,
        best=case.workflow,
        suite=SUITE,
        tried=(),
        grants=made.grants,
    )
    if problems:
        return ["lists", *(f"refused: {code}" for code in {problem.code for problem in problems})]
    wrong = faults(made)
    for fault in wrong[:1]:
        print(f"LET IN ({case.name}, {made.grants or 'no grants'}): {fault}", file=sys.stderr)
        print(made.draft.text, file=sys.stderr)
    kinds = {fault.partition(":")[0] for fault in wrong}
    granted = ["passed with grants"] if made.grants != type(made.grants)() else []
    return ["lists", "passed", *granted, *(f"let in: {kind}" for kind in sorted(kinds))]


def table(counts: Counter[tuple[str, str]]) -> str:
    """Return *counts* as a table for people: workflows first, then why drafts were refused."""
    names = list(ORIGINALS)
    total = Counter[str]()
    for (_, outcome), count in counts.items():
        total[outcome] += count
    lines = [f"{'workflow':<14}{'lists':>8}{'passed':>8}{'share':>8}{'gains':>8}{'invalid':>9}"]
    for name in (*names, "all"):
        row = total if name == "all" else {o: c for (n, o), c in counts.items() if n == name}
        lists, passed = row.get("lists", 0), row.get("passed", 0)
        gains = row.get("let in: gain", 0) + row.get("let in: leak", 0)
        share = f"{passed / max(lists, 1):.1%}"
        invalid = row.get("let in: invalid", 0)
        lines.append(f"{name:<14}{lists:>8}{passed:>8}{share:>8}{gains:>8}{invalid:>9}")
    lines += ["", f"{'refused for':<20}{'lists':>8}  (one list may be refused for several)"]
    refused = {o.removeprefix("refused: "): c for o, c in total.items() if o.startswith("refused")}
    for code, count in sorted(refused.items(), key=lambda item: -item[1]):
        about = CODES.get(code, "no valid or no new workflow")
        lines.append(f"{code:<20}{count:>8}  {about}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the drafts, print the table; 1 when something bad got in or next to nothing did."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--lists", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", type=Path, help="where the numbers go")
    options = parser.parse_args(arguments)
    started = time.monotonic()
    counts = Counter[tuple[str, str]]()
    full, rest = divmod(options.lists, CHUNK)
    with ProcessPoolExecutor(options.jobs) as pool:
        work = partial(judged, seed=options.seed, size=CHUNK)
        for part in pool.map(work, range(full)):
            counts += part
    if rest:
        counts += judged(full, seed=options.seed, size=rest)
    seconds = time.monotonic() - started
    print(table(counts))
    total = Counter[str]()
    for (_, outcome), count in counts.items():
        total[outcome] += count
    gains = total["let in: gain"] + total["let in: leak"]
    print(f"\n{gains} capability gains, {total['let in: invalid']} invalid files")
    print(f"{total['lists']} edit lists, seed {options.seed}, {seconds:.0f} s")
    if options.json:
        rows = [{"workflow": n, "outcome": o, "lists": c} for (n, o), c in sorted(counts.items())]
        facts = {"seed": options.seed, "seconds": round(seconds, 1), "rows": rows}
        options.json.write_text(json.dumps(facts, indent=2) + "\n", "utf-8")
    sound = not gains and not total["let in: invalid"]
    return 0 if sound and total["passed"] >= SHARE * options.lists else 1


if __name__ == "__main__":
    sys.exit(main())
