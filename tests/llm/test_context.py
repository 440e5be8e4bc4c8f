from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from finetune_fsm.errors import LLMError, LLMErrorKind
from finetune_fsm.llm.base import DEFAULT_REPLY_TOKENS, Message, Request
from finetune_fsm.llm.context import SMALLEST, prompt_tokens, wider, window_for

sizes = st.none() | st.integers(1, 1_000_000)


def request(text: str = "", **options: object) -> Request:
    return Request("m", (Message("user", text),), options)


@given(
    st.integers(0, 60_000),
    sizes,
    sizes,
    st.none() | st.integers(-2, 100_000),
    st.integers(1, 2**17),
)
@example(11_640, 131_072, None, 10, 1)  # fills a power of two nearly, and was refused once
def test_a_prompt_has_room_or_is_refused(
    length: int, limit: int | None, given_size: int | None, predict: int | None, in_use: int
) -> None:
    options = {"num_ctx": given_size, "num_predict": predict}
    asked = request("x" * length, **{k: v for k, v in options.items() if v is not None})
    prompt = prompt_tokens(asked)
    size = min((n for n in (given_size, limit) if n is not None), default=10**9)
    if prompt > size * 0.9:
        with pytest.raises(LLMError, match=f"{prompt:,} .* {size:,} tokens") as caught:
            window_for(asked, limit, at_least=in_use)
        assert caught.value.kind is LLMErrorKind.CONTEXT_OVERFLOW
        return
    window = window_for(asked, limit, at_least=in_use)
    assert window.prompt == prompt < window.num_ctx
    assert window.num_predict >= 1
    if given_size is not None:
        assert window.num_ctx == given_size
        return
    assert limit is None or window.num_ctx <= limit
    wanted = predict if predict and predict > 0 else 1
    whole = window.num_ctx >= prompt + wanted
    assert whole or window.num_ctx == limit
    if window.num_ctx not in (limit, in_use):
        assert window.num_ctx >= SMALLEST
        assert window.num_ctx.bit_count() == 1


def test_a_short_prompt_takes_the_smallest_context_and_the_default_reply() -> None:
    window = window_for(request("Hello"), None)
    assert (window.num_ctx, window.num_predict) == (SMALLEST, DEFAULT_REPLY_TOKENS)


def test_an_unlimited_reply_gets_what_is_left() -> None:
    window = window_for(request("Hello", num_predict=-1), 8192)
    assert window.num_predict == window.num_ctx - window.prompt > DEFAULT_REPLY_TOKENS


def test_pictures_take_room() -> None:
    plain = request("What is this?")
    with_picture = Request("m", (Message("user", "What is this?", (b"png",)),))
    assert prompt_tokens(with_picture) > prompt_tokens(plain) + 500


@given(st.integers(1, 30_000), st.none() | st.integers(4096, 200_000))
def test_a_wider_context_is_wider_within_the_limit_and_final(
    length: int, limit: int | None
) -> None:
    asked = request("7" * length)
    try:
        window = window_for(asked, limit)
    except LLMError:
        return
    found = wider(asked, window, limit)
    if found is None:
        assert window.num_ctx == limit or window.num_ctx >= length
        return
    assert window.num_ctx < found.num_ctx
    assert limit is None or found.num_ctx <= limit
    assert found.num_ctx >= min(length + found.num_predict, limit or length)
    assert wider(asked, found, limit) is None


def test_the_users_own_context_is_never_widened() -> None:
    asked = request("7" * 9000, num_ctx=4096)
    assert wider(asked, window_for(asked, 100_000), 100_000) is None


@pytest.mark.parametrize(
    "options",
    [
        {"num_ctx": "big"},
        {"num_ctx": True},
        {"num_ctx": 0},
        {"num_ctx": -1},
        {"num_ctx": 1.5},
        {"num_ctx": float("inf")},
        {"num_predict": float("nan")},
        {"num_predict": [1]},
    ],
)
def test_a_size_that_is_no_size_is_refused(options: Mapping[str, object]) -> None:
    with pytest.raises(LLMError, match=next(iter(options))) as caught:
        window_for(request("Hello", **options), None)
    assert caught.value.kind is LLMErrorKind.BAD_REQUEST
