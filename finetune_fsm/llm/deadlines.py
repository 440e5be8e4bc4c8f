"""Deadlines over any stream, in time that we run, and a stop that works while a server is silent.

A time limit of an HTTP library holds for one read: a server that sends a byte now and then never
reaches it. Here a thread reads, the caller waits at a queue with a clock in hand, and when the
caller gives up, the connection is cut under the thread so that it ends and the server notices.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, Full, Queue
from typing import TypeVar

from finetune_fsm.errors import LLMError, LLMErrorKind
from finetune_fsm.llm.base import Stop

T = TypeVar("T")

POLL = 0.1
"""Seconds between two looks at the stop flag while nothing arrives."""

PAUSE = 0.5
"""Seconds between two looks at a clock of ours, beyond which we did not run."""

_OPENED = (".connect_tcp.complete", ".connect_unix_socket.complete", ".start_tls.complete")

_AHEAD = 256  # items read ahead of a slow consumer; bounds memory, not speed


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long one try may take, in seconds as `Running` counts them.

    Attributes:
        first_token: From sending to the first item; a server may have to load the model.
        idle: Between two items.
        total: From sending to the last item.
    """

    first_token: float = 120.0
    idle: float = 60.0
    total: float = 600.0


class Running:
    """The seconds since it was made, pauses of the process left out.

    Who presses Ctrl+Z, or whose container is frozen, comes back to a clock that went on. A server's
    answer that waits in the socket would be late at once. So this is looked at all the while that
    something is waited for, and of a longer time between two looks only `PAUSE` counts.

    Args:
        clock: Seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = clock()
        self._seconds = 0.0

    def __call__(self) -> float:
        """Return them, and count from here."""
        now = self._clock()
        self._seconds += min(now - self._last, PAUSE)
        self._last = now
        return self._seconds


class Connection:
    """The connection of one call, so that another thread can cut it.

    Hand `trace` to httpx as ``extensions={"trace": connection.trace}``, with a client that keeps
    no connection alive: a reused one is not announced.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._cut = False

    @property
    def is_cut(self) -> bool:
        """Whether the caller has given up."""
        return self._cut

    def trace(self, event: str, info: Mapping[str, object]) -> None:
        """Note the socket that httpcore has just opened, or wrapped in TLS."""
        find = getattr(info.get("return_value"), "get_extra_info", None)
        if find is None or not event.endswith(_OPENED):
            return
        self.hold(find("socket"))

    def hold(self, opened: socket.socket) -> None:
        """Note the socket that was just *opened*; breaks it off when that was asked for before."""
        with self._lock:
            self._socket = opened
            cut = self._cut
        if cut:
            self.cut()

    def cut(self) -> None:
        """Break the connection off now, or as soon as it opens; twice is harmless."""
        with self._lock:
            self._cut = True
            opened = self._socket
        if opened is not None:
            # Closing would not wake a thread that waits in recv(); shutting down does.
            with suppress(OSError, ValueError):
                opened.shutdown(socket.SHUT_RDWR)


@dataclass(frozen=True, slots=True)
class _End:
    error: BaseException | None = None


def guarded(
    open_stream: Callable[[Connection], Iterator[T]],
    *,
    timeouts: Timeouts,
    who: str,
    stop: Stop | None = None,
) -> Generator[T, None, None]:
    """Yield what *open_stream* yields, for as long as it keeps to *timeouts*.

    Everything that may block (connecting, sending, reading) belongs inside *open_stream*: it runs
    in a thread of its own. Closing this iterator early cuts the connection.

    Args:
        open_stream: Given the connection to note, returns the items.
        timeouts: Limits, in seconds.
        who: Names the server in messages, such as ``Ollama at http://localhost:11434``.
        stop: Looked at every `POLL` seconds, also while nothing arrives.

    Raises:
        LLMError: a limit was passed.
        Cancelled: *stop* was asked for.
        Exception: whatever *open_stream* raised.
    """
    connection = Connection()
    items: Queue[T | _End] = Queue(_AHEAD)
    threading.Thread(
        target=_read, args=(open_stream, connection, items), name="llm-reader", daemon=True
    ).start()
    try:
        yield from _arriving(items, timeouts, who, stop)
    finally:
        connection.cut()


def _read(
    open_stream: Callable[[Connection], Iterator[T]],
    connection: Connection,
    items: Queue[T | _End],
) -> None:
    end = _End()
    try:
        for item in open_stream(connection):
            if not _offer(items, item, connection):
                return
    except BaseException as error:  # noqa: BLE001  # raised again where the caller waits
        end = _End(error)
    _offer(items, end, connection)


def _offer(items: Queue[T | _End], item: T | _End, connection: Connection) -> bool:
    while not connection.is_cut:
        with suppress(Full):
            items.put(item, timeout=POLL)
            return True
    return False


def _arriving(
    items: Queue[T | _End], timeouts: Timeouts, who: str, stop: Stop | None
) -> Iterator[T]:
    now, total_end = Running(), timeouts.total
    kind, limit = LLMErrorKind.TIMEOUT_FIRST_TOKEN, timeouts.first_token
    while True:
        item_end = now() + limit
        late = _late(kind, limit, who) if item_end < total_end else _late_total(timeouts, who)
        item = _next(items, now, min(item_end, total_end), late, stop)
        if isinstance(item, _End):
            if item.error is not None:
                raise item.error
            return
        if now() > total_end:  # a flood never waits, so it is asked here
            raise _late_total(timeouts, who)
        yield item
        kind, limit = LLMErrorKind.TIMEOUT_IDLE, timeouts.idle


def _next(
    items: Queue[T | _End], now: Running, end: float, late: LLMError, stop: Stop | None
) -> T | _End:
    while True:
        if stop:
            stop.check()
        wait = max(0.0, min(POLL, end - now()))
        try:
            return items.get(timeout=wait) if wait else items.get_nowait()
        except Empty:
            if now() >= end:
                raise late from None


def _late(kind: LLMErrorKind, seconds: float, who: str) -> LLMError:
    if kind is LLMErrorKind.TIMEOUT_FIRST_TOKEN:
        hint = (
            "it may still be loading the model or serving others: try again, or allow more time "
            "with AGENTMECH_TIMEOUT, in seconds"
        )
        return LLMError(kind, f"{who} sent nothing for {seconds:g} s", hint=hint)
    hint = "look at the server's log, or allow more time with AGENTMECH_TIMEOUT, in seconds"
    return LLMError(kind, f"{who} fell silent for {seconds:g} s within a reply", hint=hint)


def _late_total(timeouts: Timeouts, who: str) -> LLMError:
    return LLMError(
        LLMErrorKind.TIMEOUT_TOTAL,
        f"the reply of {who} was not complete after {timeouts.total:g} s",
        hint="lower num_predict, take a smaller model, or allow more time with AGENTMECH_TIMEOUT",
    )
