"""Drafts: the plan of what to try, the question for each entry, and its answer as typed edits.

One suspect, one fresh short chat: the schema carries the form, ``problem`` comes first so that a
model thinks before it writes, and enums hold only what exists and is not the present value. What
several questions share comes first in each, so that a server reads it once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from finetune_fsm.errors import Problem
from finetune_fsm.improve import wording
from finetune_fsm.improve.model import Analysis, Attempt, Strategy, Suspect
from finetune_fsm.improve.replies import read_object
from finetune_fsm.improve.strategies import FORMS, Brief
from finetune_fsm.llm.base import Message, Purpose, Request
from finetune_fsm.sinks import one_line
from finetune_fsm.workflow.edits import Edit

SUSPECTS = 4
"""Suspects tried; the true one was among the first in all our measured cases."""

REPAIRS_TRIED = 12
"""Repairs tried of one workflow; the likeliest come first."""

VARIANTS = 2
"""Rounds of the plan: greedy first, then sampled."""

WARM = 0.8
"""Temperature of sampled rounds, and of whole workflows."""

_BY_FIELD: Mapping[str, tuple[Strategy, ...]] = {
    "prompt": (Strategy.REWRITE, Strategy.ADDITION),
    "next_options": (Strategy.ROUTES,),
    "next": (Strategy.REDIRECT,),
}


@dataclass(frozen=True, slots=True)
class Means:
    """What a plan can count on.

    Attributes:
        promising: Drafts that won, beside the best, what it did not.
        structure: Whether states may come and go.
    """

    promising: int = 0
    structure: bool = False


NO_MEANS = Means()


def plan(analysis: Analysis, means: Means = NO_MEANS) -> Iterator[Attempt]:
    """Yield what to try, in order: first what costs no call. Pure.

    Suspects that failing scenarios point at come before those that only the analysis names; among
    each, the greedy round goes through all before the sampled one asks again. What changes more
    than a field ends a round, and the first round only when not all blame falls on prompts.
    """
    yield from (Attempt(Strategy.MERGE, index) for index in range(means.promising))
    for index in range(len(analysis.repairs[:REPAIRS_TRIED])):
        yield Attempt(Strategy.REPAIR, index)
    if not analysis.asked:
        return
    suspects = list(enumerate(analysis.suspects))
    # Of other fields only rules know what to do, and what changes more than a field.
    fields = [(index, suspect) for index, suspect in suspects if suspect.field in _BY_FIELD]
    blamed = [(index, suspect) for index, suspect in suspects if suspect.scenarios]
    told = [(index, suspect) for index, suspect in fields if suspect.scenarios][:SUSPECTS]
    asked = [(index, suspect) for index, suspect in fields if not suspect.scenarios][:SUSPECTS]
    for variant in range(VARIANTS):
        yield from _fields(told, variant)
        if any(variant or suspect.field != "prompt" for _, suspect in blamed):
            yield from _wider(blamed, variant, means)
    for variant in range(VARIANTS):
        yield from _fields(asked, variant)


def _fields(suspects: list[tuple[int, Suspect]], variant: int) -> Iterator[Attempt]:
    for index, suspect in suspects:
        for strategy in _BY_FIELD[suspect.field]:
            yield Attempt(strategy, index, variant)


def _wider(blamed: list[tuple[int, Suspect]], variant: int, means: Means) -> Iterator[Attempt]:
    first = blamed[0][0]
    yield Attempt(Strategy.CHOICE, first, variant)
    prompts = [index for index, suspect in blamed if suspect.field == "prompt"]
    if means.structure and prompts:
        yield Attempt(Strategy.INSERT, prompts[0], variant)
    yield Attempt(Strategy.WHOLE, first, variant)


def next_attempt(
    analysis: Analysis, tried: Collection[Attempt], means: Means = NO_MEANS
) -> Attempt | None:
    """Return the first entry of the plan that was not *tried*, or None. Pure."""
    return next((attempt for attempt in plan(analysis, means) if attempt not in tried), None)


def request(brief: Brief, attempt: Attempt, problems: tuple[Problem, ...] = ()) -> Request:
    """Return the question for *attempt*; *problems* are those of its last draft. Pure."""
    form = FORMS[attempt.strategy]
    text = wording.rendered(attempt.strategy.value, _values(brief) | dict(form.values(brief)))
    if problems:
        listed = "\n".join(
            f"- {wording.complaint(p.code, p.message)}{f' ({p.hint})' if p.hint else ''}"
            for p in problems[:3]
        )
        text += f"\n\nAn earlier answer was refused:\n{listed}"
    warm = attempt.variant > 0 or attempt.strategy is Strategy.WHOLE
    return Request(
        model=brief.model,
        messages=(Message("user", text),),
        options={
            "temperature": WARM if warm else 0,
            "seed": brief.seed + attempt.variant,
            "num_predict": form.tokens(brief),
        },
        schema=_schema(brief, attempt.strategy),
        purpose=Purpose.PROPOSAL,
        reuse_prefix=True,
        label=f"{attempt.strategy} {brief.state.name}",
    )


def _values(brief: Brief) -> dict[str, str]:
    """What the prompt of any proposal may show."""
    state, suspect = brief.state, brief.suspect
    return {
        "purpose": wording.purpose(brief.workflow),
        "state": state.name,
        "prompt": state.prompt or "",
        "placeholders": wording.placeholders(brief.workflow, state),
        "requirements": wording.requirements(brief.report, suspect.scenarios, suspect.change),
    }


def _schema(brief: Brief, strategy: Strategy) -> Mapping[str, object] | None:
    answer = FORMS[strategy].answer
    if answer is None:
        return None
    properties = answer(brief)
    return {
        "type": "object",
        "properties": {"problem": {"type": "string"}, **properties},
        "required": ["problem", *properties],
        "additionalProperties": False,
    }


def read(reply: str, brief: Brief, strategy: Strategy) -> tuple[tuple[Edit, ...], str] | Problem:
    """Return the edits in *reply* and why, or the problem with it. Pure."""
    form = FORMS[strategy]
    data = read_object(reply) if form.answer else {"text": reply}
    if isinstance(data, Problem):
        return data
    why = one_line(str(data.get("problem", "")), limit=300)
    edits = form.read(data, brief, why)
    return edits if isinstance(edits, Problem) else (edits, why)
