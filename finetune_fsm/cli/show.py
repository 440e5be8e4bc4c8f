"""``agentmech show``: what a run did, from its journal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from finetune_fsm.cli import options
from finetune_fsm.cli.console import Console
from finetune_fsm.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from finetune_fsm.loop.trials import IterationRecord
    from finetune_fsm.observers.lines import Line
    from finetune_fsm.reports.metrics import RunMetrics
    from finetune_fsm.reports.modifications import Modification
    from finetune_fsm.runs.history import History


@click.command()
@click.argument("run", required=False, metavar="[<run>]")
@click.option("--story", is_flag=True, help="Tell the whole session again")
@click.option(
    "--diff", is_flag=True, help="Show every change that was made or refused, as diff, and why"
)
@click.option("--metrics", is_flag=True, help="Count what was done and spent, state by state")
@options.OUTPUT_OPTIONS
@click.pass_obj
def show(
    console: Console, /, run: str | None, *, story: bool, diff: bool, metrics: bool
) -> ExitCode:
    """Show what a run did, while it goes on or afterwards.

    RUN is its folder, its name or its workflow; the newest here or below when left out.
    """
    from finetune_fsm.cli.report import document_for
    from finetune_fsm.cli.session import how_to_resume
    from finetune_fsm.runs import places
    from finetune_fsm.runs.history import load

    if story + diff + metrics > 1:
        raise UsageError("--story, --diff and --metrics show different things: say one of them")
    history = load(places.find(run))
    if console.json:
        console.document(_changes(history) if diff else document_for(history))
        return ExitCode.OK
    tell = _story if story else _diff if diff else _metrics if metrics else _summary
    for line in tell(history):
        console.result(line)
    if not history.finished:
        console.tell(how_to_resume(history.folder))
    return ExitCode.OK


def _story(history: History) -> Iterator[Line]:
    from finetune_fsm.observers.narrator import narrator
    from finetune_fsm.runs.history import moments

    told: list[Line] = []
    tell = narrator(told.append)
    for moment in moments(history):
        tell(moment)
        yield from told
        told.clear()


def _modifications(history: History) -> tuple[Modification, ...]:
    from finetune_fsm.reports.measuring import steps_of
    from finetune_fsm.reports.modifications import modifications

    return modifications(tuple(steps_of(history.run, history.entries)))


def _diff(history: History) -> Iterator[Line]:
    from finetune_fsm.observers.changes import modified
    from finetune_fsm.observers.lines import Line, Tone
    from finetune_fsm.observers.narrator import shown

    yield Line(f"Run {shown(history.folder)}", Tone.TITLE)
    number = 0
    for one in _modifications(history):
        yield Line()
        if one.iteration != number:
            number = one.iteration
            yield Line(f"Iteration {number}", Tone.TITLE)
            yield Line()
        yield from modified(one)
    if not number:
        yield Line("  Nothing was changed, and nothing was refused")


def _changes(history: History) -> dict[str, object]:
    from finetune_fsm.observers.narrator import shown
    from finetune_fsm.reports.modifications import shape

    changes = [shape(one) for one in _modifications(history)]
    return {"run": shown(history.folder), "changes": changes}


def _measured(history: History) -> RunMetrics:
    from finetune_fsm.reports.measuring import metrics_of

    return metrics_of(history.run, history.entries)


def _metrics(history: History) -> Iterator[Line]:
    from finetune_fsm.observers.lines import Line, Tone
    from finetune_fsm.observers.narrator import shown
    from finetune_fsm.reports.metrics_text import sections

    yield Line(f"Run {shown(history.folder)}", Tone.TITLE)
    for section in sections(_measured(history)):
        yield Line()
        yield Line(section.title, Tone.TITLE)
        yield from map(Line, section.lines)


def _summary(history: History) -> Iterator[Line]:
    from finetune_fsm.observers.lines import Line, Tone
    from finetune_fsm.observers.narrator import shown, spent
    from finetune_fsm.reports.metrics_text import summary, trend
    from finetune_fsm.sinks import one_line

    run, settings = history.run, history.settings
    yield Line(f"Run {shown(history.folder)}", Tone.TITLE)
    yield Line(f"  Workflow: {settings.workflow}")
    yield Line(f"  Started: {history.beginning.started}, sessions: {history.sessions}")
    yield Line(f"  Analysis model: {one_line(settings.model)}")
    yield Line(f"  Iterations: {len(run.history)} of at most {settings.max_iterations}")
    measured = _measured(history)
    if bars := trend(measured):
        yield Line(f"  Pass rate: {bars}")
    yield from map(Line, summary(measured))
    for record in run.history:
        yield from _iteration(record)
    if run.confirmed:
        yield Line(f"  Confirmed: {one_line(run.confirmed)}")
    for note in history.notes:
        yield Line(f"  Note: {one_line(note)}", Tone.WARNING)
    where = run.ending or f"it stands in {history.state}"
    yield Line(f"  {'Ended because' if run.ending else 'Not ended'}: {where}")
    if run.output:
        yield Line(f"  Result: {shown(run.output)}")
    yield Line(f"  LLM calls: {spent(run.usage, history.seconds)}")


def _iteration(record: IterationRecord) -> Iterator[Line]:
    """One iteration: what the best passes after it, then each candidate and each refused draft."""
    from finetune_fsm.observers.lines import Line, Tone
    from finetune_fsm.observers.verdicts import labels
    from finetune_fsm.sinks import one_line

    spent = f"[{record.usage.calls} calls, {record.usage.tokens} tokens]"
    tone = Tone.GOOD if record.accepted else Tone.FAINT
    yield Line(f"  {record.iteration:>3}. {record.passed}/{record.total} passed {spent}", tone)
    for trial, label in zip(record.trials, labels(len(record.trials)), strict=True):
        kept = "kept" if trial.accepted else "not kept"
        how = f" ({trial.strategy})" if trial.strategy else ""
        split = ", ".join(
            f"{name} {score.passed}/{score.ran}"
            for name, score in (("train", trial.train), ("held out", trial.holdout))
            if score.ran
        )
        tone = Tone.GOOD if trial.accepted else Tone.FAINT
        yield Line(f"       {label}{kept}{how}, {split}: {one_line(trial.reason)}", tone)
    for refusal in record.refused:
        text = f"       refused ({refusal.attempt.strategy}): {one_line(refusal.reason)}"
        yield Line(text, Tone.FAINT)
