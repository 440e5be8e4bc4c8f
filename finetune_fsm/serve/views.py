"""What a page is made of, and what of it has changed since it was last sent.

A page is a sequence of parts with names. A reader of the stream is sent all of them once, and from
then on what changed: nothing has to be remembered for one whose connection was lost, as it is sent
all of them again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from finetune_fsm.serve.markup import Markup, element
from finetune_fsm.sinks import clean, known


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a page that is replaced as a whole."""

    name: str
    content: Markup


@dataclass(frozen=True, slots=True)
class Rows:
    """A piece of a page to which rows are added; those that stand there seldom change."""

    name: str
    rows: tuple[Markup, ...]


@dataclass(frozen=True, slots=True)
class Growing:
    """A text to which characters are added, as a model writes them."""

    name: str
    text: str


View = tuple[Part | Rows | Growing, ...]

Look = Callable[[], View]
"""Returns how a page looks now."""

TEXT_LIMIT = 200_000
"""Characters of a growing text that are shown."""


def slot(piece: Part | Rows | Growing) -> Markup:
    """Return the place of *piece* on the page, with what it holds now."""
    match piece:
        case Part(name, content):
            return element("div", content, data_part=name)
        case Rows(name, rows):
            return element("div", rows, data_rows=name)
        case Growing(name, text):
            shown = growing(text)
            return element("pre", shown, data_text=name, hidden=not shown, tabindex="0")


def growing(text: str) -> str:
    """Return what can be shown of *text*, which goes on: a secret's beginning waits."""
    ready, _ = known().split(text[: TEXT_LIMIT + 1])
    return clean(ready, limit=TEXT_LIMIT)


class Changes:
    """Knows what one reader has been sent."""

    def __init__(self) -> None:
        self._parts: dict[str, Markup] = {}
        self._rows: dict[str, tuple[Markup, ...]] = {}
        self._texts: dict[str, str] = {}

    def since(self, view: View) -> Iterator[str]:
        """Yield the events, as the stream has them, that make what was sent *view*."""
        for piece in view:
            match piece:
                case Part(name, content):
                    if self._parts.get(name) != content:
                        yield event("part", {"name": name, "html": content})
                        self._parts[name] = content
                case Rows(name, rows):
                    yield from self._more_rows(name, rows)
                case Growing(name, text):
                    yield from self._more_text(name, growing(text))

    def _more_rows(self, name: str, rows: tuple[Markup, ...]) -> Iterator[str]:
        before = self._rows.get(name)
        if before == rows:
            return
        old = before or ()
        pairs = zip(old, rows, strict=False)
        same = next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(old), len(rows)))
        yield event("rows", {"name": name, "from": same, "html": rows[same:]})
        self._rows[name] = rows

    def _more_text(self, name: str, text: str) -> Iterator[str]:
        before = self._texts.get(name)
        if before == text:
            return
        more = before is not None and text.startswith(before)
        rest = text[len(before) :] if more and before else text
        yield event("text", {"name": name, "more": more, "text": rest})
        self._texts[name] = text


def event(name: str, data: object) -> str:
    """Return one server-sent event. Pure.

    Source: HTML Standard, 9.2.5 (parsing an event stream): JSON in ASCII has no line end.
    """
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"
