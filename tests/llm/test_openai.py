from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise

import pytest
import wire
from hypothesis import given, settings
from hypothesis import strategies as st
from llm import completions, conformance
from llm.completions import COUNTS, DONE, chat, delta, event, finish, refusal, usage, word
from llm.conformance import Factory, Model, ask
from wire import RESET, Act, chunked, head, in_turn, page

from finetune_fsm.errors import Cancelled, LLMError, LLMErrorKind, UsageError
from finetune_fsm.llm.base import LLM, REPLY_LIMIT, Completion, Message, OnText, Request, Stop
from finetune_fsm.llm.chat_completions import LLAMACPP, media_type
from finetune_fsm.llm.deadlines import Timeouts
from finetune_fsm.llm.openai import OpenAILLM, normalise_base

HELLO = ask("Hello")
WIDE = Timeouts(10, 10, 10)
KEY = "sk-very-secret"


def open_llm(server: wire.Server, timeouts: Timeouts = WIDE, **more: object) -> OpenAILLM:
    return OpenAILLM(server.url, **{"timeouts": timeouts, "sleep": lambda _: None} | more)


def completion_of(
    answer: Iterable[Act], request: Request = HELLO, *, on_text: OnText | None = None
) -> Completion:
    with completions.server(in_turn(answer)) as server:
        return open_llm(server, tries=1).complete(request, on_text=on_text)


def failure_of(answer: Iterable[Act], **more: object) -> LLMError:
    with completions.server(in_turn(answer)) as server, pytest.raises(LLMError) as caught:
        open_llm(server, **{"tries": 1} | more).complete(HELLO)
    return caught.value


def sent(server: wire.Server) -> list[dict]:
    return [call.json for call in server.asked("/v1/chat/completions")]


@contextmanager
def openai(model: Model) -> Iterator[LLM]:
    with completions.server(completions.by(model)) as server:
        yield open_llm(server)


@pytest.mark.parametrize("check", conformance.CHECKS, ids=lambda check: check.__name__)
def test_a_v1_server_keeps_the_promises_of_a_model(check: Callable[[Factory], None]) -> None:
    check(openai)


# What is sent.


def test_a_request_says_what_every_server_knows_and_nothing_else() -> None:
    request = Request(
        "tiny",
        (Message("system", "Be brief."), Message("user", "What?", (b"\x89PNG", b"\xff\xd8\xff"))),
        {"temperature": 0.5, "seed": 7, "stop": "END", "top_k": 3, "num_ctx": 9, "think": True},
    )
    with completions.server(lambda _: chat("ok")) as server:
        open_llm(server, extra={"user": "me"}).complete(request)
    assert sent(server) == [
        {
            "model": "tiny",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "What?"},
                        {
                            "type": "image_url",
                            "image_url": {"url": "data:image/png;base64,iVBORw=="},
                        },
                        {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,/9j/"}},
                    ],
                },
            ],
            "stream": True,
            "stream_options": {"include_usage": True},
            "temperature": 0.5,
            "seed": 7,
            "stop": ["END"],
            "max_tokens": 1024,
            "user": "me",
        }
    ]


def test_llama_cpp_gets_its_own_options_and_told_whether_to_reuse_a_prefix() -> None:
    options = {"top_k": 3, "min_p": 0.1, "repeat_penalty": 1.1, "num_predict": 5}
    with completions.server(lambda _: chat("ok")) as server:
        llm = open_llm(server, dialect=LLAMACPP)
        llm.complete(ask("x", options=options))
        llm.complete(ask("x", reuse_prefix=True))
    first, second = sent(server)
    assert {"top_k": 3, "min_p": 0.1, "repeat_penalty": 1.1}.items() <= first.items()
    assert (first["max_tokens"], first["cache_prompt"], second["cache_prompt"]) == (5, False, True)


@pytest.mark.parametrize("limit", [0, -1, -2])
def test_a_limit_below_one_is_no_limit(limit: int) -> None:
    with completions.server(lambda _: chat("ok")) as server:
        open_llm(server).complete(ask("x", options={"num_predict": limit}))
    assert "max_tokens" not in sent(server)[0]


def test_a_schema_becomes_the_response_format_and_a_model_of_its_own_is_asked() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    with completions.server(lambda _: chat("{}")) as server:
        open_llm(server, model="other").complete(replace(HELLO, schema=schema))
    (body,) = sent(server)
    assert body["model"] == "other"
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "reply", "schema": schema},
    }


def test_a_lone_surrogate_is_sent_as_a_replacement_character() -> None:
    with completions.server(lambda _: chat("ok")) as server:
        open_llm(server).complete(ask("a\ud800b"))
    assert sent(server)[0]["messages"][0]["content"] == "a\ufffdb"


def test_options_that_are_no_json_are_refused_here() -> None:
    with completions.server(lambda _: chat("ok")) as server:
        for value in (float("nan"), object()):
            with pytest.raises(LLMError) as caught:
                open_llm(server).complete(ask("x", options={"temperature": value}))
            assert caught.value.kind is LLMErrorKind.BAD_REQUEST
    assert server.calls == []


def test_a_server_that_wants_the_newer_name_of_the_limit_gets_it_from_then_on() -> None:
    def answer(call: wire.Call) -> Iterable[Act]:
        if "max_tokens" in call.json:
            return refusal(400, "Use 'max_completion_tokens' instead of 'max_tokens'.")
        return chat("ok")

    with completions.server(answer) as server:
        llm = open_llm(server)
        assert llm.complete(HELLO).text == llm.complete(HELLO).text == "ok"
    assert ["max_tokens" in body for body in sent(server)] == [True, False, False]


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        (b"\x89PNG\r\n", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\0\0\0\0WEBPVP8", "image/webp"),
        (b"BM\0", "image/bmp"),
        (b"", "image/png"),
    ],
)
def test_the_kind_of_an_image_is_seen_in_its_first_bytes(image: bytes, kind: str) -> None:
    assert media_type(image) == kind


# What is read.

REPLY = [word("Grüße, "), word("世界 😀\u2028!"), finish(), usage(), DONE]


def test_a_stream_cut_into_packets_anywhere_is_the_same_reply() -> None:
    whole = b"".join(REPLY)

    @settings(max_examples=25)
    @given(st.sets(st.integers(1, len(whole) - 1), max_size=12), st.booleans())
    def holds(cuts: set[int], crlf: bool) -> None:
        ends = [0, *sorted(cuts), len(whole)]
        packets = [whole[a:b] for a, b in pairwise(ends)]
        if crlf:
            packets = [packet.replace(b"\n", b"\r\n") for packet in packets]
        completion = completion_of(chunked(packets))
        assert completion.text == "Grüße, 世界 😀\u2028!"
        assert (completion.prompt_tokens, completion.completion_tokens) == (7, 3)

    holds()


def test_a_stream_that_ends_anywhere_before_its_finish_is_never_taken_for_a_reply() -> None:
    whole = b"".join(REPLY)
    last = whole.index(b'"finish_reason": "stop"')

    @settings(max_examples=40)
    @given(st.integers(0, last))
    def holds(end: int) -> None:
        assert failure_of(chunked([whole[:end]])).kind is LLMErrorKind.TRUNCATED_STREAM

    holds()


@pytest.mark.parametrize(
    "tail",
    [
        [finish(), DONE],  # no usage
        [finish()],  # no end mark
        [DONE],  # no reason
        [finish(), usage(), RESET],  # broke off when all was said
        [b": ping\n\n", b"event: message\nid: 7\nretry: 3\n", finish(), DONE],
    ],
)
def test_servers_that_end_a_reply_in_their_own_way_are_understood(tail: list[Act]) -> None:
    assert completion_of(chunked([word("well"), *tail], whole=RESET not in tail)).text == "well"


def test_a_server_that_does_not_stream_is_understood() -> None:
    choice = {"message": {"role": "assistant", "content": "all"}, "finish_reason": "length"}
    body = json.dumps({"choices": [choice], "usage": COUNTS}, indent=2)
    completion = completion_of(page(200, body))
    assert (completion.text, completion.cut, completion.prompt_tokens) == ("all", True, 7)


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_thinking_kept_apart_is_left_out(field: str) -> None:
    pieces: list[str] = []
    events = [delta(**{field: "hm"}), word("<think>hm</think> yes"), finish(), DONE]
    assert completion_of(chunked(events), on_text=pieces.append).text == "yes"
    assert [piece for piece in pieces if piece] == ["yes"]


@pytest.mark.parametrize(
    ("events", "kind"),
    [
        ([delta(reasoning="hm"), finish()], LLMErrorKind.EMPTY),
        ([delta(reasoning="hm"), finish("length")], LLMErrorKind.CUT_BY_LIMIT),
        ([finish("length")], LLMErrorKind.CUT_BY_LIMIT),
        ([word("<think>and on and on"), finish("length")], LLMErrorKind.CUT_BY_LIMIT),
        ([word("half"), finish("content_filter")], LLMErrorKind.EMPTY),
        ([word("x" * (REPLY_LIMIT // 2))] * 3, LLMErrorKind.CUT_BY_LIMIT),
        ([word("half"), event({"error": {"message": "boom"}})], LLMErrorKind.SERVER),
        ([b'error: {"code": 500, "message": "boom"}\n\n'], LLMErrorKind.SERVER),
        ([event({"error": "exceed_context_size_error"})], LLMErrorKind.CONTEXT_OVERFLOW),
        ([b"data: [1]\n\n"], LLMErrorKind.PROTOCOL),
        ([b"data: {]\n\n"], LLMErrorKind.PROTOCOL),
        ([b"hello\n"], LLMErrorKind.PROTOCOL),
        ([b"<html>hello</html>\n"], LLMErrorKind.PROTOCOL),
        ([event({"object": "list"})], LLMErrorKind.PROTOCOL),
        ([event({"choices": ["x"]})], LLMErrorKind.PROTOCOL),
        ([event({"choices": [{"delta": "x"}]})], LLMErrorKind.PROTOCOL),
        ([], LLMErrorKind.TRUNCATED_STREAM),
        ([DONE[:9]], LLMErrorKind.TRUNCATED_STREAM),
        ([word("half"), RESET], LLMErrorKind.TRUNCATED_STREAM),
    ],
)
def test_what_is_no_whole_reply_is_an_error_of_its_kind(
    events: list[Act], kind: LLMErrorKind
) -> None:
    assert failure_of(chunked(events, whole=RESET not in events)).kind is kind


@pytest.mark.parametrize(
    ("status", "words", "kind"),
    [
        (401, "no key", LLMErrorKind.DENIED),
        (403, "no", LLMErrorKind.DENIED),
        (400, "bad option", LLMErrorKind.BAD_REQUEST),
        (400, "exceed_context_size_error", LLMErrorKind.CONTEXT_OVERFLOW),
        (400, "This model's maximum context length is 8192 tokens", LLMErrorKind.CONTEXT_OVERFLOW),
        (404, "The model `x` does not exist", LLMErrorKind.MISSING_MODEL),
        (404, "not found", LLMErrorKind.PROTOCOL),
        (429, "slow down", LLMErrorKind.BUSY),
        (503, "loading model", LLMErrorKind.BUSY),
        (500, "boom", LLMErrorKind.SERVER),
        (502, "boom", LLMErrorKind.SERVER),
    ],
)
def test_a_refusal_is_an_error_of_its_kind_with_the_servers_words(
    status: int, words: str, kind: LLMErrorKind
) -> None:
    error = failure_of(refusal(status, words))
    assert error.kind is kind
    assert words in str(error)


def test_what_may_pass_is_asked_three_times_as_the_server_wishes() -> None:
    waits: list[float] = []
    busy = refusal(503, "busy", retry_after="7")
    with completions.server(in_turn(busy, refusal(500, "boom"), chat("at last"))) as server:
        assert open_llm(server, sleep=waits.append).complete(HELLO).text == "at last"
        assert len(server.calls) == 3
    assert 9 <= sum(waits) <= 12  # seven, then two, and some jitter


@pytest.mark.parametrize("status", [400, 401, 404])
def test_what_cannot_pass_is_asked_once(status: int) -> None:
    with completions.server(lambda _: refusal(status, "model")) as server:
        with pytest.raises(LLMError):
            open_llm(server).complete(HELLO)
        assert len(sent(server)) == 1


def test_a_missing_model_brings_the_names_of_those_there() -> None:
    with (
        completions.server(lambda _: refusal(404, "no such model"), "big", "tinny") as server,
        pytest.raises(LLMError, match="it has tinny"),
    ):
        open_llm(server).complete(HELLO)


# Who hears what.


def test_the_key_is_sent_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f" {KEY}\n")
    for answer in (
        refusal(401, f"wrong key {KEY}"),
        chunked([event({"error": f"the key {KEY} ran dry"})]),
    ):
        with completions.server(in_turn(answer)) as server:
            llm = open_llm(server, tries=1)
            with pytest.raises(LLMError) as caught:
                llm.complete(HELLO)
        assert server.calls[0].headers["authorization"] == f"Bearer {KEY}"
        assert KEY not in str(caught.value) + repr(caught.value) + llm.name
        assert "***" in str(caught.value)


def test_a_missing_key_is_named_and_none_is_sent() -> None:
    with completions.server(lambda _: refusal(401, "no")) as server:
        with pytest.raises(LLMError, match="set OPENAI_API_KEY"):
            open_llm(server).complete(HELLO)
        assert "authorization" not in server.calls[0].headers


@pytest.mark.parametrize("key", ["two words", "ключ", "a\x00b"])
def test_what_cannot_be_a_key_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(UsageError) as caught:
        OpenAILLM("localhost:1", api_key=key)
    assert key not in str(caught.value)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_refused_and_nobody_else_is_asked(status: int) -> None:
    with completions.server(lambda _: chat("gotcha")) as elsewhere:
        answer = page(status, "", location=f"{elsewhere.url}/v1/chat/completions")
        error = failure_of(answer, api_key=KEY)
        assert "redirects to" in str(error)
        assert elsewhere.calls == []


def test_a_server_that_is_down_is_said_to_be_unreachable() -> None:
    with completions.server(lambda _: chat("x")) as server:
        url = server.url
    with pytest.raises(LLMError, match="is the server running") as caught:
        OpenAILLM(url, tries=1).complete(HELLO)
    assert caught.value.kind is LLMErrorKind.UNREACHABLE


def test_models_are_listed_sorted_and_a_stranger_is_no_server() -> None:
    with completions.server(lambda _: chat("x"), "b", "a") as server:
        assert open_llm(server).models() == ("a", "b")
    strange = {("GET", "/v1/models"): lambda _: page(200, '{"data": 3}')}
    with wire.Server(strange) as server, pytest.raises(LLMError, match="unexpected"):
        open_llm(server).models()


# Time.


@pytest.mark.parametrize(
    ("events", "kind"),
    [
        ([5.0], LLMErrorKind.TIMEOUT_FIRST_TOKEN),
        ([b": ping\n\n", 0.2] * 20, LLMErrorKind.TIMEOUT_FIRST_TOKEN),  # alive, and no word
        ([word("a"), 5.0], LLMErrorKind.TIMEOUT_IDLE),
        ([word("a"), 0.05] * 60, LLMErrorKind.TIMEOUT_TOTAL),
    ],
)
def test_each_limit_holds_on_the_clock(events: list[Act], kind: LLMErrorKind) -> None:
    started = time.monotonic()
    assert failure_of(chunked(events), timeouts=Timeouts(0.5, 0.5, 1.0)).kind is kind
    assert time.monotonic() - started < 4


def test_a_stop_ends_a_silent_call_and_the_server_notices() -> None:
    stop = Stop()
    with completions.server(lambda _: chunked([word("a"), 9.0])) as server:
        threading.Timer(0.3, stop.ask).start()
        started = time.monotonic()
        with pytest.raises(Cancelled):
            open_llm(server).complete(HELLO, stop=stop)
        assert time.monotonic() - started < 3
        assert server.calls[0].gone.wait(3)


# Addresses.


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("localhost:8080", "http://localhost:8080/v1"),
        ("http://h", "http://h/v1"),
        ("https://h/v1/", "https://h/v1"),
        ("https://h/api/v3/chat/completions", "https://h/api/v3"),
        (" http://[::1]:1/ ", "http://[::1]:1/v1"),
    ],
)
def test_an_address_is_completed(text: str, url: str) -> None:
    assert normalise_base(text) == url
    assert normalise_base(url) == url


@given(st.text(max_size=30))
@settings(max_examples=80)
def test_any_text_is_an_address_or_a_usage_error(text: str) -> None:
    try:
        url = normalise_base(text)
    except UsageError:
        return
    assert url.startswith(("http://", "https://"))
    assert normalise_base(url) == url


@pytest.mark.parametrize(
    "text", ["", "http://", "ftp://x", "h:99999", "h:0", "h:x", "http://u:pw@h", "u:pw@:x", "h?q"]
)
def test_what_is_no_address_is_refused_and_no_password_shown(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        normalise_base(text)
    assert "pw" not in str(caught.value)


def test_making_one_imports_no_http_library() -> None:
    code = (
        "import sys; from finetune_fsm.llm.openai import OpenAILLM; OpenAILLM('h').name; "
        "from finetune_fsm.llm import llamacpp, engine, sources, weights; "
        "heavy = {'httpx', 'xllamacpp', 'loguru', 'asyncio', 'platformdirs'} & {*sys.modules}; "
        "sys.exit(bool(heavy))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_answer_may_say_its_length() -> None:
    body = b"".join(REPLY)
    assert completion_of([head(content_length=str(len(body))), body]).text.startswith("Grüße")
