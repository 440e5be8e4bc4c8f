"""Drafts: the plan of what to try, the question for each entry, and its answer as typed edits.

One suspect, one fresh short chat: the schema carries the form, ``problem`` comes first so that a
model thinks before it writes, and enums hold only what exists and is not the present value.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import assert_never

from finetune_fsm.errors import Problem
from finetune_fsm.improve import wording
from finetune_fsm.improve.changes import set_prompt, with_placeholders_of
from finetune_fsm.improve.model import Analysis, Attempt, Strategy, Suspect
from finetune_fsm.improve.replies import read_object, text_field
from finetune_fsm.llm.base import Message, Purpose, Request
from finetune_fsm.scenarios.model import SuiteReport
from finetune_fsm.sinks import one_line
from finetune_fsm.workflow.edits import Edit, EditOp
from finetune_fsm.workflow.model import END, State, Workflow

REPLY_TOKENS = 500
SUSPECTS = 4
"""Suspects tried; the true one was among the first in all our measured cases."""

REPAIRS_TRIED = 12
"""Repairs tried of one workflow; the likeliest come first."""

VARIANTS = 2
"""Rounds of the plan: greedy first, then sampled."""

WARM = 0.8
"""Temperature of sampled rounds."""

PROMPT_LIMIT = 8_000
"""Characters of a prompt that a model may write."""

_BY_FIELD: Mapping[str, tuple[Strategy, ...]] = {
    "prompt": (Strategy.REWRITE, Strategy.ADDITION),
    "next_options": (Strategy.ROUTES,),
    "next": (Strategy.REDIRECT,),
}


@dataclass(frozen=True, slots=True)
class Brief:
    """All that a proposal is made from.

    Attributes:
        workflow: The best so far, from which every draft grows.
        report: How it fared.
        suspect: The field to change.
        model: Name of the reflection LLM.
        seed: Base seed; a variant adds its number.
    """

    workflow: Workflow
    report: SuiteReport
    suspect: Suspect
    model: str
    seed: int = 0

    @property
    def state(self) -> State:
        """The state that holds the suspect."""
        for state in self.workflow.states.values():
            if state.origin == self.suspect.path[: len(state.origin)] == self.suspect.path[:-1]:
                return state
        for state in reversed(self.workflow.states.values()):  # where its last step goes on
            if ("states", state.owner) == self.suspect.path[:-1]:
                return state
        raise KeyError(self.suspect.path)


def plan(analysis: Analysis, promising: int = 0) -> Iterator[Attempt]:
    """Yield what to try, in order: first what costs no call. Pure.

    *promising* drafts won beside the best what it did not; the rules' repairs come after them.

    Suspects that failing scenarios point at come before those that only the analysis names; among
    each, the greedy round goes through all before the sampled one asks again.
    """
    yield from (Attempt(Strategy.MERGE, index) for index in range(promising))
    for index in range(len(analysis.repairs[:REPAIRS_TRIED])):
        yield Attempt(Strategy.REPAIR, index)
    if not analysis.asked:
        return
    suspects = list(enumerate(analysis.suspects))
    blamed = [(index, suspect) for index, suspect in suspects if suspect.scenarios]
    asked = [(index, suspect) for index, suspect in suspects if not suspect.scenarios]
    for group in (blamed[:SUSPECTS], asked[:SUSPECTS]):
        for variant in range(VARIANTS):
            for index, suspect in group:
                for strategy in _BY_FIELD.get(suspect.field, ()):
                    yield Attempt(strategy, index, variant)


def next_attempt(
    analysis: Analysis, tried: Collection[Attempt], promising: int = 0
) -> Attempt | None:
    """Return the first entry of the plan that was not *tried*, or None. Pure."""
    entries = plan(analysis, promising)
    return next((attempt for attempt in entries if attempt not in tried), None)


def request(brief: Brief, attempt: Attempt, problems: tuple[Problem, ...] = ()) -> Request:
    """Return the question for *attempt*; *problems* are those of its last draft. Pure."""
    text = _question(brief, attempt.strategy)
    if problems:
        listed = "\n".join(
            f"- {wording.complaint(p.code, p.message)}{f' ({p.hint})' if p.hint else ''}"
            for p in problems[:3]
        )
        text += f"\n\nAn earlier answer was refused:\n{listed}"
    warm = {"temperature": WARM if attempt.variant else 0}
    return Request(
        model=brief.model,
        messages=(Message("user", text),),
        options={**warm, "seed": brief.seed + attempt.variant, "num_predict": REPLY_TOKENS},
        schema=_schema(brief, attempt.strategy),
        purpose=Purpose.PROPOSAL,
        reuse_prefix=True,
        label=f"{attempt.strategy} {brief.state.name}",
    )


def _question(brief: Brief, strategy: Strategy) -> str:
    state, suspect, workflow = brief.state, brief.suspect, brief.workflow
    values = {
        "purpose": wording.purpose(workflow),
        "state": state.name,
        "prompt": state.prompt or "",
        "placeholders": wording.placeholders(workflow, state),
        "requirements": wording.requirements(brief.report, suspect.scenarios, suspect.change),
    }
    if strategy is Strategy.ROUTES:
        options = enumerate(state.next_options, start=1)
        values["options"] = "\n".join(f"{n}. {o.state}: {o.description}" for n, o in options)
    if strategy is Strategy.REDIRECT:
        steps = workflow.states.values()
        values["steps"] = "\n".join(f"- {s.name} -> {', '.join(s.targets)}" for s in steps)
    return wording.rendered(strategy.value, values)


def _schema(brief: Brief, strategy: Strategy) -> Mapping[str, object]:
    text = {"type": "string"}
    match strategy:
        case Strategy.REWRITE:
            answer: Mapping[str, object] = {"new_prompt": text}
        case Strategy.ADDITION:
            answer = {"addition": text}
        case Strategy.ROUTES:
            count = len(brief.state.next_options)
            many = {"type": "array", "items": text, "minItems": count, "maxItems": count}
            answer = {"descriptions": many}
        case Strategy.REDIRECT:
            answer = {"next": {"enum": _other_targets(brief)}}
        case Strategy.REPAIR | Strategy.MERGE:
            raise ValueError(f"{strategy} asks no model")
        case _ as never:
            assert_never(never)
    return {
        "type": "object",
        "properties": {"problem": text, **answer},
        "required": ["problem", *answer],
        "additionalProperties": False,
    }


def _other_targets(brief: Brief) -> list[str]:
    state = brief.state
    names = (*brief.workflow.file_states, END)
    return [name for name in names if name not in (state.owner, state.next or END)]


def read(reply: str, brief: Brief, strategy: Strategy) -> tuple[tuple[Edit, ...], str] | Problem:
    """Return the edits in *reply* and why, or the problem with it. Pure."""
    data = read_object(reply)
    if isinstance(data, Problem):
        return data
    why = one_line(str(data.get("problem", "")), limit=300)
    edits = _edits(data, brief, strategy, why)
    return edits if isinstance(edits, Problem) else (edits, why)


def _edits(
    data: Mapping[str, object], brief: Brief, strategy: Strategy, why: str
) -> tuple[Edit, ...] | Problem:
    state = brief.state
    old = state.prompt or ""
    match strategy:
        case Strategy.REWRITE:
            text = text_field(data, "new_prompt", limit=PROMPT_LIMIT)
            if isinstance(text, Problem):
                return text
            return set_prompt(state, with_placeholders_of(old, _unwrapped(text)), why)
        case Strategy.ADDITION:
            text = text_field(data, "addition", limit=PROMPT_LIMIT)
            if isinstance(text, Problem):
                return text
            return set_prompt(state, f"{old.rstrip()}\n\n{text}", why)
        case Strategy.ROUTES:
            return _descriptions(data, state, why)
        case Strategy.REDIRECT:
            target = text_field(data, "next", limit=200)
            if isinstance(target, Problem):
                return target
            return (Edit(EditOp.SET, (*state.origin, "next"), target, why),)
        case Strategy.REPAIR | Strategy.MERGE:
            raise ValueError(f"{strategy} asks no model")
        case _ as never:
            assert_never(never)


def _unwrapped(text: str) -> str:
    """Return *text* without the quotes in which the question showed the old prompt. Pure."""
    quote = '"""'
    return text.removeprefix(quote).removesuffix(quote).strip() or text


def _descriptions(data: Mapping[str, object], state: State, why: str) -> tuple[Edit, ...] | Problem:
    listed = data.get("descriptions")
    if not isinstance(listed, list) or len(listed) != len(state.next_options):
        return Problem("bad_reply", f"'descriptions' must list {len(state.next_options)} sentences")
    edits = []
    for index, (new, option) in enumerate(zip(listed, state.next_options, strict=True)):
        text = text_field({"description": new}, "description", limit=1_000)
        if isinstance(text, Problem):
            return text
        if text != option.description:
            path = (*state.origin, "next_options", index, "description")
            edits.append(Edit(EditOp.SET, path, text, why))
    return tuple(edits)
