"""Vectors of texts that a server makes: asked for in batches, and checked before they are used."""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterator, Sequence
from math import isfinite

from finetune_fsm.errors import LLMError, LLMErrorKind
from finetune_fsm.llm.base import Stop
from finetune_fsm.llm.transport import unexpected
from finetune_fsm.sinks import one_line

Vectors = tuple[tuple[float, ...], ...]
"""One for each text, in order, all of one length."""

BATCH = 32
"""Texts sent at once at most: two processors take half a minute for them."""

BATCH_CHARACTERS = 32_000
"""Characters sent at once by default."""

LONGEST = 100_000
"""Numbers of a vector at most."""

_SURROGATE = re.compile("[\ud800-\udfff]")

Ask = Callable[[Sequence[str]], Vectors]
"""Given the texts of a batch, at least one, returns their vectors, `checked`."""


def embedded(
    texts: Sequence[str],
    ask: Ask,
    *,
    who: str,
    stop: Stop | None = None,
    characters: int = BATCH_CHARACTERS,
) -> Vectors:
    """Return the vectors of *texts*, asked for batch by batch.

    Args:
        texts: Any number, or none. A blank one is sent as a space: servers may refuse an empty one.
        ask: Asks the server.
        who: Names it in messages.
        stop: Looked at before each batch.
        characters: Of a batch at most, unless one text alone has more.

    Raises:
        LLMError: as *ask* does, or the vectors of one batch are longer than another's (`PROTOCOL`).
        Cancelled: *stop* was asked for.
    """
    found: list[tuple[float, ...]] = []
    for batch in batches([sendable(text) for text in texts], characters):
        if stop:
            stop.check()
        found += ask(batch)
        if len(found[-1]) != len(found[0]):
            raise _wrong(who, f"vectors of {len(found[0])} and of {len(found[-1])} numbers")
    return tuple(found)


def batches(texts: Sequence[str], characters: int = BATCH_CHARACTERS) -> Iterator[tuple[str, ...]]:
    """Yield *texts* in order, cut where a batch is full. Pure."""
    batch: list[str] = []
    size = 0
    for text in texts:
        if batch and (len(batch) == BATCH or size + len(text) > characters):
            yield tuple(batch)
            batch, size = [], 0
        batch.append(text)
        size += len(text)
    if batch:
        yield tuple(batch)


def sendable(text: str) -> str:
    """Return *text* as any server takes it: no lone surrogates, and not empty. Pure."""
    return _SURROGATE.sub("\ufffd", text) if text.strip() else " "


def checked(sent: object, count: int, who: str) -> Vectors:
    """Return what a server *sent* as *count* vectors. Pure.

    Raises:
        LLMError: it is something else (`PROTOCOL`), such as too few, of several lengths, or with
            what is no number.
    """
    if not isinstance(sent, list):
        raise unexpected(repr(sent), who)
    if len(sent) != count:
        raise _wrong(who, f"{len(sent)} vectors for {count} texts")
    vectors = tuple(_vector(item, who) for item in sent)
    lengths = sorted({len(vector) for vector in vectors})
    if len(lengths) > 1:
        raise _wrong(who, f"vectors of {lengths[0]} and of {lengths[-1]} numbers")
    return vectors


def explained(error: LLMError, model: str) -> LLMError:
    """Return what *error* means when vectors of texts were asked for; often the same. Pure."""
    name, kind = one_line(model), error.kind
    if kind is LLMErrorKind.CONTEXT_OVERFLOW:
        message = f"a text is too long for the embedding model '{name}' ({error.message})"
        hint = "make the chunks smaller, or name an embedding model with a longer context"
        return LLMError(kind, message, hint=hint)
    if kind is LLMErrorKind.BAD_REQUEST and "embed" in error.message:
        message = f"'{name}' makes no vectors of texts ({error.message})"
        hint = "name an embedding model, such as embeddinggemma or nomic-embed-text"
        return LLMError(kind, message, hint=hint)
    return error


def _vector(sent: object, who: str) -> tuple[float, ...]:
    if not isinstance(sent, list) or not 0 < len(sent) <= LONGEST:
        raise _wrong(who, "something that is no vector")
    try:
        numbers = array("d", sent)
    except (TypeError, OverflowError):
        raise _wrong(who, "a vector with something that is no number") from None
    if not all(map(isfinite, numbers)):
        raise _wrong(who, "a vector with a number that is not finite")
    return tuple(numbers)


def _wrong(who: str, what: str) -> LLMError:
    return LLMError(
        LLMErrorKind.PROTOCOL,
        f"{who} sent {what}",
        hint="look at the server's log, or name another embedding model",
    )
