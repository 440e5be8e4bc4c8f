"""The wire format of ``/v1/chat/completions``: requests into JSON, events into pieces. All pure.

OpenAI defined it; llama.cpp, vLLM, LM Studio and many more speak it, each with options of its own.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from finetune_fsm.codec import canonical, plain
from finetune_fsm.errors import LLMError, LLMErrorKind
from finetune_fsm.llm.base import DEFAULT_REPLY_TOKENS, Message, Request, ToolCall
from finetune_fsm.llm.function_calls import offered
from finetune_fsm.llm.transport import parsed, unexpected
from finetune_fsm.sinks import one_line

_SURROGATE = re.compile("[\ud800-\udfff]")
_COMMON = ("temperature", "top_p", "seed", "stop", "presence_penalty", "frequency_penalty")
_LLAMACPP = (
    *("top_k", "min_p", "typical_p", "repeat_penalty", "repeat_last_n"),
    *("mirostat", "mirostat_tau", "mirostat_eta"),
)


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a kind of server takes beyond the common ground.

    Attributes:
        options: Names of the options it takes, which are Ollama's names too.
        caches: Whether it takes ``cache_prompt``.
    """

    options: frozenset[str]
    caches: bool = False


OPENAI = Dialect(frozenset(_COMMON))
LLAMACPP = Dialect(frozenset(_COMMON + _LLAMACPP), caches=True)


@dataclass(frozen=True, slots=True)
class Piece:
    """What one event brings.

    Attributes:
        text: Of the reply.
        thinking: Of the thinking that the server keeps apart.
        finish: Why the reply ended, or empty while it goes on.
        usage: Tokens read and written, or None.
        calls: Pieces of calls of tools, still to be read.
    """

    text: str = ""
    thinking: str = ""
    finish: str = ""
    usage: tuple[int, int] | None = None
    calls: object = None


def body_for(
    request: Request,
    *,
    dialect: Dialect = OPENAI,
    extra: Mapping[str, object] | None = None,
    limit_name: str = "max_tokens",
) -> bytes:
    """Return the JSON to post for *request*, streaming.

    Options that *dialect* does not know are left out: such servers refuse what they do not know.

    Args:
        request: ``num_predict`` below 1 sets no limit.
        dialect: Of the server.
        extra: Fields added last, as they are.
        limit_name: What the server calls the limit of the reply.

    Raises:
        LLMError: something in it is no JSON (`BAD_REQUEST`).
    """
    options = {k: v for k, v in request.options.items() if k in dialect.options}
    if isinstance(options.get("stop"), str):
        options["stop"] = [options["stop"]]
    limit = request.options.get("num_predict", DEFAULT_REPLY_TOKENS)
    if not isinstance(limit, int | float) or limit >= 1:
        options[limit_name] = limit
    fields: dict[str, object] = {
        "model": request.model,
        "messages": [_turn(message) for message in request.messages],
        "stream": True,
        "stream_options": {"include_usage": True},
        **options,
    }
    if request.tools:
        fields["tools"] = offered(request.tools)
    if request.schema is not None:
        schema = {"name": "reply", "schema": request.schema}
        fields["response_format"] = {"type": "json_schema", "json_schema": schema}
    if dialect.caches:
        fields["cache_prompt"] = request.reuse_prefix
    try:
        return json.dumps(plain(fields | dict(extra or {})), allow_nan=False).encode("ascii")
    except (TypeError, ValueError) as error:
        message = f"the request cannot be written as JSON: {one_line(str(error))}"
        raise LLMError(LLMErrorKind.BAD_REQUEST, message, hint="look at the options") from error


def _turn(message: Message) -> dict[str, object]:
    # JSON could carry a lone surrogate, but servers of C++ and Rust refuse it.
    text = _SURROGATE.sub("\ufffd", message.content)
    if message.role == "tool":
        return {"role": "tool", "tool_call_id": message.answers, "content": text}
    if message.tool_calls:
        calls = [_call(call) for call in message.tool_calls]
        return {"role": message.role, "content": text, "tool_calls": calls}
    if not message.images:
        return {"role": message.role, "content": text}
    parts: list[object] = [{"type": "text", "text": text}]
    for image in message.images:
        url = f"data:{media_type(image)};base64,{base64.b64encode(image).decode('ascii')}"
        parts.append({"type": "image_url", "image_url": {"url": url}})
    return {"role": message.role, "content": parts}


def _call(call: ToolCall) -> dict[str, object]:
    function = {"name": call.name or "unknown", "arguments": canonical(call.arguments)}
    return {"id": call.id, "type": "function", "function": function}


def media_type(image: bytes) -> str:
    """Return the media type of *image* by its first bytes; PNG when nobody knows."""
    if image[:4] == b"RIFF" and image[8:12] == b"WEBP":
        return "image/webp"
    starts = {b"\xff\xd8\xff": "jpeg", b"GIF8": "gif", b"BM": "bmp"}
    kind = next((kind for start, kind in starts.items() if image.startswith(start)), "png")
    return f"image/{kind}"


def events(lines: Iterable[bytes], who: str) -> Iterator[Mapping[str, object] | None]:
    """Yield the JSON objects of a server-sent stream, and None for its ``[DONE]``.

    Comments, with which servers keep a connection open, are left out.

    Raises:
        LLMError: a line is something else (`PROTOCOL`), or broke off (`TRUNCATED_STREAM`).
    """
    for line in lines:
        field, colon, rest = line.partition(b":")
        name, data = field.strip(), rest.strip()
        if colon and name in (b"", b"event", b"id", b"retry"):
            continue
        if not colon or name not in (b"data", b"error"):
            if b"data".startswith(name) and not line.endswith(b"\n"):
                raise broken_off(who)
            raise unexpected(line.decode("utf-8", "replace"), who)
        if data == b"[DONE]":
            yield None
            continue
        try:
            found = parsed(data, who)
        except LLMError as error:
            if line.endswith(b"\n"):
                raise
            raise broken_off(who) from error
        yield {"error": found} if name == b"error" and "error" not in found else found


def piece_of(event: Mapping[str, object], who: str) -> Piece:
    """Return what *event* brings; an answer in one piece (``stream`` ignored) counts as one.

    Raises:
        LLMError: it does not look like a chat completion (`PROTOCOL`).
    """
    choices = event.get("choices", () if "usage" in event else None)
    if not isinstance(choices, list | tuple):
        raise unexpected(json.dumps(event), who)
    usage = _usage(event.get("usage"))
    if not choices:
        return Piece(usage=usage)
    choice = choices[0]
    if isinstance(choice, Mapping):
        turn = choice.get("delta") or choice.get("message") or {}
        finish = choice.get("finish_reason") or ""
        if isinstance(turn, Mapping) and isinstance(finish, str):
            thinking = _text(turn, "reasoning_content") or _text(turn, "reasoning")
            return Piece(_text(turn, "content"), thinking, finish, usage, turn.get("tool_calls"))
    raise unexpected(json.dumps(event), who)


def embeddings_body(model: str, texts: Sequence[str]) -> bytes:
    """Return the JSON to post for the vectors of *texts*."""
    body = {"model": model, "input": texts, "encoding_format": "float"}
    return json.dumps(plain(body)).encode("ascii")


def listed_vectors(answer: Mapping[str, object]) -> object:
    """Return the vectors in *answer*, in the order of the texts, still to be checked."""
    listed = answer.get("data")
    if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
        return listed
    if sorted(str(entry.get("index")) for entry in listed) == sorted(map(str, range(len(listed)))):
        listed = sorted(listed, key=lambda entry: int(entry["index"]))
    return [entry.get("embedding") for entry in listed]


def _text(turn: Mapping[str, object], name: str) -> str:
    value = turn.get(name)
    return value if isinstance(value, str) else ""


def _usage(value: object) -> tuple[int, int] | None:
    if not isinstance(value, Mapping):
        return None
    counts = [value.get(name) for name in ("prompt_tokens", "completion_tokens")]
    read, written = (count if isinstance(count, int) else 0 for count in counts)
    return read, written


def broken_off(who: str) -> LLMError:
    """The error of a reply without its end."""
    return LLMError(
        LLMErrorKind.TRUNCATED_STREAM,
        f"the reply of {who} broke off before its end",
        hint="look at the server's log: it may have run out of memory",
    )
