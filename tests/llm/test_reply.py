from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from finetune_fsm.errors import LLMError, LLMErrorKind
from finetune_fsm.llm.base import REPLY_LIMIT
from finetune_fsm.llm.reply import Reply, split_thinking

# Words that make thinking likely, cut anywhere.
words = st.sampled_from(["<think>", "</think>", "<thi", "nk>", "</", " ", "\n", "so ", "<", "é"])
pieces = st.lists(words | st.text(max_size=4), max_size=12)


@given(pieces)
@example(["<think>", "a", "</thi", "nk>", "\n\n", " b"])
@example([" ", "<think>a<think>b</think>c</think>d"])
@example(["<think"])
def test_a_reply_in_pieces_is_the_reply_as_a_whole(parts: list[str]) -> None:
    shown: list[str] = []
    reply = Reply(shown.append)
    for part in parts:
        reply.add(part)
    whole = "".join(parts)
    thinks = whole.lstrip().startswith("<think>")
    assert reply.thought == thinks
    if thinks and "</think>" not in whole:
        for end in (reply.text, lambda: split_thinking(whole)):
            with pytest.raises(LLMError) as caught:
                end()
            assert caught.value.kind is LLMErrorKind.CUT_BY_LIMIT
        assert "".join(shown) == ""
    else:
        assert reply.text() == "".join(shown) == split_thinking(whole)[1]


@given(st.text().filter(lambda text: not text.lstrip().startswith("<think>")))
def test_text_without_thinking_in_front_stays_to_the_letter(text: str) -> None:
    assert split_thinking(text) == ("", text)


@given(st.text().filter(lambda text: "</think>" not in text), st.text())
def test_one_thinking_in_front_comes_off(thinking: str, text: str) -> None:
    assert split_thinking(f"\n<think>{thinking}</think>\n{text}") == (thinking, text.lstrip())


@given(st.text(st.characters(categories=("Cs", "Ll")), max_size=8))
def test_lone_surrogates_become_replacement_characters(text: str) -> None:
    reply = Reply()
    reply.add(text)
    assert reply.text().encode("utf-8").decode() == reply.text()
    assert len(reply.text()) == len(text)


@pytest.mark.parametrize("piece", [" ", "x", "<think>"])
def test_a_reply_without_end_is_stopped_and_costs_linear_time(piece: str) -> None:
    reply = Reply()
    started = time.process_time()
    for _ in range(REPLY_LIMIT // len(piece)):
        reply.add(piece)
    with pytest.raises(LLMError) as caught:
        reply.add(piece)
    assert caught.value.kind is LLMErrorKind.CUT_BY_LIMIT
    assert time.process_time() - started < 5


def test_thinking_sent_apart_counts_for_the_limit_and_is_not_shown() -> None:
    shown: list[str] = []
    reply = Reply(shown.append)
    reply.think("hm" * (REPLY_LIMIT // 2))
    with pytest.raises(LLMError):
        reply.add("x")
    assert (reply.thought, "".join(shown)) == (True, "")
