"""What goes over the wire to Ollama, and what its answers mean. Pure, but for `refusal`."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from finetune_fsm.codec import plain
from finetune_fsm.errors import LLMError, LLMErrorKind
from finetune_fsm.llm.base import Completion, Message, Request, ToolCall
from finetune_fsm.llm.context import Window
from finetune_fsm.llm.function_calls import offered
from finetune_fsm.llm.reply import THINK_HINT, Reply
from finetune_fsm.llm.transport import (
    body_of,
    error_text,
    kind_of,
    looks_like_page,
    parsed,
    retry_after,
    shown_url,
    unexpected,
)
from finetune_fsm.sinks import one_line

if TYPE_CHECKING:
    import httpx

_TOP_LEVEL = ("think", "keep_alive", "format")  # options that Ollama wants beside the others


@dataclass(frozen=True, slots=True)
class Question:
    """One way to put a request: what is changed when the server does not like it."""

    request: Request
    window: Window
    may_think: bool  # whether ``think`` is left out


def request_body(question: Question) -> dict[str, object]:
    """Return the JSON of ``/api/chat``. Pure."""
    request, window = question.request, question.window
    options = {key: value for key, value in request.options.items() if key not in _TOP_LEVEL}
    if isinstance(options.get("stop"), str):
        options["stop"] = [options["stop"]]  # Ollama refuses a single text
    options |= {"num_ctx": window.num_ctx, "num_predict": window.num_predict}
    body: dict[str, object] = {
        "model": request.model,
        "messages": [_turn(message) for message in request.messages],
        "stream": True,
        "truncate": False,
        "shift": False,
        "options": options,
    }
    body |= {key: request.options[key] for key in _TOP_LEVEL if key in request.options}
    if request.tools:
        body["tools"] = offered(request.tools)
    if request.schema is not None:
        body["format"] = request.schema
    if not question.may_think:
        body.setdefault("think", False)  # thinking and a format spoil each other
    return body


def _turn(message: Message) -> dict[str, object]:
    turn: dict[str, object] = {"role": message.role, "content": message.content}
    if message.images:
        turn["images"] = [base64.b64encode(image).decode("ascii") for image in message.images]
    if message.tool_calls:
        turn["tool_calls"] = [_call(call) for call in message.tool_calls]
    if message.role == "tool":
        turn["tool_name"] = message.tool
        turn |= {"tool_call_id": message.answers} if message.answers else {}
    return turn


def _call(call: ToolCall) -> dict[str, object]:
    arguments = dict(sorted(call.arguments.items()))  # a journal keeps no order
    function = {"function": {"name": call.name or "unknown", "arguments": arguments}}
    return function | ({"id": call.id} if call.id else {})


def encoded(body: Mapping[str, object]) -> bytes:
    """Return *body* as JSON; raises LLMError (`BAD_REQUEST`) when an option is no JSON. Pure."""
    try:
        # ASCII escapes carry even a lone surrogate, which UTF-8 cannot.
        return json.dumps(plain(body), allow_nan=False).encode("ascii")
    except (TypeError, ValueError) as error:
        message = f"the request cannot be written as JSON: {one_line(str(error))}"
        raise LLMError(LLMErrorKind.BAD_REQUEST, message, hint="look at the options") from error


def chunk_of(line: bytes, who: str) -> Mapping[str, object]:
    """Return the object in one *line* of a stream. Pure.

    Raises:
        LLMError: the stream broke off within it (`TRUNCATED_STREAM`), or it is no object
            (`PROTOCOL`).
    """
    try:
        return parsed(line, who)
    except LLMError as error:
        if line.lstrip().startswith(b"{") and not line.endswith(b"\n"):
            raise broken_off(who) from error
        raise


def pieces(chunk: Mapping[str, object], who: str) -> tuple[str, str]:
    """Return the text and the thinking that *chunk* brings. Pure."""
    message = chunk.get("message", {} if chunk.get("done") is True else None)
    if isinstance(message, Mapping):
        content, thinking = message.get("content") or "", message.get("thinking") or ""
        if isinstance(content, str) and isinstance(thinking, str):
            return content, thinking
    raise unexpected(json.dumps(chunk), who)


def calls_in(chunk: Mapping[str, object]) -> object:
    """Return what *chunk* brings of calls of tools, still to be read. Pure."""
    message = chunk.get("message")
    return message.get("tool_calls") if isinstance(message, Mapping) else None


def completed(
    final: Mapping[str, object], reply: Reply, num_predict: int, calls: tuple[ToolCall, ...] = ()
) -> Completion:
    """Return the reply that *final* closes, its time left open.

    Raises:
        LLMError: the limit came before the first word, or nothing but thinking came.
    """
    text = reply.text()
    cut = final.get("done_reason") == "length"
    if cut and not text.strip() and not calls:
        raise LLMError(
            LLMErrorKind.CUT_BY_LIMIT,
            f"the limit of {num_predict:,} tokens was reached before the reply had any text",
            hint=THINK_HINT,
        )
    if reply.thought and not text.strip() and not calls:
        message = "the model thought, and then said nothing"
        raise LLMError(LLMErrorKind.EMPTY, message, hint="set the option think to false")
    read, written = final.get("prompt_eval_count"), final.get("eval_count")
    return Completion(
        text,
        prompt_tokens=read if isinstance(read, int) else 0,
        completion_tokens=written if isinstance(written, int) else 0,
        cut=cut,
        tool_calls=calls,
    )


def broken_off(who: str) -> LLMError:
    """The error of a stream without its last object. Pure."""
    return LLMError(
        LLMErrorKind.TRUNCATED_STREAM,
        f"the reply of {who} broke off before its end",
        hint="look at the server's log: it may have run out of memory",
    )


def refusal(response: httpx.Response, who: str, model: str) -> LLMError:
    """Return what an answer that is not 200 means; the server's own words are kept."""
    status, body = response.status_code, body_of(response)
    if response.is_redirect:
        target = shown_url(response.headers.get("location", ""))
        hint = "prompts go only to the server you name: name that one with -u if you trust it"
        return LLMError(LLMErrorKind.DENIED, f"{who} redirects to {target}", hint=hint)
    kind, said = kind_of(status, body), error_text(body)
    if kind is LLMErrorKind.PROTOCOL and looks_like_page(body):
        return unexpected(f"{status} {body}", who)
    words = f"{status}: {said}" if said else str(status)
    message = f"{who} answered {words}"
    if kind is LLMErrorKind.MISSING_MODEL:
        message = f"{who} has no model '{one_line(model)}' ({said})"
    if kind is LLMErrorKind.CONTEXT_OVERFLOW:
        message = said
    wait = retry_after(response.headers.get("retry-after"))
    return LLMError(kind, message, hint=_hint(kind, said), retry_after=wait)


def _hint(kind: LLMErrorKind, said: str) -> str:
    match kind:
        case LLMErrorKind.DENIED:
            return "set OLLAMA_API_KEY, or put user:password@ in front of the host"
        case LLMErrorKind.BUSY:
            return "ask less at a time, or raise OLLAMA_MAX_QUEUE at the server"
        case LLMErrorKind.SERVER if "memory" in said:
            return "take a smaller model, or a smaller num_ctx"
        case LLMErrorKind.PROTOCOL:
            return "is this the address of an Ollama server?"
        case _:
            return ""


def context_length(shown: Mapping[str, object]) -> int | None:
    """Return the context length in an answer of ``/api/show``, or None. Pure."""
    info = shown.get("model_info")
    if not isinstance(info, Mapping):
        return None
    own = info.get(f"{info.get('general.architecture')}.context_length")
    others = [value for key, value in info.items() if str(key).endswith(".context_length")]
    lengths = [n for n in (own, *others) if isinstance(n, int) and n > 0]
    return lengths[0] if lengths else None
