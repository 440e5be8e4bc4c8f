"""``agentmech compare``: several workflows on the same scenarios, held against the first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from finetune_fsm.cli import options
from finetune_fsm.cli.console import Console
from finetune_fsm.cli.publish import JSON, MARKDOWN, TEXT, format_of
from finetune_fsm.errors import ExitCode, UsageError
from finetune_fsm.observers.lines import Line, Tone
from finetune_fsm.sinks import one_line

if TYPE_CHECKING:
    from finetune_fsm.cli.comparison import Subject
    from finetune_fsm.cli.signals import Job
    from finetune_fsm.scenarios.benchmark import Benchmark

FORMATS = (TEXT, JSON, MARKDOWN)

REPEAT_LIMIT = 100


@click.command()
@click.argument("files", metavar="<workflow-file>...", nargs=-1, required=True)
@options.value(
    "--tests",
    metavar="<path>",
    help="Test file (default: the one beside the first workflow)",
)
@options.value(
    "--repeat",
    type=click.IntRange(1, REPEAT_LIMIT),
    default=1,
    metavar="<number>",
    help="Draws of each scenario, best an odd number (default: 1)",
)
@options.URL
@options.LLM
@options.EXECUTOR
@options.value(
    "-m", "--model", metavar="<model>", help="Ask this model, whatever the workflows name"
)
@options.value(
    "-f", "--format", "wanted", type=click.Choice(FORMATS), help="Format of the report (text)"
)
@options.value(
    "-o", "--output", metavar="<path>", help="Write the report there; its ending says the format"
)
@options.value("--seed", type=int, default=0, metavar="<number>", help="For sampling (default: 0)")
@options.JOBS
@click.option(
    "--fail-on-regression",
    "strict",
    is_flag=True,
    help="Exit with 1 when a scenario that the first passes is lost",
)
@options.OUTPUT_OPTIONS
@click.pass_obj
def compare(  # noqa: PLR0913  # one argument per option
    console: Console,
    /,
    files: tuple[str, ...],
    *,
    tests: str | None,
    repeat: int,
    ollama_urls: tuple[str, ...],
    llm_spec: str | None,
    executor: str | None,
    model: str | None,
    wanted: str | None,
    output: str | None,
    seed: int,
    jobs: int | None,
    strict: bool,
) -> ExitCode:
    """Run workflows on the same scenarios and hold each against the first.

    A scenario is won or lost by the majority of its draws. Draws differ where a state's temperature
    is above 0 and it names no seed. Calls, tokens and seconds are those of one run, counted as if
    each workflow ran alone; a question that several ask is asked once.
    """
    from finetune_fsm.cli.comparison import subject_of
    from finetune_fsm.cli.models import open_llm
    from finetune_fsm.cli.signals import supervised

    output = None if output == "-" else output
    form = format_of(wanted, output, json=console.json, known=FORMATS)
    subject = subject_of(console, files, tests)
    if output is not None:
        _check_output(Path(output), subject)

    def work(job: Job) -> ExitCode:
        from finetune_fsm.cli.status import watched
        from finetune_fsm.observers.progress import Standing
        from finetune_fsm.scenarios.compare import compare_workflows

        watch = watched(console, job, Standing())
        llm = open_llm(
            console, job, urls=ollama_urls, spec=llm_spec, executor=executor, watch=watch
        )
        live = output is None and form == TEXT
        if live and not console.quiet:
            _announce(console, subject, repeat)
        benchmark = compare_workflows(
            subject.workflows,
            subject.suite,
            llm,
            names=subject.names,
            model=model,
            repeat=repeat,
            jobs=jobs,
            seed=seed,
            stop=job.stop,
            watch=watch,
        )
        if live:
            _show(console, benchmark)
        else:
            _publish(console, subject, benchmark, form=form, output=output)
        return ExitCode.FAILED if strict and benchmark.regressed else ExitCode.OK

    return supervised(work)


def _check_output(target: Path, subject: Subject) -> None:
    """Raise UsageError when the report could not be written to *target*, or would cost an input."""
    from finetune_fsm.api import check_output

    for own in (subject.path, *map(Path, subject.names)):
        if target.is_file() and own.is_file() and target.samefile(own):
            raise UsageError(f"{one_line(str(target))} is an input, which is never overwritten")
    check_output(target, subject.path)


def _announce(console: Console, subject: Subject, repeat: int) -> None:
    from finetune_fsm.reports.comparison_text import title

    many, scenarios = len(subject.workflows), len(subject.suite.scenarios)
    head = title(many, scenarios, repeat, tests=str(subject.path))
    console.result(Line(head, Tone.TITLE))
    console.result()


def _show(console: Console, benchmark: Benchmark) -> None:
    """Write the report on standard output, in colours where there are some."""
    from finetune_fsm.reports import comparison_text as text
    from finetune_fsm.scenarios.benchmark import Finding

    tones = {Finding.BETTER: Tone.GOOD, Finding.WORSE: Tone.BAD, Finding.TOO_FEW: Tone.WARNING}
    for line in text.table(benchmark):
        console.result(Line(line, Tone.FAINT if line in text.FINE_PRINT else Tone.PLAIN))
    for number, match in enumerate(benchmark.matches, 1):
        console.result()
        console.result(Line(text.headline(number, match), tones.get(match.finding, Tone.PLAIN)))
        for line in text.details(benchmark, number, match):
            marks = {"+": Tone.GOOD, "-": Tone.BAD}
            console.result(Line(line, marks.get(line.strip()[:1], Tone.PLAIN)))
    console.result()
    console.result(text.summary_line(benchmark))


def _publish(
    console: Console, subject: Subject, benchmark: Benchmark, *, form: str, output: str | None
) -> None:
    """Write *benchmark* in its *form* to the file *output*, or to standard output.

    Raises:
        StorageError: the file cannot be written.
    """
    from datetime import UTC, datetime

    from finetune_fsm.reports import comparison_json, comparison_markdown, comparison_text
    from finetune_fsm.storage.files import write_text

    tests = str(subject.path)
    timestamp = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    if output is None and form == JSON:
        console.document(comparison_json.shape(benchmark, tests=tests, timestamp=timestamp))
        return
    renderers = {
        TEXT: comparison_text.render,
        JSON: comparison_json.render,
        MARKDOWN: comparison_markdown.render,
    }
    text = renderers[form](benchmark, tests=tests, timestamp=timestamp)
    if output is None:
        console.out.piece(text)
        return
    write_text(Path(output), text)
    console.tell(f"report: {one_line(output, limit=1000)}")
