"""What happened when a workflow ran once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from finetune_fsm.codec import LATER
from finetune_fsm.errors import LLMErrorKind
from finetune_fsm.knowledge.model import Retrieved
from finetune_fsm.llm.base import Usage


class RunStatus(StrEnum):
    """How a rollout ended: at the end, on an error, or because somebody stopped it."""

    COMPLETED = "completed"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class ToolUse:
    """One call of a tool.

    Attributes:
        name: Of the tool, as the model wrote it.
        arguments: As the model wrote them.
        result: What came back, as the model was told it, cut.
        error: Why nothing useful did, as the model was told it, or empty.
        seconds: Wall time.
    """

    name: str
    arguments: Mapping[str, object] = field(default_factory=dict)
    result: str = ""
    error: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Visit:
    """One state, visited once.

    Attributes:
        state: Name, as in the trace; a child workflow's is ``S_ref_<child state>``.
        kind: The state's kind.
        prompt: What was sent or asked, placeholders filled in; empty for a transition.
        completion: The reply or the answer; empty for a transition.
        next: Name of the state that followed, or empty when the visit failed.
        routed: Whether a model chose `next`.
        error: Why it failed, or empty.
        usage: LLM calls of this visit, routing included.
        retrieved: What a knowledge base gave to the prompt, the nearest first.
        without_context: Why the knowledge base gave nothing, or empty.
        tools: Calls of tools, in order.
    """

    state: str
    kind: str
    prompt: str = ""
    completion: str = ""
    next: str = ""
    routed: bool = False
    error: str = ""
    usage: Usage = field(default_factory=Usage)
    retrieved: tuple[Retrieved, ...] = field(default=(), metadata=LATER)
    without_context: str = field(default="", metadata=LATER)
    tools: tuple[ToolUse, ...] = field(default=(), metadata=LATER)

    def without_texts(self) -> Visit:
        """Return the same with nothing of what was asked and said."""
        tools = tuple(replace(use, arguments={}, result="", error="") for use in self.tools)
        return replace(self, prompt="", completion="", tools=tools)


@dataclass(frozen=True, slots=True)
class RunError:
    """Why a rollout failed, and in which state.

    Attributes:
        state: Name, as in the trace; empty when it failed before the first state.
        message: One or a few sentences.
        kind: What was wrong with the model's reply, or None when it failed for another reason.
    """

    state: str
    message: str
    kind: LLMErrorKind | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a model said of what a rollout left behind.

    Attributes:
        question: A digest of what was asked; equal questions about one rollout are asked once.
        model: Who was asked.
        holds: The answer; None when there was none that could be used.
        reason: Why, a sentence of the model, or why there is no answer.
        usage: What it took.
    """

    question: str
    model: str
    holds: bool | None
    reason: str = ""
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class Rollout:
    """One execution of a workflow.

    Attributes:
        status: How it ended.
        visits: In order.
        visited: Names in order, with ``end`` last when it was reached, however it was.
        variables: All variables at the end, the saved ones among them.
        error: Set when `status` is failed.
        warnings: What a person should know, such as an unknown placeholder; each once.
        seconds: Wall time.
        judgements: What a model said of it, where a scenario asks for that.
        further: Other draws of the same scenario, where it asks for several.
    """

    status: RunStatus
    visits: tuple[Visit, ...] = ()
    visited: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    error: RunError | None = None
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    judgements: tuple[Judgement, ...] = ()
    further: tuple[Rollout, ...] = ()

    def without_texts(self) -> Rollout:
        """Return the same with nothing of what was asked, said and saved."""
        visits = tuple(visit.without_texts() for visit in self.visits)
        judgements = tuple(replace(judgement, reason="") for judgement in self.judgements)
        further = tuple(rollout.without_texts() for rollout in self.further)
        return replace(self, visits=visits, variables={}, judgements=judgements, further=further)

    @property
    def tools(self) -> tuple[ToolUse, ...]:
        """Calls of tools of all visits, in order."""
        return tuple(use for visit in self.visits for use in visit.tools)

    @property
    def usage(self) -> Usage:
        """LLM calls of all visits."""
        return sum((visit.usage for visit in self.visits), Usage())

    @property
    def spent(self) -> Usage:
        """LLM calls of all visits, of the judge, and of further draws."""
        judged = sum((judgement.usage for judgement in self.judgements), Usage())
        return sum((rollout.spent for rollout in self.further), self.usage + judged)
