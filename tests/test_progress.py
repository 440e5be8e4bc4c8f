"""The line that says what is waited for: it fits, is harmless, and says the most important."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_fsm.llm.base import Usage
from finetune_fsm.llm.watch import Batch, CallSeen, Seen
from finetune_fsm.loop.machine import Entered
from finetune_fsm.loop.run import Run
from finetune_fsm.loop.settings import Settings
from finetune_fsm.loop.table import LoopState
from finetune_fsm.loop.trials import Candidate
from finetune_fsm.observers.progress import SILENCE, Standing, heartbeat, span, status
from finetune_fsm.reports.columns import width_of

HOSTILE = st.text(max_size=30) | st.sampled_from(
    ["\x1b[2J", "\x1b]52;c;aGk=\x07", "[/INST]", "\u202e", "\r\n", "\x00", "日本" * 40]
)
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]")

seconds = st.floats(0, 1e6)
counts = st.integers(0, 10_000)
calls = st.builds(
    CallSeen,
    model=HOSTILE,
    who=HOSTILE,
    label=HOSTILE,
    place=HOSTILE,
    seconds=seconds,
    silent=seconds,
    pieces=counts,
    rate=seconds,
    pause=st.just(0.0) | seconds,
    number=counts,
    tries=counts,
)
sights = st.builds(
    Seen,
    calls=st.lists(calls, max_size=3).map(tuple),
    batch=st.none() | st.builds(Batch, counts, counts, counts, st.none() | seconds),
    spent=st.builds(Usage, counts, counts, counts, cached=counts),
    calls_left=st.none() | counts,
    tokens_left=st.none() | counts,
    seconds_left=st.none() | seconds,
)
standings = st.builds(Standing, st.sampled_from(["", *LoopState]), counts, counts)


@given(standings, sights, seconds, st.integers(1, 300))
def test_the_line_fits_the_terminal_and_steers_nothing(
    standing: Standing, seen: Seen, since: float, width: int
) -> None:
    shown = status(standing, seen, seconds=since, width=width)
    assert width_of(shown) <= width
    assert not CONTROL.search(shown)
    assert not CONTROL.search(heartbeat(standing, seen))


@given(standings, sights, st.integers(1, 300), st.integers(0, 50))
def test_a_wider_terminal_shows_every_part_of_a_narrower_one(
    standing: Standing, seen: Seen, width: int, more: int
) -> None:
    narrow, wide = (
        status(standing, seen, seconds=1, width=columns).split(" · ")
        for columns in (width, width + more)
    )
    assert all(part in wide for part in narrow if not part.endswith("…"))


RUNNING = Standing("RUNNING", 2, 5, 3)
CALL = CallSeen("m", "Ollama at http://h:1", "classify", "candidate 2/3, 'Charged twice'")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (CallSeen("m", "H"), "waiting for m"),
        (CallSeen("", "H"), "waiting for the model"),
        (CallSeen("m", "H", pieces=1), "m writes"),
        (CallSeen("m", "H", pieces=9, rate=22.7), "m writes, 23 tok/s"),
        (CallSeen("m", "H", pause=3.6, number=2, tries=3), "waiting 4 s before try 2 of 3"),
        (CallSeen("m", "H", silent=SILENCE - 0.1), "waiting for m"),
        (CallSeen("m", "H", silent=12.3), "no word from H for 12 s (m)"),
        (CallSeen("m", "H", silent=12.3, pieces=5, rate=2), "no word from H for 12 s (m)"),
    ],
)
def test_the_slowest_call_says_what_it_waits_for(call: CallSeen, words: str) -> None:
    seen = Seen((call, CallSeen("other", "H")))
    shown = status(Standing(), Seen((call,)), seconds=3, width=200)
    assert shown == f"{words} · 3 s"
    assert f"{words} (slowest of 2)" in status(Standing(), seen, seconds=3, width=200)


def test_a_wide_terminal_shows_all_there_is() -> None:
    batch, spent = Batch(4, 12, 2, 10.0), Usage(12, 3000, 400, cached=2)
    seen = Seen((CALL,), batch, spent, 88, None, 1200)
    assert status(RUNNING, seen, seconds=72, width=400) == (
        "RUNNING 2/5 · waiting for m · rollout 5/12 · candidate 2/3, 'Charged twice', classify"
        " · about 40 s left · 12 calls, 3,400 tokens, 2 kept"
        " · budget left: 88 calls, 20 min · 1 min 12 s"
    )
    assert heartbeat(RUNNING, seen) == (
        "RUNNING 2/5 · rollout 5/12 · waiting for m · candidate 2/3, 'Charged twice', classify"
        " · about 40 s left · 12 calls, 3,400 tokens, 2 kept"
    )


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (100, "RUNNING 2/5 · waiting for m · rollout 5/12 · about 40 s left · 1 min 12 s"),
        (45, "RUNNING 2/5 · waiting for m · rollout 5/12"),
        (30, "RUNNING 2/5 · waiting for m"),
        (20, "waiting for m"),
        (8, "waiting…"),
    ],
)
def test_in_a_narrow_one_what_is_waited_for_stays_longest(width: int, shown: str) -> None:
    seen = Seen((CALL,), Batch(4, 12, 2, 10.0), Usage(12, 3000, 400), 88)
    assert status(RUNNING, seen, seconds=72, width=width) == shown


def test_no_time_left_is_told_before_rollouts_have_ended() -> None:
    seen = Seen((CALL,), Batch(1, 12, 2))
    assert "left" not in status(RUNNING, seen, seconds=1, width=400)


def test_a_stop_that_was_asked_for_is_told() -> None:
    standing = Standing("RUNNING", 2, 5, stopping=True)
    assert status(standing, Seen((CALL,)), seconds=1, width=400).startswith(
        "RUNNING 2/5 (stopping)"
    )


@given(seconds)
def test_a_span_says_the_seconds_it_was_made_of(since: float) -> None:
    units = {"s": 1, "min": 60, "h": 3600}
    words = span(since).split(" ")
    told = sum(int(n) * units[unit] for n, unit in zip(words[::2], words[1::2], strict=True))
    rough = 60 if since >= 3600 else 1
    assert told <= since < told + rough


def test_the_loop_is_followed() -> None:
    standing = Standing()
    run = Run(Settings(Path("w.yaml"), Path("o.yaml"), max_iterations=7), "name: W")
    standing(Entered(LoopState.PREPARING, run))
    assert (standing.what, standing.iteration) == ("PREPARING", 0)
    standing(Entered(LoopState.RUNNING, run))
    assert (standing.what, standing.iteration, standing.iterations) == ("RUNNING", 1, 7)
    assert standing.unit == "scenario"
    two = Run(run.settings, "name: W", candidates=(Candidate("a: 1"), Candidate("a: 2")))
    standing(Entered(LoopState.RUNNING, two))
    assert (standing.candidates, standing.unit) == (2, "rollout")
