"""The analysis: what the rules and the reflection LLM make of the best workflow so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from finetune_fsm.errors import Problem
from finetune_fsm.improve import wording
from finetune_fsm.improve.blame import suspects
from finetune_fsm.improve.goals.drafts import repairs_for, suspects_for
from finetune_fsm.improve.goals.goal import Goal
from finetune_fsm.improve.model import Analysis, Rejection, Repair, Suggestion, Suspect
from finetune_fsm.improve.repairs import repairs
from finetune_fsm.improve.replies import read_object, text_field
from finetune_fsm.llm.base import Message, Purpose, Request
from finetune_fsm.scenarios.model import SuiteReport
from finetune_fsm.workflow.model import State, StateKind, Workflow

REPLY_TOKENS = 400
SUGGESTIONS = 3
REMEMBERED = 3
"""Rejections shown: a history of everything tried is worse than none (arXiv 2510.06711)."""


def request(
    model: str,
    workflow: Workflow,
    report: SuiteReport,
    rejections: Sequence[Rejection] = (),
    *,
    seed: int = 0,
    goal: Goal | None = None,
) -> Request:
    """Return the question that asks a model for an analysis. Pure."""
    found = [f"- {s.state}.{s.field}: {s.reason}" for s in suspects(workflow, report)[:3]]
    found += [f"- {repair.why}" for repair in repairs(workflow, report)[:3]]
    tried = [_told(rejection) for rejection in rejections[-REMEMBERED:]]
    findings = "\n".join(
        [
            *([f"Wanted besides: {goal.text}"] if goal else []),
            *(["Found by rules:", *found] if found else []),
            *(["Tried in vain:", *tried] if tried else []),
        ]
    )
    text = wording.rendered(
        "analysis",
        {
            "workflow": wording.shown(workflow),
            "results": wording.results(report),
            "findings": findings,
        },
    )
    return Request(
        model=model,
        messages=(Message("user", text),),
        options={"temperature": 0, "seed": seed, "num_predict": REPLY_TOKENS},
        schema=_schema(workflow),
        purpose=Purpose.ANALYSIS,
        reuse_prefix=True,
        label="analysis",
    )


def _told(rejection: Rejection) -> str:
    """What was tried in vain; words that were copied from a test are not said again."""
    reason = wording.complaint(rejection.code, rejection.reason)
    return f"- {reason if rejection.code == 'copied_words' else f'{rejection.change}: {reason}'}"


def _schema(workflow: Workflow) -> Mapping[str, object]:
    item = {
        "type": "object",
        "properties": {
            "state": {"enum": [state.name for state in _changeable(workflow)]},
            "change": {"type": "string"},
        },
        "required": ["state", "change"],
        "additionalProperties": False,
    }
    suggestions: dict[str, object] = {"type": "array", "maxItems": SUGGESTIONS, "items": item}
    if not _changeable(workflow):
        suggestions = {"type": "array", "maxItems": 0}
    return {
        "type": "object",
        "properties": {"analysis": {"type": "string"}, "suggestions": suggestions},
        "required": ["analysis", "suggestions"],
        "additionalProperties": False,
    }


def _changeable(workflow: Workflow) -> list[State]:
    return [s for s in workflow.states.values() if s.kind is StateKind.PROMPT]


def read(reply: str, workflow: Workflow) -> tuple[str, tuple[Suggestion, ...]] | Problem:
    """Return the summary and suggestions in *reply*, or the problem with it. Pure."""
    data = read_object(reply)
    if isinstance(data, Problem):
        return data
    summary = text_field(data, "analysis", limit=4_000)
    if isinstance(summary, Problem):
        return summary
    names = {state.name for state in _changeable(workflow)}
    listed = data.get("suggestions")
    found: list[Suggestion] = []
    for item in listed if isinstance(listed, list) else ():
        state = item.get("state") if isinstance(item, dict) else None
        if not isinstance(state, str) or state not in names:
            continue
        change = text_field(item, "change", limit=1_000)
        if isinstance(change, str):
            found.append(Suggestion(state, change))
    return summary, tuple(dict.fromkeys(found))[:SUGGESTIONS]


def analysis(
    workflow: Workflow,
    report: SuiteReport,
    reading: tuple[str, tuple[Suggestion, ...]] | Problem,
    goal: Goal | None = None,
) -> Analysis:
    """Join what the rules see with what the model said; the rules' suspects come first. Pure."""
    found = by_rules(workflow, report, goal)
    if isinstance(reading, Problem):
        return replace(found, problems=(reading.message,), asked=True)
    summary, suggestions = reading
    blamed = _joined(workflow, found.suspects, suggestions)
    return Analysis(summary, suggestions, blamed, found.repairs, asked=True)


def by_rules(workflow: Workflow, report: SuiteReport, goal: Goal | None = None) -> Analysis:
    """Return what the rules alone can say; no model is asked. Pure.

    The *goal* is looked at only when all of *report* passes.
    """
    blamed = suspects(workflow, report)
    fixes = repairs(workflow, report)
    if goal is not None and report.solved:
        blamed, fixes = suspects_for(goal, workflow, report), repairs_for(goal, workflow)
    return Analysis(_summary(blamed, fixes, report), (), blamed, fixes)


def _joined(
    workflow: Workflow, blamed: tuple[Suspect, ...], suggestions: tuple[Suggestion, ...]
) -> tuple[Suspect, ...]:
    known = {suspect.path for suspect in blamed}
    asked = []
    for suggestion in suggestions:
        path = (*workflow.states[suggestion.state].origin, "prompt")
        if path not in known:
            known.add(path)
            asked.append(Suspect(path, "the analysis asks for it", change=suggestion.change))
    return (*blamed, *asked)


def _summary(blamed: tuple[Suspect, ...], fixes: tuple[Repair, ...], report: SuiteReport) -> str:
    """What the rules alone can say."""
    parts = [f"{report.passed} of {report.total} scenarios pass."]
    parts += [f"State '{s.state}', {s.field}: {s.reason}." for s in blamed[:2]]
    told = (f"{repair.why[:1].upper()}{repair.why[1:]}." for repair in fixes[:2])
    return " ".join(dict.fromkeys((*parts, *told)))
