"""What a person wants beyond tests that pass: one of five words, or any text."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from finetune_fsm.errors import UsageError
from finetune_fsm.schema import suggestion
from finetune_fsm.sinks import one_line, visible

GOAL_LIMIT = 300
"""Characters of a goal in words: as many as a proposal is told of a change."""


class GoalKind(StrEnum):
    """The goals that are measured, and the one that a judge is asked about."""

    TOKENS = "tokens"
    LATENCY = "latency"
    LENGTH = "length"
    ROBUSTNESS = "robustness"
    CLARITY = "clarity"
    TEXT = "text"


MEASURED = tuple(kind for kind in GoalKind if kind is not GoalKind.TEXT)
"""Those that need no judge; a person names them by their word."""


@dataclass(frozen=True, slots=True)
class Goal:
    """One goal.

    Attributes:
        kind: Which.
        text: What was asked for, in the person's words; the kind's word for those measured.
    """

    kind: GoalKind
    text: str

    @property
    def is_text(self) -> bool:
        """Whether a judge has to say who is better."""
        return self.kind is GoalKind.TEXT


def parse_goal(text: str) -> Goal:
    """Return the goal that *text* names, or that it tells in words. Pure.

    Raises:
        UsageError: it is empty, longer than `GOAL_LIMIT`, holds characters that cannot be seen, or
            is a single word that looks like a misspelt one of the five.
    """
    said, words = text.strip(), [kind.value for kind in MEASURED]
    listed = f"{', '.join(words[:-1])} or {words[-1]}"
    if not said:
        raise UsageError(f"a goal needs words: {listed}, or a sentence of your own")
    if said in words:
        return Goal(GoalKind(said), said)
    if len(said) > GOAL_LIMIT:
        raise UsageError(f"a goal has {GOAL_LIMIT} characters at most, this one has {len(said)}")
    if visible(said) != said or any(mark in said for mark in "\n\t"):
        raise UsageError("a goal is one line, without characters that cannot be seen")
    near = suggestion(said, words) if len(said.split()) == 1 else ""
    if near:
        shown = one_line(said, limit=80)
        raise UsageError(f"no goal is called '{shown}' — {near} Or write a sentence")
    return Goal(GoalKind.TEXT, said)
