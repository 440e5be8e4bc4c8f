"""What a template is: a form with blanks, and how its states are built. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

Texts = Mapping[str, str]
"""What stands in the blanks, by their names."""

States = dict[str, object]


@dataclass(frozen=True, slots=True)
class Blank:
    """One text to fill in.

    Attributes:
        name: The key under which a model writes it.
        wanted: What to write, in words.
        usual: What stands there when the model wrote nothing usable.
        question: Whether it is one line for a person, not an instruction to a model.
    """

    name: str
    wanted: str
    usual: str
    question: bool = False


@dataclass(frozen=True, slots=True)
class Template:
    """One kind of workflow.

    Attributes:
        name: As ``--template`` takes it.
        summary: What it is for, in one sentence.
        shape: Its steps, told to the model that fills the blanks.
        blanks: What is filled in.
        words: Beginnings of words in a description that speak for it.
        states: Builds the states, the first of them the start.
    """

    name: str
    summary: str
    shape: str
    blanks: tuple[Blank, ...]
    words: tuple[str, ...]
    states: Callable[[Texts], States]
