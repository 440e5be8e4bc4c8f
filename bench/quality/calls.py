"""Every call of every way goes through here: counted, refused beyond the cap, written down."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from pathlib import Path

from finetune_fsm.errors import BudgetSpent, LLMError
from finetune_fsm.llm.base import LLM, Completion, OnText, Request, Stop, Usage
from finetune_fsm.llm.layer import Layer
from finetune_fsm.llm.memo import key_of


@dataclass(frozen=True, slots=True)
class Spent:
    """What a way has spent so far.

    Attributes:
        calls: Requests made.
        distinct: Different ones among them; what a way would need that keeps replies.
        usage: Tokens and the model's seconds, as if no reply had been kept.
    """

    calls: int = 0
    distinct: int = 0
    usage: Usage = field(default_factory=Usage)


class Counted(Layer):
    """An `LLM` that refuses the request after the cap's last, whoever asks.

    Args:
        inner: Answers.
        cap: Requests at most.
        log: Gets one JSON line per request: prompts, reply, tokens, seconds. None for no log.
    """

    def __init__(self, inner: LLM, cap: int, log: Path | None = None) -> None:
        super().__init__(inner)
        self._cap = cap
        self._log = log
        self._lock = threading.Lock()
        self._calls = 0
        self._keys: set[str] = set()
        self._usage = Usage()
        self._refused = 0

    @property
    def spent(self) -> Spent:
        """What was spent up to now."""
        with self._lock:
            return Spent(self._calls, len(self._keys), self._usage)

    @property
    def refused(self) -> int:
        """Requests that came after the cap was spent."""
        with self._lock:
            return self._refused

    def complete(
        self, request: Request, *, on_text: OnText | None = None, stop: Stop | None = None
    ) -> Completion:
        """Return the whole reply to *request*.

        Raises:
            BudgetSpent: the cap is spent; nothing was asked.
            LLMError: as the inner one does; such a call counts.
            Cancelled: the same.
        """
        number = self._begin(request)
        try:
            completion = self._inner.complete(request, on_text=on_text, stop=stop)
        except LLMError as error:
            self._end(number, request, None, str(error))
            raise
        self._end(number, request, completion, "")
        return completion

    def _begin(self, request: Request) -> int:
        with self._lock:
            if self._calls >= self._cap:
                self._refused += 1
                raise BudgetSpent("calls")
            self._calls += 1
            self._keys.add(key_of(request))
            return self._calls

    def _end(
        self, number: int, request: Request, completion: Completion | None, error: str
    ) -> None:
        usage = Usage.of(completion) if completion else Usage(calls=1)
        line = {
            "call": number,
            "purpose": request.purpose,
            "label": request.label,
            "options": dict(request.options),
            "messages": [[message.role, message.content] for message in request.messages],
            "schema": request.schema,
            "reply": completion.text if completion else None,
            "cut": completion.cut if completion else False,
            "error": error,
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "seconds": round(usage.seconds, 3),
        }
        with self._lock:
            self._usage += usage
            if self._log is not None:
                with self._log.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line, ensure_ascii=False, default=str) + "\n")
