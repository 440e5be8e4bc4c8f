"""A model in front of a model: what every such layer passes on."""

from __future__ import annotations

from collections.abc import Sequence

from finetune_fsm.llm.base import LLM, Stop


class Layer:
    """All of an `LLM` but `complete`, which the layers differ in.

    Args:
        inner: What it stands in front of.
    """

    def __init__(self, inner: LLM) -> None:
        self._inner = inner

    @property
    def name(self) -> str:
        """What people call the inner one."""
        return self._inner.name

    @property
    def slots(self) -> int:
        """How many requests the inner one serves at the same time."""
        return self._inner.slots

    def embed(
        self, model: str, texts: Sequence[str], *, stop: Stop | None = None
    ) -> tuple[tuple[float, ...], ...]:
        """Return the inner one's vectors of *texts*."""
        return self._inner.embed(model, texts, stop=stop)

    def models(self) -> tuple[str, ...]:
        """Return the names of the inner one's models."""
        return self._inner.models()

    def fingerprint(self, model: str, *, stop: Stop | None = None) -> str:
        """Return what the inner one says of *model*."""
        return self._inner.fingerprint(model, stop=stop)

    def close(self) -> None:
        """Free what the inner one holds."""
        self._inner.close()
