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
    words_of,
)
from finetune_fsm.workflow.edits import Edit, EditOp
from finetune_fsm.workflow.model import BUILT_IN_VARIABLES, END, State, StateKind

SIMILAR = 0.7
"""From which likeness on, 0..1, a name is taken for another misspelt."""

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
    return get_close_matches(name, sorted(known), n=1, cutoff=SIMILAR)


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
        if not _is_named_well(saver) or asks_for(saver, name):
            yield _renamed("renamed_save", saver, name)


def renamed_answer(scene: Scene) -> Iterator[Repair]:
    """The same for an answer to a question that speaks of what it is saved as: a guess."""
    for name, saver in _renamings(scene):
        if _is_named_well(saver) and not asks_for(saver, name):
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
        savers = [s for s in states_before(scene, reader) if s.save_as in unwanted]
        for saver in sorted(savers, key=lambda s: not asks_for(s, name)):
            yield name, saver


def _is_named_well(saver: State) -> bool:
    """Whether an answer is saved as what its question speaks of."""
    return saver.kind is StateKind.INPUT and asks_for(saver, saver.save_as or "")


def _renamed(code: str, saver: State, name: str) -> Repair:
    why = f"nothing saves '{name}', and nothing reads '{saver.save_as}' of '{saver.name}'"
    return repair(code, why, Edit(EditOp.SET, (*saver.origin, "save_as"), name))


def missing_save(scene: Scene) -> Iterator[Repair]:
    """A variable is read or tested, but nothing saves it; some state before it saves nothing."""
    for name, reader in _unset(scene):
        silent = [s for s in states_before(scene, reader) if not s.save_as]
        for state in sorted(silent, key=lambda s: not asks_for(s, name)):
            why = f"nothing saves '{name}', and '{state.name}' saves nothing"
            edit = Edit(EditOp.SET, (*state.origin, "save_as"), name)
            yield repair("missing_save", why, edit)


def unsaved_branch(scene: Scene) -> Iterator[Repair]:
    """A variable is saved on one way and not on another: let the state there save it too."""
    unwanted = scene.workflow.saved_variables - scene.read - scene.tested
    for result, failure in scene.failures():
        name, visited = failure.assertion.target, result.rollout.visited
        savers = [s for s in scene.states if s.save_as == name]
        if failure.actual is not None or not savers or any(s.name in visited for s in savers):
            continue
        for state in (scene.workflow.states.get(n) for n in reversed(dict.fromkeys(visited))):
            alike = state is not None and any(state.kind is s.kind for s in savers)
            if state is None or not alike or state.next_options:
                continue
            if not state.save_as or state.save_as in unwanted:
                why = f"'{state.name}' does not save '{name}', as '{savers[0].name}' does elsewhere"
                edit = Edit(EditOp.SET, (*state.origin, "save_as"), name)
                yield repair("unsaved_branch", why, edit, result.scenario.name)


def missing_state(scene: Scene) -> Iterator[Repair]:
    """A variable is read that nothing finds out: ask for it in a state of its own."""
    for name, reader in _unset(scene):
        if reader is None or reader.kind is not StateKind.PROMPT or len(reader.origin) > 2:
            continue
        sources = [s.save_as for s in states_before(scene, reader) if s.kind is StateKind.INPUT]
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


def states_before(scene: Scene, reader: State | None) -> list[State]:
    """Return the states that ask, and from which a way leads to *reader* or the end, nearest first.

    Where none leads there, those that stand before it in the document. Pure.
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
    """Whether the name of *state*, or its prompt but for what that reads, speaks of *name*."""
    said = re.sub(r"\{\{\w+\}\}", " ", state.prompt or "")
    return mentions(f"{words_of(state.name)} {said}", name)
