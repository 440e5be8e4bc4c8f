"""Calls of tools, written down before they are made and after, so that none is repeated blindly.

A model's reply that was lost in a crash is asked for again, and nothing is the worse. A tool may
have sent a letter. So the intent is written first: when the answer is in the journal, it is used
again and nothing is called; when only the intent is, nobody knows whether it happened, and the
model is told so, unless the server says that a repetition does no harm.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from finetune_fsm.codec import digest
from finetune_fsm.llm.base import Stop
from finetune_fsm.tools.model import (
    Offer,
    Place,
    Specification,
    ToolResult,
    ToolServer,
    ToolSource,
)

UNKNOWN = "interrupted; not repeated: this call may have happened, and what it gave is lost"


@dataclass(frozen=True, slots=True)
class Intent:
    """A call that is about to be made.

    Attributes:
        key: Tells it from all others of the run.
        tool: What its server calls it, for people.
    """

    key: str
    tool: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of the call with this key."""

    key: str
    result: ToolResult


class Kept:
    """A source whose servers' calls are written down; safe to use from several threads.

    Args:
        inner: Where the servers come from.
        begin: Writes an intent down; when it returns, the call may be made.
        end: Writes an outcome down; when it returns, it may be used.
        begun: Intents of earlier sessions.
        ended: Outcomes of earlier sessions.
    """

    def __init__(
        self,
        inner: ToolSource,
        *,
        begin: Callable[[Intent], None],
        end: Callable[[Outcome], None],
        begun: Iterable[Intent] = (),
        ended: Iterable[Outcome] = (),
    ) -> None:
        self._inner = inner
        self._begin = begin
        self._end = end
        self._begun = {intent.key for intent in begun}
        self._ended = {outcome.key: outcome.result for outcome in ended}
        self._lock = threading.Lock()

    def open(self, wanted: Specification, place: Place, *, stop: Stop | None = None) -> ToolServer:
        """Return a server whose calls are written down; see `ToolSource`."""
        server = self._inner.open(wanted, place, stop=stop)
        return _KeptServer(self, server, digest((place.rollout, str(wanted.folder), wanted.name)))

    def made(
        self, intent: Intent, call: Callable[[], ToolResult], *, repeatable: bool
    ) -> ToolResult:
        """Return the outcome of *intent*: the one that is known, or that of *call*."""
        with self._lock:
            known, begun = self._ended.get(intent.key), intent.key in self._begun
        if known is not None:
            return known
        if begun and not repeatable:
            result = ToolResult(UNKNOWN, failed=True)
        else:
            self._begin(intent)
            with self._lock:
                self._begun.add(intent.key)
            result = call()
        self._end(Outcome(intent.key, result))
        with self._lock:
            self._ended[intent.key] = result
        return result


class _KeptServer:
    """A server whose calls are written down, each by its number and what it asks for."""

    def __init__(self, kept: Kept, inner: ToolServer, key: str) -> None:
        self._kept = kept
        self._inner = inner
        self._key = key
        self._number = 0

    @property
    def offers(self) -> tuple[Offer, ...]:
        return self._inner.offers

    def call(
        self, name: str, arguments: Mapping[str, object], *, stop: Stop | None = None
    ) -> ToolResult:
        self._number += 1
        intent = Intent(digest((self._key, self._number, name, arguments)), name)
        repeatable = any(o.repeatable for o in self._inner.offers if o.tool.name == name)
        return self._kept.made(
            intent, lambda: self._inner.call(name, arguments, stop=stop), repeatable=repeatable
        )

    def close(self) -> None:
        self._inner.close()


_: tuple[type[ToolSource], type[ToolServer]] = (Kept, _KeptServer)  # protocols kept, says mypy
