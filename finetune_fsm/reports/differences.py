"""Two texts as a unified diff, with the words that differ within its lines. Pure.

It is a value, for whoever shows it: a terminal, a page, a person who is asked. Its texts are those
that were handed in; who shows them hands in `sinks.clean` ones, so that no mark can tear apart what
a sink would hide.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum

Span = tuple[int, int]
"""Where something begins in a text and where it has ended, in characters."""

_TOKEN = re.compile(r"\w+|[^\S\n]+|.", re.DOTALL)

_WORK = 1_000_000
"""Comparisons that one diff may take, about a second; beyond, all of it counts as changed."""

_ALIKE = 0.4
"""Share of letters that two passages have in common at least; in others chance words would."""


class DiffKind(StrEnum):
    """What a line of a diff is; the values are the signs in front of it."""

    PLACE = "@"
    SAME = " "
    REMOVED = "-"
    ADDED = "+"


@dataclass(frozen=True, slots=True)
class DiffLine:
    """One line of a diff.

    Attributes:
        kind: What it is.
        text: The line without its end; of a `PLACE` the header, such as ``@@ -3,5 +3,6 @@``.
        marks: What differs from the line it replaces, in order and apart; all of a line that
            replaces none, and nothing of one that is not changed.
        old: Its number in the old text, 1-based; 0 where it is not in there.
        new: The same for the new text.
    """

    kind: DiffKind
    text: str
    marks: tuple[Span, ...] = ()
    old: int = 0
    new: int = 0

    @property
    def pieces(self) -> tuple[tuple[str, bool], ...]:
        """The text in pieces, and of each whether it is marked. Pure."""
        found: list[tuple[str, bool]] = []
        done = 0
        for start, end in self.marks:
            found += [(self.text[done:start], False), (self.text[start:end], True)]
            done = end
        return tuple(piece for piece in (*found, (self.text[done:], False)) if piece[0])

    @property
    def partly(self) -> bool:
        """Whether some of it differs and some does not: the marks tell something."""
        return any(marked for _, marked in self.pieces) and not all(m for _, m in self.pieces)


def differences(old: str, new: str, *, context: int = 2) -> tuple[DiffLine, ...]:
    r"""Return how *new* differs from *old*, nothing for equal texts. Pure.

    Lines end with ``\n`` alone: a text that ends so has an empty last line, which is shown only
    where the texts differ in it.

    Args:
        old: Any text.
        new: Any text.
        context: Unchanged lines shown around a change, >= 0.
    """
    before, after = old.split("\n"), new.split("\n")
    changes = [op for op in _opcodes(before, after) if op[0] != "equal"]
    shown: list[DiffLine] = []
    for group in _groups(changes, context):
        shown += _hunk(group, before, after, context)
    return tuple(shown)


def unified(lines: Sequence[DiffLine]) -> Iterator[str]:
    """Yield *lines* as text, each behind its sign, headers as they are. Pure."""
    for line in lines:
        yield line.text if line.kind is DiffKind.PLACE else f"{line.kind}{line.text}"


_Op = tuple[str, int, int, int, int]


def _opcodes(before: Sequence[str], after: Sequence[str]) -> list[_Op]:
    """As `SequenceMatcher.get_opcodes`, in bounded time: what begins and ends alike is left out."""
    head = _alike(before, after)
    tail = _alike(before[head:][::-1], after[head:][::-1])
    old, new = before[head : len(before) - tail], after[head : len(after) - tail]
    if len(old) * len(new) <= _WORK:
        inner = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    else:
        inner = [("replace", 0, len(old), 0, len(new))]
    return [(tag, a + head, b + head, c + head, d + head) for tag, a, b, c, d in inner]


def _alike(one: Sequence[str], other: Sequence[str]) -> int:
    """How many items both begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(one), len(other)))


def _groups(changes: Sequence[_Op], context: int) -> Iterator[list[_Op]]:
    """The changes whose contexts touch, together."""
    group: list[_Op] = []
    for change in changes:
        if group and change[1] - group[-1][2] > 2 * context:
            yield group
            group = []
        group.append(change)
    if group:
        yield group


def _hunk(
    group: Sequence[_Op], before: Sequence[str], after: Sequence[str], context: int
) -> Iterator[DiffLine]:
    start = max(0, group[0][1] - context)
    end = min(_shown_lines(before), group[-1][2] + context)
    end = max(end, group[-1][2])
    shift = group[0][3] - group[0][1]
    added = sum(d - c - (b - a) for _, a, b, c, d in group)
    sizes = (end - start, end - start + added)
    yield DiffLine(DiffKind.PLACE, _header(start, start + shift, *sizes))
    done = start
    for _, a, b, c, d in group:
        yield from _context(before, done, a, c - a)
        yield from _replaced(before, after, (a, b, c, d))
        done = b
        shift = d - b
    yield from _context(before, done, end, shift)


def _shown_lines(lines: Sequence[str]) -> int:
    """How many there are, but for the empty last one."""
    return len(lines) - (lines[-1] == "")


def _header(old: int, new: int, removed: int, added: int) -> str:
    """The header of a hunk that begins behind so many lines; a side without lines names the last.

    Source: POSIX, diff -u.
    """
    sides = ((old, removed), (new, added))
    first, second = (f"{at + bool(many)}{'' if many == 1 else f',{many}'}" for at, many in sides)
    return f"@@ -{first} +{second} @@"


def _context(lines: Sequence[str], start: int, end: int, shift: int) -> Iterator[DiffLine]:
    for at in range(start, end):
        yield DiffLine(DiffKind.SAME, lines[at], (), at + 1, at + shift + 1)


def _replaced(
    before: Sequence[str], after: Sequence[str], where: tuple[int, int, int, int]
) -> Iterator[DiffLine]:
    a, b, c, d = where
    old, new = before[a:b], after[c:d]
    lost, won = _marks(old, new)
    for n, (text, marks) in enumerate(zip(old, lost, strict=True), a + 1):
        yield DiffLine(DiffKind.REMOVED, text, marks, n, 0)
    for n, (text, marks) in enumerate(zip(new, won, strict=True), c + 1):
        yield DiffLine(DiffKind.ADDED, text, marks, 0, n)


_Marks = list[tuple[Span, ...]]


def _marks(old: Sequence[str], new: Sequence[str]) -> tuple[_Marks, _Marks]:
    """What differs between two passages, by line; without the marks they read the same."""
    tokens = [_TOKEN.findall("\n".join(lines)) if lines else [] for lines in (old, new)]
    kept = _kept(*tokens)
    if not kept:
        return _whole(old), _whole(new)
    sides = ({a for a, _ in kept}, {b for _, b in kept})
    lost, won = (_spans(given, same) for given, same in zip(tokens, sides, strict=True))
    return lost, won


def _whole(lines: Sequence[str]) -> _Marks:
    return [((0, len(line)),) if line else () for line in lines]


def _kept(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int]]:
    """The pairs of tokens that stay; none when too little does for the rest to be a change."""
    if len(old) * len(new) > _WORK:
        return []
    pairs: list[tuple[int, int]] = []
    letters = 0
    for tag, a, b, c, _ in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        words = "".join(old[a:b]).strip()
        # A blank or a comma alone between two changes would only speckle them.
        if tag == "equal" and (any(map(str.isalnum, words)) or _at_an_end(a, b, len(old))):
            pairs += zip(range(a, b), range(c, c + b - a), strict=True)
            letters += len(words)
    most = max(len("".join("".join(side).split())) for side in (old, new))
    return pairs if letters >= _ALIKE * most else []


def _at_an_end(start: int, end: int, size: int) -> bool:
    return start == 0 or end == size


def _spans(tokens: Sequence[str], same: set[int]) -> _Marks:
    """Where the tokens stand that are not the *same*, by line."""
    lines: list[list[Span]] = [[]]
    at = 0
    for number, piece in enumerate(tokens):
        if piece == "\n":
            lines.append([])
            at = 0
            continue
        end = at + len(piece)
        if number not in same:
            spans = lines[-1]
            joined = bool(spans) and spans[-1][1] == at
            spans[-1:] = [(spans[-1][0], end)] if joined else [*spans[-1:], (at, end)]
        at = end
    return [tuple(spans) for spans in lines]
