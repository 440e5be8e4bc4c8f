"""Which of several servers is asked next, and what is known of each; no request is made here."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from finetune_fsm.errors import LLMError
from finetune_fsm.llm.base import LLM
from finetune_fsm.llm.several import differ

FIRST_PAUSE = 1.0
"""Seconds that a server is left out after it broke; doubled each time that it breaks again."""

LONGEST_PAUSE = 60.0
"""Seconds that a server is left out at most, unless it asks for more itself."""


class Rank(IntEnum):
    """In which order servers are taken."""

    DUE = 0  # its pause is over, and nobody looks yet
    WELL = 1
    RESTING = 2  # only when no other is left: it may be back early
    LACKING = 3  # the same: the model may have come since


@dataclass(eq=False, slots=True)
class Server:
    """One server, and what is known of it.

    Attributes:
        llm: The way to it.
        under_way: Requests that it has.
        pause: Seconds it is left out; 0 while it is well.
        until: When that ends, by the roster's clock.
        breaks: How often it broke.
        told: Whether people know that it is not well, or will with the next `news`.
        met: Models whose weights were compared since it broke last.
        lacks: Models that it does not have.
        strange: Models that it came back with other weights of.
    """

    llm: LLM
    under_way: int = 0
    pause: float = 0.0
    until: float = 0.0
    breaks: int = 0
    told: bool = False
    met: set[str] = field(default_factory=set)
    lacks: set[str] = field(default_factory=set)
    strange: set[str] = field(default_factory=set)

    @property
    def load(self) -> float:
        """Requests that it has for each that it serves at the same time."""
        return self.under_way / self.llm.slots

    def rank(self, model: str, now: float) -> Rank:
        """Return how readily it is asked for *model*."""
        if model in self.lacks:
            return Rank.LACKING
        if not self.pause:
            return Rank.WELL
        return Rank.RESTING if now < self.until or self.under_way else Rank.DUE


@dataclass(frozen=True, slots=True)
class Seat:
    """One request's place at a server.

    Attributes:
        server: Which.
        breaks: How often it had broken when the place was taken: what is heard of it later, of a
            request from before it broke, is no news.
        due: Whether it has to be looked at first.
    """

    server: Server
    breaks: int
    due: bool = False


class Roster:
    """The servers; safe to use from several threads.

    Args:
        members: In the order they were named.
        clock: Seconds that only grow.
    """

    def __init__(
        self, members: Sequence[LLM], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.servers = tuple(Server(llm) for llm in members)
        self._clock = clock
        self._turn = 0
        self._weights: dict[str, tuple[str, str]] = {}  # by model: digest, and who has it
        self._news: list[tuple[Server, LLMError]] = []
        self._lock = threading.Lock()

    def take(self, model: str, asked: Collection[Server] = ()) -> Seat | None:
        """Take a place at the server with the least load; those that are idle take turns.

        Args:
            model: What the request is for.
            asked: Servers that had the request already.

        Returns:
            The place, to be given back with `leave`; None when all were asked.
        """
        with self._lock:
            now, count = self._clock(), len(self.servers)
            ranked = [
                (server.rank(model, now), server.load, (index - self._turn) % count, index)
                for index, server in enumerate(self.servers)
                if server not in asked and model not in server.strange
            ]
            if not ranked:
                return None
            rank, _, _, index = min(ranked)
            self._turn = index + 1
            server = self.servers[index]
            server.under_way += 1
            return Seat(server, server.breaks, rank is Rank.DUE)

    def leave(self, seat: Seat) -> None:
        """Give the place back."""
        with self._lock:
            seat.server.under_way -= 1

    def answered(self, seat: Seat) -> bool:
        """Take note that the server is there, unless it broke since; whether that is news."""
        server = seat.server
        with self._lock:
            if not server.pause or seat.breaks != server.breaks:
                return False
            server.pause = 0.0
            told, server.told = server.told, False
        return told

    def broke(self, seat: Seat, error: LLMError) -> None:
        """Leave the server out for a while, for at least as long as *error* asks."""
        server = seat.server
        with self._lock:
            if seat.breaks != server.breaks:
                return  # another request that it had said so, and nothing doubles
            server.breaks += 1
            server.met.clear()
            server.pause = min(LONGEST_PAUSE, server.pause * 2 or FIRST_PAUSE)
            server.until = self._clock() + max(server.pause, error.retry_after or 0.0)
            if not server.told:
                server.told = True
                self._news.append((server, error))

    def lacks(self, seat: Seat, model: str, error: LLMError) -> None:
        """Ask the others first for *model* from now on, as *error* says that it is not there."""
        server = seat.server
        with self._lock:
            if model not in server.lacks:
                self._news.append((server, error))
            server.lacks.add(model)
            server.met.discard(model)

    def news(self) -> Sequence[tuple[Server, LLMError]]:
        """Return who was left out since this was last called, and why."""
        if not self._news:
            return ()
        with self._lock:
            news, self._news = self._news, []
        return news

    def has(self, seat: Seat, model: str) -> None:
        """Take note that the server answered for *model*."""
        if model in seat.server.lacks:
            with self._lock:
                seat.server.lacks.discard(model)

    def compare(self, seat: Seat, model: str, digest: str) -> bool:
        """Whether the server's weights of *model*, with *digest*, are those of the others.

        The first that has any decides. One without any is asked last.

        Raises:
            UsageError: it has others, and did not bring them back from a break.
        """
        server = seat.server
        with self._lock:
            if digest:
                self._weights.setdefault(model, (digest, server.llm.name))
            known, where = self._weights.get(model, ("", ""))
            if digest and digest != known:
                if not server.breaks:
                    raise differ(model, (known, where), (digest, server.llm.name))
                server.strange.add(model)  # a night's work need not end for it
                return False
            if seat.breaks == server.breaks:
                server.met.add(model)
            if digest != known:
                server.lacks.add(model)
            return digest == known

    def settle(self, model: str, digest: str, where: str) -> None:
        """Begin anew with *digest* for *model*, which the server *where* has; empty for none."""
        with self._lock:
            self._weights.pop(model, None)
            if digest:
                self._weights[model] = digest, where
            for server in self.servers:
                server.met.discard(model)
                server.strange.discard(model)
