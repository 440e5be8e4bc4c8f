"""Charts as SVG: pass rates with their intervals, and what was spent as bars."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from finetune_fsm.reports.html.markup import Content, Html, number, tag
from finetune_fsm.scenarios.statistics import Interval

T = TypeVar("T")

MOST = 60
"""Points that a chart has room for; of more, some are left out evenly."""

_WIDTH, _HEIGHT = 640.0, 240.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 12.0, 12.0, 34.0


@dataclass(frozen=True, slots=True)
class Mark:
    """One value: `at` on the axis below by its number, 0..1 upwards, and where it may well be."""

    at: int
    rate: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class Series:
    """Values of one kind, in order; drawn with a line of their own style."""

    name: str
    marks: tuple[Mark, ...]


def spread(values: Sequence[T]) -> Sequence[T]:
    """Return at most `MOST` of *values*, evenly, the first and the last among them. Pure."""
    if len(values) <= MOST:
        return values
    step = (len(values) - 1) / (MOST - 1)
    return [values[round(place * step)] for place in range(MOST)]


def rates(title: str, key: str, series: Sequence[Series], names: Sequence[str]) -> Html:
    """Return pass rates with intervals over what is called *names* below. Pure.

    Args:
        title: What it shows.
        key: Id of the title, unique in its page.
        series: One or two; dots and a line, then squares and a broken line.
        names: Of the places on the axis, in order, at least one.
    """
    body: list[Html] = [*_scale(), *_names(names)]
    for place, one in enumerate(series[:2]):
        body += _series(
            one, ("one", "two")[place], len(names), (-5.0, 5.0)[place] * (len(series) > 1)
        )
    return _chart(title, key, body)


def bars(title: str, key: str, values: Sequence[tuple[str, int]], what: str) -> Html:
    """Return *values*, each with a name, as upright bars; *what* says what they count. Pure."""
    most = max((value for _, value in values), default=0) or 1
    body: list[Html] = []
    for share in (0.0, 0.5, 1.0):
        y = _y(share)
        body.append(_line(_LEFT, y, _WIDTH - _RIGHT, y, "grid"))
        body.append(_text(f"{round(most * share):,}", _LEFT - 5, y + 4, "end"))
    step = _step(len(values))
    for place, (_, value) in enumerate(values):
        height = value / most * (_y(0) - _y(1))
        wide = min(36.0, step * 0.6)
        x = _x(place, len(values)) - wide / 2
        body.append(tag("rect", x=x, y=_y(0) - height, width=wide, height=height, class_="one-dot"))
    body += _names([name for name, _ in values])
    return _chart(f"{title}, in {what}", key, body)


def _chart(title: str, key: str, body: Sequence[Content]) -> Html:
    return tag(
        "svg",
        tag("title", title, id=key),
        *body,
        role="img",
        aria_labelledby=key,
        class_="chart",
        viewBox=f"0 0 {number(_WIDTH)} {number(_HEIGHT)}",
    )


def _scale() -> Iterator[Html]:
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = _y(share)
        yield _line(_LEFT, y, _WIDTH - _RIGHT, y, "grid")
        yield _text(f"{share:.0%}", _LEFT - 5, y + 4, "end")


def _names(names: Sequence[str]) -> Iterator[Html]:
    every = -(-len(names) // 20)  # twenty numbers fit side by side
    for place, name in enumerate(names):
        if place % every == 0:
            yield _text(name, _x(place, len(names)), _HEIGHT - 14, "middle")


def _series(one: Series, look: str, many: int, shift: float) -> Iterator[Html]:
    points = [(_x(mark.at, many) + shift, _y(mark.rate), mark) for mark in one.marks]
    line = " ".join(f"{number(x)},{number(y)}" for x, y, _ in points)
    yield tag("polyline", points=line, class_=look)
    for x, y, mark in points:
        low, high = _y(mark.interval.low), _y(mark.interval.high)
        yield _line(x, low, x, high, f"{look}-span")
        for end in (low, high):
            yield _line(x - 3, end, x + 3, end, f"{look}-span")
        if look == "one":
            yield tag("circle", cx=x, cy=y, r=4.5, class_="one-dot")
        else:
            yield tag("rect", x=x - 4, y=y - 4, width=8, height=8, class_="two-dot")


def _line(x: float, y: float, a: float, b: float, look: str) -> Html:
    return tag("line", x1=x, y1=y, x2=a, y2=b, class_=look)


def _text(text: str, x: float, y: float, anchor: str) -> Html:
    return tag("text", text, x=x, y=y, text_anchor=anchor, class_="small")


def _step(many: int) -> float:
    return (_WIDTH - _LEFT - _RIGHT) / max(1, many)


def _x(place: int, many: int) -> float:
    return _LEFT + _step(many) * (place + 0.5)


def _y(share: float) -> float:
    return _TOP + (1 - share) * (_HEIGHT - _TOP - _BOTTOM)
