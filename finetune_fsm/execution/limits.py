"""How a workflow runs and when it must end."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from finetune_fsm.errors import Cancelled
from finetune_fsm.knowledge.model import Given
from finetune_fsm.llm.base import Stop

SEEDS = 2**31
"""How many seeds there are, from 0 on: some servers take 32 bits with a sign."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How one rollout is made.

    Attributes:
        defaults: Sampling options that hold where a state says nothing.
        max_steps: States visited at most.
        max_seconds: Seconds of work at most; waiting for a person's answer does not count.
        strict: Whether a file that cannot be read is an error instead of a warning.
        fatal_raises: Whether errors that say the world is broken (`errors.FATAL`) leave the run as
            exceptions, past every `on_error`. Evaluations want it: a server that is down says
            nothing about the workflow.
        draw: The how-manieth rollout of the same scenario this is, 0 the first.
        documents: What stands for the search of any knowledge base, or None.
        tool_rounds: Times that a state's model may ask for tools before it has to answer.
    """

    defaults: Mapping[str, object] = field(default_factory=dict)
    max_steps: int = 100
    max_seconds: float = 3600.0
    strict: bool = False
    fatal_raises: bool = False
    draw: int = 0
    documents: tuple[Given, ...] | None = None
    tool_rounds: int = 8

    def sampling(self, own: Mapping[str, object]) -> Mapping[str, object]:
        """Return the options of a request: the defaults, and a state's *own* before them. Pure.

        A later draw has another seed, so that a warm model may reply otherwise. A seed that a
        state names stays, as one below 0 does, which asks for another reply every time anyway.
        """
        options = {**self.defaults, **own}
        seed = options.get("seed")
        if self.draw and "seed" not in own and type(seed) is int and seed >= 0:
            options["seed"] = (seed + self.draw) % SEEDS
        return options


class Deadline(Stop):
    """The caller's stop flag with a clock beside it, so that a limit holds inside a call too.

    Args:
        seconds: From now on.
        outer: The caller's flag, or None.
    """

    __slots__ = ("_end", "_outer")

    def __init__(self, seconds: float, outer: Stop | None = None) -> None:
        super().__init__()
        self._end = time.monotonic() + seconds
        self._outer = outer

    @property
    def expired(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() >= self._end

    @property
    def wanted(self) -> bool:
        """Whether somebody asked, whatever the clock says."""
        return self._asked or (self._outer is not None and self._outer.asked)

    @property
    def asked(self) -> bool:
        """Whether to stop, for either reason."""
        return self.wanted or self.expired

    def check(self) -> None:
        """Raise `Cancelled`, or what the outer flag raises, when there is a reason to stop."""
        if self._outer is not None:
            self._outer.check()  # it knows its own reasons
        if self.asked:
            raise Cancelled

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let no time pass inside the block: a person is thinking."""
        started = time.monotonic()
        try:
            yield
        finally:
            self._end += time.monotonic() - started
