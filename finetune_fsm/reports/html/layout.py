"""Where the boxes and arrows of a directed graph go: layers from the top down. Pure.

Arrows that would lead up are turned round, boxes are put below all that lead to them, arrows over
several layers bend at points of their own, and each layer is put in an order with few crossings.
The same graph always looks the same.

Source: Sugiyama, Tagawa, Toda 1981; the order by barycentres, of which the best sweep is kept.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

GAP = 22.0
"""Pixels between two boxes of a layer."""

RISE = 20.0
"""Pixels between two layers."""

_SWEEPS = 12
_PASSES = 10
_THREAD = 8.0  # what an arrow that passes a layer keeps free around it
_LABEL_HEIGHT = 18.0
_LOOP = 34.0  # what an arrow from a box to itself needs beside it


@dataclass(frozen=True, slots=True)
class Box:
    """A node: its name, unique, and its size in pixels."""

    key: str
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Arc:
    """An arrow between two boxes; `width` is that of its label in pixels, 0 without one."""

    source: str
    target: str
    width: float = 0.0


Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Route:
    """How an arrow goes.

    Attributes:
        points: From its beginning to its tip, two at least; at each of them it is upright. Empty
            for an arrow from a box to itself.
        label: The middle of its label, or None without one.
    """

    points: tuple[Point, ...]
    label: Point | None


@dataclass(frozen=True, slots=True)
class Layout:
    """A graph in the plane, in pixels.

    Attributes:
        centres: Of the boxes, by key.
        routes: One per arrow, in their order.
        width: Of it all.
        height: Of it all.
    """

    centres: Mapping[str, Point]
    routes: tuple[Route, ...]
    width: float
    height: float


@dataclass(slots=True)
class _Item:
    """What takes a place in a layer: a box, or a point of an arrow."""

    rank: int
    width: float
    height: float
    x: float = 0.0
    order: float = 0.0


@dataclass(slots=True)
class _Grid:
    """The layers, and who is joined to whom in the next: items by number."""

    items: list[_Item]
    layers: list[list[int]]
    up: list[list[int]]
    down: list[list[int]]


def layered(boxes: Sequence[Box], arcs: Sequence[Arc]) -> Layout:
    """Return where everything goes; the first box is at the top.

    Args:
        boxes: One or more, keys unique.
        arcs: Between their keys, in an order that means something to people.
    """
    numbers = {box.key: number for number, box in enumerate(boxes)}
    ends = [(numbers[arc.source], numbers[arc.target]) for arc in arcs]
    turned = _turned(len(boxes), ends)
    downward = [_downward(*pair, up) for pair, up in zip(ends, turned, strict=True)]
    ranks = _ranks(len(boxes), downward, [2 if arc.width else 1 for arc in arcs])
    loops = {source for source, target in ends if source == target}
    items = [
        _Item(ranks[n], box.width + 2 * _LOOP * (n in loops), box.height)
        for n, box in enumerate(boxes)
    ]
    chains = [_chain(items, ranks, arc, *pair) for arc, pair in zip(arcs, ends, strict=True)]
    grid = _grid(items, chains)
    _ordered(grid)
    _placed(grid)
    return _drawn(boxes, arcs, grid, chains, ends)


def _downward(source: int, target: int, up: bool) -> tuple[int, int]:
    return (target, source) if up else (source, target)


def _turned(count: int, ends: Sequence[tuple[int, int]]) -> list[bool]:
    """Which arrows lead back to a box on the way to them, going depth first."""
    leaving: list[list[int]] = [[] for _ in range(count)]
    for number, (source, _) in enumerate(ends):
        leaving[source].append(number)
    turned = [False] * len(ends)
    mark = [0] * count  # 1 on the way, 2 left behind
    for root in range(count):
        if mark[root]:
            continue
        mark[root] = 1
        stack: list[tuple[int, Iterator[int]]] = [(root, iter(leaving[root]))]
        while stack:
            here, ways = stack[-1]
            way = next(ways, None)
            if way is None:
                mark[here] = 2
                stack.pop()
                continue
            target = ends[way][1]
            turned[way] = mark[target] == 1
            if not mark[target]:
                mark[target] = 1
                stack.append((target, iter(leaving[target])))
    return turned


def _ranks(count: int, pairs: Sequence[tuple[int, int]], lengths: Sequence[int]) -> list[int]:
    """The longest way from the top to each box, along arrows that lead down alone."""
    entering = [0] * count
    leaving: list[list[tuple[int, int]]] = [[] for _ in range(count)]
    for (source, target), length in zip(pairs, lengths, strict=True):
        if source != target:
            leaving[source].append((target, length))
            entering[target] += 1
    ranks = [0] * count
    waiting = [n for n in range(count) if not entering[n]]
    for here in waiting:
        for target, length in leaving[here]:
            ranks[target] = max(ranks[target], ranks[here] + length)
            entering[target] -= 1
            if not entering[target]:
                waiting.append(target)
    return ranks


def _chain(items: list[_Item], ranks: Sequence[int], arc: Arc, one: int, two: int) -> list[int]:
    """Add points for the layers that the arrow passes; return all it joins, from the top down."""
    if one == two:
        return []
    top, bottom = sorted((one, two), key=lambda n: ranks[n])
    between = range(ranks[top] + 1, ranks[bottom])
    middle = between[(len(between) - 1) // 2] if arc.width else None
    chain = [top]
    for rank in between:
        label = rank == middle
        items.append(_Item(rank, arc.width if label else _THREAD, _LABEL_HEIGHT if label else 0.0))
        chain.append(len(items) - 1)
    return [*chain, bottom]


def _grid(items: list[_Item], chains: Sequence[Sequence[int]]) -> _Grid:
    layers: list[list[int]] = [[] for _ in range(1 + max(item.rank for item in items))]
    for number, item in enumerate(items):
        item.order = len(layers[item.rank])
        layers[item.rank].append(number)
    up: list[list[int]] = [[] for _ in items]
    down: list[list[int]] = [[] for _ in items]
    for chain in chains:
        for above, below in pairwise(chain):
            down[above].append(below)
            up[below].append(above)
    return _Grid(items, layers, up, down)


def _ordered(grid: _Grid) -> None:
    """Put every layer in the order of the best of some sweeps down and up."""
    best, fewest = [list(layer) for layer in grid.layers], _crossings(grid)
    for sweep in range(_SWEEPS):
        upward = bool(sweep % 2)
        near = grid.down if upward else grid.up
        for layer in reversed(grid.layers) if upward else grid.layers:
            layer.sort(key=lambda n: (_middle(grid, n, near[n]), grid.items[n].order))
            _number(grid, layer)
        crossings = _crossings(grid)
        if crossings < fewest:
            best, fewest = [list(layer) for layer in grid.layers], crossings
    grid.layers = best
    for layer in best:
        _number(grid, layer)


def _number(grid: _Grid, layer: Sequence[int]) -> None:
    for place, n in enumerate(layer):
        grid.items[n].order = float(place)


def _middle(grid: _Grid, n: int, near: Sequence[int]) -> float:
    if not near:
        return grid.items[n].order
    return sum(grid.items[other].order for other in near) / len(near)


def _crossings(grid: _Grid) -> int:
    """Pairs of arrows between neighbouring layers that cross."""
    total = 0
    for layer in grid.layers:
        seen: list[float] = []
        for n in layer:
            orders = sorted(grid.items[other].order for other in grid.down[n])
            total += sum(len(seen) - bisect_right(seen, order) for order in orders)
            for order in orders:
                insort(seen, order)
    return total


def _placed(grid: _Grid) -> None:
    """Give every item its x: near to what it is joined to, and apart from its neighbours."""
    for layer in grid.layers:
        _spread(grid, layer, [0.0] * len(layer), [1.0] * len(layer))
    for turn in range(_PASSES):
        downward = turn % 2 == 0
        near = grid.up if downward else grid.down
        for layer in grid.layers if downward else reversed(grid.layers):
            wanted = [_beside(grid, n, near[n]) for n in layer]
            # What is bent stays straight before what is boxed stays in the middle.
            weights = [1.0 if grid.items[n].height else 4.0 for n in layer]
            _spread(grid, layer, wanted, weights)


def _beside(grid: _Grid, n: int, near: Sequence[int]) -> float:
    if not near:
        return grid.items[n].x
    return sum(grid.items[other].x for other in near) / len(near)


def _spread(
    grid: _Grid, layer: Sequence[int], wanted: Sequence[float], weights: Sequence[float]
) -> None:
    """Put a layer's items as near to where they are *wanted* as their widths allow.

    The squares of the distances, weighted, are the least: neighbours that would overlap are moved
    together until none do (pool adjacent violators).
    """
    offset, offsets = 0.0, []
    for place, n in enumerate(layer):
        if place:
            offset += (grid.items[layer[place - 1]].width + grid.items[n].width) / 2 + GAP
        offsets.append(offset)
    pools: list[tuple[float, float, int]] = []  # where, weight, how many
    for want, weight, off in zip(wanted, weights, offsets, strict=True):
        pool = (want - off, weight, 1)
        while pools and pools[-1][0] > pool[0]:
            where, heavy, count = pools.pop()
            total = heavy + pool[1]
            pool = ((where * heavy + pool[0] * pool[1]) / total, total, count + pool[2])
        pools.append(pool)
    places = [where for where, _, count in pools for _ in range(count)]
    for n, where, off in zip(layer, places, offsets, strict=True):
        grid.items[n].x = where + off


def _drawn(
    boxes: Sequence[Box],
    arcs: Sequence[Arc],
    grid: _Grid,
    chains: Sequence[Sequence[int]],
    ends: Sequence[tuple[int, int]],
) -> Layout:
    items = grid.items
    left = min(item.x - item.width / 2 for item in items)
    heights = [max(items[n].height for n in layer) for layer in grid.layers]
    middles = [sum(heights[:r]) + heights[r] / 2 + r * RISE for r in range(len(heights))]
    centres = [(item.x - left, middles[item.rank]) for item in items]
    ports = _ports(boxes, chains, centres)
    routes: list[Route] = []
    for number, (arc, chain, (source, _)) in enumerate(zip(arcs, chains, ends, strict=True)):
        if not chain:
            x, y = centres[source]
            beside = boxes[source].width / 2 + _LOOP / 2
            routes.append(Route((), (x + beside, y - 14) if arc.width else None))
            continue
        top, bottom = chain[0], chain[-1]
        first = (ports[number, top], centres[top][1] + boxes[top].height / 2)
        last = (ports[number, bottom], centres[bottom][1] - boxes[bottom].height / 2)
        points = [first, *(centres[n] for n in chain[1:-1]), last]
        label = next((centres[n] for n in chain[1:-1] if items[n].height), None)
        routes.append(Route(tuple(points if top == source else points[::-1]), label))
    width = max(item.x + item.width / 2 for item in items) - left
    return Layout(
        {box.key: centres[n] for n, box in enumerate(boxes)},
        tuple(routes),
        width,
        sum(heights) + (len(heights) - 1) * RISE,
    )


def _ports(
    boxes: Sequence[Box], chains: Sequence[Sequence[int]], centres: Sequence[Point]
) -> dict[tuple[int, int], float]:
    """Where each arrow touches its boxes: side by side, in the order of where it comes from."""
    below: dict[int, list[tuple[float, int]]] = {}
    above: dict[int, list[tuple[float, int]]] = {}
    for number, chain in enumerate(chains):
        if chain:
            below.setdefault(chain[0], []).append((centres[chain[1]][0], number))
            above.setdefault(chain[-1], []).append((centres[chain[-2]][0], number))
    ports: dict[tuple[int, int], float] = {}
    for side in (below, above):
        for n, touching in side.items():
            step = min(18.0, 0.7 * boxes[n].width / len(touching))
            start = centres[n][0] - step * (len(touching) - 1) / 2
            for place, (_, number) in enumerate(sorted(touching)):
                ports[number, n] = start + step * place
    return ports
