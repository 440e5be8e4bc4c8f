"""Rules for what is asked of a model or a person: defaults, limits, lists, contradictions.

The words that they bring in are the workflow's own or ours; a word that only the tests know is
never written into a prompt.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from finetune_fsm.improve.changes import set_prompt
from finetune_fsm.improve.model import Repair
from finetune_fsm.improve.phrases import (
    choices_in,
    contradictory,
    languages_in,
    limits_in,
    lists_in,
    tells_length,
    told_defaults,
)
from finetune_fsm.improve.scene import (
    Scene,
    exact_answer,
    options_path,
    place_of,
    repair,
    titled,
)
from finetune_fsm.llm.base import DEFAULT_REPLY_TOKENS
from finetune_fsm.scenarios.model import ScenarioResult
from finetune_fsm.workflow.edits import Edit, EditOp
from finetune_fsm.workflow.model import PLACEHOLDER, State, StateKind

ANSWER_ONLY = "Reply with the answer alone."
"""Short, because a small model takes the words of a long ban for answers."""

CHOICES = 2
"""Distinct answers that make a list."""

LOWER_CASE = "Write the answer in lower case."

CUT = "the reply was cut at the token limit"
"""How the executor's warning begins."""

ROOM = (4, 16)
"""So many times the tokens are tried for a reply that was cut, …"""

LEAST_ROOM = 64
"""… and never fewer than so many, …"""

MOST_ROOM = 8_192
"""… nor more."""


def odd_default(scene: Scene) -> Iterator[Repair]:
    """Runs fail where the default is taken, and pass where an answer is given: change it."""
    for state in scene.states:
        if state.kind is not StateKind.INPUT or not (state.default_value or "").strip():
            continue
        failed = [r for r in scene.failed if _takes_default(r, state)]
        passed = [r for r in scene.passed if _takes_default(r, state)]
        given = [r for r in scene.passed if state.name in r.rollout.visited]
        if not failed or passed or not given or len(failed) < len(scene.failed):
            continue
        names = [result.scenario.name for result in failed]
        path = (*state.origin, "default_value")
        why = f"runs fail when '{state.name}' takes its default, and pass with an answer"
        for text in (state.prompt or "", scene.workflow.description):
            for value in told_defaults(text):
                if value != state.default_value:
                    told = f"{why}; '{value}' is told to be the default"
                    yield repair("odd_default", told, Edit(EditOp.SET, path, value), *names)
        if not PLACEHOLDER.search(state.default_value or ""):
            yield repair("odd_default", why, _without_default(scene, state), *names)


def _takes_default(result: ScenarioResult, state: State) -> bool:
    answer = result.scenario.inputs.get(state.name, "")
    return state.name in result.rollout.visited and not answer.strip()


def _without_default(scene: Scene, state: State) -> Edit:
    """A step may have its default from its state, where taking it away would touch others."""
    path = (*state.origin, "default_value")
    part: object = scene.workflow.document
    for step in state.origin:
        part = part[step]  # type: ignore[index]  # the workflow was made from it
    own = isinstance(part, dict) and "default_value" in part
    return Edit(EditOp.REMOVE, path) if own else Edit(EditOp.SET, path, "")


def cut_reply(scene: Scene) -> Iterator[Repair]:
    """A reply was cut at its limit of tokens: leave it more room."""
    for state in scene.states:
        cut = [r for r in scene.failed if is_cut(r, state)]
        if state.kind is not StateKind.PROMPT or not cut:
            continue
        limit = state.options.get("num_predict", DEFAULT_REPLY_TOKENS)
        if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
            continue
        path = (*options_path(scene.workflow, state), "num_predict")
        why = f"the replies of '{state.name}' are cut after {limit} tokens"
        for factor in ROOM:
            more = min(max(limit * factor, LEAST_ROOM), MOST_ROOM)
            if more > limit:
                edit = Edit(EditOp.SET, path, more)
                yield repair("cut_reply", why, edit, *(r.scenario.name for r in cut))


def is_cut(result: ScenarioResult, state: State) -> bool:
    """Whether a reply of *state* was cut in this run. Pure."""
    return any(w.startswith(f"state '{state.name}': {CUT}") for w in result.rollout.warnings)


def unsaid_choices(scene: Scene) -> Iterator[Repair]:
    """The answers come from a fixed list that the workflow tells elsewhere, but not in the prompt.

    The words are the workflow's own: a list that only the tests know is never written into it.
    """
    for state, failing in _failing_prompts(scene):
        prompt = state.prompt or ""
        for listed in _lists_for(scene, state):
            if all(place_of(word, prompt) >= 0 for word in listed):
                continue
            why = f"'{state.name}' does not say which answers there are"
            for old, members in lists_in(prompt):
                if not {*members} & {*listed}:
                    text = prompt.replace(old, f"{', '.join(listed[:-1])} or {listed[-1]}")
                    yield repair("unsaid_choices", why, *set_prompt(state, text), *failing)
            sentence = f"Choose the one that fits best: {', '.join(listed)}. Reply with it alone."
            text = f"{prompt.rstrip()}\n\n{sentence}"
            yield repair("unsaid_choices", why, *set_prompt(state, text), *failing)


def _failing_prompts(scene: Scene) -> Iterator[tuple[State, tuple[str, ...]]]:
    """The prompt states that wrote what failed, each with the scenarios that say so."""
    found: dict[str, dict[str, None]] = {}
    for result, _, state in scene.writers():
        found.setdefault(state.name, {})[result.scenario.name] = None
    for name, scenarios in found.items():
        yield scene.workflow.states[name], tuple(scenarios)


def _lists_for(scene: Scene, state: State) -> Iterator[list[str]]:
    """Lists of answers for *state*: as the tests want them, else as the description tells them.

    Of those that the tests want only what the workflow tells too, in its order.
    """
    wanted = {
        exact_answer(check)
        for result in scene.report.results
        for check in result.scenario.assertions
        if check.target == state.save_as
    } - {""}
    text = scene.workflow.text
    if len(wanted) >= CHOICES and all(place_of(word, text) >= 0 for word in wanted):
        yield sorted(wanted, key=lambda word: place_of(word, text))
        return
    if len(scene.prompts) == 1:
        for _, members in choices_in(scene.workflow.description):
            yield list(members)


def other_language(scene: Scene) -> Iterator[Repair]:
    """The prompt names one language, and the description another."""
    described = languages_in(scene.workflow.description)
    for state, failing in _failing_prompts(scene):
        prompt = state.prompt or ""
        named = languages_in(prompt)
        if len(named) != 1 or named[0] in described:
            continue
        for language in described:
            why = f"'{state.name}' asks for {named[0]}, and the description says {language}"
            text = re.sub(rf"\b{named[0]}\b", language, prompt)
            yield repair("other_language", why, *set_prompt(state, text), *failing)


def contradiction(scene: Scene) -> Iterator[Repair]:
    """A prompt wants the answer alone and asks for more as well: leave out the more."""
    for state, failing in _failing_prompts(scene):
        prompt = state.prompt or ""
        more = contradictory(prompt)
        if more and not any(PLACEHOLDER.search(sentence) for sentence in more):
            text = prompt
            for sentence in more:
                text = text.replace(sentence, "", 1)
            if text.strip():
                why = f"'{state.name}' wants the answer alone and also: {more[0].strip()}"
                yield repair("contradiction", why, *set_prompt(state, text), *failing)


def unsaid_limit(scene: Scene) -> Iterator[Repair]:
    """The description limits the length of the answer, and the prompt does not."""
    if len(scene.prompts) != 1:  # whose answer it means is a guess otherwise
        return
    limits = limits_in(scene.workflow.description)
    for state, failing in _failing_prompts(scene):
        prompt = state.prompt or ""
        if limits and not tells_length(prompt):
            why = f"the description says '{limits[0]}', and '{state.name}' does not"
            text = f"{prompt.rstrip()}\n\nWrite {' and '.join(map(_bare, limits))}."
            yield repair("unsaid_limit", why, *set_prompt(state, text), *failing)


def _bare(limit: str) -> str:
    return re.sub(r"^(?:in|of|within) ", "", limit)


def wordy_answer(scene: Scene) -> Iterator[Repair]:
    """The wanted answer is there, but wrapped in other words, or only its case is wrong."""
    for result, failure, state in scene.writers():
        wanted, actual = exact_answer(failure.assertion), (failure.actual or "").strip()
        prompt = state.prompt or ""
        if not wanted or actual == wanted or wanted.lower() not in actual.lower():
            continue
        asks = [ANSWER_ONLY] if len(actual) > len(wanted) else []
        if wanted.islower() and wanted not in actual:
            asks.append(LOWER_CASE)
        missing = [sentence for sentence in asks if sentence not in prompt]
        if missing:
            why = f"'{failure.assertion.target}' holds the right answer wrapped in other words"
            text = f"{prompt.rstrip()}\n\n{' '.join(missing)}"
            yield repair("wordy_answer", why, *set_prompt(state, text), result.scenario.name)


def unsaid_purpose(scene: Scene) -> Iterator[Repair]:
    """The one prompt leaves out what the workflow is for: tell it, beside or instead."""
    purpose = " ".join(scene.workflow.description.split())
    if len(scene.prompts) != 1 or len(purpose.split()) < 4 or PLACEHOLDER.search(purpose):
        return
    for state, failing in _failing_prompts(scene):
        prompt = state.prompt or ""
        if purpose in prompt:
            continue
        why = f"'{state.name}' does not say what the description does"
        text = f"{prompt.rstrip()}\n\nThe answer must do what this says: {purpose}"
        yield repair("unsaid_purpose", why, *set_prompt(state, text), *failing)
        names = dict.fromkeys(PLACEHOLDER.findall(prompt))
        if names:
            data = "\n".join(f"{titled(name)}: {{{{{name}}}}}" for name in names)
            text = f"Do this: {purpose}\nReply with the result alone.\n\n{data}"
            yield repair("unsaid_purpose", why, *set_prompt(state, text), *failing)
