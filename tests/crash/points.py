"""Where runs are killed: every operation on the disk, and every way to die in it."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from crash.disk import Kill, Operation

WITHIN = ("half", "almost")


@dataclass(frozen=True, slots=True)
class Case:
    """One run, killed one or more times.

    Attributes:
        section: Which sort of run it is, see `crash.sweep`.
        kind: For the table: what it is killed at.
        kills: One for each session but the last.
        seed: For the order of sets in the last session, when that is a new interpreter's.
    """

    section: str
    kind: str
    kills: tuple[Kill, ...]
    seed: int | None = None


def every_point(section: str, operations: Sequence[Operation]) -> Iterator[Case]:
    """Yield a case for each point at which a run with these *operations* can die.

    That is before each operation, within each write, and after each sync: between any other
    operation and the next one nothing happens that could differ.
    """
    for operation in operations:
        whens = ["before"]
        if operation.verb == "write" and len(operation.data) > 1:
            whens += WITHIN
        if operation.verb == "fsync" or operation is operations[-1]:
            whens.append("after")
        for when in whens:
            yield Case(section, operation.kind, (Kill(operation.number, when),))


def within_resumes(section: str, operations: Sequence[Operation], reach: int) -> Iterator[Case]:
    """Yield cases that are killed a second time, early in the session that goes on.

    The first kill tears a record in the middle of the run, so that there is something to cut off.
    """
    writes = [o.number for o in operations if o.kind == "journal write"]
    first = Kill(writes[len(writes) // 2], "half")
    for number in range(1, reach + 1):
        for when in ("before", "half", "after"):
            yield Case(section, "again while resuming", (first, Kill(number, when)))


def anew(section: str, operations: Sequence[Operation], count: int) -> Iterator[Case]:
    """Yield *count* cases that are gone on with by a new interpreter.

    A forked one shares the order of sets with the killed one: it would not notice a prompt that
    depends on it.
    """
    writes = [o.number for o in operations if o.kind == "journal write"][2:]
    for seed, number in enumerate(writes[:: max(1, len(writes) // count)], 1):
        yield Case(section, "go on with a new interpreter", (Kill(number, "half"),), seed)


def storm(section: str, count: int, operations: int, *, seed: int = 1) -> Iterator[Case]:
    """Yield *count* cases with 3 to 6 kills each at random places, all within one run's length."""
    dice = random.Random(seed)
    for _ in range(count):
        number = dice.randint(3, 6)
        longest = operations // number
        kills = tuple(
            Kill(dice.randint(1, longest), dice.choice(("before", "after", *WITHIN)))
            for _ in range(number)
        )
        yield Case(section, "storm", kills)
