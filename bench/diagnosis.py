"""Measure the diagnosis without a model: is the truly flawed field suspected first, is it repaired?

Each case is a folder with ``workflow.yaml``, ``reference.yaml`` (the smallest repair),
``train.yaml``, ``holdout.yaml`` and ``script.yaml``. The scripted model runs the flawed workflow
on its train scenarios; what the rules make of it is compared with where the two files differ.

    python bench/diagnosis.py [FOLDER] [--made] [--json FILE]

``--made`` takes the references instead, and puts flaws into them one by one (see `flawing`).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from flawing import flawed

from finetune_fsm.codec import canonical
from finetune_fsm.execution.limits import Settings
from finetune_fsm.improve.blame import suspects
from finetune_fsm.improve.gate import problems_with
from finetune_fsm.improve.grants import NOTHING, Grants
from finetune_fsm.improve.lint import findings, fixed
from finetune_fsm.improve.model import Attempt, Draft, Strategy
from finetune_fsm.improve.places import changes
from finetune_fsm.improve.repairs import repairs
from finetune_fsm.llm.base import DEFAULT_REPLY_TOKENS, Completion, Purpose, Request
from finetune_fsm.llm.scripted import ScriptedLLM, load_script
from finetune_fsm.scenarios.evaluate import run_suite
from finetune_fsm.scenarios.load import load_suite
from finetune_fsm.scenarios.model import Suite, SuiteReport
from finetune_fsm.workflow.load import check_text, load
from finetune_fsm.workflow.model import Workflow
from finetune_fsm.workflow.splice import splice

CASES = Path(__file__).parent / "quality" / "cases"
CHARACTERS = 4
"""Of one token, about; a script cannot see a limit, so it is kept to here."""

Field = tuple[str, str]
"""A state, or empty text, and one of its fields; ``states`` when a whole state comes or goes."""


def limited(inner: ScriptedLLM) -> ScriptedLLM:
    """Return a scripted model that keeps to ``num_predict``, as servers do."""

    def answer(request: Request) -> Completion:
        reply = inner.complete(request)
        limit = int(str(request.options.get("num_predict", DEFAULT_REPLY_TOKENS))) * CHARACTERS
        if request.purpose is not Purpose.STATE or len(reply.text) <= limit:
            return reply
        return replace(reply, text=reply.text[:limit], cut=True)

    return ScriptedLLM(answer)


@dataclass(frozen=True, slots=True)
class Row:
    """What came out of one case; ranks count from 1, 0 means that it was not there."""

    case: str
    kind: str
    flaw: str
    suspect: int
    suspected: str
    repairs: int
    refused: int
    equal: int
    passing: int
    by: str
    findings: int
    fixed: str


@dataclass(frozen=True, slots=True)
class Case:
    """A flawed workflow with its tests and its repair."""

    folder: Path
    name: str
    kind: str
    workflow: Workflow
    reference: Workflow
    train: Suite
    holdout: Suite

    def run(self, workflow: Workflow, suite: Suite) -> SuiteReport:
        """Run *suite* on *workflow* with the case's script."""
        llm = limited(load_script(self.folder / "script.yaml"))
        return run_suite(workflow, suite, llm, options=Settings(max_steps=30))


def case_in(folder: Path) -> Case:
    """Read the case in *folder*."""
    workflow = load(folder / "workflow.yaml")
    meta = (folder / "meta.yaml").read_text("utf-8")
    kind = next(line.split(":")[1].strip() for line in meta.splitlines() if "kind:" in line)
    train, holdout = (
        load_suite(folder / name, workflow=workflow) for name in ("train.yaml", "holdout.yaml")
    )
    return Case(
        folder, folder.name, kind, workflow, load(folder / "reference.yaml"), train, holdout
    )


def made_from(case: Case) -> Iterator[Case]:
    """Yield the case with each flaw put into its reference that a train scenario notices."""
    if not case.run(case.reference, case.train).solved:
        return
    for number, (kind, workflow) in enumerate(flawed(case.reference)):
        made = replace(case, kind=kind, workflow=workflow, name=f"{case.name}/{number}")
        if not made.run(workflow, case.train).solved:
            yield made


def field_of(path: tuple[str | int, ...], known: Workflow) -> Field:
    """Return state and field of *path*, steps as ``state#index``."""
    if path[0] != "states":
        return "", str(path[0])
    if len(path) == 1 or path[1] not in known.file_states:
        return "", "states"
    if path[2] == "steps":
        return f"{path[1]}#{path[3]}", str(path[4])
    return str(path[1]), str(path[2])


def row_of(case: Case) -> Row:
    """Run the flawed workflow once, and see what the rules make of it."""
    report = case.run(case.workflow, case.train)
    truth = {
        field_of(change.path, case.workflow)
        for change in changes(case.workflow.document, case.reference.document)
    }
    blamed = [field_of(s.path, case.workflow) for s in suspects(case.workflow, report)]
    rank = next((n for n, field in enumerate(blamed, 1) if field in truth), 0)
    found = repairs(case.workflow, report)
    refused = equal = passing = 0
    by = ""
    for number, repair in enumerate(found, 1):
        draft = made(case, number, grants=Grants(structure=True))
        if draft is None:
            refused += 1
            continue
        if not equal and canonical(draft.document) == canonical(case.reference.document):
            equal = number
        if not passing and all(case.run(draft, s).solved for s in (case.train, case.holdout)):
            passing, by = number, repair.code
    return Row(
        case.name,
        case.kind,
        ", ".join(sorted(".".join(filter(None, field)) for field in truth)),
        rank,
        ".".join(filter(None, blamed[0])) if blamed else "",
        len(found),
        refused,
        equal,
        passing,
        by,
        len(
            findings(
                case.workflow,
                check_text(case.workflow.text, folder=case.folder).problems,
                case.train,
            )
        ),
        _fixed(case),
    )


def _fixed(case: Case) -> str:
    """What ``lint --fix`` would make of it: nothing, something, or all pass."""
    after = fixed(case.workflow, suite=case.train)
    if not after.made:
        return ""
    workflow = check_text(after.text, folder=case.folder).workflow
    solved = workflow and all(case.run(workflow, s).solved for s in (case.train, case.holdout))
    return "passes" if solved else "made"


def made(case: Case, number: int, *, grants: Grants = NOTHING) -> Workflow | None:
    """The workflow with repair *number*, 1 is the first; None when the gate refuses it."""
    report = case.run(case.workflow, case.train)
    repair = repairs(case.workflow, report)[number - 1]
    text = splice(case.workflow.text, repair.edits).text
    draft = Draft(Attempt(Strategy.REPAIR, number), repair.edits, text, repair.why)
    own = case.workflow
    if problems_with(draft, original=own, best=own, suite=case.train, tried=(), grants=grants):
        return None
    return check_text(text, folder=own.folder).workflow


HEADS = (
    *("case", "kind", "flaw", "suspect", "repairs", "refused"),
    *("equal", "passing", "by", "findings", "fixed"),
)


def table(rows: list[Row]) -> str:
    """Return the rows as Markdown."""
    lines = [f"| {' | '.join(HEADS)} |", f"|{'---|' * len(HEADS)}"]
    for row in rows:
        cells = [str(getattr(row, head) or "-") for head in HEADS]
        if row.suspect != 1 and row.suspected:
            cells[3] += f" (first: {row.suspected})"
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def by_kind(rows: list[Row]) -> str:
    """Return how it went with each kind of flaw, as Markdown."""
    lines = ["| kind | flaws | first | first three | repaired |", "|---|---|---|---|---|"]
    for kind in sorted({row.kind for row in rows}):
        of_kind = [row for row in rows if row.kind == kind]
        first, three = (sum(0 < r.suspect <= most for r in of_kind) for most in (1, 3))
        mended = sum(r.passing > 0 for r in of_kind)
        lines.append(f"| {kind} | {len(of_kind)} | {first} | {three} | {mended} |")
    return "\n".join(lines)


def summary(rows: list[Row]) -> dict[str, int]:
    """Return what the rows say together."""
    bad = [row for row in rows if row.kind != "good"]
    good = [row for row in rows if row.kind == "good"]
    return {
        "flawed": len(bad),
        "first suspect": sum(row.suspect == 1 for row in bad),
        "among the first three": sum(0 < row.suspect <= 3 for row in bad),
        "a rule repairs it (train and hold-out pass)": sum(row.passing > 0 for row in bad),
        "a rule makes the reference itself": sum(row.equal > 0 for row in bad),
        "lint finds something": sum(row.findings > 0 for row in bad),
        "lint --fix makes something": sum(bool(row.fixed) for row in bad),
        "and it passes then": sum(row.fixed == "passes" for row in bad),
        "repairs proposed": sum(row.repairs for row in bad),
        "of them refused by the gate": sum(row.refused for row in bad),
        "good": len(good),
        "good ones with a suspect or a repair": sum(
            bool(row.suspected or row.repairs) for row in good
        ),
        "good ones in which lint finds something": sum(row.findings > 0 for row in good),
    }


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", nargs="?", type=Path, default=CASES)
    parser.add_argument("--json", type=Path, help="write the rows there too")
    parser.add_argument("--made", action="store_true", help="put flaws into the references")
    given = parser.parse_args()
    folders = sorted(path.parent for path in given.folder.glob("*/reference.yaml"))
    if not folders:
        print(f"no cases in {given.folder}", file=sys.stderr)
        return 2
    started = time.monotonic()
    cases = [case_in(folder) for folder in folders]
    if given.made:
        cases = [made for case in cases for made in made_from(case)]
    rows = [row_of(case) for case in cases]
    print(by_kind(rows) if given.made else table(rows))
    print()
    totals = summary(rows)
    for name, value in totals.items():
        print(f"{name}: {value}")
    print(f"seconds: {time.monotonic() - started:.1f}")
    if given.json:
        document = {"totals": totals, "cases": [asdict(row) for row in rows]}
        given.json.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
