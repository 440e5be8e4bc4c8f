from __future__ import annotations

import base64
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest
import wire
from hypothesis import given, settings
from hypothesis import strategies as st
from llm import conformance
from llm.conformance import Factory, Model, ask
from wire import RESET, Act, chat, chunked, final, in_turn, page, piece, refusal, thought

from finetune_fsm.errors import Cancelled, LLMError, LLMErrorKind
from finetune_fsm.llm.base import (
    DEFAULT_REPLY_TOKENS,
    LLM,
    REPLY_LIMIT,
    Message,
    OnText,
    Request,
    Stop,
)
from finetune_fsm.llm.deadlines import Timeouts
from finetune_fsm.llm.ollama import OllamaLLM

HELLO = ask("Hello")
WIDE = Timeouts(10, 10, 10)


class Slept(list[float]):
    """Waits for nothing and notes for how long."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def open_llm(
    server: wire.Server, timeouts: Timeouts = WIDE, *, sleep: Callable[[float], None] | None = None
) -> OllamaLLM:
    return OllamaLLM(server.url, timeouts=timeouts, sleep=Slept() if sleep is None else sleep)


def reply_to(
    answer: Iterable[Act], request: Request = HELLO, *, on_text: OnText | None = None
) -> str:
    with wire.ollama(in_turn(answer)) as server:
        return open_llm(server).complete(request, on_text=on_text).text


def sent(server: wire.Server) -> list[dict]:
    return [call.json for call in server.asked("/api/chat")]


@contextmanager
def ollama(model: Model) -> Iterator[LLM]:
    def answer(call: wire.Call) -> Iterable[Act]:
        said = model(call.json["messages"][-1]["content"])
        if said.error is LLMErrorKind.MISSING_MODEL:
            return refusal(404, "model 'tiny' not found")
        parts = [said.text[n : n + 3] for n in range(0, len(said.text), 3)]
        return chat(*parts, reason="length" if said.cut else "stop")

    with wire.ollama(answer) as server:
        yield open_llm(server)


@pytest.mark.parametrize("check", conformance.CHECKS, ids=lambda check: check.__name__)
def test_ollama_keeps_the_promises_of_a_model(check: Callable[[Factory], None]) -> None:
    check(ollama)


# What is sent.


def test_a_request_says_everything_and_lets_nothing_be_cut() -> None:
    request = Request(
        "tiny",
        (Message("system", "Be brief."), Message("user", "What?", (b"\x89PNG",))),
        {"temperature": 0.5, "seed": 7, "stop": "END", "keep_alive": "5m", "top_k": 3},
    )
    with wire.ollama() as server:
        open_llm(server).complete(request)
    assert sent(server) == [
        {
            "model": "tiny",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {
                    "role": "user",
                    "content": "What?",
                    "images": [base64.b64encode(b"\x89PNG").decode()],
                },
            ],
            "stream": True,
            "truncate": False,
            "shift": False,
            "keep_alive": "5m",
            "options": {
                "temperature": 0.5,
                "seed": 7,
                "stop": ["END"],
                "top_k": 3,
                "num_ctx": 4096,
                "num_predict": DEFAULT_REPLY_TOKENS,
            },
        }
    ]


def test_a_schema_becomes_the_format_and_switches_thinking_off() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    with wire.ollama() as server:
        open_llm(server).complete(replace(HELLO, schema=schema))
    (body,) = sent(server)
    assert (body["format"], body["think"]) == (schema, False)


def test_the_users_own_think_is_kept() -> None:
    with wire.ollama() as server:
        llm = open_llm(server)
        llm.complete(replace(HELLO, options={"think": "low"}, schema={}))
        llm.complete(HELLO)
    first, second = sent(server)
    assert first["think"] == "low"
    assert "think" not in first["options"]
    assert "think" not in second


def test_a_model_that_cannot_think_is_asked_again_without_the_word_and_only_once() -> None:
    def answer(call: wire.Call) -> Iterable[Act]:
        if "think" in call.json:
            return refusal(400, '"tiny" does not support thinking')
        return chat("{}")

    with wire.ollama(answer) as server:
        llm = open_llm(server)
        assert [llm.complete(replace(HELLO, schema={})).text for _ in range(2)] == ["{}", "{}"]
    assert ["think" in body for body in sent(server)] == [True, False, False]


def test_a_model_that_refuses_the_users_own_think_is_an_error() -> None:
    with wire.ollama(lambda _: refusal(400, "does not support thinking")) as server:
        with pytest.raises(LLMError) as caught:
            open_llm(server).complete(replace(HELLO, options={"think": True}))
        assert caught.value.kind is LLMErrorKind.BAD_REQUEST
        assert len(sent(server)) == 1


@pytest.mark.parametrize("options", [{"temperature": float("nan")}, {"top_p": object()}])
def test_an_option_that_is_no_json_is_refused_before_it_is_sent(
    options: Mapping[str, object],
) -> None:
    with wire.ollama() as server:
        with pytest.raises(LLMError, match="cannot be written as JSON") as caught:
            open_llm(server).complete(replace(HELLO, options=options))
        assert caught.value.kind is LLMErrorKind.BAD_REQUEST
        assert sent(server) == []


@settings(max_examples=20)
@given(st.text(st.characters(categories=("Cs", "Ll", "So")), max_size=10))
def test_any_prompt_can_be_sent(text: str) -> None:
    with wire.ollama() as server:
        assert open_llm(server).complete(ask(text)).text == "Hello"
    joined = json.loads(json.dumps(text))  # two halves of a character become one
    assert sent(server)[0]["messages"][0]["content"] == joined


# The context.


def test_the_context_grows_with_the_prompt_and_never_shrinks() -> None:
    lengths = [10, 20_000, 10]
    with wire.ollama(models={"tiny": 131_072}) as server:
        llm = open_llm(server)
        for length in lengths:
            llm.complete(ask("x" * length))
    assert [body["options"]["num_ctx"] for body in sent(server)] == [4096, 8192, 8192]
    assert len(server.asked("/api/show")) == 1


def test_a_prompt_that_cannot_fit_is_never_sent() -> None:
    with wire.ollama(models={"tiny": 2048}) as server:
        with pytest.raises(LLMError, match=r"about 3,3\d\d tokens .* 2,048 tokens") as caught:
            open_llm(server).complete(ask("x" * 10_000))
        assert caught.value.kind is LLMErrorKind.CONTEXT_OVERFLOW
        assert sent(server) == []


def test_the_users_own_context_is_kept_to() -> None:
    with wire.ollama(models={"tiny": 131_072}) as server:
        open_llm(server).complete(replace(HELLO, options={"num_ctx": 2048, "num_predict": 5}))
        with pytest.raises(LLMError, match="2,048 tokens — raise num_ctx"):
            open_llm(server).complete(ask("x" * 10_000, options={"num_ctx": 2048}))
    (body,) = sent(server)
    assert body["options"] == {"num_ctx": 2048, "num_predict": 5}


def test_a_prompt_the_server_finds_too_long_gets_a_wider_context_once() -> None:
    def answer(call: wire.Call) -> Iterable[Act]:
        if call.json["options"]["num_ctx"] < 16_384:
            return refusal(400, "the input length exceeds the context length")
        return chat("fits")

    with wire.ollama(answer, models={"tiny": 131_072}) as server:
        assert open_llm(server).complete(ask("7" * 9000)).text == "fits"
    assert [body["options"]["num_ctx"] for body in sent(server)] == [4096, 16_384]


def test_a_prompt_the_server_finds_too_long_in_the_end_is_an_error_with_both_sizes() -> None:
    words = "the input length exceeds the context length"
    with wire.ollama(lambda _: refusal(400, words), models={"tiny": 8192}) as server:
        with pytest.raises(LLMError, match=r"3,017 tokens .* 8,192 tokens .*exceeds") as caught:
            open_llm(server).complete(ask("7" * 9000))
        assert caught.value.kind is LLMErrorKind.CONTEXT_OVERFLOW
        assert len(sent(server)) == 2


@pytest.mark.parametrize(
    "show",
    [
        page(404, "404 page not found"),
        page(200, "{}"),
        page(200, '{"model_info": {"llama.context_length": "many"}}'),
        page(200, "<html>"),
        [RESET],
    ],
    ids=["404", "nothing", "words", "page", "reset"],
)
def test_a_server_that_does_not_know_the_context_length_is_asked_all_the_same(
    show: Iterable[Act],
) -> None:
    with wire.ollama(show=in_turn(show)) as server:
        assert open_llm(server).complete(ask("x" * 30_000)).text == "Hello"
    assert sent(server)[0]["options"]["num_ctx"] == 16_384


def test_the_context_length_is_the_language_models_own() -> None:
    info = {
        "clip.context_length": 77,
        "general.architecture": "gemma3",
        "gemma3.context_length": 8192,
    }
    with wire.ollama(show=lambda _: page(200, json.dumps({"model_info": info}))) as server:
        open_llm(server).complete(ask("x" * 20_000, options={"num_predict": 5000}))
    assert sent(server)[0]["options"]["num_ctx"] == 8192


# What comes back.

TEXT = "Größe 😀 \u2028\x85 {\"a\": 'b'}\r\n漢字"
LINES = (
    b"".join(
        json.dumps(
            {"message": {"role": "assistant", "content": TEXT[n : n + 5]}, "done": False},
            ensure_ascii=False,
        ).encode()
        + b"\n"
        for n in range(0, len(TEXT), 5)
    )
    + final()
)


def test_a_stream_split_at_every_byte_gives_the_same_text() -> None:
    offset = iter(range(len(LINES)))

    def answer(_: wire.Call) -> Iterable[Act]:
        at = next(offset)
        return chunked([part for part in (LINES[:at], LINES[at:]) if part])

    with wire.ollama(answer) as server:
        llm = open_llm(server)
        texts = {llm.complete(HELLO).text for _ in range(len(LINES))}
    assert texts == {TEXT}


def test_a_stream_of_single_bytes_gives_the_same_text() -> None:
    assert reply_to(chunked([LINES[n : n + 1] for n in range(len(LINES))])) == TEXT


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ([b"\xef\xbb\xbf", piece("a"), final()], "a"),
        ([b"\n\r\n", piece("a"), b"\n  \n", final(), b"\n"], "a"),
        ([piece("a").replace(b"\n", b"\r\n"), final().replace(b"\n", b"\r\n")], "a"),
        ([piece("a"), final().rstrip()], "a"),
        ([b'{"message": {"content": "a\xffb"}}\n', final()], "a\ufffdb"),
        ([b'{"message": {"content": "a\\ud800b"}}\n', final()], "a\ufffdb"),
        ([b'{"message": {"content": null}}\n', piece("a"), b'{"done": true}\n'], "a"),
        ([piece("a"), final("stop"), b"rubbish after the end"], "a"),
        ([thought("hm"), thought("so"), piece("a"), final()], "a"),
        ([piece("<thi"), piece("nk>hm</think>\n\n"), piece("a"), final()], "a"),
        ([piece("a <think> b"), final()], "a <think> b"),
        ([final()], ""),
    ],
)
def test_an_odd_but_whole_stream_is_understood(parts: list[Act], text: str) -> None:
    shown: list[str] = []
    assert reply_to(chunked(parts), on_text=shown.append) == text
    assert "".join(shown) == text


def test_what_the_server_counted_is_reported() -> None:
    with wire.ollama(lambda _: chunked([0.1, piece("a"), final(read=12, written=34)])) as server:
        completion = open_llm(server).complete(HELLO)
    assert (completion.prompt_tokens, completion.completion_tokens) == (12, 34)
    assert 0.1 <= completion.seconds < 5


def test_a_reply_cut_at_the_limit_keeps_its_text() -> None:
    with wire.ollama(lambda _: chat("half a", reason="length")) as server:
        completion = open_llm(server).complete(HELLO)
    assert (completion.text, completion.cut) == ("half a", True)


# Faults.


@dataclass(frozen=True)
class Fault:
    """What the server does for ever, and what must come of it."""

    answer: Iterable[Act]
    kind: LLMErrorKind
    words: tuple[str, ...] = ()
    tries: int = 3
    timeouts: Timeouts = WIDE


K = LLMErrorKind
HTML = "<!DOCTYPE html><html><body>\x1b[31mWelcome to the hotel</body>"
FLOOD = [piece(" " * 100_000)] * (REPLY_LIMIT // 100_000 + 1)

FAULTS = {
    "a missing model": Fault(
        refusal(404, "model 'tiny' not found"),
        K.MISSING_MODEL,
        ("'tiny'", "'ollama pull tiny'", "tiny:1b", "not found"),
        1,
    ),
    "404 of another server": Fault(page(404, "404 page not found"), K.PROTOCOL, ("404",)),
    "500": Fault(refusal(500, "llama runner\x1b has died"), K.SERVER, (r"runner\x1b has died",)),
    "no memory": Fault(
        refusal(500, "model requires more system memory (9 GiB)"), K.SERVER, ("9 GiB", "smaller")
    ),
    "503": Fault(refusal(503, "server busy"), K.BUSY, ("server busy",)),
    "429": Fault(page(429, ""), K.BUSY, ("429",)),
    "401": Fault(refusal(401, "unauthorized"), K.DENIED, ("OLLAMA_API_KEY", "unauthorized"), 1),
    "403": Fault(page(403, "forbidden"), K.DENIED, ("forbidden",), 1),
    "400": Fault(refusal(400, "invalid format: [b]"), K.BAD_REQUEST, ("invalid format: [b]",), 1),
    "502 with a page": Fault(page(502, HTML), K.PROTOCOL, ("502", "<!DOCTYPE")),
    "200 with a page": Fault(page(200, HTML), K.PROTOCOL, ("<!DOCTYPE", "x1b")),
    "an empty body": Fault(page(200, ""), K.TRUNCATED_STREAM, ("broke off",)),
    "no chunks": Fault(chunked([]), K.TRUNCATED_STREAM),
    "another object": Fault(chunked([b'{"foo": 1}\n']), K.PROTOCOL, ("foo",)),
    "a list": Fault(chunked([b"[1]\n"]), K.PROTOCOL, ("[1]",)),
    "a deep list": Fault(chunked([b"[" * 100_000 + b"\n"]), K.PROTOCOL),
    "a number as text": Fault(chunked([b'{"message": {"content": 5}}\n']), K.PROTOCOL),
    "rubbish within": Fault(chunked([piece("a"), b"rubbish\n", final()]), K.PROTOCOL, ("rubbish",)),
    "an error line": Fault(chunked([b'{"error": "boom \\u202e"}\n']), K.SERVER, ("boom",)),
    "an error line within": Fault(
        chunked([piece("a"), b'{"error": "CUDA error"}\n']), K.SERVER, ("CUDA error",)
    ),
    "no done": Fault(chunked([piece("a"), piece("b")]), K.TRUNCATED_STREAM, ("broke off",)),
    "a line cut": Fault(chunked([piece("a"), piece("b")[:-9]]), K.TRUNCATED_STREAM),
    "a connection cut": Fault(chunked([piece("a")], whole=False), K.TRUNCATED_STREAM),
    "a reset": Fault([*chunked([piece("a"), 0.05], whole=False), RESET], K.TRUNCATED_STREAM),
    "a reset before anything": Fault([RESET], K.TRUNCATED_STREAM),
    "no answer": Fault([], K.TRUNCATED_STREAM),
    "not http": Fault([b"SSH-2.0-OpenSSH_9.6\r\n\r\n"], K.PROTOCOL),
    "a wrong length": Fault([wire.head(content_length="999") + piece("a")], K.TRUNCATED_STREAM),
    "bad gzip": Fault(page(200, "no gzip", content_encoding="gzip"), K.PROTOCOL),
    "silence": Fault([30.0], K.TIMEOUT_FIRST_TOKEN, ("0.2 s",), timeouts=Timeouts(0.2, 5, 5)),
    "silence after the head": Fault(
        chunked([30.0]), K.TIMEOUT_FIRST_TOKEN, timeouts=Timeouts(0.2, 5, 5)
    ),
    "silence within": Fault(
        chunked([piece("a"), 30.0]), K.TIMEOUT_IDLE, ("0.2 s",), timeouts=Timeouts(5, 0.2, 5)
    ),
    "dripping bytes": Fault(
        chunked([b" ", 0.02] * 500), K.TIMEOUT_FIRST_TOKEN, timeouts=Timeouts(0.3, 5, 5)
    ),
    "a dripping head": Fault(
        [b"HTTP/1.1 200 OK\r\n", *[b"x: y\r\n", 0.02] * 500],
        K.TIMEOUT_FIRST_TOKEN,
        timeouts=Timeouts(0.3, 5, 5),
    ),
    "dripping tokens": Fault(
        chunked([piece("a"), 0.02] * 500), K.TIMEOUT_TOTAL, tries=1, timeouts=Timeouts(5, 5, 0.4)
    ),
    "endless white space": Fault(chunked(FLOOD), K.CUT_BY_LIMIT, ("1,000,000",), 1),
    "white space up to the limit": Fault(chat("  \n ", reason="length"), K.CUT_BY_LIMIT, (), 1),
    "nothing up to the limit": Fault(chat(reason="length"), K.CUT_BY_LIMIT, ("1,024",), 1),
    "only thinking": Fault(chunked([thought("hm"), final()]), K.EMPTY, ("think",), 1),
    "thinking up to the limit": Fault(
        chunked([thought("hm"), final("length")]), K.CUT_BY_LIMIT, ("num_predict",), 1
    ),
    "thinking aloud without end": Fault(chat("<think>hm"), K.CUT_BY_LIMIT, ("thinking",), 1),
    "thinking aloud and nothing else": Fault(chat("<think>hm</think>\n"), K.EMPTY, (), 1),
}


FAULTS = {name: replace(fault, answer=tuple(fault.answer)) for name, fault in FAULTS.items()}
PASSING = sorted(n for n, fault in FAULTS.items() if fault.tries == 3 and fault.timeouts == WIDE)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_every_fault_has_its_kind_its_words_and_its_number_of_tries(fault: Fault) -> None:
    models = {"tiny:1b": 4096, "huge": 4096, "tiny": 4096}
    with wire.ollama(in_turn(fault.answer), models=models) as server:
        with pytest.raises(LLMError) as caught:
            open_llm(server, fault.timeouts).complete(HELLO)
        assert caught.value.kind is fault.kind
        for words in fault.words:
            assert words in str(caught.value)
        assert not {"\x1b", "\u202e", "\n"} & set(str(caught.value))
        assert len(sent(server)) == fault.tries


@pytest.mark.parametrize("name", PASSING)
def test_a_fault_that_passes_leaves_no_trace_in_the_reply(name: str) -> None:
    slept = Slept()
    with wire.ollama(in_turn(FAULTS[name].answer, FAULTS[name].answer, chat("fine"))) as server:
        completion = open_llm(server, sleep=slept).complete(HELLO)
        assert (completion.text, len(sent(server))) == ("fine", 3)
    assert 3 <= sum(slept) <= 3 * 1.25 + 0.01


def test_a_busy_server_is_waited_for_as_long_as_it_asks() -> None:
    slept = Slept()
    busy = refusal(503, "busy", retry_after="20")
    with wire.ollama(in_turn(busy, chat("fine"))) as server:
        assert open_llm(server, sleep=slept).complete(HELLO).text == "fine"
    assert 20 <= sum(slept) <= 25.1


def test_no_server_says_where_it_looked_and_what_to_do() -> None:
    with wire.ollama() as server:
        url = server.url
    with pytest.raises(LLMError) as caught:
        OllamaLLM(url, sleep=Slept()).complete(HELLO)
    assert caught.value.kind is LLMErrorKind.UNREACHABLE
    for words in (url, "'ollama serve'", "OLLAMA_HOST"):
        assert words in str(caught.value)


def test_a_missing_model_names_the_installed_ones_even_when_none_is_close() -> None:
    def error(models: Mapping[str, int]) -> str:
        missing = refusal(404, "model not found")
        with wire.ollama(in_turn(missing), models=models) as server:
            with pytest.raises(LLMError) as caught:
                open_llm(server).complete(replace(HELLO, model="zzz"))
            return str(caught.value)

    assert "installed: qwen3:8b" in error({"qwen3:8b": 1})
    assert "no model is installed there" in error({})


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_refused_and_the_other_host_hears_nothing(status: int) -> None:
    with wire.ollama() as other:
        there = f"http://ann:secret@{other.url.removeprefix('http://')}/api/chat"
        with wire.ollama(lambda _: page(status, "", location=there)) as server:
            llm = open_llm(server)
            with pytest.raises(LLMError, match=f"redirects to {other.url}/api/chat") as caught:
                llm.complete(HELLO)
        assert caught.value.kind is LLMErrorKind.DENIED  # asking again does not help
        assert "secret" not in str(caught.value)
        assert other.calls == []


def test_a_password_in_the_address_is_used_and_never_told() -> None:
    with wire.ollama(lambda _: refusal(401, "no")) as server:
        llm = OllamaLLM(server.url.replace("//", "//ann:s%20cret@"), sleep=Slept())
        with pytest.raises(LLMError) as caught:
            llm.complete(HELLO)
    for told in (llm.name, str(caught.value), repr(caught.value)):
        assert "cret" not in told
        assert "ann" not in told
    expected = "Basic " + base64.b64encode(b"ann:s cret").decode()
    assert {call.headers["authorization"] for call in server.calls} == {expected}


def test_a_proxy_is_never_asked_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    with wire.ollama() as proxy, wire.ollama() as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        assert open_llm(server).complete(HELLO).text == "Hello"
        assert proxy.calls == []


def test_another_machine_is_asked_through_the_users_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(_: wire.Call) -> Iterable[Act]:
        return chat("by proxy")

    with wire.Server({("POST", "http://far.example:11434/api/chat"): answer}) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "localhost")
        llm = OllamaLLM("http://far.example:11434", sleep=Slept())
        assert llm.complete(HELLO).text == "by proxy"


def test_a_proxy_nobody_can_use_is_an_error_that_names_the_variables(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("all_proxy", "gopher://x")
    with pytest.raises(LLMError, match="HTTP_PROXY"):
        OllamaLLM("http://far.example:11434", sleep=Slept()).complete(HELLO)


# Stopping, side by side, and the rest.


@pytest.mark.parametrize(
    "answer",
    [[30.0], chunked([piece("a"), 30.0]), chunked([piece("a"), 0.02] * 1000)],
    ids=["silent", "silent within", "talking"],
)
def test_a_stop_is_noticed_at_once_and_the_server_too(answer: Iterable[Act]) -> None:
    stop = Stop()
    asked: list[float] = []

    def ask_to_stop() -> None:
        asked.append(time.monotonic())
        stop.ask()

    with wire.ollama(in_turn(answer)) as server:
        threading.Timer(0.5, ask_to_stop).start()
        with pytest.raises(Cancelled):
            open_llm(server).complete(HELLO, stop=stop)
        assert time.monotonic() - asked[0] < 0.3
        (call,) = server.asked("/api/chat")
        assert call.gone.wait(1)
        for thread in threading.enumerate():
            if thread.name == "llm-reader":
                thread.join(1)
                assert not thread.is_alive()


def test_a_stop_reaches_also_a_server_that_would_keep_the_connection() -> None:
    stop = Stop()

    def show(_: wire.Call) -> Iterable[Act]:
        return page(200, "{}", connection="keep-alive")

    with wire.ollama(lambda _: [30.0], show=show) as server:
        server.keeps_alive = True
        threading.Timer(0.3, stop.ask).start()
        with pytest.raises(Cancelled):
            open_llm(server).complete(HELLO, stop=stop)
        assert server.asked("/api/chat")[0].gone.wait(1)


def test_a_late_server_is_hung_up_on_before_it_is_asked_again() -> None:
    with wire.ollama(in_turn([30.0], chat("fine"))) as server:
        assert open_llm(server, Timeouts(0.3, 5, 5)).complete(HELLO).text == "fine"
        assert server.asked("/api/chat")[0].gone.wait(1)


def test_an_error_of_the_listener_is_the_callers_own() -> None:
    def listen(_: str) -> None:
        raise RuntimeError("my own")

    with pytest.raises(RuntimeError, match="my own"):
        reply_to(chat("a"), on_text=listen)


def test_the_listener_hears_each_piece_before_the_next_is_sent() -> None:
    heard = threading.Event()

    def answer(_: wire.Call) -> Iterator[Act]:
        yield from chunked([piece("a")], whole=False)
        assert heard.wait(5)
        yield from list(chunked([piece("b"), final()]))[1:]

    with wire.ollama(answer) as server:
        assert open_llm(server).complete(HELLO, on_text=lambda _: heard.set()).text == "ab"


def test_the_models_are_those_installed_sorted() -> None:
    with wire.ollama(models={"b:1b": 1, "a": 1, "c": 1}) as server:
        assert open_llm(server).models() == ("a", "b:1b", "c")


@pytest.mark.parametrize("body", ["{}", "[]", '{"models": 3}', "<html>", ""])
def test_a_list_of_models_that_is_none_is_an_error(body: str) -> None:
    with wire.ollama(tags=lambda _: page(200, body)) as server, pytest.raises(LLMError) as caught:
        open_llm(server).models()
    assert caught.value.kind is LLMErrorKind.PROTOCOL


def test_entries_of_the_list_that_are_no_models_are_passed_over() -> None:
    body = '{"models": [{"name": "a"}, 3, {"name": null}, {}]}'
    with wire.ollama(tags=lambda _: page(200, body)) as server:
        assert open_llm(server).models() == ("a",)


@pytest.mark.parametrize(("value", "slots"), [("4", 4), ("0", 1), ("many", 1), ("", 1)])
def test_the_slots_are_those_of_the_environment_or_one(
    monkeypatch: pytest.MonkeyPatch, value: str, slots: int
) -> None:
    monkeypatch.setenv("OLLAMA_NUM_PARALLEL", value)
    assert OllamaLLM("http://localhost:11434").slots == slots
    assert OllamaLLM("http://localhost:11434", slots=3).slots == 3


def test_it_can_be_used_again_after_closing() -> None:
    with wire.ollama() as server:
        llm = open_llm(server)
        llm.complete(HELLO)
        llm.close()
        assert llm.complete(HELLO).text == "Hello"


def test_importing_and_making_it_loads_no_heavy_module() -> None:
    code = (
        "import sys; from finetune_fsm.llm.ollama import OllamaLLM, answers, normalise_host;"
        "OllamaLLM(normalise_host('')); answers('http://127.0.0.1:1');"
        "heavy = {'ollama', 'httpx', 'pydantic', 'loguru', 'asyncio'} & set(sys.modules);"
        "sys.exit(repr(heavy) if heavy else 0)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
