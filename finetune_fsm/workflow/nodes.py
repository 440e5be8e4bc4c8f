"""YAML text as a tree that knows where everything stands, and how large it may be."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a text may hold.

    Attributes:
        size: Characters of the whole text.
        depth: Mappings and lists inside each other, aliases followed.
        nodes: Keys, values and containers, aliases expanded.
        scalar: Characters of one value.
        aliases: Whether anchors, aliases and ``<<`` may be used.
    """

    size: int = 1_000_000
    depth: int = 32
    nodes: int = 25_000
    scalar: int = 200_000
    aliases: bool = True


PERSON = Limits()
MODEL = Limits(size=200_000, nodes=10_000, scalar=64_000, aliases=False)
"""For what a model wrote: smaller, and without aliases."""

TESTS = Limits(size=8_000_000, nodes=400_000)
"""For a person's test files: tens of thousands of scenarios."""


@dataclass(frozen=True, slots=True)
class Span:
    """Where a node stands: offsets in characters, line and column from 1 on."""

    start: int
    end: int
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value; `style` is empty for plain text, else one of ``' " | >``."""

    span: Span
    value: str
    style: str
    anchored: bool = False


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list; `flow` means ``[a, b]``."""

    span: Span
    items: tuple[Node, ...]
    flow: bool
    anchored: bool = False


@dataclass(frozen=True, slots=True)
class Mapping:
    """A mapping; `flow` means ``{a: b}``."""

    span: Span
    entries: tuple[tuple[Scalar, Node], ...]
    flow: bool
    anchored: bool = False


@dataclass(frozen=True, slots=True)
class Alias:
    """A ``*name``; it stands for `target`, which is complete before it."""

    span: Span
    target: Scalar | Sequence | Mapping


Node = Scalar | Sequence | Mapping | Alias


@dataclass(frozen=True, slots=True)
class Tree:
    """A whole text; `size` counts its nodes with every alias expanded."""

    root: Node | None
    size: int
