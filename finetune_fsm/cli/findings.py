"""What lint found in a workflow, as people read it and as programs do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from finetune_fsm.cli.console import Console
from finetune_fsm.errors import Problem, errors_in
from finetune_fsm.observers.lines import Line, Tone
from finetune_fsm.sinks import one_line

if TYPE_CHECKING:
    from finetune_fsm.cli.files import Source
    from finetune_fsm.improve.lint import Finding, Fixed
    from finetune_fsm.scenarios.model import Suite, SuiteReport
    from finetune_fsm.workflow.model import Workflow


@dataclass(slots=True)
class Looked:
    """One workflow, and what was found in it.

    Attributes:
        source: The file.
        problems: The validator's, and those of its test file: errors and warnings.
        workflow: What it means; None when it has errors.
        suite: Its tests, or None.
        tests: The test file, or None.
        findings: What rules found.
        report: How its scenarios went, once they were run.
        fixed: The repairs that were made, once they were.
        output: Where they were written.
    """

    source: Source
    problems: tuple[Problem, ...] = ()
    workflow: Workflow | None = None
    suite: Suite | None = None
    tests: Path | None = None
    findings: tuple[Finding, ...] = ()
    report: SuiteReport | None = None
    fixed: Fixed | None = None
    output: Path | None = None

    @property
    def left(self) -> tuple[Finding, ...]:
        """The findings that no repair took away, nor would again."""
        if self.fixed is None:
            return self.findings
        made = [finding.repair for finding in self.fixed.made if finding.repair]
        return tuple(f for f in self.findings if f not in self.fixed.made and f.repair not in made)

    def fix(self, output: Path) -> None:
        """Write the workflow with its obvious repairs to *output*.

        Raises:
            StorageError: the file cannot be written.
        """
        from finetune_fsm.improve.lint import fixed
        from finetune_fsm.storage.files import write_text
        from finetune_fsm.workflow.relocate import relocated

        if self.workflow is None:
            return
        self.fixed = fixed(self.workflow, file=self.source.name, suite=self.suite)
        text = relocated(self.fixed.text, self.source.folder, output.resolve().parent)
        write_text(output, text)
        self.output = output


def document_of(looked: Sequence[Looked]) -> Mapping[str, object]:
    """Return all that was found as one document."""
    files = [_file_document(one) for one in looked]
    left = [finding for one in looked for finding in one.left]
    errors = sum(len(errors_in(one.problems)) for one in looked)
    summary = {
        "errors": errors,
        "warnings": len(left),
        "repairable": sum(map(_obvious, left)),
    }
    return {"summary": summary, "files": files}


def _file_document(one: Looked) -> Mapping[str, object]:
    from finetune_fsm.cli.problems import as_data

    run = {"total": one.report.total, "passed": one.report.passed} if one.report else None
    repaired = None
    if one.fixed is not None:
        repaired = {
            "output": str(one.output),
            "made": [_as_data(finding) for finding in one.fixed.made],
            "refused": [
                {**_as_data(finding), "reason": reason} for finding, reason in one.fixed.refused
            ],
        }
    return {
        "workflow": one.source.name,
        "tests": str(one.tests) if one.tests else None,
        "errors": [as_data(problem) for problem in errors_in(one.problems)],
        "findings": [_as_data(finding) for finding in one.findings],
        "run": run,
        "fixed": repaired,
    }


def _as_data(finding: Finding) -> Mapping[str, object]:
    from finetune_fsm.cli.problems import as_data

    return {
        **as_data(finding.problem),
        "why": finding.why,
        "state": finding.state,
        "field": finding.field,
        "scenarios": list(finding.scenarios),
        "repair": [
            {"op": edit.op.value, "path": list(edit.path), "value": edit.value}
            for edit in finding.repair
        ],
    }


def show(console: Console, one: Looked) -> None:
    """Show what was found in one workflow; a quiet console gets errors and the sum."""
    from finetune_fsm.cli.problems import as_text

    name = one_line(one.source.name, limit=1000)
    own = one.source.text
    for problem in errors_in(one.problems):
        text = as_text(problem, source=own if problem.file == one.source.name else None)
        console.result(Line(text, Tone.BAD))
    for finding in () if console.quiet else one.left:
        source = own if finding.problem.file == one.source.name else None
        console.result(Line(as_text(finding.problem, source=source), Tone.WARNING))
        for line in _details(finding):
            console.result(Line(f"        {line}", Tone.FAINT))
    _show_fixed(console, one)
    errors = len(errors_in(one.problems))
    if errors:
        console.result(Line(f"{name}: {_counted(errors, 'error')}", Tone.BAD))
    elif one.left or not console.quiet:
        tone = Tone.WARNING if one.left else Tone.GOOD
        console.result(Line(f"{name}: {_verdict(one)}", tone))


def _details(finding: Finding) -> list[str]:
    from finetune_fsm.improve.changes import in_words

    lines = [f"because {finding.why}"] if finding.why and finding.code != "suspect" else []
    if finding.why and finding.code == "suspect":
        lines.append(f"wanted: {finding.why}")
    if finding.scenarios:
        shown = ", ".join(f"'{one_line(name)}'" for name in finding.scenarios[:5])
        more = len(finding.scenarios) - 5
        lines.append(f"scenarios: {shown}{f' and {more} more' if more > 0 else ''}")
    if finding.repair:
        lines.append(f"repair: {in_words(finding.repair)}")
    return lines


def _show_fixed(console: Console, one: Looked) -> None:
    if one.fixed is None:
        return
    for finding in one.fixed.made:
        console.result(Line(f"repaired: {finding.problem.message}", Tone.GOOD))
    for finding, reason in one.fixed.refused:
        text = f"not repaired: {finding.problem.message} — {one_line(reason)}"
        console.result(Line(text, Tone.WARNING))
    console.tell(f"written: {one_line(str(one.output), limit=1000)}")


def _verdict(one: Looked) -> str:
    run = ""
    if one.report is not None:
        run = f", {one.report.passed} of {one.report.total} scenarios passed"
    if not one.left:
        return f"nothing found{run}" if one.fixed is None else f"nothing left{run}"
    obvious = sum(map(_obvious, one.left))
    mends = f", {obvious} with an obvious repair (--fix)" if obvious and one.fixed is None else ""
    return f"{_counted(len(one.left), 'finding')}{mends}{run}"


def _obvious(finding: Finding) -> bool:
    """Whether ``--fix`` would try its repair; what runs point at is for the loop to try."""
    return bool(finding.repair) and finding.code != "suspect"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"
