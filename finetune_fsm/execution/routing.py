"""The choice between `next_options`, made by the model that just replied.

A numbered list answered with a bare number: with a 1.5B model 29 of 30 routings were right that
way, and 17 with a JSON Schema that allows only the state names. So the answer is not constrained,
and whatever comes back is read leniently.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from finetune_fsm.errors import LLMError, LLMErrorKind
from finetune_fsm.llm.base import (
    LLM,
    Message,
    Purpose,
    Request,
    Stop,
    Usage,
    estimated_tokens,
)
from finetune_fsm.workflow.model import Option

ANSWER_TOKENS = (16, 512)
"""``num_predict`` of the two tries: the second leaves room for a model that thinks first."""

ASKED_TOKENS = 500
REPLY_TOKENS = 1500
"""With the options this fits the 4096 tokens that servers give when nobody asks for more."""

_KEPT_OPTIONS = ("num_ctx", "seed")  # another num_ctx would make the server load the model anew
_UNUSABLE = (LLMErrorKind.EMPTY, LLMErrorKind.CUT_BY_LIMIT)
_NUMBER = re.compile(r"(?<![A-Za-z0-9_.,-])\d+(?![A-Za-z0-9_]|[.,]\d)")

_BEFORE, _AFTER = r"(?<![A-Za-z0-9_-])", r"(?![A-Za-z0-9_-])"


@dataclass(frozen=True, slots=True)
class Question:
    """One choice to make.

    Attributes:
        model: The model that gave the reply.
        asked: What the state asked it.
        reply: What it replied.
        choices: At least two, in document order.
        options: Sampling options of the state.
        label: The state's name, for people.
        draw: See `Request`.
    """

    model: str
    asked: str
    reply: str
    choices: tuple[Option, ...]
    options: Mapping[str, object] = field(default_factory=dict)
    label: str = ""
    draw: int = 0


@dataclass(frozen=True, slots=True)
class Choice:
    """The state that follows.

    Attributes:
        state: Its name.
        decided: Whether the model chose it; else it is the first option.
        usage: What asking cost.
    """

    state: str
    decided: bool
    usage: Usage


def choose(llm: LLM, question: Question, *, stop: Stop | None = None) -> Choice:
    """Ask which option follows, at most twice; the first option when no answer is usable.

    Raises:
        LLMError: the model gave no reply for another reason than its length.
        Cancelled: *stop* was asked for.
    """
    usage = Usage()
    for attempt, tokens in enumerate(ANSWER_TOKENS):
        request = _request(question, tokens, again=attempt > 0)
        try:
            completion = llm.complete(request, stop=stop)
        except LLMError as error:
            if error.kind not in _UNUSABLE:
                raise
            continue
        usage += Usage.of(completion)
        index = read_choice(completion.text, question.choices)
        if index is not None:
            return Choice(question.choices[index].state, decided=True, usage=usage)
    return Choice(question.choices[0].state, decided=False, usage=usage)


def _request(question: Question, tokens: int, *, again: bool) -> Request:
    text = choice_prompt(question)
    if again:  # at temperature 0 the same words would get the same answer
        text += " One number and nothing else, or the choice is lost."
    kept = {name: question.options[name] for name in _KEPT_OPTIONS if name in question.options}
    return Request(
        model=question.model,
        messages=(Message("user", text),),
        options={**kept, "temperature": 0, "num_predict": tokens},
        purpose=Purpose.ROUTE,
        label=question.label,
        draw=question.draw,
    )


def choice_prompt(question: Question) -> str:
    """Return the words that put *question* to a model. Pure.

    Small models hang on the wording: with "One step of a workflow is done. Choose the step that
    follows" around the same parts Qwen2.5 Coder 1.5B was right 5 times of 9, with these words 8.
    """
    numbered = "\n".join(
        f"{number}. {choice.state}: {' '.join(choice.description.split())}"
        for number, choice in enumerate(question.choices, 1)
    )
    return (
        "Choose the option that fits this situation.\n\n"
        f"Request:\n<asked>\n{shortened(question.asked, ASKED_TOKENS)}\n</asked>\n\n"
        f"Answer:\n<reply>\n{shortened(question.reply, REPLY_TOKENS)}\n</reply>\n\n"
        f"Options:\n{numbered}\n\n"
        f"Reply with the number of the best option only (1-{len(question.choices)})."
    )


def shortened(text: str, tokens: int) -> str:
    """Return *text* in at most about so many *tokens*, the middle left out first. Pure.

    The beginning says what it is about and the end what follows from it, so both are kept.
    """
    if estimated_tokens(text) <= tokens:
        return text
    half = tokens * 3 // 2  # bytes: three to a token, half of them at each end
    data = text.encode("utf-8", "replace")
    head = data[:half].decode("utf-8", "ignore")
    tail = data[-half:].decode("utf-8", "ignore")
    return f"{head}\n[…]\n{tail}"


def read_choice(answer: str, choices: Sequence[Option]) -> int | None:
    """Return the index (0-based) of the option that *answer* names, or None. Pure.

    Tried in this order: the whole answer is an option's name; the first number that stands alone
    and counts an option (1-based); the option named first; JSON with either.
    """
    names = [choice.state for choice in choices]
    bare = answer.strip().strip("\"'`*.").strip()
    if bare in names and not bare.isdecimal():  # before numbers: a name may hold a digit
        return names.index(bare)
    numbers = (int(found[:9]) for found in _NUMBER.findall(answer))
    index = next((number - 1 for number in numbers if 1 <= number <= len(names)), None)
    if index is None:
        index = _first_named(answer, names)
    return index if index is not None else _from_json(answer, names)


def _first_named(answer: str, names: Sequence[str]) -> int | None:
    """The name that comes first; the longer one where two begin at the same place."""
    # A name ends where Latin letters end: other scripts write words without spaces between.
    places: list[tuple[int, int, int]] = []
    for index, name in enumerate(names):
        match = re.search(_BEFORE + re.escape(name) + _AFTER, answer, re.IGNORECASE)
        if match:
            places.append((match.start(), -len(name), index))
    return min(places)[2] if places else None


def _from_json(answer: str, names: Sequence[str]) -> int | None:
    """What escapes and fractions hide from a look at the text, such as ``{"choice": 2.0}``."""
    try:
        found = json.loads(answer)
    except (ValueError, RecursionError):
        return None
    values = list(found.values()) if isinstance(found, dict) else [found]
    for value in values:
        if isinstance(value, str) and value in names:
            return names.index(value)
        if isinstance(value, float) and value in range(1, len(names) + 1):
            return int(value) - 1
    return None
