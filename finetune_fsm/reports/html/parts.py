"""What pages are made of: sections, tables, blocks of text, and as much as there is room for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from finetune_fsm.reports.html.markup import NOTHING, Content, Html, joined, tag, whole
from finetune_fsm.sinks import one_line

LINE = 300
"""Characters of what stands on one line, such as a name."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table; `kind` is its class, which says how it looks."""

    content: Content
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table with what it is about.

    Attributes:
        caption: What it shows; people who cannot see it read that first.
        heads: Of the columns; the first is that of the row's own heads.
        rows: Each its head, then its cells; a plain text is a number or short.
        wide: Columns that hold sentences, and are to the left.
        words: Columns that hold a word, and are to the left, too.
    """

    caption: str
    heads: Sequence[str]
    rows: Sequence[Sequence[Content | Cell]]
    wide: frozenset[int] = field(default_factory=frozenset)
    words: frozenset[int] = field(default_factory=frozenset)

    def html(self) -> Html:
        """Return it in a frame that can be moved sideways, by keyboard too; nothing if empty."""
        if not self.rows:
            return NOTHING
        heads = (
            tag("th", head, scope="col", class_=self._kind(place))
            for place, head in enumerate(self.heads)
        )
        table = tag(
            "table",
            tag("caption", self.caption),
            tag("thead", tag("tr", *heads)),
            tag("tbody", *map(self._row, self.rows)),
        )
        return frame(table, self.caption)

    def _row(self, row: Sequence[Content | Cell]) -> Html:
        first, *rest = row
        head = tag("th", first.content if isinstance(first, Cell) else first, scope="row")
        return tag("tr", head, *(self._cell(place, cell) for place, cell in enumerate(rest, 1)))

    def _cell(self, place: int, cell: Content | Cell) -> Html:
        if isinstance(cell, Cell):
            return tag("td", cell.content, class_=cell.kind or self._kind(place))
        return tag("td", cell, class_=self._kind(place))

    def _kind(self, place: int) -> str | bool:
        if not place:
            return False
        return "text" if place in self.wide else "word" if place in self.words else "num"


def frame(content: Html, label: str) -> Html:
    """Return *content*, which may be wider than the page, in a frame called *label*. Pure."""
    return tag("div", content, class_="wide", role="group", aria_label=line(label), tabindex="0")


def section(key: str, title: str, *content: Content) -> Html:
    """Return a part of the page with its heading; links find it by *key*. Pure."""
    heading = tag("h2", title, id=f"{key}-title")
    return tag("section", heading, *content, id=key, aria_labelledby=f"{key}-title")


def paragraph(*content: Content, kind: str = "") -> Html:
    """Return a paragraph of the class *kind*. Pure."""
    return tag("p", *content, class_=kind or False)


def facts(pairs: Iterable[tuple[str, Content]]) -> Html:
    """Return names and values as a list; what has no value is left out. Pure."""
    rows = (tag("dt", name) if part == 0 else tag("dd", value)
            for name, value in pairs if value for part in (0, 1))  # fmt: skip
    return tag("dl", *rows)


def items(content: Iterable[Content]) -> Html:
    """Return a list of *content*; nothing for nothing. Pure."""
    found = [tag("li", item) for item in content]
    return tag("ul", *found) if found else NOTHING


def badge(word: str, kind: str) -> Html:
    """Return *word* in the colours of *kind*. Pure."""
    return tag("span", word, class_=kind)


def folded(summary: Content, *content: Content) -> Html:
    """Return *content* behind a line that opens it. Pure."""
    return tag("details", tag("summary", summary), *content)


def block(text: str, limit: int) -> Html:
    """Return *text* as it is laid out, cut beyond *limit* characters, which is said. Pure."""
    shown, left = cut(text, limit)
    if not left:
        return tag("pre", shown)
    note = f"cut here: {left:,} more characters"
    return joined((tag("pre", shown), paragraph(note, kind="soft")))


def cut(text: str, limit: int) -> tuple[Html, int]:
    """Return the first *limit* characters of *text*, and how many are left. Pure.

    What hides a secret looks beyond the cut, so half a secret is hidden too.
    """
    from finetune_fsm.sinks import clean, known

    if len(text) <= limit:
        return whole(text), 0
    shown, left = known().head(text, limit)
    return whole(clean(shown, limit=len(shown))), left


def line(text: str, limit: int = LINE) -> str:
    """Return *text* on one line, cut at *limit*. Pure."""
    return one_line(text, limit=limit)


def many(count: int, noun: str, plural: str = "") -> str:
    """Return *count* with its noun, in the plural where that belongs. Pure."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def fitting(make: Callable[[int], Html], limits: Sequence[int], room: int) -> Html:
    """Return what *make* makes of the first of *limits* whose bytes fit *room*, else of the last.

    Args:
        make: Takes a limit, whatever it counts.
        limits: One or more, from the most generous down.
        room: Bytes.
    """
    made = NOTHING
    for limit in limits:
        made = make(limit)
        if made.size <= room:
            break
    return made
