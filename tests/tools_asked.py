"""Strategies for what models are offered and ask for: tools, calls, and turns with both."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from strategies import plain_data

from finetune_fsm.llm.base import Message, Request, Tool, ToolCall

NAMES = ("add", "get_weather", "files-read", "x")


def arguments() -> st.SearchStrategy[dict[str, Any]]:
    """What a model may write as arguments: any JSON object."""
    return st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), plain_data(4))


def tools() -> st.SearchStrategy[Tool]:
    """A tool whose arguments may be anything."""
    schema = st.fixed_dictionaries({"type": st.just("object"), "properties": arguments()})
    return st.builds(Tool, st.sampled_from(NAMES), st.text(max_size=20), schema)


def tool_calls() -> st.SearchStrategy[ToolCall]:
    """A call that can be made, with or without an id."""
    return st.builds(ToolCall, st.sampled_from(NAMES), arguments(), st.sampled_from(("", "c1")))


def turns() -> st.SearchStrategy[Message]:
    """Any turn of a chat with tools."""
    said = st.text(max_size=20)
    calls = st.lists(tool_calls(), max_size=2).map(tuple)
    plain = st.builds(Message, st.sampled_from(("system", "user")), said)
    asks = st.builds(Message, st.just("assistant"), said, tool_calls=calls)
    gives = st.builds(
        Message, st.just("tool"), said, answers=st.just("c1"), tool=st.sampled_from(NAMES)
    )
    return st.one_of(plain, asks, gives)


def requests() -> st.SearchStrategy[Request]:
    """A request that may offer tools and may hold turns with them."""
    return st.builds(
        Request,
        st.just("tiny"),
        st.lists(turns(), min_size=1, max_size=3).map(tuple),
        tools=st.lists(tools(), max_size=2).map(tuple),
    )
