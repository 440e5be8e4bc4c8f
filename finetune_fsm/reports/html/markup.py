"""HTML and SVG as values; the one place where text becomes markup.

What is a `str` is foreign and is escaped, its secrets hidden; only `tag` and `page` make markup.
No attribute ever holds an address: nothing is loaded, and links stay inside the page.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from finetune_fsm.sinks import LIMIT, html


@dataclass(frozen=True, slots=True)
class Html:
    """Markup that was made here, safe to put into a page as it is."""

    text: str

    @property
    def size(self) -> int:
        """Bytes that it takes in a file."""
        return len(self.text.encode())


Content = Html | str
"""What stands in an element: markup, or text that is escaped."""

NOTHING = Html("")

_VOID = frozenset({"meta", "br"})

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""What a browser may load for a page: nothing, and no script is run.

Source: Content Security Policy Level 3, W3C.
"""


def tag(name: str, /, *content: Content, **attributes: str | float | bool) -> Html:
    """Return an element; everything foreign in it is escaped. Pure.

    Args:
        name: Of the element, ours.
        content: What is inside, in order.
        attributes: Their values by name; an underscore stands for a hyphen, one at the end is
            left out (``class_``). True is an attribute without a value, False is none.
    """
    told = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Html(f"<{name}{told}>")
    return Html(f"<{name}{told}>{joined(content).text}</{name}>")


def joined(content: Iterable[Content]) -> Html:
    """Return all of *content*, one after the other. Pure."""
    return Html("".join(part.text if isinstance(part, Html) else escaped(part) for part in content))


def escaped(text: str, *, limit: int = LIMIT) -> str:
    """Return *text* for an element or an attribute in quotes; one beyond *limit* is cut. Pure."""
    return html(text, limit=limit)


def whole(text: str) -> Html:
    """Return all of *text*, however long it is. Pure."""
    return Html(escaped(text, limit=max(LIMIT, len(text))))


def page(title: str, style: str, *content: Content) -> str:
    """Return a whole document with a line end at its end. Pure.

    Args:
        title: For the window.
        style: CSS of ours.
        content: The body's.
    """
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", title),
        tag("style", Html(style)),
    )
    return f"<!doctype html>\n{tag('html', head, tag('body', *content), lang='en').text}\n"


def number(value: float) -> str:
    """Return *value* for a drawing: a tenth of a pixel is fine enough. Pure."""
    return f"{value:.1f}".removesuffix(".0")


def _attribute(key: str, value: str | float | bool) -> str:
    name = key.removesuffix("_").replace("_", "-")
    if isinstance(value, bool):
        return f" {name}" if value else ""
    return f' {name}="{escaped(value) if isinstance(value, str) else number(value)}"'
