"""Vectors over the wire: whole batches, in order, and nothing that is no vector gets through."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import pytest
import wire
from hypothesis import given
from hypothesis import strategies as st
from llm import completions
from llm.conformance import ask
from strategies import hostile_data
from wire import RESET, Act, in_turn, page, refusal

from finetune_fsm.errors import BudgetSpent, Cancelled, LLMError, LLMErrorKind
from finetune_fsm.llm.base import LLM, Stop, Usage
from finetune_fsm.llm.deadlines import Timeouts
from finetune_fsm.llm.memo import Memo
from finetune_fsm.llm.meter import Budget, Meter, Metered
from finetune_fsm.llm.ollama import OllamaLLM
from finetune_fsm.llm.one_model import OneModel
from finetune_fsm.llm.openai import OpenAILLM
from finetune_fsm.llm.pool import Pool
from finetune_fsm.llm.scripted import ScriptedLLM
from finetune_fsm.llm.vectors import BATCH, Vectors, batches, checked, embedded
from finetune_fsm.llm.watch import Watch

Route = Callable[[wire.Call], Iterable[Act]]
WIDE = Timeouts(10, 10, 10)
K = LLMErrorKind
UNABLE = "this model does not support embeddings"


@dataclass(frozen=True)
class Kind:
    """A way to ask for vectors, and how it looks on the wire."""

    path: str
    server: Callable[[Route], wire.Server]
    llm: Callable[..., LLM]
    answer: Callable[[object], str]


def _openai(vectors: object) -> str:
    entries = [{"index": n, "embedding": v} for n, v in enumerate(vectors)]  # type: ignore[arg-type]
    return json.dumps({"data": entries})


OLLAMA = Kind(
    "/api/embed",
    lambda route: wire.ollama(embed=route),
    OllamaLLM,
    lambda vectors: json.dumps({"embeddings": vectors}),
)
OPENAI = Kind(
    "/v1/embeddings",
    lambda route: completions.server(lambda _: completions.chat("x"), embed=route),
    OpenAILLM,
    _openai,
)
KINDS = pytest.mark.parametrize("kind", [OLLAMA, OPENAI], ids=["ollama", "openai"])


def llm_of(kind: Kind, server: wire.Server, **more: object) -> LLM:
    return kind.llm(server.url, **{"timeouts": WIDE, "sleep": lambda _: None} | more)


def failure_of(kind: Kind, answer: Iterable[Act], **more: object) -> tuple[LLMError, int]:
    """The error of two texts that are answered so for ever, and how often they were sent."""
    with kind.server(in_turn(answer)) as server:
        with pytest.raises(LLMError) as caught:
            llm_of(kind, server, **more).embed("tiny", ["one", "two"])
        return caught.value, len(server.asked(kind.path))


@given(st.lists(st.text(max_size=9), max_size=2 * BATCH + 3), st.sampled_from((12, 300)))
def test_batches_are_the_texts_in_order_and_as_large_as_they_may_be(
    texts: list[str], limit: int
) -> None:
    found = list(batches(texts, limit))
    assert [text for batch in found for text in batch] == texts
    sizes = [sum(map(len, batch)) for batch in found]
    assert all(0 < len(batch) <= BATCH for batch in found)
    assert all(len(batch) == 1 or s <= limit for batch, s in zip(found, sizes, strict=True))
    for batch, size, after in zip(found, sizes, found[1:], strict=False):
        assert len(batch) == BATCH or size + len(after[0]) > limit


def checked_or_error(sent: object) -> Vectors | LLMError:
    try:
        return checked(sent, 2, "it")
    except LLMError as error:
        return error


@given(hostile_data() | st.lists(st.lists(st.floats() | st.integers()), max_size=3))
def test_whatever_a_server_sends_is_vectors_or_a_clear_error(sent: object) -> None:
    vectors = checked_or_error(sent)
    if isinstance(vectors, LLMError):
        assert vectors.kind is K.PROTOCOL
        assert str(vectors).startswith("it sent")
        return
    assert len(vectors) == 2
    assert len(vectors[0]) == len(vectors[1]) > 0
    assert all(math.isfinite(number) for vector in vectors for number in vector)
    assert [list(vector) for vector in vectors] == [list(map(float, item)) for item in sent]


def test_batches_with_vectors_of_several_lengths_are_refused() -> None:
    lengths = iter((3, 2))

    def ask_(batch: Sequence[str]) -> tuple[tuple[float, ...], ...]:
        return ((0.5,) * next(lengths),) * len(batch)

    with pytest.raises(LLMError, match="it sent vectors of 3 and of 2 numbers"):
        embedded(["x"] * (BATCH + 1), ask_, who="it")


def test_what_is_sent_to_ollama_lets_nothing_be_cut() -> None:
    with wire.ollama() as server:
        assert llm_of(OLLAMA, server).embed("tiny", ["a", ""]) == (
            (1.0, 97 / 7, -0.0),
            (1.0, 32 / 7, -0.0),
        )
    (sent,) = server.asked("/api/embed")
    assert sent.json == {"model": "tiny", "input": ["a", " "], "truncate": False}


def test_what_is_sent_to_other_servers_asks_for_numbers() -> None:
    with OPENAI.server(completions.embeddings) as server:
        llm = llm_of(OPENAI, server, api_key="sk-1", model="another")
        assert len(llm.embed("tiny", ["a\ud800"])) == 1
    (sent,) = server.asked("/v1/embeddings")
    assert sent.json == {"model": "tiny", "input": ["a\ufffd"], "encoding_format": "float"}
    assert sent.headers["authorization"] == "Bearer sk-1"


@KINDS
def test_many_texts_are_sent_in_batches_and_none_without_texts(kind: Kind) -> None:
    route = wire.embeddings if kind is OLLAMA else completions.embeddings
    with kind.server(route) as server:
        llm = llm_of(kind, server)
        texts = [f"text {number}" for number in range(2 * BATCH + 1)]
        assert llm.embed("tiny", ()) == ()
        found = llm.embed("tiny", texts)
    assert found == tuple(tuple(wire.vector_of(text)) for text in texts)
    assert [len(call.json["input"]) for call in server.asked(kind.path)] == [BATCH, BATCH, 1]


WRONG = {
    "too few": [[1, 2]],
    "too many": [[1, 2]] * 3,
    "none": [],
    "of several lengths": [[1, 2], [1]],
    "empty": [[], []],
    "not a number": [[1, math.nan], [1, 2]],
    "infinite": [[1, math.inf], [1, 2]],
    "beyond all numbers": [[1, 10**400], [1, 2]],
    "text": [["1", "2"], [1, 2]],
    "null": [None, [1, 2]],
    "numbers alone": [1, 2],
    "deeper": [[[1]], [[2]]],
}


@KINDS
@pytest.mark.parametrize("vectors", WRONG.values(), ids=WRONG)
def test_what_is_no_vector_is_refused_after_all_tries(kind: Kind, vectors: object) -> None:
    error, asked = failure_of(kind, page(200, kind.answer(vectors)))
    assert error.kind is K.PROTOCOL
    assert "sent" in error.message
    assert "name another embedding model" in error.hint
    assert asked == 3


@KINDS
@pytest.mark.parametrize(
    ("answer", "kind_of_error", "words", "asked"),
    [
        (list(page(200, "{}")), K.PROTOCOL, "sent something unexpected", 3),
        (list(page(200, "[]")), K.PROTOCOL, "sent something unexpected", 3),
        (list(page(200, "<html>")), K.PROTOCOL, "sent something unexpected", 3),
        (list(page(200, '{"embeddings": 3, "data": 3}')), K.PROTOCOL, "unexpected", 3),
        (list(page(200, '{"embeddings": [1], "data": [1]}')), K.PROTOCOL, "sent", 3),
        ([RESET], K.TRUNCATED_STREAM, "broke the connection off", 3),
        (list(refusal(500, "llama runner died")), K.SERVER, "llama runner died", 3),
        (list(refusal(429, "slow down")), K.BUSY, "slow down", 3),
        (
            list(refusal(400, UNABLE)),
            K.BAD_REQUEST,
            "'tiny' makes",
            1,
        ),
        (
            list(refusal(501, UNABLE)),
            K.BAD_REQUEST,
            "'tiny' makes",
            1,
        ),
        (
            list(refusal(400, "the input length exceeds the context length")),
            K.CONTEXT_OVERFLOW,
            "too long for the embedding model 'tiny'.*make the chunks smaller",
            1,
        ),
        (
            list(refusal(500, "input (601 tokens) is too large to process. increase the physical")),
            K.CONTEXT_OVERFLOW,
            "601 tokens",
            1,
        ),
    ],
)
def test_a_server_without_vectors_is_told_with_what_to_do(
    kind: Kind, answer: Iterable[Act], kind_of_error: LLMErrorKind, words: str, asked: int
) -> None:
    error, times = failure_of(kind, answer)
    assert error.kind is kind_of_error
    with pytest.raises(LLMError, match=words):
        raise error
    assert times == asked


def test_a_missing_model_is_told_with_the_command_that_fetches_it() -> None:
    with wire.ollama(models={"embeddinggemma:300m": 2048}) as server:
        with pytest.raises(LLMError, match="'ollama pull embeddinggemma' installs it") as caught:
            llm_of(OLLAMA, server).embed("embeddinggemma", ["x"])
        assert caught.value.kind is K.MISSING_MODEL
        assert "installed: embeddinggemma:300m" in caught.value.hint
    answer = completions.refusal(404, "The model 'nope' does not exist")
    error, _ = failure_of(OPENAI, answer)
    assert (error.kind, error.hint) == (K.MISSING_MODEL, "it has tiny")


@KINDS
def test_a_batch_that_failed_is_asked_for_again_and_no_other(kind: Kind) -> None:
    good = wire.embeddings if kind is OLLAMA else completions.embeddings
    calls: list[int] = []

    def route(call: wire.Call) -> Iterable[Act]:
        calls.append(len(call.json["input"]))
        return page(503, "busy") if len(calls) == 2 else good(call)

    with kind.server(route) as server:
        texts = [str(number) for number in range(BATCH + 1)]
        assert len(llm_of(kind, server).embed("tiny", texts)) == BATCH + 1
    assert calls == [BATCH, 1, 1]


@KINDS
def test_a_silent_server_is_given_up_and_a_stop_is_heard(kind: Kind) -> None:
    error, _ = failure_of(kind, [30.0], timeouts=Timeouts(0.2, 5, 5), tries=1)
    assert error.kind is K.TIMEOUT_FIRST_TOKEN
    stop = Stop()
    with kind.server(lambda _: [30.0]) as server:
        threading.Timer(0.2, stop.ask).start()
        started = time.monotonic()
        with pytest.raises(Cancelled):
            llm_of(kind, server).embed("tiny", ["x"], stop=stop)
        assert time.monotonic() - started < 3
        assert server.calls[0].gone.wait(3)


# Behind the layers.


def test_vectors_are_no_calls_and_a_budget_of_calls_does_not_end_them() -> None:
    script = ScriptedLLM(lambda _: "yes")
    meter = Meter(Budget(calls=1, tokens=1))
    memo = Memo(Metered(script, meter, watch=Watch()), meter)
    memo.complete(ask("hello"))
    spent = meter.spent
    with pytest.raises(BudgetSpent):
        memo.complete(ask("hello again"))
    assert len(memo.embed("small", ["a", "b"])) == 2
    assert (meter.spent, meter.lap()) == (spent, spent)
    assert (spent.calls, Usage.of(script.complete(ask("hello"))).calls) == (1, 1)


def test_vectors_end_with_the_time() -> None:
    now = [0.0]
    meter = Meter(Budget(seconds=5), clock=lambda: now[0])
    llm = Metered(ScriptedLLM([]), meter)
    assert llm.embed("small", ["a"])
    now[0] = 6
    with pytest.raises(BudgetSpent):
        llm.embed("small", ["a"])


def test_who_waits_for_vectors_can_be_told_and_tries_are_told_and_not_counted() -> None:
    told: list[str] = []
    seen: list[str] = []
    watch = Watch()

    def route(call: wire.Call) -> Iterable[Act]:
        seen.extend(f"{c.model}: {c.label}" for c in watch.look().calls)
        return page(503, "busy") if len(seen) == 1 else wire.embeddings(call)

    with wire.ollama(embed=route) as server:
        meter = Meter(Budget(calls=0))
        llm = Metered(llm_of(OLLAMA, server), meter, tell=told.append, watch=watch)
        assert llm.embed("tiny", ["a", "b"])
    assert seen == ["tiny: vectors of 2 texts"] * 2
    assert ["busy; try 2 of 3" in what for what in told] == [True]
    assert meter.spent == Usage()
    assert not watch.look().calls


def test_the_embedding_model_is_asked_even_when_one_model_answers_all_questions() -> None:
    script = ScriptedLLM([])
    assert OneModel(script, "big").embed("small", ["a"])
    assert script.embedded == [("small", "a")]


def test_a_pool_goes_on_when_a_server_dies_and_all_vectors_are_of_one_server() -> None:
    with wire.ollama() as well, wire.ollama(embed=lambda _: [RESET]) as ill:
        pool = Pool([llm_of(OLLAMA, server, tries=1) for server in (ill, well)])
        texts = [str(number) for number in range(BATCH + 1)]
        assert pool.embed("tiny", texts) == tuple(tuple(wire.vector_of(text)) for text in texts)
        assert len(pool.embed("tiny", texts)) == len(texts)
        assert len(ill.asked("/api/embed")) == 1
        assert len(well.asked("/api/embed")) == 4


def test_a_pool_asks_nobody_else_when_the_model_makes_no_vectors() -> None:
    with wire.ollama(embed=lambda _: refusal(501, UNABLE)) as one, wire.ollama() as other:
        pool = Pool([llm_of(OLLAMA, server, tries=1) for server in (one, other)])
        with pytest.raises(LLMError, match="'tiny' makes no vectors"):
            pool.embed("tiny", ["x"])
        assert not other.asked("/api/embed")
