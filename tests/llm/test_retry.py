from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_fsm.errors import RETRYABLE, Cancelled, LLMError, LLMErrorKind
from finetune_fsm.llm.base import Stop
from finetune_fsm.llm.retry import LONGEST_WAIT, delay, pause, with_retries

kinds = st.sampled_from(list(LLMErrorKind))


class Flaky:
    """Raises the given errors in turn, then answers; counts its calls."""

    def __init__(self, *errors: LLMError) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


def failing(kind: LLMErrorKind, *, after: float | None = None) -> LLMError:
    return LLMError(kind, f"{kind} happened", retry_after=after)


@given(st.lists(kinds, max_size=6), st.integers(1, 5), st.floats(0, 1))
def test_it_asks_again_exactly_while_the_error_may_pass(
    errors: list[LLMErrorKind], tries: int, jitter: float
) -> None:
    call, slept = Flaky(*map(failing, errors)), []
    hopeless = [n for n, kind in enumerate(errors, 1) if kind not in RETRYABLE]
    expected = min([*hopeless, tries, len(errors) + 1])
    ask = partial(with_retries, call, sleep=slept.append, tries=tries, jitter=lambda: jitter)
    if expected > len(errors):
        assert ask() == "answer"
    else:
        with pytest.raises(LLMError) as caught:
            ask()
        assert caught.value.kind is errors[expected - 1]
    assert call.calls == expected
    waits = sum(2**n for n in range(expected - 1)) * (1 + jitter / 4)
    assert sum(slept) == pytest.approx(waits)


@given(st.integers(1, 6), st.none() | st.floats(0, 1000), st.floats(0, 1))
def test_a_wait_is_never_shorter_than_asked_and_jitter_adds_a_quarter_at_most(
    number: int, asked: float | None, jitter: float
) -> None:
    least = max(2 ** (number - 1), asked or 0)
    assert least <= delay(number, asked, jitter) <= least * 1.25


def test_the_waits_are_one_two_and_four_seconds() -> None:
    assert [delay(number, None, 0) for number in (1, 2, 3)] == [1, 2, 4]


def test_it_waits_as_long_as_the_server_asks() -> None:
    slept: list[float] = []
    call = Flaky(failing(LLMErrorKind.BUSY, after=17))
    assert with_retries(call, sleep=slept.append, jitter=lambda: 0) == "answer"
    assert sum(slept) == pytest.approx(17)


def test_a_server_that_asks_for_too_long_a_wait_is_not_waited_for() -> None:
    slept: list[float] = []
    with pytest.raises(LLMError):
        with_retries(Flaky(failing(LLMErrorKind.BUSY, after=LONGEST_WAIT + 1)), sleep=slept.append)
    assert slept == []


@given(st.integers(0, 29))
def test_a_stop_asked_during_a_wait_ends_it_at_the_next_slice(slices: int) -> None:
    stop, slept = Stop(), []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) > slices:
            stop.ask()

    call = Flaky(*[failing(LLMErrorKind.BUSY)] * 3)
    with pytest.raises(Cancelled):
        with_retries(call, stop=stop, sleep=sleep, jitter=lambda: 0)
    assert len(slept) == slices + 1
    assert max(slept) <= 0.2


def test_a_stop_asked_before_asks_nothing() -> None:
    stop, call = Stop(), Flaky()
    stop.ask()
    with pytest.raises(Cancelled):
        with_retries(call, stop=stop)
    assert call.calls == 0


@given(st.floats(0, 20))
def test_a_pause_lasts_as_long_as_it_should(seconds: float) -> None:
    slept: list[float] = []
    pause(seconds, sleep=slept.append)
    assert sum(slept) == pytest.approx(seconds, abs=1e-6)
