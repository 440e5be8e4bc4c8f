"""A run as the command line shows it: told while it goes on, and summed up at its end."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from finetune_fsm.api import Hands, Session, finish
from finetune_fsm.cli.console import Console
from finetune_fsm.cli.signals import Job
from finetune_fsm.errors import ExitCode, FinetuneError
from finetune_fsm.improve.model import Rejection
from finetune_fsm.loop.machine import Entry, Leaving, Moment, Observer
from finetune_fsm.loop.outcomes import UNFINISHED, Ending
from finetune_fsm.loop.run import Run
from finetune_fsm.loop.table import LoopState
from finetune_fsm.loop.trials import IterationRecord, Score, TrialRecord
from finetune_fsm.observers.narrator import narrator, shown
from finetune_fsm.observers.progress import Standing
from finetune_fsm.reports import metrics_json
from finetune_fsm.reports.measuring import metrics_of
from finetune_fsm.scenarios.statistics import wilson
from finetune_fsm.sinks import one_line
from finetune_fsm.workflow.edits import Edit

STATUS_CODES = {
    "solved": ExitCode.OK,
    "improved": ExitCode.OK,
    "unchanged": ExitCode.FAILED,
    "interrupted": ExitCode.INTERRUPTED,
    "failed": ExitCode.WORLD,
}
"""Exit code by status.

solved: the best passes all tests; improved: it does better than the original; unchanged: tests
fail and nothing better was found; interrupted: the run was stopped; failed: the world broke.
"""


def _teller(console: Console) -> Observer:
    """Return the observer that tells the session; when quiet, only how it ended."""
    tell = narrator(console.talk.line)

    def tell_the_end(moment: Moment) -> None:
        if isinstance(moment, Leaving) and moment.state is LoopState.FINISHING:
            tell(moment)

    return tell_the_end if console.quiet else tell


def ended(console: Console, job: Job, session: Session) -> ExitCode:
    """Step the run to its end; whatever happens, the best is kept and the document written."""
    # Said past the console, which cleans everything else.
    job.farewell = f"{one_line(how_to_resume(session.folder), limit=1000)}\n"
    loop = session.loop
    failure: FinetuneError | None = None
    try:
        finish(loop)
    except FinetuneError as error:
        failure = error
    except BrokenPipeError:
        console.out.silence()
        loop.interrupt(Ending.INTERRUPTED)
        if job.signalled is not None:  # Ctrl+C ended our reader, too; without it the end is quiet
            console.err.line(how_to_resume(session.folder))
        raise
    if console.json:
        document = document_of(loop.run, loop.entries, session.seconds)
        where = {"run": shown(session.folder), "error": str(failure) if failure else None}
        console.document(document | where)
    if failure is not None or loop.run.ending in UNFINISHED:
        console.err.line(how_to_resume(session.folder))
    if failure is not None:
        raise failure
    return STATUS_CODES[status_of(loop.run)]


def how_to_resume(folder: Path) -> str:
    """The line that tells how to go on with the run in *folder*."""
    return f"to go on: agentmech resume {shlex.quote(shown(folder))}"


def hands(
    console: Console,
    job: Job,
    *,
    cached: bool,
    approval: str | None = None,
    debugger: Observer | None = None,
) -> Hands:
    """Return who takes part in a run from the command line.

    Args:
        console: Where the session is told.
        job: Can be stopped.
        cached: Whether replies are kept for other runs.
        approval: Which drafts a person is asked about; none when never or None.
        debugger: Told of every moment last, and may stop there.
    """
    from finetune_fsm.cli.status import watched
    from finetune_fsm.cli.steering import dialogue
    from finetune_fsm.llm.cache import Store, folder
    from finetune_fsm.loop.toolbox import approve_all
    from finetune_fsm.observers.approver import Approver, headline, whole_change

    asked = approval not in (None, "never")
    introduce = whole_change if console.quiet else headline  # the session shows it before
    standing = Standing()
    return Hands(
        approve=Approver(dialogue(console, job), introduce=introduce) if asked else approve_all,
        observers=(standing, _teller(console), *((debugger,) if debugger else ())),
        watch=watched(console, job, standing),
        note=console.warn,
        stop=job.stop,
        store=Store(folder()) if cached else None,
    )


def status_of(run: Run) -> str:
    """Return how *run* ended, a key of `STATUS_CODES`. Pure."""
    if run.ending is Ending.BROKEN:
        return "failed"
    if run.ending is Ending.INTERRUPTED:
        return "interrupted"
    if run.passed:
        return "solved"
    return "improved" if run.best is not None and run.best.iteration > 1 else "unchanged"


def document_of(run: Run, entries: Sequence[Entry], seconds: float) -> dict[str, object]:
    """Return *run*, which took *seconds* and *entries*, as the document of ``--json``. Pure."""
    best = run.best
    return {
        "status": status_of(run),
        "ending": run.ending,
        "iterations": [_row(record) for record in run.history],
        "best": {"iteration": best.iteration, "pass_rate": best.report.pass_rate} if best else None,
        "held_out": _held_out(run),
        "confirmed": run.confirmed or None,
        "flips": {"pairs": run.flips.pairs, "flips": run.flips.flips},
        "output": shown(run.output) if run.output else None,
        "tests": shown(run.tests) if run.tests else None,
        "llm_calls": run.usage.calls,
        "tokens": run.usage.tokens,
        "cached": run.usage.cached,
        "retries": run.usage.retries,
        "seconds": round(seconds, 3),
        "refused": [_refusal(rejection) for rejection in run.rejections if rejection.code],
        "metrics": metrics_json.shape(metrics_of(run, entries)),
    }


def _held_out(run: Run) -> list[str]:
    return [run.suite.scenarios[index].name for index in run.holdout] if run.suite else []


def _row(record: IterationRecord) -> Mapping[str, object]:
    headline = record.headline
    return {
        "iteration": record.iteration,
        "passed": record.passed,
        "total": record.total,
        "accepted": record.accepted,
        "reason": headline.reason,
        "strategy": headline.strategy,
        "edits": _edits(headline.edits),
        "snapshot": shown(headline.snapshot),
        "candidates": [_trial(trial) for trial in record.trials],
        "refused": [_refusal(rejection) for rejection in record.refused],
        "llm_calls": record.usage.calls,
        "tokens": record.usage.tokens,
        "seconds": round(record.usage.seconds, 3),
    }


def _trial(trial: TrialRecord) -> Mapping[str, object]:
    comparison = trial.comparison
    return {
        "strategy": trial.strategy,
        "edits": _edits(trial.edits),
        "snapshot": shown(trial.snapshot),
        "accepted": trial.accepted,
        "reason": trial.reason,
        "train": _score(trial.train),
        "holdout": _score(trial.holdout),
        "wins": comparison.wins if comparison else (),
        "losses": comparison.losses if comparison else (),
    }


def _score(score: Score) -> Mapping[str, object]:
    """Passed, run and all scenarios of a split, and the 95 % interval of the pass rate."""
    interval = wilson(score.passed, score.ran) if score.ran else None
    return {
        "passed": score.passed,
        "ran": score.ran,
        "total": score.total,
        "interval": [round(interval.low, 4), round(interval.high, 4)] if interval else None,
    }


def _edits(edits: Sequence[Edit]) -> list[Mapping[str, object]]:
    return [
        {"op": edit.op, "path": list(edit.path), "value": edit.value, "why": edit.why}
        for edit in edits
    ]


def _refusal(rejection: Rejection) -> Mapping[str, object]:
    return {
        "strategy": rejection.attempt.strategy,
        "change": rejection.change,
        "code": rejection.code,
        "reason": rejection.reason,
    }
