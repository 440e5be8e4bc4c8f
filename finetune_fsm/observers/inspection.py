"""What the debugger prints of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from finetune_fsm.loop.handlers.modifying import next_of, question
from finetune_fsm.loop.run import Run
from finetune_fsm.loop.table import LoopState
from finetune_fsm.loop.workflows import best_of
from finetune_fsm.observers.changes import diff_lines, drafted
from finetune_fsm.observers.lines import Line, Tone
from finetune_fsm.observers.verdicts import count, reason_of
from finetune_fsm.schema import suggestion
from finetune_fsm.sinks import one_line

Printer = Callable[[Run, LoopState, str], Iterator[Line]]


def printed(what: str, rest: str, run: Run, state: LoopState) -> Iterator[Line]:
    """Yield what is known of *what*; `rest` says more about it, such as a scenario's name."""
    printer = PRINTERS.get(what)
    if printer is None:
        hint = suggestion(what, tuple(PRINTERS)) or f"there is {', '.join(PRINTERS)}"
        yield Line(f"  print knows no '{one_line(what)}' — {hint}", Tone.WARNING)
        return
    yield from printer(run, state, rest)


def _run(run: Run, state: LoopState, _: str) -> Iterator[Line]:
    settings = run.settings
    yield Line(f"  In {state}, iteration {run.iteration} of at most {settings.max_iterations}")
    if run.best is not None:
        report = run.best.report
        yield Line(
            f"  Best: that of iteration {run.best.iteration}, {report.passed}/{report.total}"
        )
    yield Line(f"  Waiting to be tried: {count(len(run.waiting), 'draft')}")
    yield Line(f"  Not kept: {count(len(run.rejections), 'draft')}")
    for rejection in run.rejections[-5:]:
        change = one_line(rejection.change, limit=100)
        yield Line(f"    - {change}: {one_line(rejection.reason, limit=200)}", Tone.FAINT)
    yield Line(f"  LLM calls: {run.usage.calls} ({run.usage.tokens:,} tokens)")


def _best(run: Run, state: LoopState, rest: str) -> Iterator[Line]:
    del state, rest
    yield from _text(run.best.candidate.text if run.best else run.original)


def _draft(run: Run, state: LoopState, rest: str) -> Iterator[Line]:
    del state, rest
    if run.draft is None:
        yield Line("  There is no draft now", Tone.FAINT)
        return
    yield from _text(run.draft.text)
    yield from _problems(run)


def _problems(run: Run) -> Iterator[Line]:
    for problem in run.problems:
        yield Line(f"  Against it: {one_line(problem.message, limit=300)}", Tone.WARNING)


def _diff(run: Run, state: LoopState, rest: str) -> Iterator[Line]:
    del state, rest
    if run.draft is not None and run.best is not None:
        yield from drafted(run.draft, run.best.candidate.text)
    elif run.best is not None and run.best != run.first:
        yield Line("  There is no draft; this is the best against your workflow:", Tone.FAINT)
        yield from diff_lines(run.original, run.best.candidate.text, indent="    ")
    else:
        yield Line("  There is no draft, and the best is your workflow", Tone.FAINT)


def _analysis(run: Run, state: LoopState, rest: str) -> Iterator[Line]:
    del state, rest
    if run.analysis is None:
        yield Line("  The best is not analysed yet", Tone.FAINT)
        return
    yield Line(f"  {one_line(run.analysis.summary, limit=1000) or '(no summary)'}")
    for number, suspect in enumerate(run.analysis.suspects, 1):
        where = one_line(".".join(map(str, suspect.path[1:])))
        yield Line(f"  suspect {number}: {where} — {one_line(suspect.reason, limit=200)}")
    for number, repair in enumerate(run.analysis.repairs, 1):
        yield Line(f"  repair {number}: {one_line(repair.why, limit=200)}")


def _scenario(run: Run, state: LoopState, rest: str) -> Iterator[Line]:
    del state
    if run.best is None:
        yield Line("  Nothing is judged yet", Tone.FAINT)
        return
    results = run.best.report.results
    names = [result.scenario.name for result in results]
    if rest.isdecimal() and 1 <= int(rest) <= len(names):
        rest = names[int(rest) - 1]
    if rest not in names:
        for number, result in enumerate(results, 1):
            tone = Tone.GOOD if result.passed else Tone.BAD
            verdict = "passed" if result.passed else reason_of(result)
            yield Line(f"  {number}. {one_line(names[number - 1])}: {verdict}", tone)
        return
    result = results[names.index(rest)]
    yield Line(
        f"  {one_line(rest)}: {'passed' if result.passed else reason_of(result)}", Tone.TITLE
    )
    for assertion in result.scenario.assertions:
        yield Line(f"    wants: {one_line(assertion.requirement, limit=200)}")
    for visit in result.rollout.visits:
        yield Line(f"    {one_line(visit.state)}: {one_line(visit.completion, limit=300)}")


def _prompt(run: Run, state: LoopState, rest: str) -> Iterator[Line]:
    if rest:
        found = best_of(run).states.get(rest) if run.best else None
        if found is None or found.prompt is None:
            yield Line(f"  The best has no state '{one_line(rest)}' with a prompt", Tone.WARNING)
        else:
            yield from _text(found.prompt)
        return
    attempt = next_of(run) if state is LoopState.MODIFYING and run.analysis else None
    if attempt is None or attempt.free:
        yield Line("  No model is asked for a draft here; 'print prompt STATE' shows a state's")
        return
    yield from _text(question(run, attempt))


def _text(text: str) -> Iterator[Line]:
    for line in text.splitlines():
        yield Line(f"    {line}")


PRINTERS: Mapping[str, Printer] = {
    "run": _run,
    "best": _best,
    "draft": _draft,
    "diff": _diff,
    "analysis": _analysis,
    "scenario": _scenario,
    "prompt": _prompt,
}
"""What can be printed."""
