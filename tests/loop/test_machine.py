"""How the loop moves: vetoes, the journal, interruptions; with handlers of the test's own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_fsm.errors import Cancelled, NoRuleError, Problem, StorageError
from finetune_fsm.execution.rollout import RunStatus
from finetune_fsm.improve.model import Analysis, Attempt, Draft, Strategy, Suggestion
from finetune_fsm.improve.race import Lap
from finetune_fsm.improve.samples import Sample
from finetune_fsm.llm.base import Stop, Usage
from finetune_fsm.llm.scripted import ScriptedLLM
from finetune_fsm.loop.learning import advance, step_bound
from finetune_fsm.loop.machine import Entered, Entry, Leaving, Loop, Moment
from finetune_fsm.loop.outcomes import (
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
from finetune_fsm.loop.settings import OnTie, Settings
from finetune_fsm.loop.table import RULES, LoopState
from finetune_fsm.loop.toolbox import Toolbox
from finetune_fsm.scenarios.model import (
    Assertion,
    AssertionType,
    Rollout,
    Scenario,
    ScenarioResult,
    Suite,
    SuiteReport,
    Verdict,
)

TEXT = "name: W\nstart_state: a\nstates: {a: {type: prompt, prompt: Hi, next: end}}\n"
SCENARIO = Scenario("s", (Assertion(AssertionType.STATE_REACHED, "end"),))
SUITE = Suite("w.yaml", (SCENARIO,))
ROLLOUT = Rollout(RunStatus.COMPLETED)


def report(*, passed: bool) -> SuiteReport:
    verdict = Verdict.PASSED if passed else Verdict.FAILED
    return SuiteReport((ScenarioResult(SCENARIO, ROLLOUT, verdict),))


def tried(*, passed: bool, accepted: bool) -> Tried:
    verdicts = report(passed=passed)
    return Tried(verdicts.results, verdicts, accepted, "chance")


def start(iterations: int = 5) -> Run:
    settings = Settings(
        Path("w.yaml"),
        Path("w.finetuned.yaml"),
        max_iterations=iterations,
        on_tie=OnTie.JUDGE,
    )
    return Run(settings, TEXT)


def tools(stop: Stop | None = None) -> Toolbox:
    return Toolbox(ScriptedLLM([]), stop=stop)


class Chance:
    """Handlers whose outcomes are drawn: any sequence of facts that a world could produce."""

    def __init__(self, draw: st.DrawFn | None = None, data: st.DataObject | None = None) -> None:
        self._data = data
        self._count = 0

    def __call__(  # noqa: C901  # one case per state
        self, run: Run, _: Toolbox, state: LoopState
    ) -> Outcome:
        flip = self._data.draw(st.booleans()) if self._data else True
        self._count += 1
        attempt = Attempt(Strategy.REWRITE, self._count)
        match state:
            case LoopState.PREPARING:
                return Prepared(SUITE, Path("w.test.yaml"))
            case LoopState.SAVING:
                return Saved(tuple(Path("x") for _ in run.candidates))
            case LoopState.RUNNING:
                lap = Lap((Sample(0, 0, ROLLOUT),))
                return Ran(tuple(lap for _ in run.candidates), usage=Usage(1))
            case LoopState.TESTING:
                chosen = 0 if run.best is None else flip - 1
                return Tested(
                    tuple(
                        tried(passed=flip, accepted=place == chosen)
                        for place in range(len(run.candidates))
                    )
                )
            case LoopState.ANALYZING:
                ideas = (Suggestion("a", "b"),) if flip else ()
                return Analyzed(Analysis("a", ideas, asked=run.analysis is not None or flip))
            case LoopState.CONFIRMING:
                return Confirmed(flip)
            case LoopState.MODIFYING if self._count % 11 == 0 and not run.problems:
                return Modified()
            case LoopState.MODIFYING if flip or run.problems:
                again = run.attempt if run.problems and run.attempt else attempt
                draft = Draft(again, (), TEXT, "")
                return Modified(draft.attempt, draft)
            case LoopState.MODIFYING:
                return Modified(attempt, None, (Problem("x", "no draft"),))
            case LoopState.CHECKING if run.draft is None or not flip:
                return Checked((Problem("x", "refused"),))
            case LoopState.CHECKING:
                return Checked()
            case _:
                return Finished(Path("out.yaml"))


def handlers(chance: Chance) -> dict[LoopState, object]:
    return {
        state: (lambda run, tools, state=state: chance(run, tools, state)) for state in LoopState
    }


@given(st.data(), st.integers(1, 6))
def test_any_run_ends_within_the_bound_and_journals_every_step(
    data: st.DataObject, iterations: int
) -> None:
    run = start(iterations)
    written: list[Entry] = []
    loop = Loop(
        run,
        tools(),
        handlers=handlers(Chance(data=data)),
        journal=lambda entry, _: written.append(entry),
    )
    bound = step_bound(run)
    for entry in loop:
        assert entry.number <= bound
    assert loop.done
    assert tuple(written) == loop.entries
    assert loop.run.ending is not None
    assert loop.run.iteration <= iterations
    assert len(loop.run.history) == loop.run.iteration


@given(st.data())
def test_the_run_is_the_fold_of_its_entries(data: st.DataObject) -> None:
    run = start()
    loop = Loop(run, tools(), handlers=handlers(Chance(data=data)))
    for entry in loop:
        run = advance(run, entry.outcome)
        assert run == loop.run
        assert any((r.source, r.target) == (entry.state, entry.target) for r in RULES)


@given(st.data())
def test_the_best_never_falls(data: st.DataObject) -> None:
    class Honest(Chance):
        """Accepts and confirms as the real ones do: never a report that passes less."""

        def __call__(self, run: Run, _: Toolbox, state: LoopState) -> Outcome:
            outcome = super().__call__(run, _, state)
            if isinstance(outcome, Tested) and run.best is not None:
                first, *rest = outcome.trials
                better = first.report.passed > run.best.report.passed
                others = (replace(other, accepted=False) for other in rest)
                return Tested((replace(first, accepted=better), *others))
            return Confirmed() if isinstance(outcome, Confirmed) else outcome

    loop = Loop(start(), tools(), handlers=handlers(Honest(data=data)))
    best = 0
    for _ in loop:
        now = loop.run.best.report.passed if loop.run.best else 0
        assert now >= best
        best = now


@given(st.integers(1, 40), st.booleans())
def test_a_veto_or_a_failing_journal_leaves_loop_and_run_as_they_were(
    when: int, veto: bool
) -> None:
    count = 0

    def fail_once(*_: object) -> None:
        nonlocal count
        count += 1
        if count == when:
            raise StorageError("the disk is full")

    def observer(moment: Moment) -> None:
        if veto and isinstance(moment, Leaving):
            fail_once(moment)

    loop = Loop(
        start(),
        tools(),
        handlers=handlers(Chance()),
        observers=[observer],
        journal=None if veto else fail_once,
    )
    while not loop.done:
        before = (loop.state, loop.run, loop.entries)
        try:
            loop.step()
        except StorageError:
            assert (loop.state, loop.run, loop.entries) == before
    assert [entry.number for entry in loop.entries] == list(range(1, len(loop.entries) + 1))


def test_observers_see_every_state_entered_and_left_in_order() -> None:
    moments: list[Moment] = []
    loop = Loop(start(1), tools(), handlers=handlers(Chance()), observers=[moments.append])
    entries = list(loop)
    assert [m.state for m in moments if isinstance(m, Entered)] == [e.state for e in entries]
    assert [m.outcome for m in moments if isinstance(m, Leaving)] == [e.outcome for e in entries]


@pytest.mark.parametrize("steps", range(8))
def test_an_interruption_anywhere_finishes_at_once(steps: int) -> None:
    stop = Stop()
    loop = Loop(start(), tools(stop), handlers=handlers(Chance()))
    for _ in range(steps):
        loop.step()
    stop.ask()
    rest = list(loop)
    assert loop.done
    assert [e.state for e in rest[-1:]] == [LoopState.FINISHING]
    assert len(rest) <= 3
    assert loop.run.ending in {Ending.INTERRUPTED, Ending.SOLVED}


def test_a_handler_that_is_cancelled_is_interrupted() -> None:
    def cancelled(run: Run, tools: Toolbox) -> Outcome:
        raise Cancelled

    mine = {**handlers(Chance()), LoopState.RUNNING: cancelled}
    loop = Loop(start(), tools(), handlers=mine)
    entries = list(loop)
    assert isinstance(entries[-2].outcome, Interrupted)
    assert loop.run.ending is Ending.INTERRUPTED


def test_a_broken_world_leaves_the_step_to_be_taken_again() -> None:
    broken = [True]

    def sometimes(run: Run, tools: Toolbox) -> Outcome:
        if broken:
            broken.clear()
            raise StorageError("no space")
        return Saved((Path("x"),))

    loop = Loop(start(), tools(), handlers={**handlers(Chance()), LoopState.SAVING: sometimes})
    loop.step()
    with pytest.raises(StorageError):
        loop.step()
    assert loop.state is LoopState.SAVING
    assert loop.step().target is LoopState.RUNNING


def test_an_outcome_that_no_rule_expects_is_told() -> None:
    wrong = {**handlers(Chance()), LoopState.PREPARING: lambda run, tools: Saved((Path("x"),))}
    with pytest.raises(NoRuleError, match="saved"):
        Loop(start(), tools(), handlers=wrong).step()
