"""The counting layer: nobody gets a call beyond the cap, and every call is written down."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from quality.calls import Counted

from finetune_fsm.errors import BudgetSpent, LLMError, LLMErrorKind
from finetune_fsm.llm.base import Message, Request
from finetune_fsm.llm.scripted import Reply, ScriptedLLM


def _request(text: str) -> Request:
    return Request("m", (Message("user", text),))


def _asked(counted: Counted, text: str) -> str | None:
    try:
        return counted.complete(_request(text)).text
    except BudgetSpent:
        return None


@given(cap=st.integers(0, 12), texts=st.lists(st.sampled_from("abcd"), max_size=20))
@settings(max_examples=60)
def test_no_call_is_made_beyond_the_cap_and_none_is_forgotten(cap: int, texts: list[str]) -> None:
    inner = ScriptedLLM(lambda request: request.text.upper())
    counted = Counted(inner, cap)
    answers = [_asked(counted, text) for text in texts]
    made = min(cap, len(texts))
    assert answers == [text.upper() for text in texts[:made]] + [None] * (len(texts) - made)
    assert len(inner.requests) == counted.spent.calls == made
    assert counted.spent.distinct == len(set(texts[:made]))
    assert counted.refused == len(texts) - made


@given(cap=st.integers(1, 30))
@settings(max_examples=10)
def test_threads_share_one_cap(cap: int) -> None:
    inner = ScriptedLLM(lambda _: "x")
    counted = Counted(inner, cap)
    with ThreadPoolExecutor(8) as pool:
        answers: Sequence[str | None] = list(pool.map(lambda n: _asked(counted, str(n)), range(40)))
    assert len([a for a in answers if a]) == len(inner.requests) == cap


def test_a_call_that_failed_counts_and_is_written_down_with_its_error(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    script = [Reply("good", once=True), Reply(error=LLMErrorKind.EMPTY)]
    counted = Counted(ScriptedLLM(script), 2, log)
    counted.complete(_request("one"))
    with pytest.raises(LLMError):
        counted.complete(_request("two"))
    with pytest.raises(BudgetSpent):
        counted.complete(_request("three"))
    lines = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    assert [(one["call"], one["reply"], bool(one["error"])) for one in lines] == [
        (1, "good", False),
        (2, None, True),
    ]
    assert lines[0]["messages"] == [["user", "one"]]
    assert counted.spent.usage.calls == 2
