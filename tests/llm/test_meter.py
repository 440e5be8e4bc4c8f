"""Budgets are exact: the call that would be one too many is never made."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_fsm.errors import BudgetSpent, Cancelled, LLMError, LLMErrorKind
from finetune_fsm.llm.base import Completion, Message, Request, Stop, Usage
from finetune_fsm.llm.meter import Budget, Meter, Metered
from finetune_fsm.llm.scripted import Reply, ScriptedLLM

REQUEST = Request("tiny", (Message("user", "hi"),))


@given(st.integers(1, 20), st.integers(0, 25), st.integers(0, 10))
def test_as_many_calls_are_made_as_are_allowed(allowed: int, wanted: int, before: int) -> None:
    llm = ScriptedLLM(lambda _: "x")
    metered = Metered(llm, Meter(Budget(calls=allowed), spent=Usage(calls=before)))
    possible = max(0, allowed - before)
    for number in range(wanted):
        if number < possible:
            metered.complete(REQUEST)
        else:
            with pytest.raises(BudgetSpent, match="calls"):
                metered.complete(REQUEST)
    assert len(llm.requests) == min(wanted, possible)


def test_side_by_side_no_call_is_one_too_many() -> None:
    def slow(_: Request) -> str:
        time.sleep(0.002)
        return "x"

    llm = ScriptedLLM(slow)
    meter = Meter(Budget(calls=17))
    metered = Metered(llm, meter)
    with ThreadPoolExecutor(16) as pool:
        futures = [pool.submit(metered.complete, REQUEST) for _ in range(60)]
        errors = [future.exception() for future in futures]
    assert sum(isinstance(error, BudgetSpent) for error in errors) == 60 - 17
    assert len(llm.requests) == 17
    assert meter.lap().calls == 17


@given(st.lists(st.integers(0, 30), max_size=10), st.integers(1, 100))
def test_no_call_begins_once_the_tokens_are_spent(sizes: list[int], allowed: int) -> None:
    left = list(sizes)
    llm = ScriptedLLM(lambda _: Completion("x", left.pop(0), 1))
    meter = Meter(Budget(tokens=allowed))
    metered = Metered(llm, meter)
    spent = 0
    for size in sizes:
        if spent >= allowed:
            with pytest.raises(BudgetSpent, match="tokens"):
                metered.complete(REQUEST)
            break
        metered.complete(REQUEST)
        spent += size + 1
    assert meter.lap().tokens == spent


def test_a_call_that_failed_was_made_all_the_same() -> None:
    meter = Meter(Budget(calls=1))
    metered = Metered(ScriptedLLM([Reply(error=LLMErrorKind.EMPTY)]), meter)
    with pytest.raises(LLMError):
        metered.complete(REQUEST)
    with pytest.raises(BudgetSpent):
        metered.complete(REQUEST)
    assert meter.lap() == Usage(calls=1)


def test_replies_of_other_runs_cost_nothing() -> None:
    llm = ScriptedLLM(lambda _: Completion("x", 5, 5, cached=True))
    meter = Meter(Budget(calls=1, tokens=1))
    metered = Metered(llm, meter)
    for _ in range(3):
        metered.complete(REQUEST)
    assert meter.lap() == Usage(cached=3)


def test_the_clock_goes_on_where_the_last_session_ended() -> None:
    now = 100.0
    meter = Meter(Budget(seconds=60), seconds=50, clock=lambda: now)
    stop = meter.timed(None)
    assert stop is not None
    assert not stop.asked
    stop.check()
    now = 109.9
    meter.check_time()
    assert meter.seconds == pytest.approx(59.9)
    now = 110.0
    assert stop.asked
    with pytest.raises(BudgetSpent) as caught:
        stop.check()
    assert caught.value.budget == "time"
    with pytest.raises(BudgetSpent):
        Metered(ScriptedLLM(["x"]), meter).complete(REQUEST)


def test_a_person_who_stops_is_heard_before_the_clock() -> None:
    outer = Stop()
    stop = Meter(Budget(seconds=60)).timed(outer)
    assert stop is not None
    outer.ask()
    with pytest.raises(Cancelled) as caught:
        stop.check()
    assert not isinstance(caught.value, BudgetSpent)
    assert Meter().timed(outer) is outer


def test_laps_add_up_whatever_the_threads_do() -> None:
    meter = Meter()
    laps: list[Usage] = []
    done = threading.Event()

    def collect() -> None:
        while not done.is_set():
            laps.append(meter.lap())

    collector = threading.Thread(target=collect)
    collector.start()
    with ThreadPoolExecutor(4) as pool:
        for _ in range(200):
            pool.submit(meter.add, Usage(calls=1))
    done.set()
    collector.join()
    assert sum((*laps, meter.lap()), Usage()).calls == 200
