"""Runs made up by hand, as large as a test needs and with any text in any place; no model asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from finetune_fsm.errors import Problem
from finetune_fsm.execution.rollout import Rollout, RunError, RunStatus, Visit
from finetune_fsm.improve.compare import compare
from finetune_fsm.improve.model import Analysis, Attempt, Draft, Strategy, Suggestion
from finetune_fsm.improve.race import Lap
from finetune_fsm.improve.samples import Sample, report_of
from finetune_fsm.llm.base import Usage
from finetune_fsm.loop.learning import advance
from finetune_fsm.loop.machine import Entry
from finetune_fsm.loop.outcomes import (
    Analyzed,
    Checked,
    Confirmed,
    Finished,
    Modified,
    Outcome,
    Prepared,
    Ran,
    Saved,
    Tested,
    Tried,
)
from finetune_fsm.loop.run import Run
from finetune_fsm.loop.settings import Settings
from finetune_fsm.loop.table import LoopState, target_of
from finetune_fsm.runs.history import History
from finetune_fsm.runs.records import FORMAT, Beginning
from finetune_fsm.scenarios.evaluate import judge_rollout
from finetune_fsm.scenarios.model import Assertion, AssertionType, Scenario, Suite
from finetune_fsm.workflow.edits import Edit, EditOp
from finetune_fsm.workflow.text import dump

Text = Callable[[], str]
"""Gives the next text that somebody else wrote."""

PATH = Path("tale.yaml")


def tale(text: Text, *, iterations: int, scenarios: int, candidates: int = 2) -> History:
    """A run of so many *iterations*, in each of which one more scenario passes, to its end."""
    settings = Settings(
        PATH,
        Path("tale.finetuned.yaml"),
        max_iterations=iterations,
        candidates=candidates,
        model=text(),
    )
    original = document(text(), text())
    run, state = Run(settings, original), LoopState.PREPARING
    told = _Teller(text, scenarios)
    entries: list[Entry] = []
    for _ in range(40 * iterations):
        if state is LoopState.DONE:
            break
        outcome = told.outcome(state, run)
        run = advance(run, outcome)
        target = target_of(state, outcome.event, run)
        assert target is not None
        entries.append(Entry(len(entries) + 1, state, outcome, target))
        state = target
    assert state is LoopState.DONE
    assert len(run.history) == iterations
    return History(
        folder=Path("tale.agentmech/20260517-120000-0123"),
        beginning=Beginning(
            FORMAT, "0.1.0", "2026-05-17T12:00:00+00:00", text(), settings, original, {}
        ),
        settings=settings,
        run=run,
        state=state,
        steps=(),
        entries=tuple(entries),
        calls=(),
        retaken=frozenset(),
        lost={},
        seconds=61.5,
        sessions=1,
        notes=(text(),),
        torn=0,
    )


def document(name: str, prompt: str) -> str:
    """The YAML of a workflow with a *name* and a *prompt*, as far as it can hold them."""
    name, prompt = ("".join(c for c in t if c.isprintable() or c == "\n") for t in (name, prompt))
    states: Mapping[str, object] = {
        "ask": {"type": "input", "prompt": "What?", "save_as": "it", "next": "say"},
        "say": {"type": "prompt", "prompt": f"{prompt}\n{{{{it}}}}\n", "save_as": "answer"},
    }
    return dump({"name": name.strip() or "tale", "start_state": "ask", "states": states})


class _Teller:
    """Makes up what each state of the loop came to."""

    def __init__(self, text: Text, scenarios: int) -> None:
        self.text = text
        self.suite = Suite("tale.yaml", tuple(self.scenario(n) for n in range(scenarios)))
        self.drafts = 0

    def scenario(self, number: int) -> Scenario:
        check = Assertion(AssertionType.CONTAINS, "right", "answer", description=self.text())
        return Scenario(
            f"{number} {self.text()}", (check,), {"ask": self.text()}, description=self.text()
        )

    def outcome(self, state: LoopState, run: Run) -> Outcome:
        spent = Usage(calls=2, prompt_tokens=100, completion_tokens=20, seconds=1.5)
        match state:
            case LoopState.PREPARING:
                return Prepared(self.suite, Path("tale.test.yaml"))
            case LoopState.SAVING:
                many = range(len(run.candidates))
                return Saved(tuple(Path(f"tale.iter{run.iteration}{n}.yaml") for n in many))
            case LoopState.RUNNING:
                return Ran(tuple(self.lap(run, n) for n in range(len(run.candidates))), usage=spent)
            case LoopState.TESTING:
                return self.tested(run)
            case LoopState.ANALYZING:
                ideas = (Suggestion("say", self.text()),)
                return Analyzed(Analysis(self.text(), ideas, asked=True), usage=spent)
            case LoopState.MODIFYING:
                return self.modified(spent)
            case LoopState.CHECKING:
                # Of three drafts the first is refused, and its repair, too.
                bad = self.drafts % 4 in (1, 2)
                found = (Problem("made_up", self.text(), hint=self.text()),) if bad else ()
                return Checked(found)
            case LoopState.CONFIRMING:
                return Confirmed(held=True, reason=self.text(), usage=spent)
            case _:
                return Finished(Path("tale.finetuned.yaml"))

    def lap(self, run: Run, place: int) -> Lap:
        passing = run.iteration - 1 if place == 0 else 0
        samples = (
            Sample(n, 0, self.rollout(scenario, right=n < passing))
            for n, scenario in enumerate(self.suite.scenarios)
        )
        return Lap(tuple(samples))

    def rollout(self, scenario: Scenario, *, right: bool) -> Rollout:
        answer = f"{'right' if right else 'wrong'} {self.text()}"
        usage = Usage(calls=1, prompt_tokens=50, completion_tokens=10, seconds=0.5)
        visits = (
            Visit("ask", "input", "What?", scenario.inputs["ask"], "say"),
            Visit("say", "prompt", self.text(), answer, "end", routed=True, usage=usage),
        )
        if scenario is self.suite.scenarios[-1] and len(self.suite.scenarios) > 1:
            error = RunError("say", self.text())
            failed = Visit("say", "prompt", self.text(), error=self.text())
            return Rollout(RunStatus.FAILED, (visits[0], failed), ("ask", "say"), error=error)
        return Rollout(
            RunStatus.COMPLETED, visits, ("ask", "say", "end"), {"answer": answer}, seconds=0.25
        )

    def tested(self, run: Run) -> Tested:
        trials = []
        for place, lap in enumerate(run.laps):
            results = tuple(
                judge_rollout(scenario, sample.rollout)
                for scenario, sample in zip(self.suite.scenarios, lap.samples, strict=True)
            )
            report = report_of(dict(enumerate(results)))
            found = compare(run.best.report, report) if run.best else None
            trials.append(Tried(results, report, place == 0, self.text(), found))
        held = (len(self.suite.scenarios) - 1,) if len(self.suite.scenarios) > 1 else ()
        return Tested(tuple(trials), held)

    def modified(self, spent: Usage) -> Modified:
        self.drafts += 1
        attempt = Attempt(Strategy.REWRITE, 0, self.drafts)
        prompt = f"{self.text()} {self.drafts}"
        edit = Edit(EditOp.SET, ("states", "say", "prompt"), prompt, self.text())
        draft = Draft(attempt, (edit,), document("tale", prompt), self.text())
        return Modified(attempt, draft, usage=spent)
