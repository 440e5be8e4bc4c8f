"""Which fields go together: the rules of the format that a JSON Schema could only say badly."""

from __future__ import annotations

from collections.abc import Iterator

from finetune_fsm.errors import Path, Problem, Severity
from finetune_fsm.schema import suggestion
from finetune_fsm.workflow.model import END, RUN_DIRECTORY
from finetune_fsm.workflow.outline import (
    Part,
    list_at,
    mapping_at,
    parts_in,
    states_in,
    step_name,
    steps_of,
)

_TEXTS = ("prompt", "prompt_file", "steps")


def broken_rules(document: object, *, strict: bool) -> Iterator[Problem]:
    """Yield the rules that *document* breaks; `strict` forbids replies without a limit. Pure."""
    for name, state in states_in(document):
        yield from _prompt_rules(name, state)
        yield from _step_rules(document, name, state)
    for path, part in parts_in(document):
        yield from _exclusions(path, part)
        yield from _reply_limit(path, part, strict=strict)
    yield from _reserved(document)
    yield from _variables(document)


def _prompt_rules(name: str, state: Part) -> Iterator[Problem]:
    if state.get("type") not in ("prompt", "input"):
        return
    yield from _exactly_one(("states", name), state, _TEXTS)
    for path, step in steps_of(name, state):
        yield from _exactly_one(path, step, _TEXTS[:2])


def _exactly_one(path: Path, part: Part, keys: tuple[str, ...]) -> Iterator[Problem]:
    given = [key for key in keys if key in part]
    if not given:
        near = suggestion("prompt", [key for key in part if key not in ("type", *keys)])
        meant = near.removeprefix("did you mean ")[:-1]
        hint = f"write 'prompt' instead of {meant}" if meant else f"add {_listed(keys, 'or')}"
        yield Problem("missing_key", "'prompt' is missing", hint, path)
    for extra in given[1:]:
        message = f"'{given[0]}' and '{extra}' exclude each other"
        yield Problem("exclusive_keys", message, "keep one of them", (*path, extra))


def _listed(keys: tuple[str, ...], word: str) -> str:
    quoted = [f"'{key}'" for key in keys]
    return f"{', '.join(quoted[:-1])} {word} {quoted[-1]}"


def _exclusions(path: Path, part: Part) -> Iterator[Problem]:
    for first, second in (("next", "next_options"), ("use_rag", "rag")):
        if first in part and second in part:
            message = f"'{first}' and '{second}' exclude each other"
            yield Problem("exclusive_keys", message, "keep one of them", (*path, second))
    if part.get("save_as") == RUN_DIRECTORY:
        message = f"'{RUN_DIRECTORY}' is set by every run and cannot be saved over"
        yield Problem("reserved_name", message, "choose another name", (*path, "save_as"))


def _step_rules(document: object, name: str, state: Part) -> Iterator[Problem]:
    steps = list_at(state, "steps")
    if steps and "save_as" in state:
        message = "a state with 'steps' has no 'save_as' of its own"
        hint = "put 'save_as' into the step whose reply is meant"
        yield Problem("exclusive_keys", message, hint, ("states", name, "save_as"))
    states = mapping_at(document, "states")
    for index in range(1, len(steps)):
        made = step_name(name, index)
        if made in states:
            message = f"the steps of '{name}' make a state called '{made}' as well"
            yield Problem("name_collision", message, "rename this one", ("states", made))


def _reply_limit(path: Path, part: Part, *, strict: bool) -> Iterator[Problem]:
    limit = mapping_at(part, "options").get("num_predict")
    if isinstance(limit, int | float) and not isinstance(limit, bool) and limit < 0:
        yield Problem(
            "unbounded_reply",
            f"num_predict {limit} lets a reply go on without a limit",
            "give a number of tokens, such as 1024",
            (*path, "options", "num_predict"),
            Severity.ERROR if strict else Severity.WARNING,
        )


def _reserved(document: object) -> Iterator[Problem]:
    if END in mapping_at(document, "states"):
        message = f"'{END}' is where every workflow stops; no state can be called so"
        yield Problem("reserved_name", message, "rename the state", ("states", END))
    for name in mapping_at(document, "states"):
        if name != END and name.casefold() == END:
            message = f"the state '{name}' is easily taken for '{END}'"
            path = ("states", name)
            yield Problem("unusual_name", message, "rename it", path, Severity.WARNING)


def _variables(document: object) -> Iterator[Problem]:
    for name, variable in mapping_at(document, "variables").items():
        path: Path = ("variables", name)
        if not isinstance(variable, dict):
            continue
        if "value" in variable and "file" in variable:
            message = "'value' and 'file' exclude each other"
            yield Problem("exclusive_keys", message, "keep one of them", (*path, "file"))
        if "value" not in variable and "file" not in variable:
            hint = "write name: text, or give 'value' or 'file'"
            yield Problem("missing_key", "'value' is missing", hint, path)
