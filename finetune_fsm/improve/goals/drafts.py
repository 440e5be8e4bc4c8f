"""What a goal proposes: sentences to leave out or to add, and prompts to ask a model about.

Tests decide whether a sentence is missed. One that forbids, limits, names a form or gives an
example stays whatever they say, unless it is said twice: it may hold for what no test looks at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import assert_never

from finetune_fsm.errors import Path
from finetune_fsm.execution.rollout import Visit
from finetune_fsm.improve.changes import set_prompt
from finetune_fsm.improve.goals.goal import Goal, GoalKind
from finetune_fsm.improve.goals.sentences import (
    doubts,
    plain,
    prompt_path,
    prompts,
    repeated,
    sentences,
    unclear,
    words,
)
from finetune_fsm.improve.model import Repair, Suspect
from finetune_fsm.improve.phrases import contradictory, languages_in, lists_in, tells_length
from finetune_fsm.llm.base import estimated_tokens
from finetune_fsm.scenarios.model import SuiteReport
from finetune_fsm.sinks import one_line
from finetune_fsm.workflow.model import PLACEHOLDER, State, StateKind, Workflow

TRIMS = 6
"""Sentences that are left out, one at a time; each costs a round of tests."""

BRIEFLY = "Keep the answer as short as it can be without leaving anything out."

FORGIVING = (
    "What is given may hold typing errors, odd spaces, capitals or punctuation: read it as if it"
    " were written properly."
)

_RULE = re.compile(
    r"\b(?:not|never|no|none|nothing|only|alone|must|always|unless|except|if|when|without|exactly"
    r"|least|most|avoid|shall|should|cannot|\w+n['\u2019]t|keep|leave|begin|start|end|first|last"
    r"|then|mention|include|add|list|name|format|json|yaml|xml|csv|markdown)\b"
    r"|\d|[?:\"\u201c\u201d\u201e\u00ab\u00bb`<>{}\[\]|=#*]|(?<!\w)['\u2018][^'\u2019]+['\u2019]"
    r"|[^.!)\s]\s*$",  # it goes on in the next line
    re.IGNORECASE,
)
_ITEM = re.compile(r"^\s*[-\u2022\u2013]\s")
_FILLING = re.compile(
    r"^\W*(?:you(?:['\u2019]re| are)|act as|imagine|please note|note that|remember|keep in mind"
    r"|thank|take a deep|good luck|this is (?:very )?important|hello|hi|as an? )\b",
    re.IGNORECASE,
)


def repairs_for(goal: Goal, workflow: Workflow) -> tuple[Repair, ...]:
    """Return all that is proposed for *goal* without a model, likeliest first. Pure."""
    said = tuple(_added(goal, workflow))
    trimmed = trims(goal, workflow)
    shortens = goal.kind is GoalKind.TOKENS  # a sentence more is read with each run
    return trimmed + said if shortens else said + trimmed


def trims(goal: Goal, workflow: Workflow) -> tuple[Repair, ...]:
    """Return drafts that leave out one sentence each, likeliest first, at most `TRIMS`. Pure.

    For tokens, latency, length and clarity; for clarity only sentences that are unclear. What is
    said twice comes first, then what contradicts the rest, then filling, then the longest of the
    longest prompt. No placeholder is lost, no prompt is emptied, and the first sentence that is
    not filling stays: it mostly says the task.
    """
    if goal.kind in (GoalKind.TEXT, GoalKind.ROBUSTNESS):
        return ()
    ranked: dict[tuple[Path, str], tuple[tuple[int, ...], Repair]] = {}
    for state in prompts(workflow):
        prompt = state.prompt or ""
        doubted = {index for index, _ in doubts(prompt)}
        for index, rank, why in _dispensable(state):
            text = _without(prompt, index)
            if text is None or (goal.kind is GoalKind.CLARITY and index not in doubted):
                continue
            sentence = sentences(prompt)[index]
            told = f"{why}: {one_line(sentence, limit=80)}"
            repair = Repair("trim", set_prompt(state, text), told)
            weight = (rank, -len(prompt), -len(sentence))
            ranked.setdefault((prompt_path(state), text), (weight, repair))
    ordered = sorted(ranked.values(), key=lambda pair: pair[0])
    return tuple(repair for _, repair in ordered[:TRIMS])


def _dispensable(state: State) -> Iterator[tuple[int, int, str]]:
    """Index, rank and reason of each sentence that might be left out."""
    text, name = state.prompt or "", one_line(state.name)
    parts = sentences(text)
    telling = [index for index, part in enumerate(parts) if words(part)]
    if "```" in text or len(telling) < 2:  # what stands in a fence is an example
        return
    again, against = repeated(text), contradictory(text)
    twice = {plain(parts[index]) for index in again}
    task = next((index for index in telling if not _FILLING.search(parts[index])), telling[0])
    for index in telling:
        part = parts[index]
        if index in again:
            yield index, 0, f"'{name}' says it twice"
        elif plain(part) in twice:
            continue  # the second one goes
        elif _contradicts(part, against):
            yield index, 1, f"'{name}' wants the answer alone and also"
        elif index != task and not _holds_rule(part) and not _is_introduced(parts, index):
            yield index, 2 if _FILLING.search(part) else 3, f"'{name}' may do without"


def _contradicts(part: str, against: tuple[str, ...]) -> bool:
    """Whether it asks for more than the answer alone, and says no rule besides."""
    rest = part
    for more in against:
        rest = rest.replace(more, "")
    return rest != part and not _holds_rule(rest)


def _is_introduced(parts: tuple[str, ...], index: int) -> bool:
    """Whether the line before announces it, as one does a list."""
    return "".join(parts[:index]).rstrip().endswith(":")


def _holds_rule(sentence: str) -> bool:
    """Whether it may say what no test looks at, or only makes sense with what stands beside it."""
    looks = (_RULE.search(sentence), _ITEM.search(sentence), languages_in(sentence))
    return any(looks) or tells_length(sentence) or any(lists_in(sentence))


def _without(text: str, index: int) -> str | None:
    """*text* without its sentence *index*, or None when a placeholder would be lost or made."""
    parts = list(sentences(text))
    gone = parts.pop(index)
    before, after = parts[:index], parts[index:]
    if gone.endswith("\n") and before and not before[-1].endswith("\n"):
        before[-1] = before[-1].rstrip() + "\n"
    elif after and not after[0].strip() and (not before or not before[-1].strip()):
        after = after[1:]  # it was a paragraph of its own
    new = "".join((*before, *after)).rstrip()
    same = PLACEHOLDER.findall(new) == PLACEHOLDER.findall(text)
    return new if same else None


def _added(goal: Goal, workflow: Workflow) -> Iterator[Repair]:
    """One sentence more, where the prompt says nothing of the kind."""
    typed = {s.save_as for s in workflow.states.values() if s.kind is StateKind.INPUT}
    for state in prompts(workflow):
        text, name = state.prompt or "", one_line(state.name)
        match goal.kind:
            case GoalKind.TOKENS | GoalKind.LATENCY | GoalKind.LENGTH if not tells_length(text):
                sentence, why = BRIEFLY, f"'{name}' does not say how long its answer may be"
            case GoalKind.ROBUSTNESS if {*PLACEHOLDER.findall(text)} & typed:
                sentence, why = FORGIVING, f"'{name}' does not say that people mistype"
            case _:
                continue
        if sentence not in text:
            edits = set_prompt(state, f"{text.rstrip()}\n\n{sentence}")
            yield Repair("goal_sentence", edits, why)


def suspects_for(goal: Goal, workflow: Workflow, report: SuiteReport) -> tuple[Suspect, ...]:
    """Return the prompts that a model is to be asked about, the costliest first. Pure.

    Args:
        goal: What is wanted; its words, or ours for it, are the suspect's `change`.
        workflow: The best so far.
        report: How it fared on what models may be shown; says which state spends what. For
            robustness that on the suite itself does as well: no input is told.

    Returns:
        At most one for each prompt state, without scenarios: no test fails.
    """
    match goal.kind:
        case GoalKind.TOKENS:
            change = "Make the prompt and the answer shorter without losing a rule."
            return _spending(workflow, report, change, "tokens", _tokens)
        case GoalKind.LATENCY:
            change = "Make the answer, and then the prompt, shorter without losing a rule."
            return _spending(workflow, report, change, "seconds", lambda v: v.usage.seconds)
        case GoalKind.LENGTH:
            change = "Make the answer shorter without leaving out what is asked for."
            return _spending(workflow, report, change, "characters", lambda v: len(v.completion))
        case GoalKind.ROBUSTNESS:
            return tuple(_reading(workflow))
        case GoalKind.CLARITY:
            return tuple(_doubted(workflow))
        case GoalKind.TEXT:
            every = prompts(workflow)
            return tuple(_suspect(s, "it writes what is judged", goal.text) for s in every)
        case _ as never:
            assert_never(never)


def _suspect(state: State, reason: str, change: str) -> Suspect:
    return Suspect(prompt_path(state), reason, change=change)


def _spending(
    workflow: Workflow, report: SuiteReport, change: str, unit: str, spent: Callable[[Visit], float]
) -> tuple[Suspect, ...]:
    """Every prompt by what it spends; where nothing is known, the longer one first."""
    visits = [visit for result in report.results for visit in result.rollout.visits]
    total = {s.name: sum(spent(v) for v in visits if v.state == s.name) for s in prompts(workflow)}
    order = sorted(prompts(workflow), key=lambda s: (-total[s.name], -len(s.prompt or "")))
    whole = sum(total.values())
    found = []
    for state in order:
        share = round(100 * total[state.name] / whole) if whole else 0
        reason = f"it spends {share} % of the {unit}" if whole else "its prompt may be shortened"
        found.append(_suspect(state, reason, change))
    return tuple(found)


def _tokens(visit: Visit) -> int:
    """As the server counts them, or by the texts where a reply was kept from an earlier run."""
    estimated = estimated_tokens(visit.prompt) + estimated_tokens(visit.completion)
    return visit.usage.tokens or estimated


def _reading(workflow: Workflow) -> Iterator[Suspect]:
    """Prompts that read what people type; all of them where none does."""
    typed = {s.save_as for s in workflow.states.values() if s.kind is StateKind.INPUT}
    every = prompts(workflow)
    reading = [s for s in every if s.reads & typed]
    change = "Say how to read input with typing errors, odd spaces, capitals or punctuation."
    for state in reading or every:
        yield _suspect(state, "it reads what people type", change)


def _doubted(workflow: Workflow) -> Iterator[Suspect]:
    """One for each prompt with an unclear place: what to say anew, and why."""
    for state in prompts(workflow):
        places = [p for p in unclear(workflow) if p.path == prompt_path(state)]
        if places:
            first = places[0]
            said = one_line(first.sentence, limit=150)
            change = f"Say this in short, plain sentences, without losing a rule: '{said}'"
            yield _suspect(state, f"{len(places)} unclear: {first.why}", change)
