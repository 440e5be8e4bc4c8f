"""Rules for prompts that leave out what was asked for, or found out, to be read there."""

from __future__ import annotations

from collections.abc import Iterator

from finetune_fsm.improve.changes import set_prompt
from finetune_fsm.improve.model import Repair
from finetune_fsm.improve.rules_names import states_before
from finetune_fsm.improve.scene import NAME, Scene, distances, repair, titled, ways_on
from finetune_fsm.workflow.model import State, StateKind


def ignored_input(scene: Scene) -> Iterator[Repair]:
    """An answer is asked for and saved, and no prompt ever reads it."""
    yield from _ignored(scene, StateKind.INPUT, "ignored_input")


def ignored_reply(scene: Scene) -> Iterator[Repair]:
    """A step's reply is saved, and no step after it reads it."""
    yield from _ignored(scene, StateKind.PROMPT, "ignored_reply")


def blind_prompt(scene: Scene) -> Iterator[Repair]:
    """A prompt that fails reads nothing at all, though there is something to read before it."""
    for result, _, state in scene.writers():
        if state.reads:
            continue
        sources = [s.save_as for s in states_before(scene, state) if s.kind is StateKind.INPUT]
        for name in sources[:1]:
            if name and NAME.fullmatch(name):
                why = f"'{state.name}' reads nothing, and '{name}' is asked for before it"
                text = f"{(state.prompt or '').rstrip()}\n\n{titled(name)}: {{{{{name}}}}}"
                yield repair("blind_prompt", why, *set_prompt(state, text), result.scenario.name)


def _ignored(scene: Scene, kind: StateKind, code: str) -> Iterator[Repair]:
    what = {StateKind.INPUT: "is asked for", StateKind.PROMPT: "is found out"}[kind]
    failing = [state for _, _, state in scene.writers()]
    for state in scene.states:
        name = state.save_as or ""
        if state.kind is not kind or state.next_options or not NAME.fullmatch(name):
            continue  # a reply that a choice between options follows is read there
        if name in scene.read:
            continue
        reader = _next_reader(scene, state)
        if kind is StateKind.PROMPT and name in scene.tested and reader not in failing:
            continue  # it is a result, and what follows does without it
        if reader is not None and reader.prompt:
            why = f"'{name}' {what}, but no prompt uses it"
            text = f"{reader.prompt.rstrip()}\n\n{titled(name)}: {{{{{name}}}}}"
            yield repair(code, why, *set_prompt(reader, text))


def _next_reader(scene: Scene, state: State) -> State | None:
    """The prompt state that comes next after *state*, the first in the document of several."""
    far = distances(ways_on(scene.workflow), state.name)
    later = [s for s in scene.prompts if far.get(s.name)]
    return min(later, key=lambda s: far[s.name], default=None)
