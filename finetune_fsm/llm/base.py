"""What every model provider takes, gives and promises."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from finetune_fsm.codec import LATER, canonical
from finetune_fsm.errors import Cancelled

DEFAULT_REPLY_TOKENS = 1024
"""``num_predict`` of a request that sets none: a reply must end some day."""

REPLY_LIMIT = 1_000_000
"""Characters of one reply at most, whatever the server sends."""


class Purpose(StrEnum):
    """Why a model is asked; scripted replies and call counts are told apart by it."""

    STATE = "state"
    ROUTE = "route"
    TESTS = "tests"
    ANALYSIS = "analysis"
    PROPOSAL = "proposal"
    JUDGE = "judge"


@dataclass(frozen=True, slots=True)
class Tool:
    """Something that a model may ask to be done.

    Attributes:
        name: What the model calls it; letters, digits, ``_`` and ``-``.
        description: What it is for, in words.
        parameters: JSON Schema of its arguments, an object.
    """

    name: str
    description: str
    parameters: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's wish that a tool be used.

    Attributes:
        name: Of the tool, as the model wrote it.
        arguments: As the model wrote them; nobody has checked them.
        id: What the answer has to name; empty when the server gives none.
        problem: Why this is no call that can be made, a sentence for the model, such as that its
            arguments are no JSON object; empty for a call that can. The arguments are empty then.
    """

    name: str
    arguments: Mapping[str, object] = field(default_factory=dict)
    id: str = ""
    problem: str = field(default="", metadata=LATER)

    @property
    def text(self) -> str:
        """The call on one line, such as ``add {"a":1,"b":2}``."""
        return f"{self.name} {canonical(self.arguments)}"


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat.

    Attributes:
        role: ``system``, ``user``, ``assistant``, or ``tool`` for what a tool gave back.
        content: The text.
        images: Raw bytes of pictures that go with the text.
        tool_calls: What an assistant asked for in this turn.
        answers: The `ToolCall.id` that a tool's turn is the answer to.
        tool: Its `ToolCall.name`.
    """

    role: str
    content: str
    images: tuple[bytes, ...] = ()
    tool_calls: tuple[ToolCall, ...] = field(default=(), metadata=LATER)
    answers: str = field(default="", metadata=LATER)
    tool: str = field(default="", metadata=LATER)

    @property
    def text(self) -> str:
        """The turn as text: what is said, then each call on a line of its own."""
        if not self.tool_calls:
            return self.content
        said = (self.content,) if self.content else ()
        return "\n".join((*said, *(call.text for call in self.tool_calls)))


@dataclass(frozen=True, slots=True)
class Request:
    """One question to a model; equal requests are the same question.

    Attributes:
        model: Name of the model; the embedded engine has only one and ignores it.
        messages: The chat so far, oldest first, at least one.
        options: Ollama's names: temperature, seed, num_ctx, num_predict, top_p, top_k, stop, …
        schema: JSON Schema that the reply must fit (constrained decoding), or None.
        purpose: Why it is asked.
        reuse_prefix: Whether the server may reuse work on a shared prefix. Off for rollouts:
            reuse changes the arithmetic and so, rarely, the reply.
        label: Where it is asked, for people: a state's name or a step of the loop.
        draw: The how-manieth time the same question is asked, 0 the first; it makes another
            question of it for whoever remembers answers, and no provider looks at it.
        tools: What the model may ask for; it need not.
    """

    model: str
    messages: tuple[Message, ...]
    options: Mapping[str, object] = field(default_factory=dict)
    schema: Mapping[str, object] | None = None
    purpose: Purpose = Purpose.STATE
    reuse_prefix: bool = False
    label: str = ""
    draw: int = 0
    tools: tuple[Tool, ...] = field(default=(), metadata=LATER)

    @property
    def text(self) -> str:
        """All turns as one text, for estimates and scripts; the tools offered are not in it."""
        return "\n".join(message.text for message in self.messages)


@dataclass(frozen=True, slots=True)
class Completion:
    """A whole reply: the stream ended properly.

    Attributes:
        text: Exactly what the model wrote, without its thinking; often empty beside `tool_calls`.
        prompt_tokens: Tokens read; 0 when the server does not say.
        completion_tokens: Tokens written; 0 when the server does not say.
        seconds: Wall time from sending to the last token.
        cut: Whether it stopped at a token limit and not by itself.
        cached: Whether it was kept from an earlier run and no model was asked.
        retries: How often the request was sent again before it came.
        tool_calls: What the model wants done before it goes on, in its order.
    """

    text: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    cut: bool = False
    cached: bool = False
    retries: int = 0
    tool_calls: tuple[ToolCall, ...] = field(default=(), metadata=LATER)


OnText = Callable[[str], None]
"""Called with each piece of a reply as it arrives, and with none of it while the model thinks."""


class Stop:
    """A flag that a person raises and every wait looks at; safe across threads and signals."""

    __slots__ = ("_asked",)

    def __init__(self) -> None:
        self._asked = False

    def ask(self) -> None:
        """Ask for a stop; nothing happens at once, so a signal handler may call it."""
        self._asked = True

    @property
    def asked(self) -> bool:
        """Whether somebody asked."""
        return self._asked

    def check(self) -> None:
        """Raise `Cancelled` when somebody asked."""
        if self._asked:
            raise Cancelled

    def again(self, why: str = "") -> None:
        """Take note that a request is about to be sent once more; a budget may not allow it.

        Args:
            why: A sentence for people, when they have to wait for it.

        Raises:
            Cancelled: as `check` does.
        """
        del why
        self.check()

    def tell(self, what: str) -> None:
        """Take *what*, a sentence for people who wait; nobody hears it unless somebody listens."""
        del what

    def pause(self, seconds: float, number: int, tries: int) -> None:
        """Take note that try *number* of *tries* begins in so many *seconds*."""
        del seconds, number, tries


class Embedder(Protocol):
    """What turns texts into vectors. Safe to call from several threads at once."""

    def embed(
        self, model: str, texts: Sequence[str], *, stop: Stop | None = None
    ) -> tuple[tuple[float, ...], ...]:
        """Return a vector for each of *texts*, in order, all of the same length.

        Raises:
            LLMError: there are none, after the provider's own retries.
            Cancelled: *stop* was asked for.
        """
        ...


class LLM(Embedder, Protocol):
    """A source of replies and of vectors. Safe to call from several threads at once."""

    @property
    def name(self) -> str:
        """What people call it, such as ``Ollama at http://localhost:11434``."""
        ...

    @property
    def slots(self) -> int:
        """How many requests it serves at the same time; 1 or more."""
        ...

    def complete(
        self, request: Request, *, on_text: OnText | None = None, stop: Stop | None = None
    ) -> Completion:
        """Return the whole reply to *request*.

        Raises:
            LLMError: no usable reply, after the provider's own retries.
            Cancelled: *stop* was asked for; checked between tokens.
        """
        ...

    def models(self) -> tuple[str, ...]:
        """Return the names of the models it has, sorted.

        Raises:
            LLMError: the server does not answer.
        """
        ...

    def fingerprint(self, model: str, *, stop: Stop | None = None) -> str:
        """Return what tells the weights called *model* from others of that name.

        Empty when the provider does not say; its replies are then never kept for other runs.

        Raises:
            LLMError: the server does not answer.
            Cancelled: *stop* was asked for while it did not.
        """
        ...

    def close(self) -> None:
        """Free what is held open; calling it twice is harmless."""
        ...


def estimated_tokens(text: str) -> int:
    """Return a cautious estimate of *text*'s tokens: a third of its UTF-8 bytes. Pure."""
    return len(text.encode("utf-8", "replace")) // 3 + 1


@dataclass(frozen=True, slots=True)
class Usage:
    """What was spent on models; adds up.

    Attributes:
        calls: Questions asked.
        prompt_tokens: Tokens read.
        completion_tokens: Tokens written.
        seconds: Time waited, summed over calls that ran side by side.
        cached: Replies kept from earlier runs, which cost nothing.
        retries: Times that one of them had to be sent again.
        kept_tokens: Tokens that the kept replies once took.
    """

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    cached: int = 0
    retries: int = 0
    kept_tokens: int = field(default=0, compare=False)  # spent by another run, not by this one

    @property
    def requests(self) -> int:
        """What a server was sent."""
        return self.calls + self.retries

    @property
    def tokens(self) -> int:
        """Tokens read and written."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.calls + other.calls,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.seconds + other.seconds,
            self.cached + other.cached,
            self.retries + other.retries,
            self.kept_tokens + other.kept_tokens,
        )

    def __sub__(self, other: Usage) -> Usage:
        return Usage(
            self.calls - other.calls,
            self.prompt_tokens - other.prompt_tokens,
            self.completion_tokens - other.completion_tokens,
            self.seconds - other.seconds,
            self.cached - other.cached,
            self.retries - other.retries,
            self.kept_tokens - other.kept_tokens,
        )

    @classmethod
    def of(cls, completion: Completion) -> Usage:
        """The usage of one call."""
        if completion.cached:
            kept = completion.prompt_tokens + completion.completion_tokens
            return cls(cached=1, kept_tokens=kept)
        return cls(
            calls=1,
            prompt_tokens=completion.prompt_tokens,
            completion_tokens=completion.completion_tokens,
            seconds=completion.seconds,
            retries=completion.retries,
        )
