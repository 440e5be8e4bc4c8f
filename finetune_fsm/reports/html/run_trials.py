"""The candidates of a run: what each changed and why, what became of it, what was refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from finetune_fsm.improve.model import Analysis
from finetune_fsm.improve.samples import usage_of
from finetune_fsm.loop.trials import Score
from finetune_fsm.reports.chronicle import Refusal, Round, Trial
from finetune_fsm.reports.comparison_text import span
from finetune_fsm.reports.html.diff import diff
from finetune_fsm.reports.html.markup import NOTHING, Html, joined, tag
from finetune_fsm.reports.html.parts import (
    badge,
    facts,
    folded,
    items,
    line,
    many,
    paragraph,
)
from finetune_fsm.reports.metrics import interval

LIMITS = (400, 150, 60, 25, 8, 0)
"""Lines of one diff, from the most generous down."""

_SENTENCE = 800
_SHOWN = 12
"""Refusals of one iteration, and scenarios named of one candidate."""


def rounds(found: Sequence[Round], lines: int) -> Html:
    """Return the last hundred rounds, with *lines* of each diff at most. Pure."""
    shown = found[-100:]
    left = len(found) - len(shown)
    note = paragraph(f"The first {many(left, 'iteration')} left out.", kind="soft")
    return joined((note if left else NOTHING, *(_round(one, lines) for one in shown)))


def _round(found: Round, lines: int) -> Html:
    title = f"Iteration {found.number}" if found.trials else "After the last test"
    return joined(
        (
            tag("h3", title),
            *(_analysis(analysis) for analysis in found.analyses),
            *(_trial(trial, lines) for trial in found.trials),
            _refusals(found.refusals),
        )
    )


def _analysis(found: Analysis) -> Html:
    ideas = items(
        f"{line(idea.state)}: {line(idea.change, _SENTENCE)}" for idea in found.suggestions[:_SHOWN]
    )
    summary = paragraph(tag("strong", "Analysis: "), line(found.summary, 2 * _SENTENCE))
    return joined((summary if found.summary.strip() else NOTHING, ideas))


def _trial(trial: Trial, lines: int) -> Html:
    record = trial.record
    how = line(record.strategy) or "as it was"
    word = badge("kept", "kept") if record.accepted else badge("not kept", "lost")
    return joined(
        (
            tag("h4", f"{trial.label}: {how} ", word),
            paragraph(line(trial.why, _SENTENCE)) if trial.why.strip() else NOTHING,
            facts(_facts(trial)),
            _changes(trial, lines),
        )
    )


def _facts(trial: Trial) -> Iterator[tuple[str, Html | str]]:
    record = trial.record
    yield "Verdict", line(record.reason, _SENTENCE)
    yield "Train", _score(record.train)
    yield "Held out", _score(record.holdout)
    if record.comparison is not None:
        names = trial.record.comparison
        assert names is not None  # noqa: S101  # for the type checker
        yield "Won", _names(names.wins)
        yield "Lost", _lost(trial, names.losses)
    usage = sum((r.rollout.spent for r in trial.results.values()), usage_of(()))
    yield "Took", f"{usage.calls:,} calls, {usage.tokens:,} tokens, {usage.seconds:.1f} s"


def _score(score: Score) -> str:
    around = interval(score)
    if around is None:
        return ""
    left = f", {score.total - score.ran} not run" if score.ran < score.total else ""
    return f"{score.passed} of {score.ran} ({span(around)}){left}"


def _names(names: Sequence[str]) -> Html | str:
    more = [f"{len(names) - _SHOWN} more"] if len(names) > _SHOWN else []
    return items([*map(line, names[:_SHOWN]), *more]) if names else ""


def _lost(trial: Trial, names: Sequence[str]) -> Html | str:
    """What it broke, each with the reason."""
    results = {result.scenario.name: result for result in trial.results.values()}
    told = []
    for name in names[:_SHOWN]:
        result = results.get(name)
        failures = result.failures if result else ()
        why = (result.error if result else "") or (failures[0].message if failures else "")
        told.append(f"{line(name)}: {line(why)}" if why else line(name))
    more = [f"{len(names) - _SHOWN} more"] if len(names) > _SHOWN else []
    return items([*told, *more]) if names else ""


def _changes(trial: Trial, lines: int) -> Html:
    if not trial.parent:
        return NOTHING
    if not lines:
        return paragraph("There is no room for what it changed.", kind="soft")
    return diff(trial.parent, trial.text, lines=lines)


def _refusals(refusals: Sequence[Refusal]) -> Html:
    if not refusals:
        return NOTHING
    told = [_refusal(refusal) for refusal in refusals[:_SHOWN]]
    more = [f"{len(refusals) - _SHOWN} more"] if len(refusals) > _SHOWN else []
    what = many(len(refusals), "draft or answer", "drafts and answers")
    return folded(f"Refused: {what}", items([*told, *more]))


def _refusal(refusal: Refusal) -> Html:
    reasons = items(
        f"{problem.code}: {line(problem.message, _SENTENCE)}"
        + (f" — {line(problem.hint, _SENTENCE)}" if problem.hint else "")
        for problem in refusal.problems[:_SHOWN]
    )
    change = f": {line(refusal.change, _SENTENCE)}" if refusal.change else ""
    return joined((f"{line(refusal.strategy) or 'draft'}{change}", reasons))
