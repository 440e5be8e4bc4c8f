"""Speaks the ``/v1`` protocol over `wire`: events, whole replies, a server of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator

import wire
from llm.conformance import Model
from wire import Act, chunked, page

from finetune_fsm.errors import LLMErrorKind

DONE = b"data: [DONE]\n\n"
COUNTS = {"prompt_tokens": 7, "completion_tokens": 3}


def event(value: object) -> bytes:
    return f"data: {json.dumps(value)}\n\n".encode()


def delta(**fields: object) -> bytes:
    return event({"choices": [{"index": 0, "delta": fields, "finish_reason": None}]})


def word(text: str) -> bytes:
    return delta(content=text)


def finish(reason: str = "stop") -> bytes:
    return event({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})


def usage() -> bytes:
    return event({"choices": [], "usage": COUNTS})


def chat(*texts: str, reason: str = "stop") -> Iterator[Act]:
    """A whole reply."""
    return chunked([*(word(text) for text in texts), finish(reason), usage(), DONE])


def refusal(status: int, words: str, **headers: str) -> Iterator[Act]:
    """A refusal as OpenAI writes it."""
    return page(status, json.dumps({"error": {"message": words, "code": None}}), **headers)


def embeddings(call: wire.Call) -> Iterable[Act]:
    """The vectors that are asked for, last one first: who reads them has to look at ``index``."""
    vectors = [wire.vector_of(text) for text in call.json["input"]]
    entries = [{"index": n, "embedding": vector} for n, vector in enumerate(vectors)]
    return page(200, json.dumps({"object": "list", "data": entries[::-1]}))


def server(
    answer: Callable[[wire.Call], Iterable[Act]],
    *models: str,
    embed: Callable[[wire.Call], Iterable[Act]] = embeddings,
) -> wire.Server:
    listed = json.dumps({"object": "list", "data": [{"id": name} for name in models or ("tiny",)]})
    return wire.Server(
        {
            ("POST", "/v1/chat/completions"): answer,
            ("POST", "/v1/embeddings"): embed,
            ("GET", "/v1/models"): lambda _: page(200, listed),
        }
    )


def by(model: Model) -> Callable[[wire.Call], Iterable[Act]]:
    """A route that replies as *model* says."""

    def answer(call: wire.Call) -> Iterable[Act]:
        said = model(call.json["messages"][-1]["content"])
        if said.error is LLMErrorKind.MISSING_MODEL:
            return refusal(404, "The model 'tiny' does not exist")
        parts = [said.text[n : n + 3] for n in range(0, len(said.text), 3)]
        return chat(*parts, reason="length" if said.cut else "stop")

    return answer
