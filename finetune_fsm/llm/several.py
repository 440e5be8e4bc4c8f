"""What is said of several servers: one name, one list of models, one error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from finetune_fsm.errors import FATAL, LLMError, LLMErrorKind, UsageError
from finetune_fsm.llm.base import LLM
from finetune_fsm.sinks import one_line

BROKEN = FATAL - {LLMErrorKind.MISSING_MODEL, LLMErrorKind.SCRIPT_EXHAUSTED}
"""Kinds that say something of the server and not of the question: another server may answer it."""

Said = list[tuple[str, LLMError]]
"""What went wrong: names of servers, and their errors."""


@dataclass(frozen=True, slots=True)
class Stock:
    """What one server has.

    Attributes:
        name: Of the server.
        models: Their names, sorted.
        error: Why it does not say, or None.
    """

    name: str
    models: tuple[str, ...] = ()
    error: LLMError | None = None


def joint(names: Sequence[str]) -> str:
    """Return *names* as one; what they share in front of " at " is said once. Pure."""
    heads = {name.rpartition(" at ")[0] for name in names}
    head = f"{heads.pop()} at " if len(heads) == 1 and "" not in heads else ""
    *most, last = (name.removeprefix(head) for name in names)
    return head + (f"{', '.join(most)} and {last}" if most else last)


def stock_of(llm: LLM) -> Stock:
    """Ask *llm* for its models."""
    try:
        return Stock(llm.name, llm.models())
    except LLMError as error:
        return Stock(llm.name, error=error)


def union(stocks: Sequence[Stock]) -> tuple[str, ...]:
    """Return the models that any server has, sorted. Pure.

    Raises:
        LLMError: no server answers.
    """
    said = [(stock.name, stock.error) for stock in stocks if stock.error]
    if len(said) == len(stocks):
        raise nobody(said)
    return tuple(sorted({model for stock in stocks for model in stock.models}))


def named(name: str, error: LLMError) -> str:
    """Return what *error* says, with the *name* of the server in it. Pure."""
    return error.message if name in error.message else f"{name}: {error.message}"


def nobody(said: Said) -> LLMError:
    """The one error of several servers: one that may pass decides, then one that is broken."""
    errors = sorted(
        (error for _, error in said), key=lambda e: (not e.retryable, e.kind not in BROKEN)
    )
    if len(errors) == 1:
        return errors[0]
    waits = [error.retry_after or 0.0 for error in errors if error.retryable]
    return LLMError(
        errors[0].kind,
        "; ".join(named(name, error) for name, error in said),
        hint=errors[0].hint,
        retry_after=min(waits, default=None),
    )


def differ(model: str, one: tuple[str, str], other: tuple[str, str]) -> UsageError:
    """The error of two servers, each a digest and a name, with different weights of *model*."""
    (first, here), (second, there) = one, other
    return UsageError(
        f"'{one_line(model)}' has other weights on {here} ({one_line(first)[:12]}) than on {there} "
        f"({one_line(second)[:12]}), so a reply would depend on which of them is idle — "
        "pull it again on both, or name servers that agree"
    )
