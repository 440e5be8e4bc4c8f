"""A prompt cut into sentences, and which of them leave a reader in doubt.

Looks at words, not understanding; English alone, but for length and repetition. Sources: at most 25
words a sentence is the rule of the British government's style guide (GOV.UK, "Writing for GOV.UK");
vague and loophole words are smells of ISO/IEC/IEEE 29148 (Femmer et al. 2017, "Rapid quality
assurance with Requirements Smells", J. Syst. Softw. 123).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from finetune_fsm.errors import Path
from finetune_fsm.improve.phrases import contradictory
from finetune_fsm.improve.phrases import sentences as cut
from finetune_fsm.workflow.model import PLACEHOLDER, State, StateKind, Workflow

LONG = 25
"""Words from which on the next one makes a sentence too long."""

REPEATED = 3
"""Words that a sentence needs to be a repetition: ``Be brief.`` may stand twice."""

_WORD = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*")
_ABBREVIATION = re.compile(r"(?:\b(?:e\.g|i\.e|vs|cf|approx|dr|mr|mrs|ms)\.)\s*$", re.IGNORECASE)
_VAGUE = re.compile(
    r"\b(?:etc|and so on|and so forth|and the like|or something (?:like|similar)|or similar"
    r"|somehow|maybe|perhaps|try to|and/or|as you see fit"
    r"|(?:if|as|where) (?:appropriate|applicable|needed|necessary|required|possible|suitable)"
    r"|as far as possible|as much as possible|appropriately|adequately|reasonably)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Unclear:
    """One place in a prompt that leaves a reader in doubt.

    Attributes:
        path: Of the prompt in the document.
        sentence: As it stands there.
        why: In words.
    """

    path: Path
    sentence: str
    why: str


def prompts(workflow: Workflow) -> tuple[State, ...]:
    """The states that ask a model something, in document order. Pure."""
    states = workflow.states.values()
    return tuple(s for s in states if s.kind is StateKind.PROMPT and (s.prompt or "").strip())


def prompt_path(state: State) -> Path:
    """Where the prompt of *state* stands in the document. Pure."""
    return (*state.origin, "prompt")


def sentences(text: str) -> tuple[str, ...]:
    """Return *text* cut into sentences and lines that together are the text again. Pure.

    What ends with an abbreviation or a bare number, or goes on in lower case, is not cut there,
    even if the line ends.
    """
    found: list[str] = []
    for part in cut(text):
        if found and _goes_on(found[-1], part):
            found[-1] += part
        else:
            found.append(part)
    return tuple(found)


def _goes_on(before: str, part: str) -> bool:
    lower = part[:1].islower()
    if before.endswith("\n"):  # a line that was broken to fit a page
        return lower and bool(before.strip()) and before.rstrip()[-1] not in ".!?:"
    wordless = not re.search(r"[^\W\d_]{2}", before)
    return wordless or bool(_ABBREVIATION.search(before)) or lower


def words(sentence: str) -> tuple[str, ...]:
    """The words of *sentence*, case folded; a placeholder is one. Pure."""
    return tuple(word.casefold() for word in _WORD.findall(PLACEHOLDER.sub(" x ", sentence)))


def unclear(workflow: Workflow) -> tuple[Unclear, ...]:
    """Return every unclear place in the prompts, in the order of the file. Pure."""
    return tuple(
        Unclear(prompt_path(state), sentences(state.prompt or "")[index].strip(), why)
        for state in prompts(workflow)
        for index, why in doubts(state.prompt or "")
    )


def doubts(text: str) -> Iterator[tuple[int, str]]:
    """Yield the index of each unclear one among the `sentences` of *text*, and why. Pure."""
    again, against = repeated(text), contradictory(text)
    for index, sentence in enumerate(sentences(text)):
        if index in again:
            yield index, "it is said twice"
            continue  # what else is wrong with it was told the first time
        if len(words(sentence)) > LONG:
            yield index, f"it has more than {LONG} words"
        if vague := _VAGUE.search(sentence):
            yield index, f"'{vague[0]}' can mean anything"
        if any(part in sentence for part in against):
            yield index, "another sentence asks for the answer alone"


def repeated(text: str) -> tuple[int, ...]:
    """Indexes of the `sentences` of *text* that stand there before, in other case or space. Pure.

    What reads different variables is not the same, nor is what ends differently.
    """
    seen: set[str] = set()
    found = []
    for index, sentence in enumerate(sentences(text)):
        key = plain(sentence)
        if key in seen and len(words(sentence)) >= REPEATED:
            found.append(index)
        seen.add(key)
    return tuple(found)


def plain(sentence: str) -> str:
    """What sentences share that differ in letter case and white space alone. Pure."""
    return " ".join(sentence.casefold().split())
