"""A run's journal as the parts of its page: where it stands, how it did, what it tried.

Everything follows from the journal, so the page is the same whether the run is this process's own,
another's, or long over.
"""

from __future__ import annotations

from collections.abc import Iterator
from string import ascii_lowercase

from finetune_fsm.loop.machine import Entered, Leaving
from finetune_fsm.loop.outcomes import UNFINISHED, Analyzed, Checked, Confirmed, Prepared, Tested
from finetune_fsm.loop.run import Run
from finetune_fsm.loop.trials import Candidate, IterationRecord, TrialRecord
from finetune_fsm.reports.measuring import metrics_of
from finetune_fsm.reports.metrics import IterationMetrics
from finetune_fsm.reports.text_report import duration
from finetune_fsm.runs.history import History, moments
from finetune_fsm.serve.markup import Child, Markup, element
from finetune_fsm.serve.picture import loop_picture
from finetune_fsm.serve.pieces import badge, diff, fold, line, number, score, table
from finetune_fsm.serve.views import Part, Rows, View
from finetune_fsm.sinks import clean

REASON_LIMIT = 600
"""Characters of why something was done or not."""


def story(history: History, *, live: bool) -> View:
    """Return the parts that tell *history*; *live* says that a process is at work on it."""
    metrics = metrics_of(history.run, history.entries)
    return (
        Part("standing", _standing(history, live=live)),
        Part("loop", loop_picture(history.state)),
        Part("scores", _scores(history.run, metrics.iterations)),
        Rows("events", tuple(_events(history))),
    )


def status_badge(history: History, *, live: bool) -> Markup:
    """Return how a run stands, in a word or two."""
    run = history.run
    if live:
        return badge(f"live: {history.state}", "live")
    if not history.done:
        return badge("broken off", "warn")
    if run.ending in UNFINISHED:
        return badge("stopped", "warn")
    if run.passed:
        return badge("solved", "good")
    better = run.best is not None and run.best.iteration > 1
    return badge("improved", "good") if better else badge("unchanged", "calm")


def _standing(history: History, *, live: bool) -> Markup:
    run, settings = history.run, history.settings
    usage = run.usage + history.owed
    limit = settings.budget.calls
    told: list[tuple[str, Child]] = [
        ("Status", status_badge(history, live=live)),
        ("Iterations", f"{len(run.history)} of at most {settings.max_iterations}"),
        ("LLM calls", number(usage.calls) + (f" of at most {number(limit)}" if limit else "")),
        ("Tokens", number(usage.tokens)),
        ("Time", duration(history.seconds)),
        ("Sessions", str(history.sessions)),
    ]
    rows = [element("div", element("dt", name), element("dd", value)) for name, value in told]
    texts = [f"It is over because {run.ending}."] if run.ending else []
    texts += [line(run.message, limit=REASON_LIMIT)] if run.message else []
    texts += [f"The best workflow is in {line(run.output.name)}."] if run.output else []
    notes = [element("p", line(note), class_="note") for note in history.notes]
    shown = [element("p", text) for text in texts]
    return element("div", element("dl", rows, class_="facts"), shown, notes)


def _scores(run: Run, rows: tuple[IterationMetrics, ...]) -> Markup:
    tested = [row for row in rows if row.tested]
    if not tested:
        return element("p", "Nothing has been tested yet.", class_="faint")
    held = bool(run.holdout)
    heads = ("Iteration", "Passed (train)", *(("Held out",) if held else ()), "Calls", "Tokens")
    body = [
        (
            str(row.iteration),
            score(row.train) if row.train else "-",
            *((score(row.holdout) if row.holdout else "-",) if held else ()),
            number(row.usage.calls),
            number(row.usage.tokens),
        )
        for row in tested
    ]
    return table("What the best workflow passes after each iteration", heads, body)


def _events(history: History) -> Iterator[Markup]:
    """Yield one row for each thing that a person would want to know, oldest first."""
    before: Run | None = None
    for number_, moment in enumerate(moments(history)):
        if isinstance(moment, Entered):
            before = moment.run
        elif before is not None:
            yield from _event(moment, before, f"e{number_}")


def _event(moment: Leaving, before: Run, key: str) -> Iterator[Markup]:
    match moment.outcome:
        case Prepared() as outcome:
            made = "written by a model" if outcome.generated else "found"
            count = len(outcome.suite.scenarios)
            yield _row("Tests", f"{count} scenarios {made}: {line(outcome.tests.name)}")
        case Tested():
            record = moment.run.history[-1]
            yield _tested(record, before.candidates, before, key)
        case Analyzed() as outcome if outcome.fresh:
            yield _row("Analysis", clean(outcome.analysis.summary, limit=REASON_LIMIT))
        case Checked() as outcome if outcome.problems:
            yield _refused(outcome, before, key)
        case Confirmed() as outcome if outcome.reason:
            yield _row("Confirmed" if outcome.held else "Not confirmed", line(outcome.reason))
        case _:
            return


def _row(title: Child, *children: Child) -> Markup:
    return element("article", element("h3", title), [_paragraph(child) for child in children])


def _paragraph(child: Child) -> Child:
    plain = isinstance(child, str) and not isinstance(child, Markup)
    return element("p", child) if plain else child


def _tested(
    record: IterationRecord, candidates: tuple[Candidate, ...], before: Run, key: str
) -> Markup:
    best = before.best.candidate.text if before.best else ""
    several = len(record.trials) > 1
    rows = [
        _trial(
            trial,
            candidate,
            best,
            f"{key}-{at}",
            f"Candidate {ascii_lowercase[at]}" if several else "",
        )
        for at, (trial, candidate) in enumerate(zip(record.trials, candidates, strict=True))
    ]
    verdict = badge("kept", "good") if record.accepted else badge("not kept", "calm")
    title = [f"Iteration {record.iteration} ", verdict if before.best else None]
    passed = f"The best passes {record.passed} of {record.total} scenarios."
    return element("article", element("h3", title), element("p", passed), rows)


def _trial(trial: TrialRecord, candidate: Candidate, best: str, key: str, label: str) -> Markup:
    draft = candidate.draft
    kept = badge("kept", "good") if trial.accepted else badge("not kept", "calm")
    head = element("p", element("strong", f"{label} "), kept) if label else None
    scores: Child = [
        element("span", f"{name} ", score(found), class_="score")
        for name, found in (("train", trial.train), ("held out", trial.holdout))
        if found.ran
    ]
    changed = diff(best, candidate.text, "What it changes") if draft and best else None
    why = line(draft.why, limit=REASON_LIMIT) if draft else "The workflow as you wrote it."
    aimed = ", ".join(line(name, limit=60) for name in draft.scenarios[:6]) if draft else ""
    compared = trial.comparison
    counts = (
        f"{len(compared.wins)} won, {len(compared.losses)} lost, {compared.ties} tied"
        if compared
        else ""
    )
    return element(
        "div",
        head,
        element("p", element("strong", "Why: "), why) if draft else element("p", why),
        element("p", f"Meant for: {aimed}", class_="faint") if aimed else None,
        element("p", scores),
        element("p", f"{counts}. " if counts else "", _sentence(trial.reason)) if draft else None,
        fold("What it changes", changed, key=key, opened=trial.accepted) if changed else None,
        class_="trial",
    )


def _sentence(text: str) -> str:
    return line(text[:1].upper() + text[1:], limit=REASON_LIMIT)


def _refused(outcome: Checked, before: Run, key: str) -> Markup:
    draft = before.draft
    title = ["Draft ", badge("refused", "warn")]
    reasons = [
        element("li", line(f"{p.message}{f' — {p.hint}' if p.hint else ''}", limit=REASON_LIMIT))
        for p in outcome.problems
    ]
    shown = element("ul", reasons)
    if draft is None or before.best is None:
        return element("article", element("h3", title), shown)
    changed = diff(before.best.candidate.text, draft.text, "What it would have changed")
    return element(
        "article",
        element("h3", title),
        element("p", element("strong", "Why: "), line(draft.why, limit=REASON_LIMIT)),
        shown,
        fold("What it would have changed", changed, key=key),
    )
