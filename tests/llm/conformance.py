"""What every `LLM` promises, as checks that any provider can be put through.

A check is a function of a factory. The factory is given how the model behind the provider behaves,
and returns a context manager that holds the provider. ::

    @pytest.mark.parametrize("check", conformance.CHECKS, ids=lambda check: check.__name__)
    def test_it_keeps_the_promises_of_a_model(check):
        check(my_factory)
"""

from __future__ import annotations

import string
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from finetune_fsm.errors import Cancelled, LLMError, LLMErrorKind
from finetune_fsm.llm.base import LLM, Message, Request, Stop, Usage
from finetune_fsm.sinks import one_line


@dataclass(frozen=True)
class Said:
    """What the model does with a prompt: writes *text*, or its server refuses."""

    text: str = ""
    cut: bool = False
    error: LLMErrorKind | None = None


Model = Callable[[str], Said]
"""Given the last turn of the chat."""

Factory = Callable[[Model], AbstractContextManager[LLM]]


def ask(text: str, **more: object) -> Request:
    return replace(Request("tiny", (Message("user", text),)), **more)


def echo(prompt: str) -> Said:
    return Said(prompt)


# A model's text has no lone surrogates, and what begins with thinking is another check's.
texts = st.text(max_size=60).filter(lambda text: not text.lstrip().startswith("<"))


def every_text_arrives_to_the_letter_and_its_pieces_add_up(make: Factory) -> None:
    with make(echo) as llm:

        @settings(max_examples=30)
        @given(texts)
        @example("")
        @example("  blank \r\n\t ends \n")
        @example("\x85\u2028\u2029\x0b\x0c\x1c separators that are no line ends")
        @example("😀 zwj 👩\u200d🚀, RTL שלום, combining e\u0301, NUL \x00")
        @example('{"json": "in text\\n"}')
        def holds(text: str) -> None:
            pieces: list[str] = []
            completion = llm.complete(ask(text), on_text=pieces.append)
            assert completion.text == text
            assert "".join(pieces) == text
            assert not completion.cut

        holds()


def an_empty_reply_that_ended_properly_is_a_value(make: Factory) -> None:
    with make(lambda _: Said("")) as llm:
        assert llm.complete(ask("anything")).text == ""


def a_reply_cut_at_its_limit_says_so(make: Factory) -> None:
    with make(lambda _: Said("half a sen", cut=True)) as llm:
        completion = llm.complete(ask("go on"))
        assert (completion.text, completion.cut) == ("half a sen", True)


def the_whole_chat_is_heard(make: Factory) -> None:
    turns = (Message("system", "be brief"), Message("user", "one"), Message("user", "two"))
    with make(echo) as llm:
        assert llm.complete(Request("tiny", turns)).text == "two"


def the_same_question_has_the_same_answer_and_stays_as_it_was(make: Factory) -> None:
    request = ask("who?", options={"temperature": 0, "seed": 3}, schema={"type": "string"})
    with make(lambda prompt: Said(f'"{prompt}"')) as llm:
        first, second = llm.complete(request), llm.complete(request)
    assert first.text == second.text == '"who?"'
    assert request == ask("who?", options={"temperature": 0, "seed": 3}, schema={"type": "string"})


def a_stop_asked_before_is_honoured_and_nothing_is_said(make: Factory) -> None:
    stop, pieces = Stop(), []
    stop.ask()
    with make(echo) as llm, pytest.raises(Cancelled):
        llm.complete(ask("hello"), on_text=pieces.append, stop=stop)
    assert pieces == []


def a_missing_model_is_an_error_of_that_kind(make: Factory) -> None:
    with make(lambda _: Said(error=LLMErrorKind.MISSING_MODEL)) as llm:
        with pytest.raises(LLMError) as caught:
            llm.complete(ask("hello"))
        assert caught.value.kind is LLMErrorKind.MISSING_MODEL


def requests_from_many_threads_get_their_own_replies(make: Factory) -> None:
    prompts = [f"{letter}{number}" for letter in string.ascii_lowercase[:6] for number in range(4)]
    with make(echo) as llm, ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda prompt: llm.complete(ask(prompt)).text, prompts))
    assert replies == prompts


def what_a_reply_cost_is_never_negative(make: Factory) -> None:
    with make(echo) as llm:
        usage = Usage.of(llm.complete(ask("three words here")))
    assert usage.calls == 1
    assert usage.seconds >= 0
    assert min(usage.prompt_tokens, usage.completion_tokens) >= 0


def its_name_and_models_can_be_shown_and_its_slots_used(make: Factory) -> None:
    with make(echo) as llm:
        assert llm.name
        assert llm.name == one_line(llm.name)
        assert llm.slots >= 1
        assert list(llm.models()) == sorted(llm.models())


def every_text_has_its_own_vector_wherever_it_stands(make: Factory) -> None:
    with make(echo) as llm:

        @settings(max_examples=15)
        @given(st.lists(st.text(max_size=30), max_size=4))
        @example([])
        @example(["", " ", "\n"])
        @example([f"{number}" for number in range(70)])
        @example(["x" * 20_000, "y" * 20_000, "\ud800"])
        def holds(texts: list[str]) -> None:
            vectors = llm.embed("tiny", texts)
            assert len(vectors) == len(texts)
            assert len({len(vector) for vector in vectors}) <= 1
            assert all(isinstance(n, float) for vector in vectors for n in vector)
            assert llm.embed("tiny", texts[::-1]) == vectors[::-1]
            for text, vector in zip(texts[:2], vectors[:2], strict=True):
                assert llm.embed("tiny", [text]) == (vector,)

        holds()
        one, other = llm.embed("tiny", ["one", "other"])
        assert one != other


def a_stop_asked_before_keeps_vectors_from_being_made(make: Factory) -> None:
    stop = Stop()
    stop.ask()
    with make(echo) as llm, pytest.raises(Cancelled):
        llm.embed("tiny", ["hello"], stop=stop)


def closing_twice_is_harmless(make: Factory) -> None:
    with make(echo) as llm:
        llm.complete(ask("hello"))
        llm.close()
        llm.close()


CHECKS: tuple[Callable[[Factory], None], ...] = (
    every_text_arrives_to_the_letter_and_its_pieces_add_up,
    an_empty_reply_that_ended_properly_is_a_value,
    a_reply_cut_at_its_limit_says_so,
    the_whole_chat_is_heard,
    the_same_question_has_the_same_answer_and_stays_as_it_was,
    a_stop_asked_before_is_honoured_and_nothing_is_said,
    a_missing_model_is_an_error_of_that_kind,
    requests_from_many_threads_get_their_own_replies,
    what_a_reply_cost_is_never_negative,
    its_name_and_models_can_be_shown_and_its_slots_used,
    every_text_has_its_own_vector_wherever_it_stands,
    a_stop_asked_before_keeps_vectors_from_being_made,
    closing_twice_is_harmless,
)
