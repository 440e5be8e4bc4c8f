"""The front speaks as Ollama does: the official client and our own provider agree about it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import ollama
import pytest
from live.ollama_front import NAME, front
from llm import conformance
from llm.conformance import Factory, Model, ask

from finetune_fsm.errors import LLMError, LLMErrorKind
from finetune_fsm.llm.base import LLM, Completion, OnText, Request, Stop
from finetune_fsm.llm.ollama import OllamaLLM
from finetune_fsm.llm.scripted import Reply, ScriptedLLM


@contextmanager
def fronted(model: Model) -> Iterator[LLM]:
    def answer(request: Request) -> Completion:
        said = model(request.messages[-1].content)
        if said.error:
            raise LLMError(said.error, "as the test says")
        return Completion(said.text, cut=said.cut)

    names = () if model("").error else ("tiny",)
    with front(ScriptedLLM(answer), names) as url:
        llm = OllamaLLM(url)
        yield llm
        llm.close()


@pytest.mark.parametrize("check", conformance.CHECKS, ids=lambda check: check.__name__)
def test_our_provider_keeps_its_promises_over_the_front(check: Callable[[Factory], None]) -> None:
    check(fronted)


def test_the_official_client_hears_what_the_model_says() -> None:
    model = ScriptedLLM([Reply("one two")])
    options = {"temperature": 0.5, "num_predict": 9}
    with front(model) as url:
        client = ollama.Client(host=url)
        turns = [{"role": "user", "content": "hi"}]
        whole = client.chat(NAME, messages=turns, options=options, format={"type": "object"})
        pieces = list(client.chat(NAME, messages=turns, stream=True))
        generated = client.generate(NAME, prompt="hi", system="be brief")
        assert [entry.model for entry in client.list().models] == [NAME]
        assert client.show(NAME).modelinfo["qwen2.context_length"] == 8192
        with pytest.raises(ollama.ResponseError, match="not found") as caught:
            client.chat("other", messages=turns)
    assert caught.value.status_code == 404
    assert whole.message.content == generated.response == "one two"
    assert (whole.done, whole.done_reason) == (True, "stop")
    assert "".join(piece.message.content for piece in pieces) == "one two"
    assert [piece.done for piece in pieces] == [False, True]
    first, _, third = model.requests
    assert dict(first.options) == options
    assert first.schema == {"type": "object"}
    assert [message.role for message in third.messages] == ["system", "user"]


def test_a_prompt_that_is_too_long_and_thinking_are_refused_as_ollama_does() -> None:
    with front(ScriptedLLM([Reply(error=LLMErrorKind.CONTEXT_OVERFLOW)])) as url:
        client = ollama.Client(host=url)
        with pytest.raises(ollama.ResponseError, match="exceeds the context length") as caught:
            client.generate(NAME, prompt="hi")
        assert caught.value.status_code == 400
        with pytest.raises(ollama.ResponseError, match="does not support thinking"):
            client.generate(NAME, prompt="hi", think=True)


def test_an_error_after_the_first_piece_is_a_line_of_the_stream() -> None:
    class Breaks(ScriptedLLM):
        def complete(
            self, request: Request, *, on_text: OnText | None = None, stop: Stop | None = None
        ) -> Completion:
            on_text("half")
            raise LLMError(LLMErrorKind.SERVER, "boom")

    with front(Breaks([])) as url:
        stream = ollama.Client(host=url).generate(NAME, prompt="hi", stream=True)
        assert next(stream).response == "half"
        with pytest.raises(ollama.ResponseError, match="boom"):
            next(stream)


def test_a_client_that_hangs_up_ends_the_computing() -> None:
    ended = threading.Event()

    class Slow(ScriptedLLM):
        def complete(
            self, request: Request, *, on_text: OnText | None = None, stop: Stop | None = None
        ) -> Completion:
            for _ in range(500):
                if stop.asked:
                    ended.set()
                    stop.check()
                time.sleep(0.01)
            return Completion("too late")

    with front(Slow([])) as url, pytest.raises(Exception, match="timed out"):
        ollama.Client(host=url, timeout=0.3).generate(NAME, prompt="hi", stream=False)
    assert ended.wait(3)


@pytest.mark.live
def test_a_real_model_answers_the_official_client(ollama_url: str) -> None:
    client = ollama.Client(host=ollama_url)
    turns = [{"role": "user", "content": "What is the capital of France? Answer with one word."}]
    options = {"temperature": 0, "seed": 1, "num_predict": 20}
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    }
    plain = client.chat(NAME, messages=turns, options=options)
    again = client.chat(NAME, messages=turns, options=options)
    shaped = client.chat(NAME, messages=turns, options=options, format=schema)
    cut = client.generate(NAME, prompt="Count to a hundred.", options={"num_predict": 3})
    assert "Paris" in plain.message.content
    assert plain.message.content == again.message.content
    assert json.loads(shaped.message.content)["city"] == "Paris"
    assert plain.prompt_eval_count > 10
    assert (cut.done_reason, cut.eval_count) == ("length", 3)


@pytest.mark.live
def test_a_real_model_answers_our_provider(ollama_url: str) -> None:
    llm = OllamaLLM(ollama_url)
    pieces: list[str] = []
    request = ask("Say the word 'hello' and nothing else.", model=NAME, options={"temperature": 0})
    completion = llm.complete(request, on_text=pieces.append)
    assert "hello" in completion.text.lower()
    assert "".join(pieces) == completion.text
    assert completion.prompt_tokens > 10
    with pytest.raises(LLMError) as caught:
        llm.complete(ask("word " * 9000, model=NAME))
    assert caught.value.kind is LLMErrorKind.CONTEXT_OVERFLOW
