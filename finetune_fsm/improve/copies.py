"""Words of the tests in a draft: an optimiser's favourite way to pass them.

Hard-coding is the rule, not the exception (TextGrad 86 %, PrefPO 37 % of runs, arXiv 2603.19311),
and looking for it costs no call. Text is compared as words, so that quotes, case and layout hide
nothing, and once more without anything between the letters.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import accumulate

from finetune_fsm.errors import Problem
from finetune_fsm.improve.places import Change, texts_in
from finetune_fsm.scenarios.model import RUN_TYPES, Assertion, AssertionType, Suite
from finetune_fsm.sinks import one_line
from finetune_fsm.workflow.model import PLACEHOLDER, Workflow

COPIED_WORDS = 4
"""So many words of an input in a row, new in a prompt, are a copy."""

COMPACT = 8
"""From so many letters on, a text is found whatever parts them, and as a piece of a pattern."""

_HINT = "write an instruction that holds for any input"
_WORD = re.compile(r"[^\W_]+")
_NO_TEXT = re.compile(
    r"\[(?:\\.|[^\]\\])*\]"  # a set of characters
    r"|\(\?P?<\w+>"  # the name of a group
    r"|\\(?:[pPku]\{[^}]*\}|k<[^>]*>|x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|.)",  # an escape
    re.DOTALL,
)
"""What in a pattern only looks like text."""

_PIECE = re.compile(r"[\w ',.:;!\u2019-]+")


_NO_ANSWER = RUN_TYPES | {AssertionType.LLM_RUBRIC}
"""A rule is an instruction, as a prompt may hold; names of states are the workflow's own."""


def literals(suite: Suite) -> frozenset[str]:
    """Return the texts of *suite* that would give an answer away. Pure.

    Short lower-case words (``yes``, ``no``) are left out: any sentence may hold them. Of patterns
    come the longer pieces that are plain text, unless the description tells them.
    """
    found: set[str] = set()
    for scenario in suite.scenarios:
        found |= {value.strip() for value in scenario.inputs.values()}
        for assertion in scenario.assertions:
            found |= {*_pieces(assertion)} if assertion.is_pattern else {*_expected(assertion)}
    return frozenset(text for text in found if _telling(text))


def _expected(assertion: Assertion) -> Iterator[str]:
    """The texts that an answer is held against."""
    if assertion.type in _NO_ANSWER or assertion.is_pattern:
        return
    if assertion.type is AssertionType.JSON_PATH:
        yield from _data_in(assertion.value)
    elif assertion.type is AssertionType.IS_JSON:
        yield from _answers_in(assertion.schema)
    else:
        texts = assertion.values or (assertion.value,)
        yield from (text.strip() for text in texts)


def _data_in(text: str) -> Iterator[str]:
    """All texts and numbers of a JSON text, keys left out: they are form, not answer."""
    waiting: list[object] = [json.loads(text)] if text else []
    while waiting:
        value = waiting.pop()
        if isinstance(value, list | dict):
            waiting += value.values() if isinstance(value, dict) else value
        elif value is not None and not isinstance(value, bool):
            yield str(value).strip()


def _answers_in(schema: str) -> Iterator[str]:
    """What a JSON Schema gives away: the values that it lists."""
    waiting: list[object] = [json.loads(schema)] if schema else []
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            for key in ("const", "enum"):
                if key in part:
                    yield from _data_in(json.dumps(part[key]))
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part


def _pieces(assertion: Assertion) -> Iterator[str]:
    told = _words(assertion.description)
    for piece in _PIECE.findall(_NO_TEXT.sub("\n", assertion.value)):
        if len(_Text(piece).compact) >= COMPACT and _words(piece) not in told:
            yield piece.strip()


def _telling(text: str) -> bool:
    core = re.sub(r"\W", "", text)
    return len(core) >= 4 or (len(core) >= 2 and not core.islower())


def copied_words(
    original: Workflow, changed: Sequence[Change], suite: Suite, named: Sequence[str]
) -> Iterator[Problem]:
    """Yield the words of *suite* that a draft brings in. Pure.

    Args:
        original: What it says anywhere, comments and files included, is no copy.
        changed: Where the draft differs.
        suite: Whose words they are.
        named: Names of the draft's states; a model is shown them as its choices.
    """
    before = _Text("\n".join((original.text, *texts_in(original.document), *_prompts(original))))
    wanted = [_Text(text) for text in sorted(literals(suite))]
    for change in changed:
        for text in texts_in(change.new):
            if copied := _copied(wanted, before, text):
                message = f"{change.where} copies words of a test: '{one_line(copied)}'"
                yield Problem("copied_words", message, _HINT, change.path)
    for name in named:
        if copied := _copied(wanted, before, name):
            message = f"the state '{one_line(name)}' is named after a test: '{one_line(copied)}'"
            yield Problem("copied_words", message, _HINT, ("states", name))


def _prompts(workflow: Workflow) -> Iterator[str]:
    return (state.prompt or "" for state in workflow.states.values())


def given_answers(original: Workflow, draft: Workflow, suite: Suite) -> Iterator[Problem]:
    """Yield the defaults that give an answer of *suite*, however short: nobody need be asked."""
    answers = {text for s in suite.scenarios for a in s.assertions for text in _expected(a)}
    for state in draft.states.values():
        before, default = original.states.get(state.name), state.default_value
        if default is None or (before is not None and before.default_value == default):
            continue
        for answer in sorted(answers):
            if default.strip() == answer or (_words(answer) and _words(answer) in _words(default)):
                shown = one_line(answer)
                message = (
                    f"the default of '{one_line(state.name)}' gives a test's answer: '{shown}'"
                )
                yield Problem("copied_words", message, _HINT, (*state.origin, "default_value"))


class _Text:
    """A text in the two forms in which it is compared: by words, and without what parts them."""

    __slots__ = ("compact", "ends", "words")

    def __init__(self, text: str) -> None:
        self.words = _words(text)
        # A placeholder within a word, empty when the workflow runs, does not hide it.
        parts = _WORD.findall(_plain(PLACEHOLDER.sub("", text)))
        self.compact = "".join(parts)
        self.ends = frozenset(accumulate(map(len, parts), initial=0))

    def hides(self, other: _Text) -> bool:
        """Whether *other* is in here, spelt out of whole words if its script parts words."""
        place = self.compact.find(other.compact)
        while place >= 0:
            if other.unparted or {place, place + len(other.compact)} <= self.ends:
                return True
            place = self.compact.find(other.compact, place + 1)
        return False

    @property
    def unparted(self) -> bool:
        """Whether it holds letters that have no capitals: such scripts rarely part words."""
        return any(unicodedata.category(character) == "Lo" for character in self.compact)


def _copied(literals: Sequence[_Text], before: _Text, text: str) -> str:
    """What of the *literals* is new in *text*: a whole one, or a run of its words."""
    after = _Text(text)
    for literal in literals:
        if literal.words in after.words and literal.words not in before.words:
            return literal.words.strip()
        sought = literal.unparted or len(literal.compact) >= COMPACT
        if sought and after.hides(literal) and not before.hides(literal):
            return literal.words.strip()
        words = literal.words.split()
        for start in range(len(words) - COPIED_WORDS + 1):
            run = f" {' '.join(words[start : start + COPIED_WORDS])} "
            if run in after.words and run not in before.words:
                return run.strip()
    return ""


def _words(text: str) -> str:
    """The text as words, case folded, each between two spaces; empty without any."""
    words = " ".join(_WORD.findall(_plain(text)))
    return f" {words} " if words else ""


def _plain(text: str) -> str:
    """One form for equal-looking text: no invisible marks, no wide or styled letters, no case."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(c for c in folded if unicodedata.category(c) != "Cf")
