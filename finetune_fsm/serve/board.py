"""What work under way shows, and what it asks: the work writes, pages read, a person answers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from finetune_fsm.llm.base import Stop
from finetune_fsm.serve.markup import Markup
from finetune_fsm.serve.views import Growing, Part, Rows, View

QUESTION = "question"
"""The part in which something is asked."""

_SLICE = 0.1  # seconds between two looks at the stop flag

Render = Callable[[int], Markup]
"""Makes the form of the question with a number, which comes back with the answer."""


class Board:
    """Pieces of a page by name, in the order of *pieces*; safe to use from several threads.

    Args:
        pieces: As they are at the beginning.
    """

    def __init__(self, *pieces: Part | Rows | Growing) -> None:
        self._pieces = {piece.name: piece for piece in pieces}
        self._changed = threading.Condition()
        self._asked = 0
        self._open = False
        self._answer: Mapping[str, str] | None = None

    def view(self) -> View:
        """Return how it looks now."""
        with self._changed:
            return tuple(self._pieces.values())

    def put(self, name: str, content: Markup) -> None:
        """Replace the part called *name*."""
        with self._changed:
            self._pieces[name] = Part(name, content)

    def add(self, name: str, row: Markup) -> None:
        """Add *row* to the rows called *name*."""
        with self._changed:
            before = self._pieces[name]
            rows = before.rows if isinstance(before, Rows) else ()
            self._pieces[name] = Rows(name, (*rows, row))

    def write(self, name: str, text: str) -> None:
        """Add *text* to the growing text called *name*."""
        with self._changed:
            before = self._pieces[name]
            old = before.text if isinstance(before, Growing) else ""
            self._pieces[name] = Growing(name, old + text)

    def wipe(self, name: str) -> None:
        """Let the growing text called *name* begin anew."""
        with self._changed:
            self._pieces[name] = Growing(name, "")

    def ask(self, render: Render, stop: Stop) -> Mapping[str, str]:
        """Show a question and return what a person answers, field by field.

        Raises:
            Cancelled: *stop* was asked for before.
        """
        with self._changed:
            self._asked += 1
            self._answer, self._open = None, True
            self._pieces[QUESTION] = Part(QUESTION, render(self._asked))
            try:
                while not self._changed.wait_for(self._answered, _SLICE):
                    stop.check()
                return self._answer or {}
            finally:
                self._open = False
                self._pieces[QUESTION] = Part(QUESTION, Markup(""))

    def _answered(self) -> bool:
        return self._answer is not None

    def answer(self, number: int, fields: Mapping[str, str]) -> bool:
        """Answer question *number*; False when it is not the one that is open."""
        with self._changed:
            if not self._open or number != self._asked or self._answer is not None:
                return False
            self._answer = fields
            self._changed.notify_all()
            return True
