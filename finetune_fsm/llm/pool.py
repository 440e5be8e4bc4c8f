"""Several servers as one model: the least loaded one answers, and a dead one drains to the others.

Nothing runs in the background. A server that broke is left out for a while, and whichever request
comes after the pause looks whether it is there again. Only servers with the same weights answer
for a model: with others beside them, a reply would depend on who happened to be idle.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TypeVar

from finetune_fsm.errors import LLMError, LLMErrorKind, UsageError
from finetune_fsm.llm.base import LLM, Completion, OnText, Request, Stop
from finetune_fsm.llm.deadlines import Timeouts, guarded
from finetune_fsm.llm.retry import TRIES, with_retries
from finetune_fsm.llm.room import GivenUp, Room
from finetune_fsm.llm.roster import Roster, Seat, Server
from finetune_fsm.llm.several import (
    BROKEN,
    Said,
    Stock,
    differ,
    joint,
    named,
    nobody,
    stock_of,
    union,
)
from finetune_fsm.llm.vectors import Vectors
from finetune_fsm.sinks import one_line

_SILENT = BROKEN - {LLMErrorKind.DENIED, LLMErrorKind.PROTOCOL, LLMErrorKind.SERVER}
"""What fails a look at a server: one that has no list of models, or hides it, is there."""

_OVER_IT = BROKEN - {LLMErrorKind.UNREACHABLE, LLMErrorKind.BUSY}
"""What says that a server had begun with a question, which may be the one to blame."""

T = TypeVar("T")

_LOOK = Timeouts(5.0, 5.0, 5.0)  # for a list of models


class Pool:
    """An `LLM` over several of a kind. Making one touches no network.

    A request that a server broke off goes to another at once, and then `on_text` gets the pieces
    from the start again. Only when no server is left it waits, and asks all of them again, unless
    the question seems to be what breaks them. The members had better send a request once only:
    their own retries would keep it from the others.

    Args:
        members: The servers, one or more, each safe to call from several threads.
        clock: Seconds that only grow.
        sleep: Waits so many seconds; between two rounds.
        tries: Rounds at most; and none more once so many servers broke over a question.
    """

    def __init__(
        self,
        members: Sequence[LLM],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        tries: int = TRIES,
    ) -> None:
        if not members:
            raise UsageError("a pool needs at least one server")
        self._members = tuple(members)
        self._roster = Roster(members, clock=clock)
        self._sleep = sleep
        self._tries = tries

    @property
    def name(self) -> str:
        """What people call them, such as ``Ollama at http://a:11434 and http://b:11434``."""
        return joint([llm.name for llm in self._members])

    @property
    def slots(self) -> int:
        """How many requests they serve at the same time, all in all; dead ones are counted."""
        return sum(llm.slots for llm in self._members)

    def complete(
        self, request: Request, *, on_text: OnText | None = None, stop: Stop | None = None
    ) -> Completion:
        """Return the whole reply to *request*, of the server with the least to do.

        Raises:
            LLMError: the question cannot be answered, or no server can answer any.
            UsageError: two servers have different weights of the model.
            Cancelled: *stop* was asked for.
        """

        def ask(llm: LLM, stop: Stop) -> Completion:
            return llm.complete(request, on_text=on_text, stop=stop)

        return self._asked(request.model, ask, stop or Stop())

    def embed(self, model: str, texts: Sequence[str], *, stop: Stop | None = None) -> Vectors:
        """Return a vector for each of *texts*, all of the server with the least to do.

        Raises:
            LLMError: there are none, or no server can make any.
            UsageError: two servers have different weights of the model.
            Cancelled: *stop* was asked for.
        """

        def ask(llm: LLM, stop: Stop) -> Vectors:
            return llm.embed(model, texts, stop=stop)

        return self._asked(model, ask, stop or Stop())

    def models(self) -> tuple[str, ...]:
        """Return the models that any server has, sorted: a request finds one that has its model.

        Raises:
            LLMError: no server answers.
        """
        return union(self.stocks())

    def stocks(self) -> tuple[Stock, ...]:
        """Return what each server has, in the order they were named."""
        return tuple(stock_of(llm) for llm in self._members)

    def fingerprint(self, model: str, *, stop: Stop | None = None) -> str:
        """Return what all servers that answer and have *model* say of its weights.

        Raises:
            LLMError: no server answers.
            UsageError: two of them have different weights of it.
            Cancelled: *stop* was asked for.
        """
        said: Said = []
        found: dict[str, str] = {}  # the first server by digest
        for server in self._roster.servers:
            seat = Seat(server, server.breaks)
            try:
                digest = server.llm.fingerprint(model, stop=stop)
            except LLMError as error:
                self._learn(seat, model, error, stop or Stop())
                said.append((server.llm.name, error))
            else:
                found.setdefault(digest, server.llm.name)
        if not found:
            raise nobody(said)
        pairs = [pair for pair in found.items() if pair[0]]
        if len(pairs) > 1:
            raise differ(model, pairs[0], pairs[1])
        digest, where = pairs[0] if pairs else ("", "")
        self._roster.settle(model, digest, where)
        return digest

    def close(self) -> None:
        """Free what all of them hold, whatever one of them raises; twice is harmless."""
        with ExitStack() as stack:
            for llm in self._members:
                stack.callback(llm.close)

    def _asked(self, model: str, ask: Callable[[LLM, Stop], T], stop: Stop) -> T:
        stop.check()
        room = Room(stop)
        asks = partial(self._round, model, ask, stop, room)
        try:
            return with_retries(asks, stop=room, sleep=self._sleep, tries=self._tries)
        except GivenUp as given_up:
            raise given_up.error from None

    def _round(self, model: str, ask: Callable[[LLM, Stop], T], stop: Stop, room: Room) -> T:
        """Ask one server after the other until one answers; none is sent the request twice."""
        said: dict[Server, LLMError] = {}
        looked: set[Server] = set()
        while (seat := self._roster.take(model, said)) is not None:
            server = seat.server
            with self._held(seat):
                try:
                    if seat.due and server not in looked:
                        looked.add(server)
                        _look_at(server.llm, stop)
                    if not self._fits(seat, model, stop):
                        continue
                    self._tell(stop)
                    room.use()
                    found = ask(server.llm, stop)
                except LLMError as error:
                    self._learn(seat, model, error, stop)
                    said[server] = error
                    continue
                self._roster.has(seat, model)
                self._thank(seat, stop)
                return found
        nobody_left = self._none_left(said, model)
        room.broken += sum(error.kind in _OVER_IT for error in said.values())
        if room.broken >= self._tries:
            raise GivenUp(nobody_left)
        raise nobody_left

    @contextmanager
    def _held(self, seat: Seat) -> Iterator[None]:
        try:
            yield
        finally:
            self._roster.leave(seat)

    def _fits(self, seat: Seat, model: str, stop: Stop) -> bool:
        """Whether the server's weights of *model* are the right ones; raises as `complete` does."""
        if model in seat.server.met:
            return True
        digest = seat.server.llm.fingerprint(model, stop=stop)
        fits = self._roster.compare(seat, model, digest)
        if not fits and digest:
            stop.tell(_strange(seat.server.llm.name, model))
        return fits

    def _learn(self, seat: Seat, model: str, error: LLMError, stop: Stop) -> None:
        """Take note of *error*.

        Raises:
            LLMError: the same, when it says something of the question: no other server may help.
        """
        if error.kind in BROKEN:
            self._roster.broke(seat, error)
            return
        self._thank(seat, stop)  # it is there, whatever it says
        if error.kind is not LLMErrorKind.MISSING_MODEL:
            raise error
        self._roster.lacks(seat, model, error)

    def _tell(self, stop: Stop) -> None:
        """Tell people who is left out, now that there is another to ask."""
        for server, error in self._roster.news():
            what = f"{named(server.llm.name, error)}; others are asked instead"
            _log(what)
            stop.tell(what)

    def _thank(self, seat: Seat, stop: Stop) -> None:
        """Take note that a server is there, and tell people who were told otherwise."""
        if self._roster.answered(seat):
            stop.tell(f"{seat.server.llm.name} answers again")

    def _none_left(self, said: dict[Server, LLMError], model: str) -> LLMError:
        words: Said = []
        for server in self._roster.servers:
            name, error = server.llm.name, said.get(server)
            if error is None:
                error = LLMError(LLMErrorKind.DENIED, _strange(name, model))
            words.append((name, error))
        return nobody(words)


def _look_at(llm: LLM, stop: Stop) -> None:
    """Raise an `LLMError` when nobody is there; the thread it takes ends with the look."""

    def look() -> Iterator[tuple[str, ...]]:
        yield llm.models()

    try:
        for _ in guarded(lambda _: look(), timeouts=_LOOK, who=llm.name, stop=stop):
            pass
    except LLMError as error:
        if error.kind in _SILENT:
            raise


def _strange(name: str, model: str) -> str:
    return f"{name} is left out for '{one_line(model)}': it came back with other weights of it"


def _log(what: str) -> None:
    from loguru import logger

    logger.warning("{}", what)


_: type[LLM] = Pool  # the protocol is kept, and mypy says so
