"""The one pure function that learns from an outcome: all the memory the loop has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import assert_never

from finetune_fsm.improve.changes import in_words
from finetune_fsm.improve.model import Attempt, Draft, Rejection
from finetune_fsm.improve.proposals import REPAIRS_TRIED, next_attempt
from finetune_fsm.improve.race import Lap
from finetune_fsm.llm.base import Usage
from finetune_fsm.loop.outcomes import (
    REFUSED,
    Analyzed,
    Checked,
    Confirmed,
    Ending,
    Finished,
    Interrupted,
    Modified,
    Outcome,
    Prepared,
    Ran,
    Saved,
    Tested,
    Tried,
)
from finetune_fsm.loop.run import Run
from finetune_fsm.loop.trials import Candidate, IterationRecord, Score, Trial, TrialRecord

REPAIRS = 1
"""Times that a model is shown the problems of one draft."""

DRAFTS = 8
"""Drafts refused in one iteration before it ends."""

REPEATED = frozenset({"no_change", "tried_before"})
"""Problems of a draft that is not new."""


def step_bound(run: Run) -> int:
    """Return how many steps *run* can take at most, from its start to the end. Pure."""
    per_draft = 3 + 2 * REPAIRS
    drafts = DRAFTS + REPAIRS_TRIED + run.settings.candidates + 2
    return 4 + run.settings.max_iterations * (4 + drafts * per_draft)


def advance(run: Run, outcome: Outcome) -> Run:  # noqa: C901  # one case per outcome
    """Return what is known after *outcome*. Pure; this is all the memory the loop has."""
    run = replace(run, usage=run.usage + outcome.usage)
    match outcome:
        case Prepared():
            return replace(
                run,
                suite=outcome.suite,
                tests=outcome.tests,
                generated=outcome.generated,
                weights=outcome.weights,
                laps=(Lap(outcome.samples),) if outcome.samples else (),
                candidates=(Candidate(run.original),),
            )
        case Saved():
            return replace(run, snapshots=outcome.paths)
        case Ran():
            return replace(run, laps=outcome.laps, again=outcome.again, extra=outcome.extra)
        case Tested():
            return _tested(run, outcome)
        case Analyzed():
            return _analyzed(run, outcome)
        case Modified():
            return _modified(run, outcome)
        case Checked():
            return _checked(run, outcome)
        case Confirmed():
            return _confirmed(run, outcome)
        case Finished():
            return replace(run, output=outcome.output)
        case Interrupted():
            return replace(run, ending=outcome.ending, message=outcome.message)
        case _ as never:
            assert_never(never)


def _tested(run: Run, outcome: Tested) -> Run:
    """Take one of the candidates as the new best, or go back to the one there is."""
    spent = run.iteration >= run.settings.max_iterations
    known = replace(
        run,
        candidates=(),
        snapshots=(),
        laps=(),
        again=(),
        extra=(),
        refused=(),
        holdout=outcome.holdout if run.best is None else run.holdout,
        flips=run.flips + outcome.flips,
        ending=Ending.ITERATIONS if spent else None,
    )
    rejected: list[Rejection] = []
    for candidate, tried in zip(run.candidates, outcome.trials, strict=True):
        if tried.accepted:
            best = Trial(candidate, tried.report, run.iteration)
            known = replace(
                known,
                best=best,
                first=run.first or best,
                analysis=None,
                tried=(),
                promising=_promising(run, outcome, tried),
            )
        elif candidate.draft:
            rejected.append(_rejection(candidate.draft, tried.reason, candidate.digest))
    known = replace(known, rejections=(*run.rejections, *rejected))
    return replace(known, history=(*run.history, _record(run, known, outcome)))


def _promising(run: Run, outcome: Tested, chosen: Tried) -> tuple[Draft, ...]:
    """The drafts that fixed what *chosen* did not; they may be made in it, too."""
    if chosen.comparison is None:
        return ()
    won = set(chosen.comparison.wins)
    return tuple(
        candidate.draft
        for candidate, tried in zip(run.candidates, outcome.trials, strict=True)
        if candidate.draft and tried.comparison and set(tried.comparison.wins) - won
    )


def _record(before: Run, after: Run, outcome: Tested) -> IterationRecord:
    rows = zip(before.candidates, before.snapshots, outcome.trials, strict=True)
    return IterationRecord(
        iteration=before.iteration,
        trials=tuple(
            TrialRecord(
                strategy=candidate.draft.attempt.strategy.value if candidate.draft else "",
                edits=candidate.draft.edits if candidate.draft else (),
                snapshot=path,
                accepted=tried.accepted,
                reason=tried.reason,
                train=_score(after, tried, held=False),
                holdout=_score(after, tried, held=True),
                comparison=tried.comparison,
            )
            for candidate, path, tried in rows
        ),
        passed=after.best.report.passed if after.best else 0,
        total=len(after.suite.scenarios) if after.suite else 0,
        refused=before.refused,
        usage=before.usage - sum((r.usage for r in before.history), Usage()),
    )


def _score(run: Run, tried: Tried, *, held: bool) -> Score:
    assert run.suite is not None  # noqa: S101  # the table comes here only with a suite
    names = [scenario.name for scenario in run.suite.scenarios]
    left_out = frozenset(run.holdout)
    wanted = {name for index, name in enumerate(names) if (index in left_out) is held}
    ran = [result for result in tried.report.results if result.scenario.name in wanted]
    return Score(sum(result.passed for result in ran), len(ran), len(wanted))


def _analyzed(run: Run, outcome: Analyzed) -> Run:
    analysis = outcome.analysis
    ending = None
    ideas = analysis.suggestions or analysis.repairs or analysis.suspects
    if run.solved and analysis.asked and not ideas:
        ending = Ending.SOLVED if run.passed else Ending.NOTHING_LEFT
    elif run.content:
        ending = Ending.PASSED
    return replace(run, analysis=analysis, ending=ending)


def _modified(run: Run, outcome: Modified) -> Run:
    again = bool(run.problems)
    tried = run.tried if again or outcome.attempt is None else (*run.tried, outcome.attempt)
    run = replace(
        run,
        attempt=outcome.attempt,
        tried=tried,
        draft=outcome.draft,
        problems=outcome.problems,
        repairs=run.repairs + 1 if again else 0,
    )
    return _on_trial(run) if outcome.attempt is None else run


def _checked(run: Run, outcome: Checked) -> Run:
    run = replace(run, draft=outcome.draft or run.draft, trusting=run.trusting or outcome.rest)
    attempt = run.attempt
    if attempt is None:
        return run
    repairable = _repairable(run, attempt, outcome)
    kept = tuple(_refused(run, outcome, repairable=repairable))
    run = replace(run, refused=(*run.refused, *kept), rejections=(*run.rejections, *kept))
    if repairable:
        return replace(run, problems=outcome.problems)
    if outcome.problems:
        run = replace(run, given_up=run.given_up + (not attempt.free))
    else:
        assert run.draft is not None  # noqa: S101  # no draft is a problem
        run = replace(run, waiting=(*run.waiting, Candidate(run.draft.text, run.draft)))
    run = replace(run, draft=None, problems=())
    return _on_trial(run) if _complete(run) else run


def _refused(run: Run, outcome: Checked, *, repairable: bool) -> Iterator[Rejection]:
    """What is to be remembered of the draft: that it is given up, or that a person refused it."""
    if run.draft is None or not outcome.problems:
        return
    first = outcome.problems[0]
    if first.code == REFUSED:
        tried = Candidate(run.draft.text).digest
        yield _rejection(run.draft, first.message, tried, code=first.code)
    elif not repairable:
        yield _rejection(run.draft, first.message, code=first.code)


def _repairable(run: Run, attempt: Attempt, outcome: Checked) -> bool:
    """Whether the model is shown what is wrong: not what it repeats, that it would once more."""
    if not outcome.problems or attempt.free or run.repairs >= REPAIRS:
        return False
    return outcome.problems[0].code not in REPEATED


def _complete(run: Run) -> bool:
    """Whether this iteration's field is as large as it gets.

    A model is asked for as many drafts as may go on trial; what comes to nothing counts, once
    there is one that does not.
    """
    assert run.analysis is not None  # noqa: S101  # the table comes here only after an analysis
    waiting, asked = len(run.waiting), len(run.waiting) + run.given_up
    if waiting >= run.settings.candidates or run.given_up >= DRAFTS:
        return True
    if waiting and asked >= run.settings.candidates:
        return True
    following = next_attempt(run.analysis, run.tried, run.means)
    # What costs no call is tried before a model is asked for more.
    return (
        bool(run.waiting)
        and (following is None or not following.free)
        and all(
            candidate.draft is not None and candidate.draft.attempt.free
            for candidate in run.waiting
        )
    )


def _on_trial(run: Run) -> Run:
    """Send the field on its way, or end if there is none and nothing is left to try."""
    assert run.analysis is not None  # noqa: S101  # the table comes here only after an analysis
    if run.waiting:
        return replace(
            run,
            candidates=run.waiting,
            waiting=(),
            given_up=0,
            iteration=run.iteration + 1,
        )
    if run.analysis.asked or run.given_up >= DRAFTS:
        return replace(run, ending=Ending.SOLVED if run.passed else Ending.NOTHING_LEFT)
    return run


def _confirmed(run: Run, outcome: Confirmed) -> Run:
    counted = run.flips + outcome.flips
    run = replace(run, flips=counted, confirmed=outcome.reason, goal=outcome.goal)
    return run if outcome.held else replace(run, best=run.first, ending=Ending.NOTHING_LEFT)


def _rejection(draft: Draft, reason: str, tried: str = "", *, code: str = "") -> Rejection:
    return Rejection(draft.attempt, tried, in_words(draft.edits), reason, code)
