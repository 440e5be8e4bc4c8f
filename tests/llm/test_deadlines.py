from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune_fsm.errors import Cancelled, LLMError, LLMErrorKind
from finetune_fsm.llm.base import Stop
from finetune_fsm.llm.deadlines import PAUSE, Connection, Running, Timeouts, guarded

WIDE = Timeouts(5, 5, 5)


def took(call: Callable[[], object]) -> float:
    started = time.monotonic()
    call()
    return time.monotonic() - started


@settings(max_examples=30)
@given(st.lists(st.integers(), max_size=600))
def test_what_arrives_in_time_passes_unchanged(items: list[int]) -> None:
    assert list(guarded(lambda _: iter(items), timeouts=WIDE, who="x")) == items


@given(st.integers(0, 5))
@settings(max_examples=10)
def test_an_error_of_the_stream_comes_after_what_came_before_it(count: int) -> None:
    def stream(_: Connection) -> Iterator[int]:
        yield from range(count)
        raise ConnectionResetError("gone")

    got: list[int] = []
    with pytest.raises(ConnectionResetError, match="gone"):
        got.extend(guarded(stream, timeouts=WIDE, who="x"))  # keeps what came before the error
    assert got == list(range(count))


def dripping(connection: Connection) -> Iterator[int]:
    for number in itertools.count():
        if connection.is_cut:
            return
        yield number
        time.sleep(0.02)


def flooding(connection: Connection) -> Iterator[int]:
    while not connection.is_cut:
        yield 0


def silent(connection: Connection) -> Iterator[int]:
    _until_cut(connection)
    yield from ()


def silent_after_one(connection: Connection) -> Iterator[int]:
    yield 1
    _until_cut(connection)


def _until_cut(connection: Connection) -> None:
    end = time.monotonic() + 10
    while not connection.is_cut and time.monotonic() < end:
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("stream", "timeouts", "kind", "seconds"),
    [
        (silent, Timeouts(0.2, 5, 5), LLMErrorKind.TIMEOUT_FIRST_TOKEN, 0.2),
        (silent, Timeouts(5, 5, 0.2), LLMErrorKind.TIMEOUT_TOTAL, 0.2),
        (silent_after_one, Timeouts(5, 0.2, 5), LLMErrorKind.TIMEOUT_IDLE, 0.2),
        (silent_after_one, Timeouts(5, 5, 0.2), LLMErrorKind.TIMEOUT_TOTAL, 0.2),
        (dripping, Timeouts(5, 5, 0.3), LLMErrorKind.TIMEOUT_TOTAL, 0.3),
        (flooding, Timeouts(5, 5, 0.3), LLMErrorKind.TIMEOUT_TOTAL, 0.3),
    ],
)
def test_each_limit_holds_on_the_wall_clock(
    stream: Callable[[Connection], Iterator[int]],
    timeouts: Timeouts,
    kind: LLMErrorKind,
    seconds: float,
) -> None:
    def run() -> None:
        with pytest.raises(LLMError, match="Ollama at home") as caught:
            for _ in guarded(stream, timeouts=timeouts, who="Ollama at home"):
                pass
        assert caught.value.kind is kind

    assert seconds - 0.01 <= took(run) < seconds + 0.5


def test_the_whole_limit_holds_also_when_something_always_waits_to_be_taken() -> None:
    started = time.monotonic()
    items = guarded(flooding, timeouts=Timeouts(5, 5, 0.2), who="x")
    with pytest.raises(LLMError) as caught:
        any(time.sleep(0.01) for _ in itertools.islice(items, 200))
    assert caught.value.kind is LLMErrorKind.TIMEOUT_TOTAL
    assert time.monotonic() - started < 0.7


@pytest.mark.parametrize("stream", [silent, silent_after_one, dripping, flooding])
def test_a_stop_is_noticed_whatever_the_server_does(
    stream: Callable[[Connection], Iterator[int]],
) -> None:
    stop = Stop()
    asked: list[float] = []

    def ask() -> None:
        asked.append(time.monotonic())
        stop.ask()

    threading.Timer(0.15, ask).start()
    with pytest.raises(Cancelled):
        for _ in guarded(stream, timeouts=WIDE, who="x", stop=stop):
            pass
    assert time.monotonic() - asked[0] < 0.25


def test_a_slow_consumer_is_not_mistaken_for_a_slow_server() -> None:
    got = []
    for item in guarded(lambda _: iter(range(3)), timeouts=Timeouts(0.1, 0.1, 5), who="x"):
        time.sleep(0.15)
        got.append(item)
    assert got == [0, 1, 2]


def test_a_flood_is_read_ahead_only_a_little() -> None:
    made = []

    def stream(connection: Connection) -> Iterator[int]:
        for item in itertools.takewhile(lambda _: not connection.is_cut, range(10**6)):
            made.append(item)
            yield item

    items = guarded(stream, timeouts=WIDE, who="x")
    next(items)
    time.sleep(0.1)
    assert len(made) < 1000
    items.close()


@given(st.lists(st.floats(0, 100), max_size=30))
def test_of_a_pause_half_a_second_counts_and_of_all_else_everything(gaps: list[float]) -> None:
    times = itertools.accumulate(gaps, initial=5.0)
    now = Running(lambda: next(times))
    total = 0.0
    for gap in gaps:
        total += min(gap, PAUSE)
        assert now() == pytest.approx(total, abs=1e-6)


def test_leaving_early_wakes_a_reader_that_waits_at_its_socket() -> None:
    ours, theirs = socket.socketpair()
    read: list[bytes] = []
    ended = threading.Event()

    def stream(connection: Connection) -> Iterator[int]:
        connection.hold(ours)
        yield 1
        read.append(ours.recv(1))
        ended.set()

    items = guarded(stream, timeouts=WIDE, who="x")
    assert next(items) == 1
    time.sleep(0.05)  # it waits in recv() now
    items.close()
    assert ended.wait(1)
    assert read == [b""]
    ours.close()
    theirs.close()


def test_a_connection_that_opens_after_the_caller_left_is_cut_at_once() -> None:
    ours, theirs = socket.socketpair()
    connection = Connection()
    connection.cut()
    connection.hold(ours)
    assert ours.recv(1) == b""
    connection.cut()
    ours.close()
    connection.cut()
    theirs.close()
