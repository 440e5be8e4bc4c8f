"""What several pages are made of: badges, tables, forms, diffs, numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from finetune_fsm.loop.trials import Score
from finetune_fsm.reports.differences import DiffKind, DiffLine, differences
from finetune_fsm.reports.metrics import interval
from finetune_fsm.serve.markup import Child, Markup, element
from finetune_fsm.sinks import clean, one_line

DIFF_LINES = 400
"""Lines of one diff that are shown."""

_BAR = (120, 12)

_CLASSES = {DiffKind.ADDED: "added", DiffKind.REMOVED: "removed"}


def badge(text: str, tone: str) -> Markup:
    """Return a short word in a frame; *tone* is ``good``, ``bad``, ``warn``, ``live``, ``calm``."""
    return element("span", text, class_=f"badge {tone}")


def table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[Child]]) -> Markup:
    """Return a table that can be scrolled sideways, the first cell of each row its heading."""
    top = element("tr", [element("th", head, scope="col") for head in heads])
    body = [
        element("tr", element("th", first, scope="row"), [element("td", cell) for cell in rest])
        for first, *rest in rows
    ]
    whole = element(
        "table",
        element("caption", caption, class_="unseen"),
        element("thead", top),
        element("tbody", body),
    )
    return element("div", whole, class_="wide", tabindex="0", role="group", aria_label=caption)


def section(title: str, *children: Child, name: str = "") -> Markup:
    """Return a part of a page with a heading."""
    label = name or "s-" + "".join(c for c in title.lower() if c.isalnum())
    heading = element("h2", title, id=label)
    return element("section", heading, children, aria_labelledby=label)


def text_block(text: str, label: str) -> Markup:
    """Return *text* as it is, in a frame called *label*, which a keyboard can scroll."""
    return element("pre", text, tabindex="0", role="group", aria_label=label)


def fold(summary: Child, *children: Child, key: str, opened: bool = False) -> Markup:
    """Return what is seen when asked for; *key* tells it from others on its page."""
    return element("details", element("summary", summary), children, id=key, open=opened)


def form(action: str, *children: Child, label: str, live: bool = False) -> Markup:
    """Return a form; a *live* one is sent without leaving the page, where scripts run."""
    return element("form", children, method="post", action=action, aria_label=label, data_live=live)


def field(label: str, name: str, *, hint: str = "", **attributes: str | bool | None) -> Markup:
    """Return one line to fill in, with its label, and a *hint* below it."""
    key = f"f-{name}"
    about = f"{key}-hint" if hint else None
    return element(
        "p",
        element("label", label, for_=key),
        element("input", id=key, name=name, aria_describedby=about, **attributes),
        element("small", hint, id=about) if hint else None,
        class_="field",
    )


def hidden(name: str, value: str) -> Markup:
    """Return a value that goes with a form."""
    return element("input", type="hidden", name=name, value=value)


def button(text: str, *, kind: str = "", **attributes: str | bool | None) -> Markup:
    """Return a button that sends its form."""
    return element("button", text, type="submit", class_=kind or None, **attributes)


def problem(message: str) -> Markup:
    """Return what went wrong, so that it is heard as well as seen."""
    return element("p", clean(message, limit=4000), class_="problem", role="alert")


def diff(before: str, after: str, label: str) -> Markup:
    """Return what *after* has changed in *before*, line by line, the changed words marked.

    Both are cleaned as wholes first, so that no mark tears apart what is hidden.
    """
    found = differences(*(clean(text, limit=len(text)) for text in (before, after)))
    rows = [_diff_line(row) for row in found[:DIFF_LINES]]
    left = len(found) - DIFF_LINES
    more = element("span", f"… {left} more lines\n", class_="place") if left > 0 else None
    return element("pre", rows, more, class_="diff", tabindex="0", role="group", aria_label=label)


def _diff_line(row: DiffLine) -> Markup:
    if row.kind is DiffKind.PLACE:
        return element("span", f"{row.text}\n", class_="place")
    mark = "ins" if row.kind is DiffKind.ADDED else "del"
    pieces: Child = [element(mark, text) if marked else text for text, marked in row.pieces]
    shown = pieces if row.partly else row.text
    return element("span", row.kind.value, shown, "\n", class_=_CLASSES.get(row.kind))


def score(found: Score) -> Child:
    """Return passed of run scenarios, with the 95 % interval of the rate; nothing if none ran."""
    around = interval(found)
    if around is None:
        return "-"
    told = f"{found.passed}/{found.ran}"
    span = f"{round(100 * around.low)}-{round(100 * around.high)} %"
    return [element("span", told, class_="count"), _bar(found, around.low, around.high), span]


def _bar(found: Score, low: float, high: float) -> Markup:
    """Draw the rate as a dot and its interval as a line, on a track from 0 to 1."""
    width, height = _BAR
    room = width - 8

    def at(share: float) -> str:
        return f"{4 + room * share:.1f}"

    track = element("line", x1=at(0), x2=at(1), y1="6", y2="6", class_="track")
    line = element("line", x1=at(low), x2=at(high), y1="6", y2="6", class_="span")
    dot = element("circle", cx=at(found.passed / found.ran), cy="6", r="4", class_="dot")
    return element(
        "svg", track, line, dot, viewBox=f"0 0 {width} {height}", class_="bar", aria_hidden="true"
    )


def number(value: int) -> str:
    """Return *value* with commas between thousands. Pure."""
    return f"{value:,}"


def line(text: str, *, limit: int = 300) -> str:
    """Return foreign *text* on one line."""
    return one_line(text, limit=limit)
