"""``agentmech lint``: what rules say of workflows, and of their runs, without asking a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from finetune_fsm.cli import options
from finetune_fsm.cli.console import Console
from finetune_fsm.cli.findings import Looked, document_of, show
from finetune_fsm.errors import ExitCode, InvalidDocument, Severity, UsageError, errors_in
from finetune_fsm.sinks import one_line

if TYPE_CHECKING:
    from finetune_fsm.cli.signals import Job


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="<workflow-file>...")
@options.value("--tests", metavar="<path>", help="Tests to look at (default: those beside it)")
@click.option("--strict", is_flag=True, help="End with 1 when anything is found")
@click.option("--run", is_flag=True, help="Run the scenarios once, and say what failures point at")
@options.URL
@options.LLM
@options.EXECUTOR
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
    ollama_urls: tuple[str, ...],
    llm_spec: str | None,
    executor: str | None,
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
    if run or llm_spec or ollama_urls or executor:
        code = _run_all(
            console,
            looked,
            urls=ollama_urls,
            spec=llm_spec,
            executor=executor,
            seed=seed,
            jobs=jobs,
        )
        if code is not ExitCode.OK:  # stopped
            return code
    if fix and output is not None:
        looked[0].fix(Path(output))
    if console.json:
        console.document(document_of(looked))
    else:
        for one in looked:
            show(console, one)
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


def _looked_at(name: str, tests: str | None) -> Looked:
    from finetune_fsm.cli.files import check_workflow, is_suite, read
    from finetune_fsm.improve.lint import Finding, findings
    from finetune_fsm.improve.lint_tests import WHY

    source = read(name)
    if is_suite(source):
        raise UsageError(f"'{one_line(name)}' is a test file — name the workflow, and --tests")
    checked = check_workflow(source)
    looked = Looked(source, checked.problems, checked.workflow)
    if checked.workflow is None:
        return looked
    _read_tests(looked, tests)
    own = findings(checked.workflow, checked.problems, looked.suite, file=source.name)
    of_tests = looked.problems[len(checked.problems) :]
    told = (Finding(p, WHY.get(p.code, "")) for p in of_tests if p.severity is Severity.WARNING)
    looked.findings = (*own, *told)
    return looked


def _read_tests(looked: Looked, tests: str | None) -> None:
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
    looked: Sequence[Looked],
    *,
    urls: tuple[str, ...],
    spec: str | None,
    executor: str | None,
    seed: int,
    jobs: int | None,
) -> ExitCode:
    """Run the scenarios of every workflow once, and add what the failing ones point at.

    Raises:
        UsageError: a workflow has no tests to run.
    """
    from finetune_fsm.cli.models import open_llm
    from finetune_fsm.cli.signals import supervised

    for one in looked:
        if one.workflow is not None and one.suite is None:
            name = one_line(one.source.name)
            raise UsageError(f"'{name}' has no tests to run — name them with --tests")

    def work(job: Job) -> ExitCode:
        from finetune_fsm.improve.lint import run_findings
        from finetune_fsm.scenarios.evaluate import run_suite

        llm = open_llm(console, job, urls=urls, spec=spec, executor=executor)
        for one in looked:
            if one.workflow is not None and one.suite is not None:
                one.report = run_suite(
                    one.workflow, one.suite, llm, jobs=jobs, seed=seed, stop=job.stop
                )
                found = run_findings(one.workflow, one.report, file=one.source.name)
                one.findings = (*one.findings, *found)
        return ExitCode.OK

    return supervised(work)
