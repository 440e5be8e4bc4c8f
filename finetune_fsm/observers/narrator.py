"""The session as a person reads it: every moment of the loop as a few lines.

Content and order are those of AgentMech's finetune command. The lines of a moment follow from the
moment alone, so that a journal read again tells the same story.
"""

from __future__ import annotations

import os
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import assert_never

from finetune_fsm.errors import InvalidDocument
from finetune_fsm.improve.model import Analysis
from finetune_fsm.llm.base import Usage
from finetune_fsm.loop.machine import Entered, Leaving, Moment, Observer
from finetune_fsm.loop.outcomes import (
    Analyzed,
    Checked,
    Confirmed,
    Ending,
    Finished,
    Interrupted,
    Modified,
    Prepared,
    Ran,
    Saved,
    Tested,
)
from finetune_fsm.loop.run import Run
from finetune_fsm.loop.table import LoopState
from finetune_fsm.loop.ties import in_numbers
from finetune_fsm.observers.changes import against, drafted
from finetune_fsm.observers.lines import Line, Tone
from finetune_fsm.observers.verdicts import BLANK, REASON_LIMIT, count, labels, ran, tested
from finetune_fsm.sinks import clean, one_line
from finetune_fsm.workflow.text import parse

WIDTH = 60
DOUBLE_RULE = "═" * WIDTH
RULE = "─" * WIDTH

TEXT_WIDTH = 76
"""Characters of a line of the analysis; longer words stay whole."""


def narrator(
    say: Callable[[Line], None], *, clock: Callable[[], float] = time.monotonic
) -> Observer:
    """Return an observer that tells every moment to *say*, line by line.

    Args:
        say: Takes one line, already clean.
        clock: Seconds, for the time that the run took; it starts now.
    """
    started = clock()
    last = BLANK

    def observe(moment: Moment) -> None:
        nonlocal last
        for line in lines_of(moment, clock() - started):
            if line.text or last.text:  # one blank line between paragraphs, whoever asks for it
                say(line)
            last = line

    return observe


def lines_of(moment: Moment, seconds: float = 0.0) -> tuple[Line, ...]:
    """Return what a person is told at *moment*, *seconds* after the start."""
    if isinstance(moment, Entered):
        return tuple(_entered(moment.state, moment.run))
    return tuple(_leaving(moment, seconds))


def _entered(state: LoopState, run: Run) -> Iterator[Line]:
    match state:
        case LoopState.PREPARING:
            yield from _header(run)
        case LoopState.SAVING:
            yield from _iteration(run)
        case LoopState.RUNNING:
            yield Line("Running workflow...")
        case LoopState.TESTING:
            yield Line("Running tests...")
        case LoopState.CONFIRMING if run.best and run.first and run.best != run.first:
            yield Line("Confirming what was gained...")
        case LoopState.ANALYZING if run.analysis is None:
            yield Line("Analyzing workflow and test results...")
            yield BLANK
        case LoopState.MODIFYING if run.problems:
            yield Line("  Asking again, with what is wrong with the draft")
        case LoopState.MODIFYING if not run.waiting and not run.given_up:
            yield Line("Applying improvements to workflow...")
        case _:
            return


def _header(run: Run) -> Iterator[Line]:
    settings = run.settings
    yield Line("AgentMech Workflow Finetune", Tone.TITLE)
    yield BLANK
    yield Line("This will iteratively improve your workflow using LLM-powered analysis.")
    yield BLANK
    yield Line(f"Loading workflow from: {_full(settings.workflow)}")
    yield Line(f'Workflow "{_name(run)}" loaded successfully')
    yield BLANK
    yield Line(f"Output will be saved to: {_full(settings.output)}")
    yield BLANK
    yield Line(f"Using model: {one_line(settings.model)}")
    yield BLANK
    if settings.tests is None:
        yield Line("No test file found: generating test scenarios...")


def _iteration(run: Run) -> Iterator[Line]:
    if run.iteration > 1:
        yield BLANK
        yield Line(RULE, Tone.FAINT)
        yield BLANK
    yield Line(f"📊 ITERATION {run.iteration}/{run.settings.max_iterations}", Tone.TITLE)
    yield BLANK
    yield Line(RULE, Tone.FAINT)
    yield BLANK


def _leaving(  # noqa: C901  # one case per outcome
    moment: Leaving, seconds: float
) -> Iterator[Line]:
    run = moment.run
    match moment.outcome:
        case Prepared() as outcome:
            yield from _prepared(outcome, run)
        case Saved() as outcome:
            yield from _saved(outcome, run)
        case Ran() as outcome:
            yield from ran(outcome, run)
        case Tested() as outcome:
            yield from tested(outcome, run)
        case Analyzed() as outcome:
            yield from _analyzed(outcome, run)
        case Modified() as outcome:
            yield from _modified(outcome, run)
        case Checked() as outcome:
            yield from _checked(outcome, moment)
        case Confirmed() as outcome:
            if outcome.reason:
                tone = Tone.PLAIN if outcome.held else Tone.WARNING
                yield Line(f"  {_sentence(outcome.reason)}", tone)
        case Interrupted() as outcome:
            yield from (BLANK, Line(f"⚠ {_stopped(outcome)}", Tone.WARNING))
        case Finished():
            yield from _finished(run, seconds)
        case _ as never:
            assert_never(never)


def _prepared(outcome: Prepared, run: Run) -> Iterator[Line]:
    if outcome.generated:
        for problem in outcome.problems:
            yield Line(f"  The model's scenarios are not usable: {one_line(problem)}", Tone.WARNING)
        made = count(len(outcome.suite.scenarios), "test scenario")
        yield Line(f"Generated {made}: {_full(outcome.tests)}")
    else:
        yield Line(f"Found existing test file: {_full(outcome.tests)}")
    yield BLANK
    limit = count(run.settings.max_iterations, "iteration")
    yield Line(f"Starting finetune process with max {limit}")
    yield BLANK
    yield Line(DOUBLE_RULE, Tone.FAINT)
    yield BLANK


def _saved(outcome: Saved, run: Run) -> Iterator[Line]:
    names = labels(len(outcome.paths))
    candidates = run.candidates or (None,) * len(names)
    for path, name, candidate in zip(outcome.paths, names, candidates, strict=True):
        yield Line(f"Iteration workflow saved: {_full(path)}")
        if name and candidate and candidate.draft:  # which one is meant by the letter from now on
            why = one_line(candidate.draft.why, limit=REASON_LIMIT)
            yield Line(f"  {name}{why}", Tone.FAINT, hang=5)
    yield BLANK


def _analyzed(outcome: Analyzed, run: Run) -> Iterator[Line]:
    if not outcome.fresh:
        best = run.best.iteration if run.best else 1
        yield Line(f"Going on from the workflow of iteration {best} with the next idea")
        yield BLANK
        return
    analysis = outcome.analysis
    yield Line("📋 Analysis:", Tone.TITLE)
    yield Line(_paragraphs(analysis.summary) or "(none)")
    for problem in analysis.problems:
        yield Line(f"  The model's analysis is missing: {one_line(problem)}", Tone.WARNING)
    yield BLANK
    ideas = _ideas(analysis)
    if ideas:
        yield Line("💡 Suggestions:", Tone.TITLE)
        yield from (Line(f"  {n}. {idea}") for n, idea in enumerate(ideas, 1))
    else:
        yield Line("No improvements are suggested.")
    yield BLANK


def _paragraphs(text: str) -> str:
    """Return *text*, cleaned, in lines of a readable length; its own line ends stay."""
    return "\n".join(
        textwrap.fill(line, TEXT_WIDTH, break_long_words=False)
        for line in clean(text.strip()).splitlines()
    )


def _ideas(analysis: Analysis) -> Sequence[str]:
    """What rules and the model would change, each once, the rules first as they are tried first."""
    repairs = (one_line(repair.why, limit=REASON_LIMIT) for repair in analysis.repairs)
    asked = (
        f"{one_line(s.state)}: {one_line(s.change, limit=REASON_LIMIT)}"
        for s in analysis.suggestions
    )
    return tuple(dict.fromkeys((*repairs, *asked)))


def _modified(outcome: Modified, run: Run) -> Iterator[Line]:
    if outcome.attempt is None:
        yield Line("  Nothing is left to try")
        yield BLANK
    elif outcome.draft is not None:  # why there is none, CHECKING tells
        yield from drafted(outcome.draft, run.best.candidate.text if run.best else "")


def _checked(outcome: Checked, moment: Leaving) -> Iterator[Line]:
    if moment.run.attempt is None:
        return
    if outcome.draft is not None:
        yield Line("  Edited by a person:")
        best = moment.run.best
        yield from drafted(outcome.draft, best.candidate.text if best else "")
    if not outcome.problems:
        yield Line("✅ Modifications applied", Tone.GOOD)
        yield BLANK
        return
    yield from (against(problem) for problem in outcome.problems)
    if not moment.run.problems:
        yield Line("❌ Modifications refused: the workflow stays as it was", Tone.WARNING)
        yield BLANK


def _sentence(text: str) -> str:
    return one_line(text[:1].upper() + text[1:], limit=REASON_LIMIT)


def _stopped(outcome: Interrupted) -> str:
    if outcome.ending is Ending.INTERRUPTED:
        return "Interrupted"
    return f"Stopped: {one_line(outcome.message or outcome.ending, limit=REASON_LIMIT)}"


def _finished(run: Run, seconds: float) -> Iterator[Line]:
    yield BLANK
    yield _ending(run)
    yield BLANK
    yield Line("📊 Summary:", Tone.TITLE)
    yield Line(f"  Total iterations: {len(run.history)}")
    if run.best and run.history:
        yield Line(
            f"  Final test status: {'PASSED' if run.passed else 'FAILED'}",
            Tone.GOOD if run.passed else Tone.BAD,
        )
        total = run.best.report.total
        before, after = run.history[0].passed, run.best.report.passed
        yield Line(f"  Scenarios passed: {before}/{total} → {after}/{total}")
    if run.goal and run.settings.goal:
        name = one_line(run.settings.goal.text, limit=60)
        told = f"{run.goal[1].name}: {in_numbers(*run.goal)}"
        yield Line(f"  Goal ({name}): {one_line(told)}")
    if run.confirmed:
        yield Line(f"  Confirmed: {one_line(run.confirmed, limit=REASON_LIMIT)}")
    refused = Counter(rejection.code for rejection in run.rejections if rejection.code)
    if refused:
        codes = ", ".join(f"{one_line(code)} {count}" for code, count in sorted(refused.items()))
        yield Line(f"  Drafts refused: {refused.total()} ({codes})")
    yield Line(f"  Ended because: {run.ending or 'every step was taken'}")
    yield Line(f"  LLM calls: {spent(run.usage, seconds)}")


def _ending(run: Run) -> Line:
    if run.output is None:
        return Line("❌ Nothing was saved: no workflow had been tested yet", Tone.BAD)
    place = one_line(shown(run.output), limit=1000)
    if run.ending is Ending.INTERRUPTED:
        return Line(f"⚠ Finetune interrupted. Best workflow so far saved to: {place}", Tone.WARNING)
    if run.ending is Ending.BROKEN:
        return Line(f"⚠ Finetune broke off. Best workflow so far saved to: {place}", Tone.WARNING)
    return Line(f"✅ Finetune complete! Final workflow saved to: {place}", Tone.GOOD)


def spent(usage: Usage, seconds: float) -> str:
    """Return what models and time were used, as ``12 (3,400 tokens), 8.1 s``. Pure."""
    again = f", {count(usage.retries, 'retry', 'retries')}" if usage.retries else ""
    kept = f", {count(usage.cached, 'reply', 'replies')} kept from earlier" if usage.cached else ""
    return f"{usage.calls} ({usage.tokens:,} tokens){again}{kept}, {seconds:.1f} s"


def _name(run: Run) -> str:
    """The workflow's name, as its text says."""
    try:
        document = parse(run.original).document
    except InvalidDocument:
        document = None
    name = document.get("name") if isinstance(document, dict) else None
    return one_line(str(name or run.settings.workflow.stem))


def _full(path: Path) -> str:
    return one_line(os.path.abspath(path), limit=1000)  # noqa: PTH100  # links stay as named


def shown(path: Path) -> str:
    """Return *path* as it is shortest from here."""
    try:
        below = os.path.relpath(path)
    except OSError:  # the folder in which we stand was removed
        return str(path)
    return str(path) if below.startswith(os.pardir) else below
