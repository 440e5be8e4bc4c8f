"""The frame of every page, and the pages that say why there is no other."""

from __future__ import annotations

from finetune_fsm.serve.markup import Child, Markup, element
from finetune_fsm.serve.pieces import problem


def page(title: str, *content: Child, events: str | None = None) -> Markup:
    """Return a whole page; what changes on it comes from *events*."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"{title} · AgentMech"),
        element("link", rel="icon", href="/static/icon.svg"),
        element("link", rel="stylesheet", href="/static/page.css"),
        element("script", type="module", src="/static/page.js"),
    )
    home = element("a", "AgentMech", href="/", class_="home")
    lost = element("p", role="status", class_="lost", data_lost=True, hidden=True)
    body = element(
        "body",
        element("header", element("nav", home, aria_label="Site")),
        element("main", element("h1", title), lost, content, data_events=events),
    )
    return Markup(f"<!doctype html>\n{element('html', head, body, lang='en')}\n")


def door() -> Markup:
    """Return the page for who has not shown the token: its script looks for it in the address."""
    told = (
        "Open the address that 'agentmech serve' printed: it ends in a # and the key to this page."
    )
    return page("This page is locked", element("p", told, data_enter=True))


def message(title: str, *texts: str) -> Markup:
    """Return a page that says why something was not done."""
    back = element("p", element("a", "Back to the workflows and runs", href="/"))
    return page(title, [problem(text) for text in texts], back)
