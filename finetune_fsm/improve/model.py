"""The values between a failing suite and a draft of a better workflow."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from finetune_fsm.errors import Path
from finetune_fsm.workflow.edits import Edit


class Strategy(StrEnum):
    """A way of making a draft; the first two, and a person, need no model."""

    REPAIR = "repair"
    MERGE = "merge"
    REWRITE = "rewrite"
    ADDITION = "addition"
    ROUTES = "routes"
    REDIRECT = "redirect"
    CHOICE = "choice"
    INSERT = "insert"
    WHOLE = "whole"
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class Suspect:
    """One field of the workflow that may be to blame.

    Attributes:
        path: Where it stands in the document, such as ``("states", "greet", "prompt")``.
        reason: Why it is suspected, in words.
        requirements: What failing scenarios ask of it, in words, each once.
        scenarios: Names of the scenarios that point at it, in suite order.
        change: What the analysis asks for, or empty.
    """

    path: Path
    reason: str
    requirements: tuple[str, ...] = ()
    scenarios: tuple[str, ...] = ()
    change: str = ""

    @property
    def state(self) -> str:
        """The state as it stands in the file; empty for a field of the whole workflow."""
        return str(self.path[1]) if len(self.path) > 1 else ""

    @property
    def field(self) -> str:
        """The field's name."""
        return str(self.path[-1])


@dataclass(frozen=True, slots=True)
class Repair:
    """Edits that a rule proposes; whether they help, the suite decides.

    Attributes:
        code: The rule.
        edits: What to change.
        why: One sentence for people.
        scenarios: Names of the scenarios it is meant for.
    """

    code: str
    edits: tuple[Edit, ...]
    why: str
    scenarios: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What the analysis would change, and in which state."""

    state: str
    change: str


@dataclass(frozen=True, slots=True)
class Analysis:
    """What is wrong with the best workflow so far, and what might help.

    Attributes:
        summary: A few sentences for people.
        suggestions: What the reflection LLM would change; empty when it asks for nothing.
        suspects: Fields to change, most likely first.
        repairs: Edits that rules propose, most likely first.
        problems: Why the model's part is missing, if it is.
        asked: Whether a model was asked; until then the rules' repairs are all there is to try.
    """

    summary: str
    suggestions: tuple[Suggestion, ...] = ()
    suspects: tuple[Suspect, ...] = ()
    repairs: tuple[Repair, ...] = ()
    problems: tuple[str, ...] = ()
    asked: bool = False


@dataclass(frozen=True, slots=True)
class Attempt:
    """One entry of the plan: how, where, and the how-manieth time.

    Attributes:
        strategy: The way of making the draft.
        index: Which repair or suspect of the analysis.
        variant: 0 is greedy decoding; higher ones sample with another seed.
    """

    strategy: Strategy
    index: int
    variant: int = 0

    @property
    def free(self) -> bool:
        """Whether no model is asked for the draft."""
        return self.strategy in (Strategy.REPAIR, Strategy.MERGE, Strategy.PERSON)


@dataclass(frozen=True, slots=True)
class Draft:
    """A workflow not yet checked.

    Attributes:
        attempt: Where it came from.
        edits: What it changes in its parent.
        text: The whole YAML with the edits made.
        why: One sentence for people.
        scenarios: Names of the scenarios it is meant for.
    """

    attempt: Attempt
    edits: tuple[Edit, ...]
    text: str
    why: str
    scenarios: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rejection:
    """A draft or candidate that was not kept, and why; the model is shown the last ones.

    Attributes:
        attempt: What was tried.
        digest: Of the draft's text; empty when there was none.
        change: The edits in a few words.
        reason: Why it was not kept, one sentence.
        code: The problem's stable word when the gate or a person refused it; else empty.
    """

    attempt: Attempt
    digest: str
    change: str
    reason: str
    code: str = ""
