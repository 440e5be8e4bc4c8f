"""What stands where in a document, whether it is valid or not.

The checks that come after the schema walk documents that may be wrong anywhere; here a part of the
wrong kind is simply not there, because the schema has complained about it already.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from finetune_fsm.errors import Path
from finetune_fsm.workflow.model import END

INHERITED = ("model", "options", "mcp_servers", "files", "default_value")
"""Fields that a step takes from its state when it leaves them out; knowledge bases too."""

Part = Mapping[str, object]


def mapping_at(part: object, key: str) -> Part:
    """Return the mapping under *key*, or an empty one. Pure."""
    found = part.get(key) if isinstance(part, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def list_at(part: Part, key: str) -> Sequence[object]:
    """Return the list under *key*, or an empty one. Pure."""
    found = part.get(key)
    return found if isinstance(found, list | tuple) else ()


def text_at(part: Part, key: str) -> str | None:
    """Return the text under *key*, or None. Pure."""
    found = part.get(key)
    return found if isinstance(found, str) else None


def named(document: object, key: str) -> Iterator[tuple[str, Part]]:
    """Yield name and content of every mapping in the mapping under *key*. Pure."""
    for name, content in mapping_at(document, key).items():
        if isinstance(content, Mapping):
            yield name, content


def states_in(document: object) -> Iterator[tuple[str, Part]]:
    """Yield name and content of every state that is a mapping, in document order. Pure."""
    return named(document, "states")


def steps_of(name: str, state: Part) -> Iterator[tuple[Path, Part]]:
    """Yield path and content of every step that is a mapping. Pure."""
    for index, step in enumerate(list_at(state, "steps")):
        if isinstance(step, Mapping):
            yield ("states", name, "steps", index), step


def parts_in(document: object) -> Iterator[tuple[Path, Part]]:
    """Yield path and content of every state, each followed by its steps. Pure."""
    for name, state in states_in(document):
        yield ("states", name), state
        yield from steps_of(name, state)


def step_name(state: str, index: int) -> str:
    """Return the name under which step *index* of *state* runs: the first has the state's. Pure."""
    return f"{state}_step_{index}" if index else state


def names_in(document: object) -> tuple[str, ...]:
    """Return all that a target may name: states, those made of steps, and `END` last. Pure."""
    states = mapping_at(document, "states")
    made = (
        step_name(name, index)
        for name, state in states_in(document)
        for index in range(1, len(list_at(state, "steps")))
    )
    return (*dict.fromkeys((*states, *made)), END)
