"""Tools and their calls as values: nothing changes for who has none, and nothing gets lost."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from tools_asked import arguments, requests, tool_calls, tools

from finetune_fsm.codec import canonical, digest, plain, restore
from finetune_fsm.llm.base import (
    Completion,
    Message,
    Purpose,
    Request,
    Tool,
    ToolCall,
    estimated_tokens,
)
from finetune_fsm.llm.context import prompt_tokens
from finetune_fsm.llm.memo import Call, key_of

ADD = Tool("add", "Adds two numbers", {"type": "object", "properties": {"a": {}, "b": {}}})
CALL = ToolCall("add", {"a": 1, "b": 2}, "c1")

PLAIN = Request("tiny", (Message("user", "Hello"),))
RICH = Request(
    "gemma3:4b",
    (Message("system", "Be brief."), Message("user", "What?", (b"\x89PNG",))),
    {"temperature": 0, "seed": 7},
    {"type": "object"},
    Purpose.JUDGE,
    reuse_prefix=True,
    label="ask",
    draw=2,
)


def test_journals_and_caches_of_before_there_were_tools_still_answer() -> None:
    """These were computed by the code before it."""
    assert key_of(PLAIN) == "93161eb7959a3975a57a1ba2d11fc731ca265006a76b1ec040883b15c9ecf813"
    assert key_of(RICH) == "0cacc8774ec72fb6e84aefd58441699f31bdebb47554ce1ac7a0c1a51501dbe4"
    assert digest(PLAIN) == "8e120ac156975d5874710e4d393b5b877faeefe46c84456ce7f9c753ce29b6c2"
    assert digest(RICH) == "33d8b6788cc4f1f8ef608b8e85abc6a02ebf92b173ea532fd1de1e5380f0fa31"
    call = Call(key_of(PLAIN), PLAIN, Completion("Hi", 3, 1, 0.5))
    assert canonical(call) == (
        '{"answer":{"cached":false,"completion_tokens":1,"cut":false,"prompt_tokens":3,'
        '"retries":0,"seconds":0.5,"text":"Hi"},"key":"'
        '93161eb7959a3975a57a1ba2d11fc731ca265006a76b1ec040883b15c9ecf813","request":{"draw":0,'
        '"label":"","messages":[{"content":"Hello","images":[],"role":"user"}],"model":"tiny",'
        '"options":{},"purpose":"state","reuse_prefix":false,"schema":null}}'
    )


@given(requests())
def test_a_request_is_the_same_after_it_was_written_down_or_sent_to_a_worker(
    request: Request,
) -> None:
    assert restore(Request, json.loads(canonical(request))) == request
    assert pickle.loads(pickle.dumps(request)) == request


@given(st.lists(tool_calls(), max_size=3).map(tuple), st.text(max_size=9))
def test_a_reply_is_the_same_after_it_was_written_down(
    calls: tuple[ToolCall, ...], text: str
) -> None:
    completion = Completion(text, 1, 2, tool_calls=calls)
    call = Call("k", PLAIN, completion)
    assert restore(Call, plain(call)) == call
    assert pickle.loads(pickle.dumps(completion)) == completion


@given(tools(), tool_calls())
def test_all_that_has_to_do_with_tools_makes_another_question(tool: Tool, call: ToolCall) -> None:
    hello = Message("user", "Hello")
    asks = Message("assistant", "", tool_calls=(call,))
    gives = Message("tool", "3", answers="c1", tool="add")
    asked = [
        PLAIN,
        replace(PLAIN, tools=(tool,)),
        replace(PLAIN, messages=(hello, asks)),
        replace(PLAIN, messages=(hello, replace(asks, tool_calls=()))),
        replace(PLAIN, messages=(hello, replace(asks, tool_calls=(replace(call, id="c2"),)))),
        replace(PLAIN, messages=(hello, asks, gives)),
        replace(PLAIN, messages=(hello, asks, replace(gives, answers="c3"))),
        replace(PLAIN, messages=(hello, asks, replace(gives, tool="subtract"))),
    ]
    assert len({key_of(request) for request in asked}) == len(asked)


@given(requests())
def test_what_a_request_takes_counts_its_calls_and_its_tools(request: Request) -> None:
    bare = replace(request, tools=())
    offered = sum(len(tool.description) for tool in request.tools)
    assert prompt_tokens(request) - prompt_tokens(bare) >= offered // 3
    called = [call for message in request.messages for call in message.tool_calls]
    assert all(call.text in request.text for call in called)
    assert prompt_tokens(bare) >= estimated_tokens(request.text)


@given(arguments(), st.text(max_size=9))
def test_a_turn_is_text_with_a_line_for_each_call(given: dict[str, object], said: str) -> None:
    call = ToolCall("add", given)
    turn = Message("assistant", said, tool_calls=(call, call))
    first, second = turn.text.removeprefix(f"{said}\n").split("\n")
    assert first == second == f"add {canonical(given)}"
    assert Message("assistant", said).text == said


def test_a_call_and_a_turn_read_like_this() -> None:
    assert CALL.text == 'add {"a":1,"b":2}'
    turns = (
        Message("user", "How much is 1 + 2?"),
        Message("assistant", "", tool_calls=(CALL,)),
        Message("tool", "3", answers="c1", tool="add"),
    )
    text = Request("tiny", turns, tools=(ADD,)).text
    assert text == 'How much is 1 + 2?\nadd {"a":1,"b":2}\n3'
