"""All that rules can say of a workflow without asking a model, as values and with repairs.

Findings come from the validator, from rules over the workflow (`lint_rules`) and its tests
(`lint_tests`), and, once the scenarios have been run, from what the runs point at (`blame`). A
repair is obvious when it is the only one that makes its finding go away and brings no other in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from finetune_fsm.errors import Path, Problem, Severity
from finetune_fsm.improve.blame import suspects
from finetune_fsm.improve.finding import Finding, key, observed
from finetune_fsm.improve.gate import problems_with
from finetune_fsm.improve.mending import mending_of, obvious
from finetune_fsm.improve.model import Attempt, Draft, Repair, Strategy
from finetune_fsm.improve.repairs import repairs
from finetune_fsm.scenarios.model import Suite, SuiteReport
from finetune_fsm.sinks import one_line
from finetune_fsm.workflow.edits import Edit
from finetune_fsm.workflow.load import check_text
from finetune_fsm.workflow.model import Workflow
from finetune_fsm.workflow.splice import splice
from finetune_fsm.workflow.text import located, parse

__all__ = ["Finding", "Fixed", "findings", "fixed", "run_findings"]

SHOWN_SUSPECTS = 3
"""Fields that the runs point at, the likeliest."""

ROUNDS = 50
"""Repairs made one after the other at most."""


def findings(
    workflow: Workflow,
    problems: Sequence[Problem] = (),
    suite: Suite | None = None,
    *,
    file: str = "",
) -> tuple[Finding, ...]:
    """Return what rules find in *workflow*, from the top of the file down. Reads no test file.

    Args:
        workflow: A valid one.
        problems: What the validator said of it, warnings alone.
        suite: Its tests, for what they tell.
        file: Its name in messages.
    """
    found = observed(workflow, problems, suite, file=file)
    repaired = obvious(mending_of(workflow, found, suite))
    return tuple(replace(finding, repair=repaired.get(key(finding), ())) for finding in found)


def run_findings(workflow: Workflow, report: SuiteReport, *, file: str = "") -> tuple[Finding, ...]:
    """Return what the failing runs of *report* point at, likeliest first. Pure.

    Args:
        workflow: What ran.
        report: How its scenarios went.
        file: The workflow's name in messages.
    """
    problems, named = [], []
    for suspect in suspects(workflow, report)[:SHOWN_SUSPECTS]:
        where = ".".join(part for part in (suspect.state, suspect.field) if part)
        message = f"failing scenarios point at {one_line(where)}: {one_line(suspect.reason)}"
        problems.append(Problem("suspect", message, "", suspect.path, Severity.WARNING))
        named.append(suspect)
    placed = located(problems, parse(workflow.text, file=file), file)
    proposed = repairs(workflow, report)
    return tuple(
        Finding(
            problem,
            "; ".join(one_line(text) for text in suspect.requirements[:3]),
            suspect.scenarios,
            _proposed(proposed, suspect.path),
        )
        for problem, suspect in zip(placed, named, strict=True)
    )


def _proposed(proposed: Sequence[Repair], path: Path) -> tuple[Edit, ...]:
    """The likeliest of the repairs that begin at *path*."""
    fitting = (r.edits for r in proposed if r.edits[0].path[: len(path)] == path)
    return next(fitting, ())


@dataclass(frozen=True, slots=True)
class Fixed:
    """A workflow with its obvious repairs made.

    Attributes:
        text: The YAML.
        made: The findings that are gone, in the order of the repairs.
        refused: Repairs that were not made, each with the reason.
    """

    text: str
    made: tuple[Finding, ...] = ()
    refused: tuple[tuple[Finding, str], ...] = ()


def fixed(workflow: Workflow, *, file: str = "", suite: Suite | None = None) -> Fixed:
    """Return *workflow* with every obvious repair made that the gate lets pass.

    Args:
        workflow: A valid one.
        file: Its name in messages.
        suite: Its tests, for what they tell and what they rely on.
    """
    best, made, refused = workflow, list[Finding](), list[tuple[Finding, str]]()
    told = set[str]()
    for _ in range(ROUNDS):
        checked = check_text(best.text, folder=best.folder, file=file)
        open_ones = findings(best, checked.problems, suite, file=file)
        todo = [f for f in open_ones if f.repair and repr(f.repair) not in told]
        if not todo:
            break
        finding = todo[0]
        told.add(repr(finding.repair))
        text = splice(best.text, finding.repair).text
        draft = Draft(Attempt(Strategy.REPAIR, 0), finding.repair, text, finding.problem.message)
        own = suite or Suite("", ())
        wrong = problems_with(draft, original=workflow, best=best, suite=own, tried=())
        checked_after = check_text(text, folder=best.folder, file=file)
        after = checked_after.workflow
        if wrong or after is None:
            refused.append((finding, wrong[0].message if wrong else "it would be invalid"))
        else:
            left = {key(f) for f in observed(after, checked_after.problems, suite)}
            made += [f for f in open_ones if key(f) not in left]
            best = after
    return Fixed(best.text, tuple(made), tuple(refused))
