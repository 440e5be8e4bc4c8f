"""Calls of tools on their way from a model, whole or broken, cut into any pieces."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import wire
from hypothesis import given, settings
from hypothesis import strategies as st
from llm import completions
from llm.completions import DONE, delta, finish, usage
from llm.conformance import ask
from strategies import hostile_data
from tools_asked import NAMES, arguments
from wire import Act, chunked, final, in_turn, piece, refusal

from finetune_fsm.codec import canonical
from finetune_fsm.errors import InvalidDocument, LLMError, LLMErrorKind
from finetune_fsm.llm.base import Completion, Message, Request, Tool, ToolCall
from finetune_fsm.llm.function_calls import LIMIT, call_of
from finetune_fsm.llm.ollama import OllamaLLM
from finetune_fsm.llm.openai import OpenAILLM
from finetune_fsm.llm.scripted import Reply, ScriptedLLM, load_script

ADD = Tool("add", "Adds", {"type": "object", "properties": {"a": {}}, "required": ["a"]})
CALL = ToolCall("add", {"b": 2, "a": 1}, "c1")
CHAT = Request(
    "tiny",
    (
        Message("user", "1 + 2?"),
        Message("assistant", "", tool_calls=(CALL,)),
        Message("tool", "3", answers="c1", tool="add"),
    ),
    tools=(ADD, Tool("now", "Says the time")),
)
OFFERED = [
    {
        "type": "function",
        "function": {"name": "add", "description": "Adds", "parameters": dict(ADD.parameters)},
    },
    {
        "type": "function",
        "function": {
            "name": "now",
            "description": "Says the time",
            "parameters": {"type": "object", "properties": {}},
        },
    },
]
written = st.lists(st.tuples(st.sampled_from(NAMES), arguments()), min_size=1, max_size=3)


def ollama(answer: Iterable[Act], request: Request = CHAT) -> tuple[Completion, dict]:
    with wire.ollama(in_turn(answer)) as server:
        llm = OllamaLLM(server.url, sleep=lambda _: None, tries=1)
        return llm.complete(request), server.asked("/api/chat")[0].json


def openai(answer: Iterable[Act], request: Request = CHAT) -> tuple[Completion, dict]:
    with completions.server(in_turn(answer)) as server:
        llm = OpenAILLM(server.url, sleep=lambda _: None, tries=1)
        return llm.complete(request), server.asked("/v1/chat/completions")[0].json


def asks(*calls: Mapping[str, object]) -> bytes:
    return piece("", message={"role": "assistant", "content": "", "tool_calls": list(calls)})


def function(name: object, given: object, **more: object) -> dict[str, object]:
    return {"function": {"name": name, "arguments": given}} | more


@given(st.text(max_size=9), hostile_data() | st.text() | arguments().map(json.dumps))
def test_whatever_a_model_writes_is_a_call_that_a_journal_can_hold(
    name: str, given: object
) -> None:
    call = call_of(name, given)
    canonical(call).encode("utf-8")
    if call.problem:
        assert call.arguments == {}
    else:
        assert call.name


@given(arguments())
def test_good_arguments_arrive_as_they_are(given: dict[str, object]) -> None:
    assert call_of("add", given, "c") == ToolCall("add", given, "c")
    assert call_of("add", json.dumps(given), "c") == ToolCall("add", given, "c")


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ('{"a": 1', "are no JSON"),
        ("[1]", "no JSON object"),
        ("3", "no JSON object"),
        ([1], "no JSON object"),
        ('{"a": NaN}', "not finite"),
        ({"a": float("inf")}, "not finite"),
        ("[" * 100_000, "are no JSON"),
        (json.loads('{"a":' * 50 + "1" + "}" * 50), "inside each other"),
    ],
)
def test_broken_arguments_say_what_the_model_can_be_told(given: object, problem: str) -> None:
    call = call_of("add", given, "c1")
    assert problem in call.problem
    assert (call.name, call.id, call.arguments) == ("add", "c1", {})
    assert call_of("", "{}").problem == "the call names no tool"


@settings(max_examples=25)
@given(written, st.text(max_size=5).filter(lambda t: not t.lstrip().startswith("<")))
def test_ollama_calls_arrive_however_they_are_spread(calls: list, text: str) -> None:
    chunks = [asks(function(name, given)) for name, given in calls]
    together = [asks(*(function(name, given) for name, given in calls))]
    for parts in (chunks, together):
        found, _ = ollama(chunked([piece(text), *parts, final()]))
        assert [(call.name, call.arguments) for call in found.tool_calls] == calls
        assert found.text == text


@settings(max_examples=25)
@given(written, st.integers(1, 9), st.booleans())
def test_openai_calls_arrive_however_their_arguments_are_cut(
    calls: list, size: int, numbered: bool
) -> None:
    parts = []
    for n, (name, wanted) in enumerate(calls):
        index = {"index": n} if numbered else {}
        text = json.dumps(wanted)
        parts.append(delta(tool_calls=[function(name, "", id=f"id{n}") | index]))
        for at in range(0, len(text), size):
            more = {"function": {"arguments": text[at : at + size]}} | index
            parts.append(delta(tool_calls=[more]))
    found, _ = openai(chunked([*parts, finish("tool_calls"), usage(), DONE]))
    assert [(call.name, call.arguments) for call in found.tool_calls] == calls
    assert [call.id for call in found.tool_calls] == [f"id{n}" for n in range(len(calls))]


def test_what_is_sent_to_ollama_offers_tools_and_tells_results() -> None:
    _, body = ollama(wire.chat("3"))
    assert body["tools"] == OFFERED
    call = {"id": "c1", "function": {"name": "add", "arguments": {"a": 1, "b": 2}}}
    assert body["messages"] == [
        {"role": "user", "content": "1 + 2?"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "3", "tool_name": "add", "tool_call_id": "c1"},
    ]


def test_what_is_sent_to_other_servers_offers_tools_and_tells_results() -> None:
    _, body = openai(completions.chat("3"))
    assert body["tools"] == OFFERED
    said = {"name": "add", "arguments": '{"a":1,"b":2}'}
    call = {"id": "c1", "type": "function", "function": said}
    assert body["messages"][1:] == [
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "3"},
    ]


def test_a_call_without_an_id_is_given_one_where_the_protocol_needs_it() -> None:
    parts = [delta(tool_calls=[function("add", "{}")]), finish("tool_calls"), DONE]
    found, _ = openai(chunked(parts))
    assert [call.id for call in found.tool_calls] == ["call00300"]


@pytest.mark.parametrize("odd", [3, {"a": 1}, [3], [{}], [{"function": 3}], [function(3, {})]])
def test_what_is_no_call_at_all_is_an_error_of_the_protocol(odd: object) -> None:
    broken = piece("", message={"role": "assistant", "content": "", "tool_calls": odd})
    for failing in (
        lambda: ollama(chunked([broken, final()])),
        lambda: openai(chunked([delta(tool_calls=odd), finish(), DONE])),
    ):
        with pytest.raises(LLMError, match="unexpected") as caught:
            failing()
        assert caught.value.kind is LLMErrorKind.PROTOCOL


def test_a_stream_that_breaks_within_calls_is_no_reply_and_too_many_are_refused() -> None:
    begun = delta(tool_calls=[function("add", '{"a"', index=0)])
    for failing in (
        lambda: ollama(chunked([asks(function("add", {}))])),
        lambda: openai(chunked([begun])),
    ):
        with pytest.raises(LLMError) as caught:
            failing()
        assert caught.value.kind is LLMErrorKind.TRUNCATED_STREAM
    with pytest.raises(LLMError, match=f"more than {LIMIT} tools"):
        ollama(chunked([asks(*[function("add", {})] * (LIMIT + 1)), final()]))


def test_arguments_that_were_cut_at_the_limit_of_tokens_are_a_call_with_a_problem() -> None:
    begun = delta(tool_calls=[function("add", '{"a"', index=0)])
    found, _ = openai(chunked([begun, finish("length"), DONE]))
    assert found.cut
    assert "are no JSON" in found.tool_calls[0].problem


def test_a_model_that_cannot_use_tools_is_named_with_what_to_do() -> None:
    for failing in (
        lambda: ollama(refusal(400, '"tiny" does not support tools')),
        lambda: openai(completions.refusal(400, '"auto" tool choice requires a tool parser')),
    ):
        with pytest.raises(
            LLMError, match=r"'tiny' cannot be offered tools .*--no-tools"
        ) as caught:
            failing()
        assert caught.value.kind is LLMErrorKind.BAD_REQUEST


def test_a_scripted_model_asks_for_tools_and_hears_their_results(tmp_path: Path) -> None:
    path = tmp_path / "script.yaml"
    path.write_text(
        "format: 1\nreplies:\n"
        "  - {after: weather, when: '(?P<sky>sunny|wet)', reply: 'It is {{sky}}.'}\n"
        "  - when: 'in (?P<city>\\w+)'\n"
        "    tool_calls: [{name: weather, arguments: {where: ['{{city}}'], days: 2}}]\n"
    )
    llm = load_script(path)
    request = ask("How is it in Rome?")
    (call,) = llm.complete(request).tool_calls
    assert call == ToolCall("weather", {"where": ["Rome"], "days": 2}, "call00100")
    turns = (
        *request.messages,
        Message("assistant", "", tool_calls=(call,)),
        Message("tool", "very sunny", answers=call.id, tool="weather"),
    )
    answered = llm.complete(replace(request, messages=turns))
    assert (answered.text, answered.tool_calls) == ("It is sunny.", ())
    other = replace(turns[-1], tool="another")
    assert llm.complete(replace(request, messages=(*turns[:2], other))).tool_calls


@pytest.mark.parametrize(
    "rule",
    [
        "tool_calls: {name: a}", "tool_calls: [3]", "tool_calls: [{arguments: {}}]",
        "tool_calls: [{name: 3}]", "tool_calls: [{name: a, arguments: [1]}]",
        "tool_calls: [{name: a, args: {}}]", "after: 3",
    ],
)  # fmt: skip
def test_a_script_with_no_calls_of_tools_is_refused_with_its_place(
    tmp_path: Path, rule: str
) -> None:
    path = tmp_path / "script.yaml"
    path.write_text(f"format: 1\nreplies:\n  - {rule}\n")
    with pytest.raises(InvalidDocument) as caught:
        load_script(path)
    assert caught.value.problems[0].line == 3


def test_calls_of_a_rule_in_code_keep_their_ids() -> None:
    found = ScriptedLLM([Reply(tool_calls=(CALL,))]).complete(ask("x"))
    assert found.tool_calls == (CALL,)
