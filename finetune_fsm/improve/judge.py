"""Which of two results is better, when the tests cannot tell: asked blind, in both orders.

A model that names the first result whatever it is cancels itself out; a preference counts only
when it survives the exchange.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from finetune_fsm.improve import wording
from finetune_fsm.llm.base import Completion, Message, Purpose, Request
from finetune_fsm.scenarios.model import ScenarioResult, SuiteReport
from finetune_fsm.sinks import visible, visible_line
from finetune_fsm.workflow.model import Workflow

COMPARED = 2
"""Scenarios that are compared; each costs two calls."""

RESULT_LIMIT = 2_000
"""Characters of a result that the judge reads."""


@dataclass(frozen=True, slots=True)
class Balance:
    """What a judge said of pairs of results, each asked in both orders.

    Attributes:
        won: Pairs in which the candidate's result was preferred in both orders.
        lost: Pairs in which the other one was.
        compared: All pairs, those without a clear preference included.
    """

    won: int = 0
    lost: int = 0
    compared: int = 0


def prefers(
    model: str,
    workflow: Workflow,
    best: SuiteReport,
    candidate: SuiteReport,
    ask: Callable[[Request], Completion],
    *,
    goal: str = "",
) -> bool:
    """Whether the judge prefers the candidate: at least once, and never the best.

    Args:
        model: Name of the judging model.
        workflow: Says what the task is.
        best: Report of the best so far.
        candidate: Report of the candidate, same suite.
        ask: Sends a request.
        goal: What a person wants of the results, in words; without it they are judged as such.

    Source: position bias and the exchange against it, Zheng et al. 2023, arXiv 2306.05685.
    """
    found = weighed(model, workflow, best, candidate, ask, goal=goal)
    return found.won > 0 and not found.lost


def weighed(
    model: str,
    workflow: Workflow,
    best: SuiteReport,
    candidate: SuiteReport,
    ask: Callable[[Request], Completion],
    *,
    goal: str = "",
) -> Balance:
    """Return how often the judge prefers the candidate's result, and how often the other.

    The first `COMPARED` scenarios whose results differ are compared; the arguments are those of
    `prefers`.
    """
    balance = []
    for old, new in _pairs(best, candidate)[:COMPARED]:
        straight = _choice(ask(_request(model, workflow, old, new, goal)))
        crossed = _choice(ask(_request(model, workflow, new, old, goal)))
        balance.append((straight == 2) + (crossed == 1) - (straight == 1) - (crossed == 2))
    return Balance(balance.count(2), balance.count(-2), len(balance))


def _pairs(
    best: SuiteReport, candidate: SuiteReport
) -> list[tuple[ScenarioResult, ScenarioResult]]:
    """Results that differ, paired by scenario, in suite order."""
    both = zip(best.results, candidate.results, strict=True)
    return [(old, new) for old, new in both if _outcome(old) != _outcome(new)]


def _outcome(result: ScenarioResult) -> str:
    """The last thing a model wrote in the rollout."""
    written = [v.completion for v in result.rollout.visits if v.kind == "prompt" and v.completion]
    return written[-1] if written else ""


def _request(
    model: str,
    workflow: Workflow,
    first: ScenarioResult,
    second: ScenarioResult,
    goal: str,
) -> Request:
    given = "\n".join(f"{k}: {visible_line(v)}" for k, v in first.scenario.inputs.items())
    text = wording.rendered(
        "judge_goal" if goal else "judge",
        {
            "goal": visible_line(goal, limit=400),
            "purpose": wording.purpose(workflow),
            "inputs": f"What the user said:\n{given}" if given else "",
            "first": visible(_outcome(first), limit=RESULT_LIMIT),
            "second": visible(_outcome(second), limit=RESULT_LIMIT),
        },
    )
    return Request(
        model=model,
        messages=(Message("user", text),),
        options={"temperature": 0, "seed": 0, "num_predict": 8},
        purpose=Purpose.JUDGE,
        label="judge",
    )


def _choice(completion: Completion) -> int:
    """1 or 2, or 0 when the judge did not choose."""
    found = re.search(r"[12]", completion.text)
    return int(found.group()) if found else 0
