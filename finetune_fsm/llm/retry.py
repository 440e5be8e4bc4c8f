"""Asking again when a second try may help, with waits that a person can break off."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from finetune_fsm.errors import LLMError
from finetune_fsm.llm.base import Stop

T = TypeVar("T")

TRIES = 3
"""How often one request is sent at most."""

LONGEST_WAIT = 300.0
"""Seconds waited at most because a server asks for it; beyond, its refusal is final."""

_SLICE = 0.1  # seconds between two looks at the stop flag


def with_retries(
    call: Callable[[], T],
    *,
    stop: Stop | None = None,
    sleep: Callable[[float], None] = time.sleep,
    tries: int = TRIES,
    jitter: Callable[[], float] = random.random,
) -> T:
    """Return what *call* returns, asking again after 1, 2, 4 … s when its error may pass.

    Args:
        call: One try. Its `LLMError.retry_after` lengthens the wait.
        stop: Looked at before each try and during each wait, and told of each wait.
        sleep: Waits so many seconds; called with slices of 0.1 s at most.
        tries: How often *call* is called at most, >= 1.
        jitter: Returns 0..1; a wait is lengthened by up to a quarter of it, so that rollouts
            that failed together do not come back together.

    Raises:
        LLMError: of the last try, or of the first one that no further try can cure.
        Cancelled: *stop* was asked for.
    """
    for number in range(1, tries + 1):
        if stop:
            stop.check()
        try:
            return call()
        except LLMError as error:
            wait = delay(number, error.retry_after, jitter())
            if not error.retryable or number == tries or wait > LONGEST_WAIT:
                raise
            why = f"{error.message}; try {number + 1} of {tries} in {wait:.1f} s"
            _log(why)
            if stop:
                stop.again(why)
                stop.pause(wait, number + 1, tries)
        pause(wait, stop=stop, sleep=sleep)
    raise AssertionError("the last try returns or raises")


def delay(number: int, retry_after: float | None, jitter: float) -> float:
    """Return the seconds to wait after try *number* (1-based) failed. Pure.

    Never shorter than *retry_after*, what the server asked for; *jitter* is 0..1.
    """
    return max(2.0 ** (number - 1), retry_after or 0.0) * (1 + jitter / 4)


def pause(
    seconds: float, *, stop: Stop | None = None, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Wait so many *seconds*; raises `Cancelled` soon after *stop* was asked for."""
    left = seconds
    while left > 0:
        if stop:
            stop.check()
        sleep(min(_SLICE, left))
        left -= _SLICE


def _log(why: str) -> None:
    from loguru import logger

    logger.warning("{}", why)
