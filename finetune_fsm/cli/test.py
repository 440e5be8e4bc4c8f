"""``agentmech test``: a workflow's scenarios, run and judged."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Never

import click

from finetune_fsm.cli import options
from finetune_fsm.cli.console import Console
from finetune_fsm.cli.publish import FORMATS, HTML, TEXT, publish, targets_of
from finetune_fsm.cli.selecting import CHOICE, Choice, chosen, remember
from finetune_fsm.errors import ExitCode, FinetuneError, InvalidDocument, UsageError, errors_in
from finetune_fsm.observers.lines import Line, Tone
from finetune_fsm.sinks import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from finetune_fsm.cli.signals import Job
    from finetune_fsm.errors import Problem
    from finetune_fsm.scenarios.evaluate import OnResult
    from finetune_fsm.scenarios.model import ScenarioResult, Suite, SuiteReport
    from finetune_fsm.workflow.model import Workflow


@click.command()
@click.argument("file", metavar="<test-or-workflow-file>")
@options.URL
@options.LLM
@options.EXECUTOR
@options.value("-w", "--workflow", metavar="<path>", help="Test this workflow, not the one named")
@options.value(
    "-f", "--format", "wanted", type=click.Choice(FORMATS), help="Format of the report (text)"
)
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    metavar="<path>",
    help="Write the report there; its ending says the format. Several: -o a.html -o b.xml",
)
@options.value(
    "--trace",
    metavar="<path>",
    help="Write what was asked and answered in every scenario there, as JSON lines",
)
@options.value("--seed", type=int, default=0, metavar="<number>", help="For sampling (default: 0)")
@CHOICE
@click.option(
    "--watch", is_flag=True, help="Run again whenever a file that matters changes, until Ctrl+C"
)
@options.TOOLS
@options.JOBS
@options.OUTPUT_OPTIONS
@click.pass_obj
def test(  # noqa: PLR0913  # one argument per option
    console: Console,
    /,
    file: str,
    *,
    ollama_urls: tuple[str, ...],
    llm_spec: str | None,
    executor: str | None,
    workflow: str | None,
    wanted: str | None,
    outputs: tuple[str, ...],
    trace: str | None,
    seed: int,
    expression: str,
    failed: bool,
    first: int | None,
    watch: bool,
    tools: bool,
    jobs: int | None,
) -> ExitCode:
    """Run the scenarios of a test file, or those of a workflow whose test file stands beside it.

    Exits with 5 when nothing is left to run.

    --json is --format json. --format github marks failed scenarios in the test file, and writes
    the step's summary where $GITHUB_STEP_SUMMARY says.
    """
    from finetune_fsm.cli.models import open_llm
    from finetune_fsm.cli.signals import supervised

    if watch and console.json:
        raise UsageError("--json prints one document, and --watch would print one after another")
    choice = Choice(expression, failed, first)
    targets = targets_of(wanted, outputs, json=console.json, known=FORMATS)
    subject = _chosen(subject_of(console, file, workflow), choice)
    for path in (*(target.output for target in targets), trace):
        if path is not None:
            _check_output(Path(path), subject)
    live = any(target.output is None and target.form == TEXT for target in targets)

    def once(job: Job, subject: Subject) -> ExitCode:
        from finetune_fsm.cli.status import watched
        from finetune_fsm.observers.progress import Standing
        from finetune_fsm.scenarios.evaluate import run_suite
        from finetune_fsm.tools.source import source_of

        board = watched(console, job, Standing(unit="scenario"))
        llm = open_llm(
            console, job, urls=ollama_urls, spec=llm_spec, executor=executor, watch=board
        )
        show = Shown(console, subject, live=live)
        with _traced(trace, show.result) as tell:
            report = run_suite(
                subject.workflow,
                subject.suite,
                llm,
                jobs=jobs,
                seed=seed,
                stop=job.stop,
                on_result=tell,
                watch=board,
                texts=any(target.form == HTML for target in targets),
                tools=source_of(tools),
            )
        show.end(report)
        remember(subject.path, subject.names, report)
        for target in targets:
            publish(console, subject, report, form=target.form, output=target.output)
        return ExitCode.OK if report.solved else ExitCode.FAILED

    def work(job: Job) -> ExitCode:
        if not watch:
            return once(job, subject)
        find = lambda: _chosen(subject_of(console, file, workflow), choice)  # noqa: E731
        _watch(console, job, subject, find, once)

    return supervised(work)


def _watch(
    console: Console,
    job: Job,
    subject: Subject,
    find: Callable[[], Subject],
    once: Callable[[Job, Subject], ExitCode],
) -> Never:
    """Call *once* with what *find* finds whenever one of its files has changed.

    What is wrong with a file, or with a server, is told, and the next change awaited.

    Raises:
        Cancelled: somebody asked to stop.
    """
    from finetune_fsm.cli.watching import again_when_changed

    known = subject

    def run() -> None:
        nonlocal known
        try:
            known = find()
            once(job, known)
        except InvalidDocument as error:
            _tell_all(console, error)
        except FinetuneError as error:
            console.warn(one_line(str(error), limit=1000))
        finally:
            job.close()  # each run has a model of its own
        console.tell("waiting for a change; Ctrl+C ends")

    again_when_changed(run, lambda: known.files, job.stop)


def _tell_all(console: Console, error: InvalidDocument) -> None:
    from finetune_fsm.cli.problems import as_text

    for problem in error.problems:
        console.warn(as_text(problem))


@dataclass(frozen=True, slots=True)
class Subject:
    """What is tested.

    Attributes:
        path: The test file.
        suite: What it says.
        name: The workflow's file, as a report names it.
        workflow: The workflow.
        names: Of all scenarios of the file, chosen or not; those of the suite without.
    """

    path: Path
    suite: Suite
    name: str
    workflow: Workflow
    names: tuple[str, ...] = ()

    @property
    def files(self) -> frozenset[Path]:
        """All files that what is tested depends on, whether they are there or not."""
        from finetune_fsm.cli.watching import files_behind

        named = {Path(self.name), self.path.parent / self.name}
        return frozenset({self.path, *named}) | files_behind(self.workflow)


def _chosen(subject: Subject, choice: Choice) -> Subject:
    """Return *subject* with the scenarios of *choice* alone; raises as `selecting.chosen` does."""
    names = tuple(scenario.name for scenario in subject.suite.scenarios)
    return replace(subject, suite=chosen(subject.suite, subject.path, choice), names=names)


def subject_of(console: Console, file: str, other: str | None) -> Subject:
    """Return what *file*, a test file or a workflow, asks to test; warnings go to *console*.

    Args:
        console: For warnings.
        file: As the user named it.
        other: The workflow to test instead of the one that a test file names.

    Raises:
        InvalidDocument: a file is wrong.
        UsageError: a workflow has no test file.
    """
    from finetune_fsm.cli.files import is_suite, read, regular, workflow_of
    from finetune_fsm.scenarios.load import check_suite, find_suite

    path = regular(file, "test")
    source = read(file)
    if source.text is None:
        raise InvalidDocument(source.problems)
    if is_suite(source):
        tested = workflow_of(read(other), console) if other else None
        name = other
    elif other:
        raise UsageError(f"'{one_line(file)}' is a workflow; --workflow goes with a test file")
    else:
        tested, name = workflow_of(source, console), file
        found = find_suite(path)
        if found is None:
            hint = f"write {one_line(path.stem)}.test.yaml beside it, or let finetune write tests"
            raise UsageError(f"'{one_line(file)}' has no test file — {hint}")
        path = found
    checked = check_suite(path, workflow=tested)
    _tell(console, checked.problems)
    if checked.suite is None or checked.workflow is None:
        raise InvalidDocument(errors_in(checked.problems))
    return Subject(path, checked.suite, name or checked.suite.workflow, checked.workflow)


@contextmanager
def _traced(path: str | None, tell: OnResult) -> Iterator[OnResult]:
    """Lend a listener that writes every result to *path*, if there is one, and then tells it on.

    Raises:
        StorageError: the file cannot be written.
    """
    if path is None:
        yield tell
        return
    from finetune_fsm.reports.trace import line_of
    from finetune_fsm.storage.files import appending

    with appending(Path(path)) as write:

        def keep(number: int, result: ScenarioResult) -> None:
            write(line_of(result))
            tell(number, result)

        yield keep


def _check_output(target: Path, subject: Subject) -> None:
    """Raise UsageError when the report could not be written to *target*, or would cost an input."""
    from finetune_fsm.api import check_output

    folder = subject.path.parent
    for own in (subject.path, Path(subject.name), folder / subject.suite.workflow):
        if target.is_file() and own.is_file() and target.samefile(own):
            raise UsageError(f"{one_line(str(target))} is an input, which is never overwritten")
    check_output(target, subject.path)


def _tell(console: Console, problems: Sequence[Problem]) -> None:
    from finetune_fsm.cli.problems import as_text

    if not errors_in(problems):
        for problem in problems:
            console.tell(as_text(problem))


class Shown:
    """Shows results as they come, as lines of the report.

    Args:
        console: Where.
        subject: What is tested.
        live: Whether the lines are the report.
    """

    def __init__(self, console: Console, subject: Subject, *, live: bool) -> None:
        self._console = console
        self._live = live
        if live and not console.quiet:
            console.result(Line(f"Testing {one_line(subject.name, limit=1000)}", Tone.TITLE))
            console.result()

    def result(self, number: int, result: ScenarioResult) -> None:  # noqa: ARG002  # an OnResult
        """Show one result; a quiet console gets only those that did not pass."""
        from finetune_fsm.reports.text_report import scenario_lines

        if self._live and not (self._console.quiet and result.passed):
            tone = Tone.GOOD if result.passed else Tone.BAD
            for text in scenario_lines(result):
                self._console.result(Line(text, tone))

    def end(self, report: SuiteReport) -> None:
        """Show the verdict on all of them."""
        from finetune_fsm.reports.text_report import summary_line

        line = Line(summary_line(report), Tone.GOOD if report.solved else Tone.BAD)
        if self._live:
            if not self._console.quiet:
                self._console.result()
            self._console.result(line)
        else:
            self._console.tell(line)
