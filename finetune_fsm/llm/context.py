"""How large a context a request needs, so that no server has to cut a prompt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from finetune_fsm.codec import canonical
from finetune_fsm.errors import LLMError, LLMErrorKind
from finetune_fsm.llm.base import DEFAULT_REPLY_TOKENS, Request, estimated_tokens
from finetune_fsm.sinks import one_line

SMALLEST = 4096
"""Tokens of context asked for at least; a server that changes it must load the model again."""

LONG_REPLY = 4096
"""Tokens set aside for a reply that ``num_predict`` leaves unlimited."""

_FULL = 0.9  # share of the context that a prompt may fill: a template and a reply come on top
_PER_TURN = 16  # tokens that a chat template puts round one turn, at most
_PER_IMAGE = 1024  # tokens of one picture; models take 256 to some thousands


@dataclass(frozen=True, slots=True)
class Window:
    """What to ask of the server, in tokens.

    Attributes:
        num_ctx: Context for prompt and reply.
        num_predict: Reply at most, >= 1.
        prompt: Estimate of the prompt.
        given: Whether the user set `num_ctx`.
    """

    num_ctx: int
    num_predict: int
    prompt: int
    given: bool = False


def prompt_tokens(request: Request) -> int:
    """Return a cautious estimate of the tokens that *request* takes before the reply. Pure."""
    images = sum(len(message.images) for message in request.messages)
    turns = len(request.messages)
    tools = estimated_tokens(canonical(request.tools)) if request.tools else 0
    return estimated_tokens(request.text) + tools + turns * _PER_TURN + images * _PER_IMAGE


def window_for(
    request: Request, limit: int | None, *, at_least: int = SMALLEST, prompt: int | None = None
) -> Window:
    """Return the context for *request*: the user's, else the next power of two that suffices.

    Args:
        request: Its options ``num_ctx`` and ``num_predict`` are kept to.
        limit: Context length of the model in tokens, or None when unknown.
        at_least: Context in use for this model already, in tokens.
        prompt: Tokens of the prompt, when better known than by the estimate.

    Raises:
        LLMError: the prompt cannot fit (`CONTEXT_OVERFLOW`), or an option is no number
            (`BAD_REQUEST`).
    """
    prompt = prompt_tokens(request) if prompt is None else prompt
    given = _whole(request.options, "num_ctx")
    if given is not None and given < 1:
        raise LLMError(LLMErrorKind.BAD_REQUEST, f"the option 'num_ctx' is {given}, not 1 or more")
    predict = _whole(request.options, "num_predict")
    wanted = DEFAULT_REPLY_TOKENS if predict is None else predict
    room = wanted if wanted > 0 else LONG_REPLY
    needed = max(prompt + room, int(prompt / _FULL) + 1)
    size = given or max(at_least, SMALLEST, _power_of_two(needed))
    bound = min(size, limit or size)
    if prompt > bound * _FULL:
        raise overflow(request.model, prompt, bound, given=given is not None)
    num_ctx = size if given else bound
    num_predict = wanted if wanted > 0 else max(1, bound - prompt)
    return Window(num_ctx, num_predict, prompt, given=given is not None)


def wider(request: Request, window: Window, limit: int | None) -> Window | None:
    """Return a larger context after a server found *window* too small, or None. Pure.

    The estimate counts three bytes a token; a prompt of digits has up to one token a byte.
    """
    worst = len(request.text.encode("utf-8", "replace")) + window.prompt
    size = _power_of_two(worst + window.num_predict)
    size = min(size, limit or size)
    if window.given or size <= window.num_ctx:
        return None
    return Window(size, window.num_predict, window.prompt)


def overflow(model: str, prompt: int, size: int, *, given: bool, said: str = "") -> LLMError:
    """The error of a prompt that does not fit, with both sizes.

    Args:
        model: Its name.
        prompt: Tokens of the prompt, about.
        size: Tokens of the context.
        given: Whether the user chose the size.
        said: The server's own words, clean.
    """
    words = f" ({said})" if said else ""
    hint = "raise num_ctx or shorten the prompt" if given else "shorten the prompt"
    return LLMError(
        LLMErrorKind.CONTEXT_OVERFLOW,
        f"the prompt of about {prompt:,} tokens does not fit the context of '{one_line(model)}', "
        f"{size:,} tokens{words}",
        hint=f"{hint}, or take a model with a longer context",
    )


def _power_of_two(number: int) -> int:
    return 1 << max(0, number - 1).bit_length()


def _whole(options: Mapping[str, object], name: str) -> int | None:
    value = options.get(name)
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    shown = one_line(repr(value), limit=40)
    message = f"the option '{name}' must be a whole number, not {shown}"
    raise LLMError(LLMErrorKind.BAD_REQUEST, message)
