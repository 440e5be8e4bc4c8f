"""Calls of tools across crashes: none is made twice unless that does no harm."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_fsm.llm.base import Stop, Tool
from finetune_fsm.tools.kept import UNKNOWN, Intent, Kept, Outcome
from finetune_fsm.tools.model import Offer, Place, Specification, ToolResult, ToolServer

WANTED = Specification("mail", {"command": "x"}, Path("/"))
CALLS = st.lists(st.tuples(st.sampled_from(["send", "read"]), st.integers(0, 2)), max_size=6)


class Killed(BaseException):
    """The process died here."""


class Mail:
    """A server that counts what it was really asked."""

    def __init__(self, made: list[str]) -> None:
        self._made = made
        self.offers = (Offer(Tool("send", "")), Offer(Tool("read", ""), repeatable=True))

    def open(self, wanted: Specification, place: Place, *, stop: Stop | None = None) -> ToolServer:
        return self

    def call(
        self, name: str, arguments: Mapping[str, object], *, stop: Stop | None = None
    ) -> ToolResult:
        self._made.append(name)
        return ToolResult(f"{name} {arguments['n']}")

    def close(self) -> None:
        pass


class Journal:
    """Holds what was written; the process dies before or after the n-th line."""

    def __init__(self) -> None:
        self.begun: list[Intent] = []
        self.ended: list[Outcome] = []
        self.left = -1

    def _line(self) -> None:
        if self.left == 0:
            raise Killed
        self.left -= 1

    def begin(self, intent: Intent) -> None:
        self._line()
        self.begun.append(intent)

    def end(self, outcome: Outcome) -> None:
        self._line()
        self.ended.append(outcome)


def session(journal: Journal, made: list[str], calls: list[tuple[str, int]]) -> list[str]:
    kept = Kept(
        Mail(made),
        begin=journal.begin,
        end=journal.end,
        begun=tuple(journal.begun),
        ended=tuple(journal.ended),
    )
    server = kept.open(WANTED, Place(Path("/"), "one"))
    return [server.call(name, {"n": n}).text for name, n in calls]


@given(CALLS, st.integers(0, 12))
def test_after_a_crash_anywhere_no_harmful_call_is_made_twice(
    calls: list[tuple[str, int]], lines: int
) -> None:
    journal, made = Journal(), []
    journal.left = lines
    died = False
    try:
        session(journal, made, calls)
    except Killed:
        died = True
    journal.left = -1
    told = session(journal, made, calls)
    again = session(journal, made, calls)
    assert again == told  # what was said once stays said
    sends = [name for name, _ in calls if name == "send"]
    assert made.count("send") <= len(sends)
    assert told.count(UNKNOWN) <= died
    assert all(t in (f"{name} {n}", UNKNOWN) for t, (name, n) in zip(told, calls, strict=True))
    assert made.count("read") <= len([name for name, _ in calls if name == "read"]) + died


def test_the_same_call_is_another_one_in_another_rollout_and_the_second_time() -> None:
    journal, made = Journal(), []
    kept = Kept(Mail(made), begin=journal.begin, end=journal.end)
    for rollout in ("one", "two"):
        server = kept.open(WANTED, Place(Path("/"), rollout))
        server.call("send", {"n": 1})
        server.call("send", {"n": 1})
    assert len(made) == 4
    assert len({intent.key for intent in journal.begun}) == 4


@pytest.mark.parametrize("name", ["send", "read"])
def test_an_intent_without_an_outcome_is_told_or_repeated(name: str) -> None:
    journal, made = Journal(), []
    journal.left = 1
    with pytest.raises(Killed):
        session(journal, made, [(name, 1)])
    journal.left = -1
    expected = "read 1" if name == "read" else UNKNOWN
    assert session(journal, made, [(name, 1)]) == [expected]
    assert made == [name] * (2 if name == "read" else 1)
