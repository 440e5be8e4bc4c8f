"""``agentmech replay``: a session told again up to any step, and what is known there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from finetune_fsm.cli import options
from finetune_fsm.cli.console import Console
from finetune_fsm.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from finetune_fsm.loop.machine import Entry, Leaving
    from finetune_fsm.loop.trials import Score
    from finetune_fsm.observers.lines import Line
    from finetune_fsm.runs.history import History


@click.command()
@click.argument("run", required=False, metavar="[<run>]")
@options.value(
    "--to", type=click.IntRange(1), metavar="<step>", help="The last step told (default: all)"
)
@options.OUTPUT_OPTIONS
@click.pass_obj
def replay(console: Console, /, run: str | None, *, to: int | None) -> ExitCode:
    """Tell a run again, step by step, and what is known after the last step told.

    RUN is its folder, its name or its workflow; the newest here or below when left out. Nothing
    is run and no model is asked.
    """
    from finetune_fsm.runs import places
    from finetune_fsm.runs.history import load

    history = load(places.find(run))
    count = len(history.entries)
    if not count:
        raise UsageError(f"{history.folder} has no step yet")
    last = count if to is None else to
    if last > count:
        raise UsageError(f"{history.folder} has no step {last}: there is 1 to {count}")
    if console.json:
        console.document(_document(history, last))
        return ExitCode.OK
    for line in _told(history, last):
        console.result(line)
    return ExitCode.OK


def _leaving(history: History, number: int) -> Leaving:
    """How step *number* ended."""
    from itertools import islice

    from finetune_fsm.loop.machine import Leaving
    from finetune_fsm.runs.history import moments

    (moment,) = islice(moments(history), 2 * number - 1, 2 * number)
    assert isinstance(moment, Leaving)  # noqa: S101  # every second one is
    return moment


def _told(history: History, last: int) -> Iterator[Line]:
    from finetune_fsm.loop.machine import Entered
    from finetune_fsm.observers.lines import Line, Tone
    from finetune_fsm.observers.narrator import narrator, shown
    from finetune_fsm.runs.history import moments

    told: list[Line] = []
    tell = narrator(told.append)
    for number, moment in enumerate(moments(history), 2):
        if number // 2 > last:
            break
        if isinstance(moment, Entered):
            yield Line(f"[{number // 2}] {_named(history.entries[number // 2 - 1])}", Tone.FAINT)
        tell(moment)
        yield from told
        told.clear()
    yield Line()
    yield Line(
        f"After step {last} of {len(history.entries)} of {shown(history.folder)}", Tone.TITLE
    )
    yield from _known(_leaving(history, last))


def _named(entry: Entry) -> str:
    return f"{entry.state} → {entry.target}"


def _known(moment: Leaving) -> Iterator[Line]:
    from finetune_fsm.improve.changes import in_words
    from finetune_fsm.observers.lines import Line
    from finetune_fsm.observers.verdicts import count
    from finetune_fsm.sinks import one_line

    run = moment.run
    yield Line(f"  It goes on in {moment.target}, iteration {run.iteration}")
    if run.best is not None:
        report = run.best.report
        passed = f"{report.passed}/{report.total} passed"
        yield Line(f"  Best: the workflow of iteration {run.best.iteration}, {passed}")
    if run.history:
        for trial in run.history[-1].trials:
            split = f"train {_score(trial.train)}, held out {_score(trial.holdout)}"
            kept = "kept" if trial.accepted else "not kept"
            yield Line(f"  Last tried ({trial.strategy or 'as it is'}, {kept}): {split}")
    if run.draft is not None:
        yield Line(f"  Draft: {one_line(in_words(run.draft.edits), limit=200)}")
    if run.waiting:
        yield Line(f"  Waiting to be tried: {count(len(run.waiting), 'draft')}")
    yield Line(f"  Not kept so far: {count(len(run.rejections), 'draft')}")
    yield Line(f"  LLM calls so far: {run.usage.calls} ({run.usage.tokens:,} tokens)")
    if run.ending:
        yield Line(f"  Ended because: {one_line(run.ending)}")


def _score(score: Score) -> str:
    return f"{score.passed}/{score.ran}" if score.ran else "none"


def _document(history: History, last: int) -> Mapping[str, object]:
    from finetune_fsm.observers.narrator import shown

    moment = _leaving(history, last)
    run, best = moment.run, moment.run.best
    return {
        "run": shown(history.folder),
        "step": last,
        "steps": [
            {"number": e.number, "state": e.state, "event": e.outcome.event, "target": e.target}
            for e in history.entries[:last]
        ],
        "state": moment.target,
        "iteration": run.iteration,
        "best": {"iteration": best.iteration, "pass_rate": best.report.pass_rate} if best else None,
        "draft": run.draft.text if run.draft else None,
        "llm_calls": run.usage.calls,
        "tokens": run.usage.tokens,
        "ending": run.ending,
    }
