"""The same scenarios with inputs as people really type them: what a robust workflow puts up with.

Made by rules, no model asked; the assertions stay, so whatever changes must leave the right answer
as it was. Source of the kinds: character and layout perturbations of PromptBench (Zhu et al. 2023,
arXiv 2306.04528) and CheckList's invariance tests (Ribeiro et al. 2020, arXiv 2005.04118).
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise
from types import MappingProxyType

from finetune_fsm.improve.goals.inputs import Wanted, Word, free_words
from finetune_fsm.scenarios.model import Scenario, Suite

TYPO = 6
"""Letters of a word that is long enough to be read with two of them exchanged."""

ENGLISH = 2
"""Common English words that an input needs before an English filler is put before it."""

FILLERS = ("Please: ", "Excuse me: ", "Thank you in advance: ")
"""Polite, and of no subject: a greeting could be what a workflow sorts by."""

_COMMON = frozenset({
    "the", "is", "are", "was", "a", "an", "and", "of", "to", "in", "on", "for", "with", "my",
    "your", "i", "you", "it", "we", "they", "what", "how", "why", "where", "when", "who", "can",
    "could", "would", "do", "does", "did", "have", "has", "not", "this", "that", "please", "me",
})  # fmt: skip
_OTHERWISE = frozenset({
    "casual", "causal", "casually", "causally", "united", "untied", "unites", "unties", "martial",
    "marital", "sacred", "scared", "silver", "sliver", "cavalry", "calvary",
})  # fmt: skip
"""Words in which an exchange makes another word."""


class Kind(StrEnum):
    """How an input is changed; the value is told in the scenario's name."""

    TYPO = "typo"
    CASE = "capitals"
    SPACES = "spaces"
    ENDING = "punctuation"
    FILLER = "filler"
    BARE = "no full stop"


@dataclass(frozen=True, slots=True)
class Perturbation:
    """One scenario, perturbed.

    Attributes:
        origin: Index of the scenario that it was made of; who holds that out holds this out too.
        kind: What was changed.
        scenario: The same with one input changed and a name of its own.
    """

    origin: int
    kind: Kind
    scenario: Scenario


def perturbed(suite: Suite, seed: int, *, each: int = 1) -> Suite:
    """Return *suite* with perturbed inputs, see `perturbations`. Pure.

    It has no scenarios when none has an input that may change.
    """
    made = perturbations(suite, seed, each=each)
    return replace(suite, scenarios=tuple(one.scenario for one in made))


def perturbations(suite: Suite, seed: int, *, each: int = 1) -> tuple[Perturbation, ...]:
    """Return the scenarios of *suite* with one input of each changed, in suite order. Pure.

    Args:
        suite: The scenarios.
        seed: Says which kind comes first and which word it touches; the same seed, the same result.
        each: Variants of a scenario at most, each of another kind; with one, running them costs no
            more calls than the suite.

    Returns:
        None for a scenario without an input that may change. Kinds rotate from scenario to
        scenario. The names are new, and all different.
    """
    taken = frozenset(scenario.name for scenario in suite.scenarios)
    found = []
    for index, scenario in enumerate(suite.scenarios):
        variants = 0
        for kind in _rotated(index + seed):
            inputs = _changed(scenario, kind, seed) if variants < each else None
            if inputs is not None:
                variants += 1
                name = _name(f"{scenario.name} [{kind}]", taken)
                variant = replace(scenario, name=name, inputs=inputs)
                found.append(Perturbation(index, kind, variant))
    return tuple(found)


def _rotated(turn: int) -> tuple[Kind, ...]:
    kinds = tuple(Kind)
    start = turn % len(kinds)
    return kinds[start:] + kinds[:start]


def _name(wanted: str, taken: frozenset[str]) -> str:
    numbers = (f"{wanted[:-1]} {number}]" for number in range(2, len(taken) + 3))
    return next((n for n in (wanted, *numbers) if n not in taken), wanted)


def _changed(scenario: Scenario, kind: Kind, seed: int) -> Mapping[str, str] | None:
    """The inputs with the longest one changed that can be, or None."""
    wanted = Wanted(scenario)
    for state in sorted(scenario.inputs, key=lambda name: -len(scenario.inputs[name])):
        text = scenario.inputs[state]
        chance = random.Random(f"{seed} {kind} {text}")  # noqa: S311  # no secret
        for new in _WAYS[kind](text, free_words(text, wanted), wanted, chance):
            if new != text:
                return {**scenario.inputs, state: new}
    return None


def _typo(
    text: str, free: tuple[Word, ...], wanted: Wanted, chance: random.Random
) -> Iterator[str]:
    """Two letters within a long word exchanged; never the first or the last, by which we read."""
    long = [w for w in free if len(w.core) >= TYPO and w.core.isalpha() and w.core.islower()]
    for word in chance.sample(long, len(long)):
        places = [i for i in range(1, len(word.core) - 2) if word.core[i] != word.core[i + 1]]
        if wanted.patterns or word.core in _OTHERWISE or not places:
            continue
        at = word.start + chance.choice(places)
        yield f"{text[:at]}{text[at + 1]}{text[at]}{text[at + 2 :]}"


def _case(
    text: str, free: tuple[Word, ...], wanted: Wanted, chance: random.Random
) -> Iterator[str]:
    """Capitals throughout, as people shout; a capital within a sentence tells a name and stays."""
    del chance
    if wanted.patterns:
        return
    letters = list(text)
    for word in free:
        upper = word.core.upper()
        if (word.core.islower() or word.first) and upper.lower() == word.core.lower():
            letters[word.start : word.end] = upper
    yield "".join(letters)


def _spaces(
    text: str, free: tuple[Word, ...], wanted: Wanted, chance: random.Random
) -> Iterator[str]:
    """A space too many in one place, and the line's end in another."""
    del wanted
    gaps = [a.stop for a, b in pairwise(free) if text[a.stop : b.start] == " "]
    if gaps:
        chosen = sorted(chance.sample(gaps, min(2, len(gaps))), reverse=True)
        for at, space in zip(chosen, chance.sample(("\n", "  "), len(chosen)), strict=True):
            text = f"{text[:at]}{space}{text[at + 1 :]}"
        yield text


def _ending(
    text: str, free: tuple[Word, ...], wanted: Wanted, chance: random.Random
) -> Iterator[str]:
    """More marks at the end than there should be."""
    del chance
    last = _last(text, free)
    if last is not None:
        mark = last.marks[-1:] or "!"
        if mark in ".!?" and mark not in wanted.text:
            yield f"{text[: last.stop]}{mark if last.marks else ''}{mark}{text[last.stop :]}"


def _bare(
    text: str, free: tuple[Word, ...], wanted: Wanted, chance: random.Random
) -> Iterator[str]:
    """No mark at the end where there should be one."""
    del wanted, chance
    last = _last(text, free)
    if last is not None and last.marks in (".", "!", "?"):
        yield text[: last.end] + text[last.stop :]


def _filler(
    text: str, free: tuple[Word, ...], wanted: Wanted, chance: random.Random
) -> Iterator[str]:
    """A few polite words in front of an English sentence."""
    common = sum(word.core.lower() in _COMMON for word in free)
    if wanted.patterns or common < ENGLISH or not text[:1].isalpha():
        return
    for filler in chance.sample(FILLERS, len(FILLERS)):
        holds = any(value.casefold() in filler.casefold() for value in wanted.values)
        if not holds and not any(wanted.needs(word) for word in re.findall(r"\w+", filler)):
            yield filler + text


def _last(text: str, free: tuple[Word, ...]) -> Word | None:
    """The word that ends the text, if it may change."""
    return free[-1] if free and free[-1].stop == len(text.rstrip()) else None


_WAYS: Mapping[Kind, Callable[[str, tuple[Word, ...], Wanted, random.Random], Iterator[str]]] = (
    MappingProxyType(
        {
            Kind.TYPO: _typo,
            Kind.CASE: _case,
            Kind.SPACES: _spaces,
            Kind.ENDING: _ending,
            Kind.FILLER: _filler,
            Kind.BARE: _bare,
        }
    )
)
