"""A finetune run as Markdown: what came of it, its iterations, and the best workflow's verdicts."""

from __future__ import annotations

from collections.abc import Iterator

from finetune_fsm.loop.trials import IterationRecord, Score, TrialRecord
from finetune_fsm.reports.comparison_text import span
from finetune_fsm.reports.markdown_report import escaped, section
from finetune_fsm.reports.metrics import interval
from finetune_fsm.reports.verdict import verdict_on
from finetune_fsm.runs.history import History


def render(history: History) -> str:
    """Return the run in *history* as Markdown, with a line end at its end. Pure.

    Foreign text stays text, as in the report of a suite.
    """
    return "\n\n".join(_paragraphs(history)) + "\n"


def _paragraphs(history: History) -> Iterator[str]:
    run = history.run
    yield f"# Finetune of {escaped(str(history.settings.workflow))}"
    yield escaped(verdict_on(run, history.entries, history.seconds).sentence)
    ending = run.ending or f"it stands in {history.state}"
    yield f"{'Ended because' if run.ending else 'Not ended'}: {escaped(str(ending))}"
    if run.history:
        yield "## Iterations"
        yield "\n".join(_table(run.history))
    refused = [rejection for record in run.history for rejection in record.refused]
    if refused:
        yield "## Refused drafts"
        yield "\n".join(
            f"- {rejection.attempt.strategy}, {escaped(rejection.change)}: "
            f"{escaped(rejection.reason)}"
            for rejection in refused
        )
    if run.best is not None:
        yield "## Scenarios of the best"
        for number, result in enumerate(run.best.report.results, 1):
            yield section(number, result)


def _table(history: tuple[IterationRecord, ...]) -> Iterator[str]:
    yield "| Iteration | Candidate | Verdict | Train | Held out | Why |"
    yield "|---|---|---|---|---|---|"
    for record in history:
        for trial in record.trials:
            yield _row(record, trial)


def _row(record: IterationRecord, trial: TrialRecord) -> str:
    cells = (
        str(record.iteration),
        escaped(trial.strategy) or "as it was",
        "kept" if trial.accepted else "not kept",
        _score(trial.train),
        _score(trial.holdout),
        escaped(trial.reason),
    )
    return f"| {' | '.join(cells)} |"


def _score(score: Score) -> str:
    around = interval(score)
    return f"{score.passed} of {score.ran} ({span(around)})" if around else "none"
