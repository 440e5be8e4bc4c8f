"""Rules for variables: read and never set, set and never read, or under two names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches

from finetune_fsm.improve.changes import set_prompt
from finetune_fsm.improve.model import Repair
from finetune_fsm.improve.scene import (
    NAME,
    Scene,
    distances,
    last_step,
    mentions,
    repair,
    titled,
    way_path,
    ways_back,
    ways_on,
    words_of,
)
from finetune_fsm.workflow.edits import Edit, EditOp
from finetune_fsm.workflow.model import BUILT_IN_VARIABLES, END, State, StateKind

_BRACES = re.compile(r"(?<![{$])\$?\{{1,2}\s*([A-Za-z0-9_]+)\s*\}{1,2}(?!\})")
"""Braces with one name inside, with spaces or too few of them."""


def misspelt_placeholder(scene: Scene) -> Iterator[Repair]:
    """A prompt reads a variable that nothing sets, and one of nearly that name exists."""
    for state in scene.states:
        for name in sorted(state.reads - scene.known):
            for close in _close(name, scene.known - BUILT_IN_VARIABLES):
                if state.prompt and f"{{{{{name}}}}}" in state.prompt:
                    text = state.prompt.replace(f"{{{{{name}}}}}", f"{{{{{close}}}}}")
                    why = f"nothing sets '{name}', but there is '{close}'"
                    yield repair("misspelt_placeholder", why, *set_prompt(state, text))


def _close(name: str, known: frozenset[str]) -> list[str]:
    folded = {_folded(other): other for other in sorted(known)}
    if _folded(name) in folded:
        return [folded[_folded(name)]]
    return get_close_matches(name, sorted(known), n=1)


def _folded(name: str) -> str:
    return name.replace("_", "").casefold()


def odd_placeholder(scene: Scene) -> Iterator[Repair]:
    """A variable's name stands in braces that are none: spaces inside, or one brace missing."""
    known = scene.known - BUILT_IN_VARIABLES
    for state in scene.states:
        odd = [
            match
            for match in _BRACES.finditer(state.prompt or "")
            if match[1] in known and match[0] != f"{{{{{match[1]}}}}}"
        ]
        if not odd or state.prompt is None:
            continue
        text = state.prompt
        for match in reversed(odd):
            text = f"{text[: match.start()]}{{{{{match[1]}}}}}{text[match.end() :]}"
        why = f"'{odd[0][0]}' is no placeholder, though there is a variable '{odd[0][1]}'"
        yield repair("odd_placeholder", why, *set_prompt(state, text))


def renamed_save(scene: Scene) -> Iterator[Repair]:
    """A variable is wanted that nothing saves, and a state before saves one that nobody wants."""
    for name, saver in _renamings(scene):
        if saver.kind is StateKind.PROMPT or asks_for(saver, name):
            yield _renamed("renamed_save", saver, name)


def renamed_answer(scene: Scene) -> Iterator[Repair]:
    """The same for an answer to a question that does not speak of what is wanted: a guess."""
    for name, saver in _renamings(scene):
        if saver.kind is StateKind.INPUT and not asks_for(saver, name):
            yield _renamed("renamed_answer", saver, name)


def renamed_placeholder(scene: Scene) -> Iterator[Repair]:
    """A prompt reads a variable that nothing saves; let it read one that is read nowhere."""
    for name, saver in _renamings(scene):
        for reader in scene.prompts:
            old, new = f"{{{{{name}}}}}", f"{{{{{saver.save_as}}}}}"
            if old in (reader.prompt or "") and NAME.fullmatch(saver.save_as or ""):
                why = f"'{reader.name}' reads '{name}', which nothing saves"
                text = (reader.prompt or "").replace(old, new)
                yield repair("renamed_placeholder", why, *set_prompt(reader, text))


def _renamings(scene: Scene) -> Iterator[tuple[str, State]]:
    """Names that nothing saves, with each state before that saves what nobody wants."""
    unwanted = scene.workflow.saved_variables - scene.read - scene.tested
    for name, reader in _unset(scene):
        savers = [s for s in _before(scene, reader) if s.save_as in unwanted]
        for saver in sorted(savers, key=lambda s: not asks_for(s, name)):
            yield name, saver


def _renamed(code: str, saver: State, name: str) -> Repair:
    why = f"nothing saves '{name}', and nothing reads '{saver.save_as}' of '{saver.name}'"
    return repair(code, why, Edit(EditOp.SET, (*saver.origin, "save_as"), name))


def missing_save(scene: Scene) -> Iterator[Repair]:
    """A variable is read or tested, but nothing saves it; some state before it saves nothing."""
    for name, reader in _unset(scene):
        silent = [s for s in _before(scene, reader) if not s.save_as]
        for state in sorted(silent, key=lambda s: not asks_for(s, name)):
            why = f"nothing saves '{name}', and '{state.name}' saves nothing"
            edit = Edit(EditOp.SET, (*state.origin, "save_as"), name)
            yield repair("missing_save", why, edit)


def missing_state(scene: Scene) -> Iterator[Repair]:
    """A variable is read that nothing finds out: ask for it in a state of its own."""
    for name, reader in _unset(scene):
        if reader is None or reader.kind is not StateKind.PROMPT or len(reader.origin) > 2:
            continue
        sources = [s.save_as for s in _before(scene, reader) if s.kind is StateKind.INPUT]
        befores = [last_step(scene.workflow, n) for n in _owners_before(scene, reader)]
        if not sources or not sources[0] or not befores:
            continue
        new = _free_name(scene, f"find_{name}")
        prompt = (
            f"Read the text and find in it: {words_of(name)}. Reply with it alone.\n\n"
            f"{titled(sources[0])}: {{{{{sources[0]}}}}}"
        )
        state = {"type": "prompt", "prompt": prompt, "save_as": name, "next": reader.name}
        edits = [Edit(EditOp.SET, ("states", new), state)]
        for before in befores:
            path = way_path(scene.workflow, before)
            if path is not None and before.next == reader.name:
                edits.append(Edit(EditOp.SET, (*path, "next"), new))
        if len(edits) > 1:
            why = f"'{reader.name}' reads '{name}', and no state finds it out"
            yield repair("missing_state", why, *edits)


def ignored_input(scene: Scene) -> Iterator[Repair]:
    """An answer is asked for and saved, and no prompt ever reads it."""
    yield from _ignored(scene, StateKind.INPUT, "ignored_input")


def ignored_reply(scene: Scene) -> Iterator[Repair]:
    """A step's reply is saved, and no step after it reads it."""
    yield from _ignored(scene, StateKind.PROMPT, "ignored_reply")


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


def _unset(scene: Scene) -> Iterator[tuple[str, State | None]]:
    """Variables that are read or tested and that nothing sets, each with a state that reads it."""
    found: dict[str, State | None] = {}
    for state in scene.states:
        for name in sorted(state.reads - scene.known):
            found.setdefault(name, state)
    for _, failure in scene.failures():
        name = failure.assertion.target
        if name not in scene.known and NAME.fullmatch(name):
            found.setdefault(name, None)
    yield from found.items()


def _before(scene: Scene, reader: State | None) -> list[State]:
    """Prompt and input states from which a way leads to *reader* or the end, the nearest first.

    Those from which none leads come last, if they stand before it in the document.
    """
    goal = reader.name if reader is not None else END
    far = distances(ways_back(scene.workflow), goal)
    states = [s for s in scene.states if s.kind in (StateKind.PROMPT, StateKind.INPUT)]
    upto = states.index(reader) if reader in states else len(states)
    near = sorted((s for s in states if far.get(s.name)), key=lambda s: far[s.name])
    return near or states[:upto][::-1]


def _owners_before(scene: Scene, reader: State) -> list[str]:
    return list(dict.fromkeys(s.owner for s in scene.states if s.next == reader.name))


def _free_name(scene: Scene, name: str) -> str:
    taken = {*scene.workflow.states, *scene.workflow.file_states, END}
    number = 2
    free = name
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    return free


def asks_for(state: State, name: str) -> bool:
    """Whether the prompt of *state*, what it reads left out, speaks of *name*."""
    return mentions(re.sub(r"\{\{\w+\}\}", " ", state.prompt or ""), name)
