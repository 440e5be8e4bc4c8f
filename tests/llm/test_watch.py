"""The board on which calls and rollouts under way can be seen: complete, true, and cleared."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_fsm.errors import LLMError, LLMErrorKind
from finetune_fsm.llm.base import Message, Request, Usage
from finetune_fsm.llm.meter import Budget, Meter, Metered
from finetune_fsm.llm.pool import Pool
from finetune_fsm.llm.reply import Reply as GrowingReply
from finetune_fsm.llm.scripted import Reply, ScriptedLLM
from finetune_fsm.llm.watch import ENOUGH, Batch, Seen, Watch
from finetune_fsm.scenarios.evaluate import Task, roll_out_each, run_suite
from finetune_fsm.scenarios.model import Assertion, AssertionType, Scenario, Suite
from finetune_fsm.workflow.load import check_text

WORKFLOW = """\
name: W
start_state: greet
states:
  greet: {type: prompt, prompt: "Hi", model: m, save_as: x, next: end}
"""


def ask(number: int = 0, model: str = "m") -> Request:
    return Request(model, (Message("user", f"Question {number}"),), label="greet")


class Clock:
    """Seconds that grow when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9))))
def test_the_board_shows_what_began_and_has_not_ended_in_the_order_it_began(
    acts: list[tuple[bool, int]],
) -> None:
    clock = Clock()
    watch = Watch(clock)
    open_calls = []
    for begins, number in acts:
        clock.now += 1
        if begins:
            open_calls.append((watch.begin(ask(model=f"m{number}"), "here"), clock.now))
        elif open_calls:
            watch.end(open_calls.pop(number % len(open_calls))[0])
    seen = watch.look().calls
    assert [call.model for call in seen] == [call.request.model for call, _ in open_calls]
    assert [call.seconds for call in seen] == [clock.now - at for _, at in open_calls]


@given(st.integers(2, 50), st.floats(0.01, 5), st.floats(0, 100))
def test_the_rate_is_that_of_the_pieces_and_silence_is_what_came_after(
    pieces: int, apart: float, after: float
) -> None:
    clock = Clock()
    watch = Watch(clock)
    call = watch.begin(ask(), "here")
    heard: list[str] = []
    on_text = call.listen(heard.append)
    for _ in range(pieces):
        clock.now += apart
        on_text("x")
    clock.now += after
    (seen,) = watch.look().calls
    assert seen.pieces == pieces == len(heard)
    assert seen.rate == pytest.approx(1 / apart)
    assert seen.silent == pytest.approx(after, abs=1e-6)
    assert seen.seconds == pytest.approx(pieces * apart + after)


def test_a_pause_counts_down_and_the_next_try_begins_anew() -> None:
    clock = Clock()
    watch = Watch(clock)
    call = watch.begin(ask(), "here")
    call.note("x")
    call.pause(4.0, 2, 3)
    clock.now += 1
    (seen,) = watch.look().calls
    assert (seen.pause, seen.number, seen.tries, seen.pieces) == (3.0, 2, 3, 0)
    clock.now += 5
    (seen,) = watch.look().calls
    assert (seen.pause, seen.silent, seen.seconds) == (0.0, 2.0, 6.0)


def looking(watch: Watch, sights: list[Seen]) -> Callable[[Request], str]:
    """A model that looks at the board while it answers."""

    def reply(request: Request) -> str:
        del request
        sights.append(watch.look())
        return "Hello"

    return reply


def test_a_metered_call_stands_on_the_board_while_it_runs_and_not_longer() -> None:
    watch, sights = Watch(), list[Seen]()
    meter = Meter(Budget(calls=5, tokens=1000))
    llm = Metered(ScriptedLLM(looking(watch, sights)), meter, watch=watch)
    llm.complete(ask())
    (call,) = sights[0].calls
    assert (call.model, call.who, call.label) == ("m", llm.name, "greet")
    assert (sights[0].calls_left, sights[0].spent) == (4, Usage())
    after = watch.look()
    assert (after.calls, after.calls_left, after.spent) == ((), 4, meter.spent)
    assert after.tokens_left == 1000 - meter.spent.tokens
    assert after.seconds_left is None


def test_a_call_that_fails_leaves_the_board() -> None:
    watch = Watch()
    llm = Metered(ScriptedLLM([Reply(error=LLMErrorKind.EMPTY)]), Meter(), watch=watch)
    with pytest.raises(LLMError):
        llm.complete(ask())
    assert watch.look().calls == ()


def test_the_wait_for_another_try_is_on_the_board_with_its_number() -> None:
    watch, sights = Watch(), list[Seen]()
    replies = [Reply(error=LLMErrorKind.BUSY, once=True), Reply("Hello")]
    pool = Pool([ScriptedLLM(replies)], sleep=lambda _: sights.append(watch.look()))
    Metered(pool, Meter(), watch=watch).complete(ask())
    (call,) = sights[0].calls
    assert (call.number, call.tries) == (2, 3)
    assert 0 < call.pause <= 1.25


def test_calls_of_many_threads_are_all_seen() -> None:
    watch, many = Watch(), 8
    barrier, sights = threading.Barrier(many, timeout=20), list[Seen]()

    def reply(request: Request) -> str:
        barrier.wait()
        if request.text.endswith(" 0"):
            sights.append(watch.look())
        barrier.wait()
        return "Hello"

    llm = Metered(ScriptedLLM(reply, slots=many), Meter(), watch=watch)
    threads = [threading.Thread(target=llm.complete, args=(ask(n),)) for n in range(many)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(sights[0].calls) == many
    assert watch.look().calls == ()


def tasks(many: int) -> list[Task]:
    workflow = check_text(WORKFLOW, folder=Path()).workflow
    assert workflow is not None
    says = (Assertion(AssertionType.EQUALS, "x", "Hello"),)
    return [Task(workflow, Scenario(f"S{n}", says), whose="candidate 1/2") for n in range(many)]


def test_rollouts_say_how_many_they_are_and_where_a_call_comes_from() -> None:
    watch, sights = Watch(), list[Seen]()
    llm = Metered(ScriptedLLM(looking(watch, sights), slots=1), Meter(), watch=watch)
    given_tasks = tasks(ENOUGH + 2)
    list(roll_out_each(given_tasks, llm, jobs=1, watch=watch))
    assert [seen.calls[0].place for seen in sights] == [task.place for task in given_tasks]
    assert sights[0].calls[0].place == "candidate 1/2, 'S0'"
    batches = [seen.batch for seen in sights]
    assert [batch and (batch.done, batch.total, batch.running) for batch in batches] == [
        (n, ENOUGH + 2, 1) for n in range(ENOUGH + 2)
    ]
    known = [batch is not None and batch.typical is not None for batch in batches]
    assert known == [False] * ENOUGH + [True] * 2
    assert watch.look().batch is None


def test_a_suite_is_seen_too() -> None:
    watch, sights = Watch(), list[Seen]()
    llm = Metered(ScriptedLLM(looking(watch, sights), slots=1), Meter(), watch=watch)
    workflow, scenarios = tasks(1)[0].workflow, tuple(task.scenario for task in tasks(2))
    run_suite(workflow, Suite("w.yaml", scenarios), llm, watch=watch)
    assert [seen.calls[0].place for seen in sights] == ["'S0'", "'S1'"]
    assert [seen.batch and seen.batch.done for seen in sights] == [0, 1]


@given(st.integers(0, 9), st.integers(1, 9), st.integers(0, 4), st.floats(0.1, 100))
def test_the_time_left_is_that_of_the_typical_rollout_shared_by_those_that_run(
    done: int, more: int, running: int, typical: float
) -> None:
    assert Batch(done, done + more, running).left is None
    left = Batch(done, done + more, running, typical).left
    assert left is not None
    assert left * max(1, running) == pytest.approx(more * typical)


@given(st.integers(0, 9), st.integers(0, 99), st.integers(0, 9))
def test_what_is_left_of_a_budget_is_never_less_than_nothing(
    calls: int, tokens: int, under_way: int
) -> None:
    meter = Meter(Budget(calls=9, tokens=50, seconds=3), clock=iter(range(99)).__next__)
    meter.add(Usage(calls=calls, prompt_tokens=tokens))
    for _ in range(min(under_way, 9 - calls) if tokens < 50 else 0):
        meter.begin() if meter.seconds < 3 else None
    left = meter.left
    assert left.calls is not None
    assert 0 <= left.calls <= 9 - calls
    assert left.tokens == max(0, 50 - tokens)
    assert left.seconds is not None
    assert 0 <= left.seconds <= 3


def test_thinking_is_a_sign_of_life_and_no_text() -> None:
    heard: list[str] = []
    reply = GrowingReply(heard.append)
    reply.think("hm")
    reply.add("<think>a")
    reply.add("b")
    reply.add("</think>yes")
    assert heard == ["", "", "", "yes"]
