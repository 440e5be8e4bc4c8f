"""The loop's machine as a drawing, and what happens in each of its states in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from finetune_fsm.improve.proposals import next_attempt
from finetune_fsm.loop.outcomes import Interrupted
from finetune_fsm.loop.run import Run
from finetune_fsm.loop.table import RULES, LoopState
from finetune_fsm.observers.verdicts import count
from finetune_fsm.sinks import one_line

_MACHINE = r"""
  PREPARING
      |
      v
   SAVING  -->  RUNNING  -->  TESTING  -->  ANALYZING  -->  MODIFYING
      ^                          |              |  ^         |  ^
      |                          | over    over |  |         v  | unfilled
      |                          |              |  '-----  CHECKING
      '------------- sound ------|--------------|------------'  |
                                 v              v          over v
                             CONFIRMING  <----------------------'
                                 |
                                 '-->  FINISHING  -->  DONE
"""
"""Every state once, with a blank on either side, where brackets mark the present one."""


def machine(state: LoopState) -> str:
    """Return the drawing of the loop with *state* in brackets. Pure."""
    drawn = _MACHINE.strip("\n").replace(f" {state} ", f"[{state}]")
    return drawn if "[" in drawn else drawn.replace(f" {state}", f"[{state}]")


def ways(state: LoopState) -> str:
    """Return where the table leads from *state*, in one line. Pure."""
    rules = [r for r in RULES if r.source is state and r.event != Interrupted.event]
    parts = [f"{r.target} if {r.when.__name__}" if r.when else f"{r.target}" for r in rules]
    return ", else ".join(parts)


def about(state: LoopState, run: Run) -> str:  # noqa: C901  # one case per state
    """Return what is about to happen in *state*, in one sentence. Pure."""
    total = count(len(run.suite.scenarios), "scenario") if run.suite else "the scenarios"
    candidates = count(len(run.candidates), "candidate")
    match state:
        case LoopState.PREPARING:
            where = run.settings.tests or "no file: a model writes them"
            return f"read the tests ({one_line(str(where), limit=200)})"
        case LoopState.SAVING:
            return f"save {candidates} of iteration {run.iteration} beside the workflow"
        case LoopState.RUNNING:
            return f"run {candidates} on {total}, as far as it is worth it"
        case LoopState.TESTING:
            return f"judge {candidates}, and hold each against the best"
        case LoopState.ANALYZING:
            known = "take up the analysis again" if run.analysis else "find what is to blame"
            return f"{known}: {_passed(run)}"
        case LoopState.MODIFYING:
            return _modifying(run)
        case LoopState.CHECKING:
            if run.draft is None:
                return "take note that there is no draft" if run.attempt else "close the field"
            return f"have the gate look at the draft: {one_line(run.draft.why, limit=200)}"
        case LoopState.CONFIRMING:
            return "run once more what was gained, if anything was"
        case LoopState.FINISHING:
            return f"write the best to {one_line(str(run.settings.output), limit=300)}"
        case LoopState.DONE:
            return "nothing"
        case _ as never:
            assert_never(never)


def _passed(run: Run) -> str:
    if run.best is None:
        return "nothing is judged yet"
    return f"the best passes {run.best.report.passed} of {run.best.report.total}"


def _modifying(run: Run) -> str:
    if run.problems and run.attempt:
        return f"ask for the draft again ({run.attempt.strategy}), with what is wrong with it"
    following = next_attempt(run.analysis, run.tried, run.means) if run.analysis else None
    if following is None:
        return "find that nothing is left to try"
    whom = "without a model" if following.free else f"asking {one_line(run.settings.model)}"
    return f"make a draft ({following.strategy} {following.index + 1}), {whom}"


def legend() -> Iterator[str]:
    """Yield a line per state that says where the table leads. Pure."""
    for state in LoopState:
        if found := ways(state):
            yield f"  {state:<10} → {found}"
