"""``agentmech run``: one workflow, once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import click

from finetune_fsm.cli import options
from finetune_fsm.cli.console import Console
from finetune_fsm.errors import FATAL, ExitCode
from finetune_fsm.observers.lines import Line, Tone
from finetune_fsm.sinks import one_line

if TYPE_CHECKING:
    from pathlib import Path

    from finetune_fsm.cli.files import Source
    from finetune_fsm.cli.signals import Job
    from finetune_fsm.execution.limits import Settings
    from finetune_fsm.execution.rollout import Rollout, Visit
    from finetune_fsm.llm.base import LLM
    from finetune_fsm.workflow.model import State, Workflow

STEPS_LIMIT = 1_000_000


@click.command()
@click.argument("file", metavar="<workflow-file>")
@options.URL
@options.LLM
@options.EXECUTOR
@click.option(
    "--input",
    "pairs",
    multiple=True,
    metavar="<state>=<value>",
    help="Answer of an input state; the others are read from standard input, a line each",
)
@click.option("-t", "--trace", is_flag=True, help="Keep every visit in the run directory")
@options.value("-l", "--log-file", metavar="<path>", help="Write the whole log there")
@options.value(
    "--max-steps",
    type=click.IntRange(1, STEPS_LIMIT),
    default=100,
    metavar="<number>",
    help="States visited at most (default: 100)",
)
@options.TOOLS
@click.option("--strict", is_flag=True, help="Unknown keys and unreadable files are errors")
@options.OUTPUT_OPTIONS
@click.pass_obj
def run(  # noqa: PLR0913  # one argument per option
    console: Console,
    file: str,
    *,
    ollama_urls: tuple[str, ...],
    llm_spec: str | None,
    executor: str | None,
    pairs: tuple[str, ...],
    trace: bool,
    log_file: str | None,
    max_steps: int,
    tools: bool,
    strict: bool,
) -> ExitCode:
    """Run a workflow once; replies go to standard output, questions to standard error.

    "-" reads the workflow from standard input.
    """
    from finetune_fsm.cli.answers import given_answers
    from finetune_fsm.cli.files import read, workflow_of
    from finetune_fsm.cli.models import open_llm
    from finetune_fsm.cli.signals import supervised
    from finetune_fsm.execution.limits import Settings

    console.log_file = log_file or ""
    source = read(file)
    workflow = workflow_of(source, console, strict=strict)
    wishes = Wishes(
        source,
        workflow,
        given_answers(pairs, workflow),
        Settings(max_steps=max_steps, strict=strict),
        trace,
        tools,
    )

    def work(job: Job) -> ExitCode:
        from finetune_fsm.cli.status import watched
        from finetune_fsm.observers.progress import Standing

        watch = watched(console, job, Standing())
        llm = open_llm(
            console, job, urls=ollama_urls, spec=llm_spec, executor=executor, watch=watch
        )
        rollout = _rolled_out(console, wishes, llm, job)
        if console.json:
            console.document(document_of(workflow.name, rollout))
        return code_of(rollout)

    return supervised(work)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What shall be run, and how.

    Attributes:
        source: The file.
        workflow: What it means.
        answers: By state.
        settings: The limits.
        trace: Whether every visit is kept.
        tools: Whether tool servers are started.
    """

    source: Source
    workflow: Workflow
    answers: Mapping[str, str]
    settings: Settings
    trace: bool
    tools: bool = True


def _rolled_out(console: Console, wishes: Wishes, llm: LLM, job: Job) -> Rollout:
    """Run the workflow in a run directory of its own and tell how it went."""
    from datetime import UTC, datetime

    from finetune_fsm.cli.answers import inputs
    from finetune_fsm.cli.files import STDIN_NAME
    from finetune_fsm.execution import rundir
    from finetune_fsm.execution.executor import run_workflow
    from finetune_fsm.tools.source import source_of

    workflow, started = wishes.workflow, datetime.now(UTC)
    folder = rundir.create_run_directory(workflow.name, now=started)
    note = partial(
        rundir.write_metadata,
        folder,
        workflow=workflow.name,
        file=wishes.source.name,
        started=started,
    )
    note()
    stream = _Replies(console)

    def visited(visit: Visit) -> None:
        stream.end()
        if visit.error:
            state, why = one_line(visit.state), one_line(visit.error, limit=1000)
            console.err.line(Line(f"state '{state}' failed: {why}", Tone.BAD))
        if wishes.trace:
            rundir.append_visit(folder, visit)

    from_stdin = wishes.source.name != STDIN_NAME
    rollout = run_workflow(
        workflow,
        llm,
        inputs=inputs(wishes.answers, console, job.stop, from_stdin=from_stdin),
        options=wishes.settings,
        on_enter=lambda name, state: _announce(console, name, state),
        on_visit=visited,
        on_text=stream.piece,
        stop=job.stop,
        run_directory=folder,
        tools=source_of(wishes.tools),
    )
    stream.end()
    note(rollout=rollout)
    _summarise(console, rollout, folder)
    return rollout


def _announce(console: Console, name: str, state: State) -> None:
    model = f" ({one_line(state.model)})" if state.model else ""
    console.tell(Line(f"→ {one_line(name)}{model}", Tone.FAINT))


class _Replies:
    """Prints replies as they arrive, each from the beginning of a line to the end of one."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._open = False
        self._held = ""

    def piece(self, text: str) -> None:
        """Print *text*; a carriage return waits for what follows it."""
        if self._console.json:
            return
        text = self._held + text
        self._held = "\r" if text.endswith("\r") else ""
        shown = text.removesuffix(self._held)
        if shown:
            self._console.out.piece(shown)
            self._open = not shown.endswith("\n")

    def end(self) -> None:
        """End the line that is open."""
        if self._held:
            self._console.out.piece(self._held)
            self._open, self._held = True, ""
        if self._open:
            self._console.out.piece("\n")
            self._open = False


def _summarise(console: Console, rollout: Rollout, folder: Path) -> None:
    for warning in rollout.warnings:
        console.warn(one_line(warning, limit=1000))
    if rollout.error:
        where = f" in state '{one_line(rollout.error.state)}'" if rollout.error.state else ""
        why = one_line(rollout.error.message, limit=2000)
        console.err.line(Line(f"the run failed{where}: {why}", Tone.BAD))
    shown = " → ".join(one_line(name) for name in rollout.visited[-30:])
    more = "… → " if len(rollout.visited) > 30 else ""
    calls = f"{rollout.usage.calls} LLM call{'s' * (rollout.usage.calls != 1)}"
    tone = Tone.GOOD if rollout.status == "completed" else Tone.WARNING
    console.tell(Line(f"{rollout.status}: {more}{shown}", tone))
    console.tell(Line(f"{calls}, {rollout.seconds:.1f} s; run directory: {folder}", Tone.FAINT))


def document_of(name: str, rollout: Rollout) -> Mapping[str, object]:
    """Return *rollout* of the workflow called *name* as the document of ``--json``. Pure."""
    error = rollout.error
    return {
        "workflow": name,
        "status": rollout.status,
        "visited": rollout.visited,
        "variables": rollout.variables,
        "error": {"state": error.state, "message": error.message} if error else None,
        "warnings": rollout.warnings,
        **({"tools": rollout.tools} if rollout.tools else {}),
        "llm_calls": rollout.usage.calls,
        "tokens": rollout.usage.tokens,
        "seconds": round(rollout.seconds, 3),
    }


def code_of(rollout: Rollout) -> ExitCode:
    """Return the exit code that *rollout* means. Pure."""
    if rollout.status == "completed":
        return ExitCode.OK
    if rollout.status == "stopped":
        return ExitCode.INTERRUPTED
    fatal = rollout.error is not None and rollout.error.kind in FATAL
    return ExitCode.WORLD if fatal else ExitCode.FAILED
