"""HTML in which every text is text: what is no `Markup` is escaped; only `element` makes one."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote

from finetune_fsm.sinks import html

VOID = frozenset({"input", "link", "meta", "br", "hr"})


class Markup(str):
    """HTML made here; put into other HTML as it is."""

    __slots__ = ()


Child = str | Iterable["Child"] | None
"""A text, which is escaped; markup, which is not; several of them; or nothing."""

TEXT_LIMIT = 200_000
"""Characters of one text that a page shows."""


def element(name: str, /, *children: Child, **attributes: str | bool | None) -> Markup:
    """Return one element.

    Args:
        name: Ours.
        children: What is in it.
        attributes: Values by name, ``class_`` for ``class`` and ``data_x`` for ``data-x``; one that
            is True stands alone, one that is None or False is left out. Never foreign text in what
            leads somewhere: `address` makes those.
    """
    told = "".join(
        f" {key.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{_escaped(value)}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in VOID:
        return Markup(f"<{name}{told}>")
    return Markup(f"<{name}{told}>{joined(children)}</{name}>")


def joined(children: Child) -> Markup:
    """Return *children* one after the other."""
    if children is None:
        return Markup("")
    if isinstance(children, Markup):
        return children
    if isinstance(children, str):
        return Markup(_escaped(children))
    return Markup("".join(joined(child) for child in children))


def address(*segments: str, **query: str) -> str:
    """Return the address on this server of *segments*, each with its own slashes kept. Pure."""
    path = "/" + "/".join(quote(segment, safe="/") for segment in segments)
    told = "&".join(f"{quote(key)}={quote(value, safe='')}" for key, value in query.items())
    return f"{path}?{told}" if told else path


def _escaped(text: str) -> str:
    return html(text, limit=TEXT_LIMIT)
