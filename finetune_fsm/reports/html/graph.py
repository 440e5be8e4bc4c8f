"""Drawings of state machines as SVG, with the ways that were taken, and the same as tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from finetune_fsm.reports.columns import cut, width_of
from finetune_fsm.reports.html.layout import Arc, Box, Layout, Point, Route, layered
from finetune_fsm.reports.html.markup import Html, joined, number, tag
from finetune_fsm.reports.html.parts import Table, frame, line, many
from finetune_fsm.reports.html.style import alone

NAME = "http://www.w3.org/2000/svg"
"""What tells a program that a file is SVG; nothing is fetched from there."""

_EDGE = 14.0  # pixels free around a drawing
_LETTER = 7.4  # pixels of a column of text, on the safe side
_SMALL = 6.3
_TIP = 8.0


class Shape(StrEnum):
    """How a node looks."""

    BOX = "box"
    SLANTED = "slanted"
    DOUBLE = "double"
    ROUND = "round"
    START = "start"
    END = "end"


@dataclass(frozen=True, slots=True)
class Node:
    """A state.

    Attributes:
        key: Unique in its drawing.
        name: For people; foreign.
        shape: How it looks.
        note: A word on its kind, or empty.
        visits: How often it was entered; None where nobody counted.
    """

    key: str
    name: str
    shape: Shape = Shape.BOX
    note: str = ""
    visits: int | None = None


@dataclass(frozen=True, slots=True)
class Way:
    """An arrow.

    Attributes:
        source: Key of a node.
        target: Key of a node.
        label: What it is for, or empty; foreign.
        error: Whether it is only taken after an error.
        times: How often it was gone; None where nobody counted.
    """

    source: str
    target: str
    label: str = ""
    error: bool = False
    times: int | None = None


@dataclass(frozen=True, slots=True)
class Drawing:
    """A state machine to draw; `title` says what of."""

    title: str
    nodes: tuple[Node, ...]
    ways: tuple[Way, ...]


def figure(drawing: Drawing, key: str) -> Html:
    """Return *drawing* in a frame, for a page; its title has the id *key*. Pure."""
    return tag("figure", frame(_svg(drawing, key), drawing.title))


def table(drawing: Drawing) -> Html:
    """Return what *drawing* shows as a table: a row for each arrow. Pure."""
    names = {node.key: node for node in drawing.nodes}
    rows = [
        (
            line(names[way.source].name),
            line(names[way.target].name),
            "on error" if way.error else line(way.label),
            "" if way.times is None else f"{way.times:,}",
        )
        for way in drawing.ways
    ]
    heads = ("From", "To", "When", "Times")
    return Table(f"{drawing.title}, as a table", heads, rows, frozenset({1, 2})).html()


def picture(drawing: Drawing) -> str:
    """Return *drawing* as an SVG file with a line end at its end. Pure."""
    style = tag("style", Html(alone()))
    return f"{_svg(drawing, 'title', style, xmlns=NAME).text}\n"


def _svg(drawing: Drawing, key: str, *first: Html, **more: str) -> Html:
    boxes = [Box(node.key, *_size(node)) for node in drawing.nodes]
    arcs = [Arc(way.source, way.target, _wide(_label(way), _SMALL)) for way in drawing.ways]
    found = layered(boxes, arcs)
    width, height = found.width + 2 * _EDGE, found.height + 2 * _EDGE
    walked = any(way.times for way in drawing.ways)
    seen = {way.source for way in drawing.ways if way.times}
    seen |= {way.target for way in drawing.ways if way.times}
    # What was gone is drawn last, above the rest.
    pairs = sorted(
        zip(drawing.ways, found.routes, strict=True), key=lambda pair: bool(pair[0].times)
    )
    body = (
        *(_way(way, route, found, drawing) for way, route in pairs),
        *(_node(node, found, node.key in seen) for node in drawing.nodes),
        *(part for way, route in pairs for part in _labels(way, route)),
    )
    told = f"{drawing.title}: {many(len(drawing.nodes), 'state')}, {many(len(drawing.ways), 'way')}"
    return tag(
        "svg",
        tag("title", told + (", those taken coloured" if walked else ""), id=key),
        *first,
        tag("g", *body, transform=f"translate({number(_EDGE)} {number(_EDGE)})"),
        role="img",
        aria_labelledby=key,
        width=width,
        height=height,
        viewBox=f"0 0 {number(width)} {number(height)}",
        **more,
    )


def _size(node: Node) -> tuple[float, float]:
    if node.shape is Shape.START:
        return 18.0, 18.0
    wide = max(_wide(_name(node), _LETTER), _wide(_note(node), _SMALL))
    slanted = 16.0 if node.shape is Shape.SLANTED else 0.0
    return max(56.0, wide + 22.0 + slanted), 42.0 if _note(node) else 30.0


def _wide(text: str, letter: float) -> float:
    return width_of(text) * letter


def _name(node: Node) -> str:
    return cut(line(node.name), 30) or "?"


def _note(node: Node) -> str:
    if node.visits is None:
        return node.note
    return " · ".join(filter(None, (node.note, f"{node.visits:,}×")))  # noqa: RUF001  # times


def _label(way: Way) -> str:
    times = f"{way.times:,}×" if way.times else ""  # noqa: RUF001  # as above
    return " ".join(filter(None, (cut(line(way.label), 32), times)))


def _node(node: Node, layout: Layout, seen: bool) -> Html:
    x, y = layout.centres[node.key]
    width, height = _size(node)
    if node.shape is Shape.START:
        return tag("circle", cx=x, cy=y, r=7, class_="dot")
    left, top = x - width / 2, y - height / 2
    texts = _texts(node, x, y)
    return tag("g", *_outline(node, left, top, width, height, seen), *texts)


def _outline(
    node: Node, left: float, top: float, width: float, height: float, seen: bool
) -> Iterator[Html]:
    look = "walked box" if seen else "box"
    if node.shape is Shape.SLANTED:
        right, bottom, slant = left + width, top + height, 10
        corners = ((left + slant, top), (right, top), (right - slant, bottom), (left, bottom))
        points = " ".join(f"{number(a)},{number(b)}" for a, b in corners)
        yield tag("polygon", points=points, class_=look)
        return
    round_ = height / 2 if node.shape in (Shape.ROUND, Shape.END) else 6
    yield tag("rect", x=left, y=top, width=width, height=height, rx=round_, class_=look)
    if node.shape in (Shape.DOUBLE, Shape.END):
        inner = max(2, round_ - 3)
        yield tag("rect", x=left + 3, y=top + 3, width=width - 6, height=height - 6, rx=inner,
                  class_="inner")  # fmt: skip


def _texts(node: Node, x: float, y: float) -> Iterator[Html]:
    note = _note(node)
    yield tag("text", _name(node), x=x, y=y - 2 if note else y + 4.5, text_anchor="middle")
    if note:
        yield tag("text", note, x=x, y=y + 13, text_anchor="middle", class_="small")


def _way(way: Way, route: Route, layout: Layout, drawing: Drawing) -> Html:
    look = " ".join(
        filter(None, ("walked" if way.times else "", "way", "error" if way.error else ""))
    )
    points = route.points
    if not points:
        node = next(node for node in drawing.nodes if node.key == way.source)
        return _loop(layout.centres[way.source], _size(node), look)
    tip = points[-1]
    back = _TIP if tip[1] > points[-2][1] else -_TIP
    path = _curve((*points[:-1], (tip[0], tip[1] - back)))
    return joined((tag("path", d=path, class_=look), _tip(tip, 0, back, look)))


def _curve(points: Sequence[Point]) -> str:
    """A path through *points* that is upright at each of them."""
    (x, y), *rest = points
    parts = [f"M{number(x)} {number(y)}"]
    for a, b in rest:
        half = number((y + b) / 2)
        parts.append(f"C{number(x)} {half} {number(a)} {half} {number(a)} {number(b)}")
        x, y = a, b
    return "".join(parts)


def _loop(centre: Point, size: tuple[float, float], look: str) -> Html:
    x, y, out = centre[0] + size[0] / 2, centre[1], 30
    low, high = number(y + 7), number(y - 7)
    path = f"M{number(x)} {high}C{number(x + out)} {number(y - 16)} {number(x + out)} "
    path += f"{number(y + 16)} {number(x + _TIP)} {low}"
    return joined((tag("path", d=path, class_=look), _tip((x, y + 7), -_TIP, 0, look)))


def _tip(tip: Point, along: float, down: float, look: str) -> Html:
    """An arrow's tip, which comes from *along* and *down* before it."""
    (x, y), half = tip, 4
    if down:
        corners = ((x, y), (x - half, y - down), (x + half, y - down))
    else:
        corners = ((x, y), (x - along, y - half), (x - along, y + half))
    points = " ".join(f"{number(a)},{number(b)}" for a, b in corners)
    return tag("polygon", points=points, class_="walked tip" if "walked" in look else "tip")


def _labels(way: Way, route: Route) -> Iterator[Html]:
    text = _label(way)
    if route.label is None or not text:
        return
    x, y = route.label
    wide = _wide(text, _SMALL)
    yield tag("rect", x=x - wide / 2, y=y - 8, width=wide, height=16, class_="blank")
    yield tag("text", text, x=x, y=y + 4, text_anchor="middle", class_="small")
