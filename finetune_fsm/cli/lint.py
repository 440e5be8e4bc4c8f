"""``agentmech lint``: what rules say of workflows, and of their runs, without asking a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

from finetune_fsm.cli import options
from finetune_fsm.cli.console import Console
from finetune_fsm.errors import ExitCode, InvalidDocument, Problem, Severity, UsageError, errors_in
from finetune_fsm.observers.lines import Line, Tone
from finetune_fsm.sinks import one_line

if TYPE_CHECKING:
    from finetune_fsm.cli.files import Source
    from finetune_fsm.improve.lint import Finding, Fixed
    from finetune_fsm.scenarios.model import Suite, SuiteReport
    from finetune_fsm.workflow.model import Workflow


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="<workflow-file>...")
@options.value("--tests", metavar="<path>", help="Tests to look at (default: those beside it)")
@click.option("--strict", is_flag=True, help="End with 1 when anything is found")
@click.option("--run", is_flag=True, help="Run the scenarios once, and say what failures point at")
@options.URL
@options.LLM
@options.value("--seed", type=int, default=0, metavar="<number>", help="For sampling (default: 0)")
@options.JOBS
@click.option("--fix", is_flag=True, help="Make the obvious repairs, into the file of -o")
@options.value("-o", "--output", metavar="<path>", help="Where --fix writes the workflow")
@options.OUTPUT_OPTIONS
@click.pass_obj
def lint(  # noqa: PLR0913  # one argument per option
    console: Console,
    /,
    files: tuple[str, ...],
    *,
    tests: str | None,
    strict: bool,
    run: bool,
    ollama_url: str | None,
    llm_spec: str | None,
    seed: int,
    jobs: int | None,
    fix: bool,
    output: str | None,
) -> ExitCode:
    """Say what a workflow hardly means: all that rules can see, with the repair if it is obvious.

    Tests are found beside the workflow. --run, or --llm, runs them once and adds which field of
    which state the failing ones point at. No model is asked for its opinion.
    """
    names = tuple(dict.fromkeys(files))
    _check_options(names, tests=tests, fix=fix, output=output)
    looked = [_looked_at(name, tests) for name in names]
    if run or llm_spec or ollama_url:
        code = _run_all(console, looked, url=ollama_url, spec=llm_spec, seed=seed, jobs=jobs)
        if code is not ExitCode.OK:  # stopped
            return code
    if fix and output is not None:
        looked[0].fix(Path(output))
    if console.json:
        console.document(_document(looked))
    else:
        for one in looked:
            _show(console, one)
    if any(errors_in(one.problems) for one in looked):
        return ExitCode.BAD_INPUT
    return ExitCode.FAILED if strict and any(one.left for one in looked) else ExitCode.OK


def _check_options(
    names: Sequence[str], *, tests: str | None, fix: bool, output: str | None
) -> None:
    if fix and output is None:
        raise UsageError("--fix needs -o <path>: the workflow itself is never overwritten")
    if output is not None and not fix:
        raise UsageError("-o goes with --fix")
    if len(names) > 1 and (fix or tests):
        raise UsageError(f"{'--fix' if fix else '--tests'} goes with one workflow")
    if output is not None:
        from finetune_fsm.api import check_output

        for own in (*names, *((tests,) if tests else ())):
            check_output(Path(output), Path(own))


@dataclass(slots=True)
class _Looked:
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
    output: Path | None = field(default=None)

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


def _looked_at(name: str, tests: str | None) -> _Looked:
    from finetune_fsm.cli.files import check_workflow, is_suite, read
    from finetune_fsm.improve.lint import Finding, findings
    from finetune_fsm.improve.lint_tests import WHY

    source = read(name)
    if is_suite(source):
        raise UsageError(f"'{one_line(name)}' is a test file — name the workflow, and --tests")
    checked = check_workflow(source)
    looked = _Looked(source, checked.problems, checked.workflow)
    if checked.workflow is None:
        return looked
    _read_tests(looked, tests)
    own = findings(checked.workflow, checked.problems, looked.suite, file=source.name)
    of_tests = looked.problems[len(checked.problems) :]
    told = (Finding(p, WHY.get(p.code, "")) for p in of_tests if p.severity is Severity.WARNING)
    looked.findings = (*own, *told)
    return looked


def _read_tests(looked: _Looked, tests: str | None) -> None:
    """Add the suite and what is wrong with it; a file that was named must be there."""
    from finetune_fsm.cli.files import STDIN_NAME
    from finetune_fsm.scenarios.load import check_suite, find_suite

    beside = None if looked.source.name == STDIN_NAME else find_suite(looked.source.path)
    path = Path(tests) if tests else beside
    if path is None:
        return
    checked = check_suite(path, workflow=looked.workflow)
    if checked.suite is None and tests:
        raise InvalidDocument(errors_in(checked.problems))
    looked.tests, looked.suite = path, checked.suite
    looked.problems = (*looked.problems, *checked.problems)


def _run_all(  # the options of `test`
    console: Console,
    looked: Sequence[_Looked],
    *,
    url: str | None,
    spec: str | None,
    seed: int,
    jobs: int | None,
) -> ExitCode:
    """Run the scenarios of every workflow once, and add what the failing ones point at.

    Raises:
        UsageError: a workflow has no tests to run.
    """
    from finetune_fsm.cli.models import open_llm
    from finetune_fsm.cli.signals import Job, supervised

    for one in looked:
        if one.workflow is not None and one.suite is None:
            name = one_line(one.source.name)
            raise UsageError(f"'{name}' has no tests to run — name them with --tests")

    def work(job: Job) -> ExitCode:
        from finetune_fsm.improve.lint import run_findings
        from finetune_fsm.scenarios.evaluate import run_suite

        llm = open_llm(console, job, url=url, spec=spec)
        for one in looked:
            if one.workflow is not None and one.suite is not None:
                one.report = run_suite(
                    one.workflow, one.suite, llm, jobs=jobs, seed=seed, stop=job.stop
                )
                found = run_findings(one.workflow, one.report, file=one.source.name)
                one.findings = (*one.findings, *found)
        return ExitCode.OK

    return supervised(work)


def _document(looked: Sequence[_Looked]) -> Mapping[str, object]:
    files = [_file_document(one) for one in looked]
    left = [finding for one in looked for finding in one.left]
    errors = sum(len(errors_in(one.problems)) for one in looked)
    summary = {
        "errors": errors,
        "warnings": len(left),
        "repairable": sum(map(_obvious, left)),
    }
    return {"summary": summary, "files": files}


def _file_document(one: _Looked) -> Mapping[str, object]:
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


def _show(console: Console, one: _Looked) -> None:
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


def _show_fixed(console: Console, one: _Looked) -> None:
    if one.fixed is None:
        return
    for finding in one.fixed.made:
        console.result(Line(f"repaired: {finding.problem.message}", Tone.GOOD))
    for finding, reason in one.fixed.refused:
        text = f"not repaired: {finding.problem.message} — {one_line(reason)}"
        console.result(Line(text, Tone.WARNING))
    console.tell(f"written: {one_line(str(one.output), limit=1000)}")


def _verdict(one: _Looked) -> str:
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
