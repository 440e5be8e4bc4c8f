"""How much a draft may ask for: text, states, tokens, and that a run can end.

The JSON Schema bounds what anybody may write; here are the narrower bounds of what a model may
write, each widened to what the original has already.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from finetune_fsm.errors import Path, Problem
from finetune_fsm.improve.places import Change, texts_in
from finetune_fsm.improve.ways import endless
from finetune_fsm.sinks import clean, one_line
from finetune_fsm.workflow.model import State, Workflow

GROWTH = 3.0
"""A text may become so many times as long as it was, …"""

ROOM = 1_500
"""… or so many characters longer, whichever is more, …"""

TEXT_LIMIT = 64_000
"""… but never longer than so many characters."""

STATES = 500
"""States, each step counted."""

TOKENS = (1, 8_192)
"""A reply's limit of tokens, lowest and highest; no limit at all is no number."""

CHOICES = (0, 1_000)
"""Of `top_k`, lowest and highest; 0 means all."""

SEEDS = (0, 2**31 - 1)
"""Servers take 32 bits; a negative seed means another one every time."""

STOPS = 8
"""Stop texts at most, and …"""

STOP_LENGTH = 100
"""… characters of each; at least one: an empty text stops every reply at once."""

_RANGES: Mapping[str, tuple[int, int]] = {
    "num_predict": TOKENS,
    "top_k": CHOICES,
    "seed": SEEDS,
}


def overgrown(original: Workflow, changed: Sequence[Change]) -> Iterator[Problem]:
    """Yield the texts that grow beyond measure. Pure."""
    states = original.states.values()
    prompts = {(*state.origin, "prompt"): state.prompt for state in states if state.prompt}
    for change in changed:
        old = _length(change.old) or len(prompts.get(change.path, ""))  # moved in from a file
        new = _length(change.new)
        allowed = min(max(int(old * GROWTH), old + ROOM), max(old, TEXT_LIMIT))
        if new > allowed:
            message = f"{change.where} would have {new} characters, {allowed} are allowed"
            yield Problem("overgrown", message, "say it shorter", change.path)


def _length(value: object) -> int:
    return sum(len(text) for text in texts_in(value))


def too_many_states(original: Workflow, draft: Workflow) -> Iterator[Problem]:
    """Yield a problem when the draft has more states than anybody needs. Pure."""
    count, allowed = len(draft.states), max(STATES, len(original.states))
    if count > allowed:
        message = f"the workflow would have {count} states, {allowed} are allowed"
        yield Problem("too_many_states", message, "remove some", ("states",))


def odd_options(original: Workflow, draft: Workflow) -> Iterator[Problem]:
    """Yield the sampling options that are out of range, and limits that are gone. Pure.

    `temperature` and `top_p` have no other range than the schema's.
    """
    for state in draft.states.values():
        before = original.states.get(state.name)
        known = before.options if before else {}
        if "num_predict" in known and "num_predict" not in state.options:
            message = f"'{one_line(state.name)}' would have replies without a limit"
            yield Problem("odd_option", message, "keep num_predict", _option(state, "num_predict"))
        for name, value in state.options.items():
            if known.get(name) != value and (reason := _odd(name, value)):
                message = f"'{one_line(state.name)}' would run with {name} {reason}"
                yield Problem("odd_option", message, path=_option(state, name))


def _option(state: State, name: str) -> Path:
    return (*state.origin, "options", name)


def _odd(name: str, value: object) -> str:
    """Return what is odd about the option, or empty text."""
    if name in _RANGES and isinstance(value, int | float):
        lowest, highest = _RANGES[name]
        outside = not lowest <= value <= highest
        return f"{value}, allowed is {lowest} to {highest}" if outside else ""
    if name == "stop":
        stops = value if isinstance(value, list) else [value]
        fits = all(0 < len(str(text)) <= STOP_LENGTH for text in stops)
        if not fits or len(stops) > STOPS:
            return f"texts beyond {STOPS} of 1 to {STOP_LENGTH} characters"
    return ""


def never_ending(original: Workflow, draft: Workflow) -> Iterator[Problem]:
    """Yield the states that a run could not leave for the end any more. Pure."""
    for name in sorted(endless(draft) - endless(original)):
        message = f"a run could go round for ever at '{one_line(name)}'"
        path = draft.states[name].origin
        yield Problem("endless", message, "let a way lead from it to 'end'", path)


def hidden_text(original: Workflow, changed: Sequence[Change]) -> Iterator[Problem]:
    """Yield the texts that bring in characters which no reader would see. Pure.

    Control characters, zero-width ones, those that turn the direction: a person who approves a
    draft must see all of it. What the original uses, as some scripts must, stays allowed.
    """
    prompts = (state.prompt or "" for state in original.states.values())
    usual = set(original.text).union(*texts_in(original.document), *prompts)
    for change in changed:
        for text in texts_in(change.new):
            found = set(text.replace("\r\n", "\n")) - usual
            odd = sorted(character for character in found if clean(character) != character)
            if odd:
                shown = clean("".join(odd[:5]))
                message = f"{change.where} holds characters that cannot be seen: {shown}"
                yield Problem("hidden_text", message, "use visible characters", change.path)
