"""One model for all questions, whatever model they name."""

from __future__ import annotations

from dataclasses import replace

from finetune_fsm.llm.base import LLM, Completion, OnText, Request, Stop
from finetune_fsm.llm.layer import Layer


class OneModel(Layer):
    """An `LLM` that asks one model alone.

    Args:
        inner: Has it.
        model: Its name.
    """

    def __init__(self, inner: LLM, model: str) -> None:
        super().__init__(inner)
        self._model = model

    def complete(
        self, request: Request, *, on_text: OnText | None = None, stop: Stop | None = None
    ) -> Completion:
        """Return the model's reply to *request*; raises as the inner one does."""
        asked = replace(request, model=self._model)
        return self._inner.complete(asked, on_text=on_text, stop=stop)

    def fingerprint(self, model: str, *, stop: Stop | None = None) -> str:
        """Return what the inner one says of the one model, whatever *model* is."""
        del model
        return self._inner.fingerprint(self._model, stop=stop)


_: type[LLM] = OneModel  # the protocol is kept, and mypy says so
