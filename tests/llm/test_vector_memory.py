"""No text is made into a vector twice, whatever threads ask at the same time."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_fsm.errors import Cancelled, LLMError, LLMErrorKind
from finetune_fsm.llm.base import Stop
from finetune_fsm.llm.letter_vectors import letter_vector
from finetune_fsm.llm.memo import Memo
from finetune_fsm.llm.meter import Meter
from finetune_fsm.llm.scripted import ScriptedLLM
from finetune_fsm.llm.vector_memory import VectorMemory
from finetune_fsm.llm.vectors import Vectors

TEXTS = st.lists(st.sampled_from("abcdef"), max_size=6)


def made(texts: Sequence[str]) -> Vectors:
    return tuple((float(ord(text)), 0.1) for text in texts)


@given(st.lists(st.tuples(st.sampled_from(("m", "n")), TEXTS), max_size=5))
def test_each_text_is_asked_for_once_by_each_model_and_answers_stay_in_order(
    asked: list[tuple[str, list[str]]],
) -> None:
    llm = ScriptedLLM([])
    memo = Memo(llm, Meter())
    for model, texts in asked:
        assert memo.embed(model, texts) == tuple(letter_vector(text) for text in texts)
    assert len(llm.embedded) == len(set(llm.embedded))
    assert set(llm.embedded) == {(model, text) for model, texts in asked for text in texts}


@given(st.lists(TEXTS, min_size=2, max_size=6))
def test_threads_share_what_they_ask_for(asked: list[list[str]]) -> None:
    memory, sent, lock = VectorMemory(), [], threading.Lock()
    start = threading.Barrier(len(asked))

    def ask(texts: Sequence[str]) -> Vectors:
        with lock:
            sent.extend(texts)
        return made(texts)

    def one(texts: list[str]) -> Vectors:
        start.wait(5)
        return memory.embed("m", texts, ask)

    with ThreadPoolExecutor(len(asked)) as pool:
        assert list(pool.map(one, asked)) == [made(texts) for texts in asked]
    assert sorted(sent) == sorted({text for texts in asked for text in texts})


@pytest.mark.parametrize("fails", [False, True])
def test_one_who_waits_for_another_makes_what_is_left_when_that_failed(fails: bool) -> None:
    memory, begun, gate, own = VectorMemory(), threading.Event(), threading.Event(), []

    def slow(texts: Sequence[str]) -> Vectors:
        begun.set()
        gate.wait(5)
        if fails:
            raise LLMError(LLMErrorKind.SERVER, "died")
        return made(texts)

    def quick(texts: Sequence[str]) -> Vectors:
        own.append(texts)
        gate.set()  # it makes its own before it waits for the other's
        return made(texts)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(memory.embed, "m", ["a", "b"], slow)
        assert begun.wait(5)
        assert pool.submit(memory.embed, "m", ["b", "c"], quick).result(5) == made(["b", "c"])
        assert isinstance(first.exception(5), LLMError) == fails
    assert own == ([("c",), ("b",)] if fails else [("c",)])


def test_one_who_waits_for_another_can_be_stopped() -> None:
    memory, begun, gate, stop = VectorMemory(), threading.Event(), threading.Event(), Stop()

    def slow(texts: Sequence[str]) -> Vectors:
        begun.set()
        gate.wait(5)
        return made(texts)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(memory.embed, "m", ["a"], slow)
        assert begun.wait(5)
        second = pool.submit(memory.embed, "m", ["a"], made, stop=stop)
        stop.ask()
        with pytest.raises(Cancelled):
            second.result(5)
        gate.set()
        assert first.result(5) == made(["a"])


@given(st.lists(TEXTS, max_size=8), st.integers(0, 5))
def test_what_came_first_goes_first_and_answers_are_right_all_the_same(
    asked: list[list[str]], room: int
) -> None:
    memory, sent = VectorMemory(limit=room * 16), []

    def ask(texts: Sequence[str]) -> Vectors:
        sent.extend(texts)
        return made(texts)

    for texts in asked:
        assert memory.embed("m", texts, ask) == made(texts)
        assert memory._size == 16 * len(memory._known) <= room * 16
    before = len(sent)
    last = list(dict.fromkeys(sent[::-1]))[:room]
    memory.embed("m", last, ask)
    assert len(sent) == before
