"""One question, one answer, whatever the timing; and it is written down before it is used."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_fsm.codec import plain, restore
from finetune_fsm.errors import Cancelled, LLMError, LLMErrorKind, StorageError
from finetune_fsm.llm.base import Completion, Message, Purpose, Request, Stop, Usage
from finetune_fsm.llm.memo import Call, Memo, Refusal, key_of
from finetune_fsm.llm.meter import Budget, Meter, Metered
from finetune_fsm.llm.scripted import Reply, ScriptedLLM

QUESTIONS = st.lists(st.sampled_from("abcd"), max_size=12)


def ask(text: str, **more: object) -> Request:
    return replace(Request("tiny", (Message("user", text),)), **more)


def layered(
    llm: ScriptedLLM, record: Callable[[Call], None] = lambda _: None, **more: object
) -> tuple[Memo, Meter]:
    meter = Meter(more.pop("budget", Budget()))
    return Memo(Metered(llm, meter), meter, record=record, **more), meter


@given(QUESTIONS)
def test_each_question_is_asked_and_written_down_once(texts: list[str]) -> None:
    llm, written = ScriptedLLM(lambda request: request.text.upper()), []
    memo, meter = layered(llm, written.append)
    replies = [memo.complete(ask(text)).text for text in texts]
    assert replies == [text.upper() for text in texts]
    assert [request.text for request in llm.requests] == list(dict.fromkeys(texts))
    assert [call.request for call in written] == llm.requests
    assert meter.lap().calls == len(set(texts))
    assert meter.lap() == Usage()


@given(QUESTIONS, QUESTIONS, st.integers(0, 12))
def test_a_later_session_asks_only_what_is_new_and_counts_what_no_state_had_used(
    before: list[str], after: list[str], used: int
) -> None:
    llm, written = ScriptedLLM(lambda request: request.text.upper()), []
    first, _ = layered(llm, written.append)
    for text in before:
        first.complete(ask(text))
    pending = [call.key for call in written[used:]]
    again = ScriptedLLM(lambda request: request.text.upper())
    memo, meter = layered(again, known=written, pending=pending)
    assert [memo.complete(ask(text)).text for text in after] == [t.upper() for t in after]
    asked = {request.text for request in again.requests}
    assert asked == set(after) - set(before)
    counted = {c.request.text for c in written[used:]} & set(after)
    assert meter.lap().calls == len(asked) + len(counted)
    assert memo.pending == {c.key for c in written[used:] if c.request.text not in after}


def test_threads_that_ask_the_same_at_once_share_one_call() -> None:
    gate = threading.Event()

    def slow(request: Request) -> str:
        gate.wait(5)
        return request.text

    llm = ScriptedLLM(slow)
    memo, meter = layered(llm)
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(memo.complete, ask("same")) for _ in range(8)]
        while not llm.requests:
            pass
        gate.set()
        assert {future.result().text for future in waiting} == {"same"}
    assert len(llm.requests) == 1
    assert meter.lap().calls == 1


def test_when_the_one_who_asked_fails_another_one_asks() -> None:
    llm = ScriptedLLM([Reply(error=LLMErrorKind.SERVER, once=True, seconds=0.1), Reply("ok")])
    memo, _ = layered(llm)
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(memo.complete, ask("x")) for _ in range(2)]
        errors = [future.exception() for future in both]
    assert sum(error is None for error in errors) == 1
    assert memo.complete(ask("x")).text == "ok"


def test_one_who_waits_for_another_ones_call_can_be_stopped() -> None:
    gate, stop = threading.Event(), Stop()

    def slow(request: Request) -> str:
        gate.wait(5)
        return request.text

    memo, _ = layered(ScriptedLLM(slow))
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(memo.complete, ask("x"))
        second = pool.submit(memo.complete, ask("x"), stop=stop)
        stop.ask()
        assert isinstance(second.exception(5), Cancelled)
        gate.set()
        assert first.result(5).text == "x"


def test_an_error_of_the_question_is_an_answer_and_one_of_the_world_is_none() -> None:
    written: list[Call] = []
    script = [
        Reply(error=LLMErrorKind.CONTEXT_OVERFLOW, when=("long",), once=True),
        Reply(error=LLMErrorKind.UNREACHABLE, when=("down",), once=True),
        Reply("up"),
    ]
    memo, meter = layered(ScriptedLLM(script), written.append)
    for _ in range(2):
        with pytest.raises(LLMError) as caught:
            memo.complete(ask("long"))
        assert caught.value.kind is LLMErrorKind.CONTEXT_OVERFLOW
    with pytest.raises(LLMError):
        memo.complete(ask("down"))
    assert memo.complete(ask("down")).text == "up"
    assert [type(call.answer) for call in written] == [Refusal, Completion]
    assert meter.lap().calls == 3


def test_an_answer_that_cannot_be_written_down_is_not_used() -> None:
    def full(call: Call) -> None:
        raise StorageError("the disk is full")

    memo, _ = layered(ScriptedLLM(["a", "b"]), full)
    with pytest.raises(StorageError):
        memo.complete(ask("x"))
    with pytest.raises(StorageError):
        memo.complete(ask("x"))


def test_pieces_arrive_for_a_remembered_answer_too() -> None:
    memo, _ = layered(ScriptedLLM(["hello"]))
    pieces: list[str] = []
    for _ in range(2):
        memo.complete(ask("x"), on_text=pieces.append)
    assert pieces == ["hello", "hello"]


@pytest.mark.parametrize(
    "other",
    [
        {"model": "big"},
        {"messages": (Message("system", "x"),)},
        {"messages": (Message("user", "x", (b"picture",)),)},
        {"options": {"seed": 1}},
        {"schema": {"type": "object"}},
        {"purpose": Purpose.JUDGE},
        {"reuse_prefix": True},
        {"draw": 1},
    ],
)
def test_all_but_the_label_makes_another_question(other: dict[str, object]) -> None:
    assert key_of(ask("x")) != key_of(ask("x", **other))
    assert key_of(ask("x")) == key_of(ask("x", label="elsewhere"))


def test_pictures_are_part_of_the_question_and_not_written_down() -> None:
    written: list[Call] = []
    memo, _ = layered(ScriptedLLM(["a", "b"]), written.append)
    for picture in (b"1", b"2"):
        memo.complete(ask("x", messages=(Message("user", "x", (picture,)),)))
    assert len({call.key for call in written}) == 2
    assert all(not message.images for call in written for message in call.request.messages)


CALLS = st.builds(
    Call,
    key=st.text(max_size=5),
    request=st.builds(
        Request,
        model=st.text(max_size=5),
        messages=st.lists(st.builds(Message, st.text(), st.text()), max_size=2).map(tuple),
        options=st.dictionaries(st.text(max_size=3), st.integers() | st.floats(0, 1) | st.text()),
        schema=st.none() | st.just({"type": "object", "enum": ["a", None]}),
        purpose=st.sampled_from(Purpose),
    ),
    answer=st.builds(
        Completion, st.text(), st.integers(0, 9), st.integers(0, 9), st.floats(0, 9), st.booleans()
    )
    | st.builds(Refusal, st.sampled_from(LLMErrorKind), st.text(), st.text()),
)


@given(CALLS)
def test_a_call_is_the_same_after_it_was_written_down(call: Call) -> None:
    assert restore(Call, plain(call)) == call
