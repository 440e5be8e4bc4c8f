"""Metrics told: tables that fit a terminal, whatever the names and numbers in them are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from strategies import texts

from finetune_fsm.improve.compare import Comparison
from finetune_fsm.improve.model import Strategy
from finetune_fsm.llm.base import Usage
from finetune_fsm.loop.table import LoopState
from finetune_fsm.loop.trials import Score
from finetune_fsm.reports.columns import (
    WIDTH,
    cut,
    paragraph,
    seconds,
    short,
    sparkline,
    table,
    width_of,
)
from finetune_fsm.reports.metrics import (
    CandidateMetrics,
    IterationMetrics,
    RunMetrics,
    StateMetrics,
    StrategyMetrics,
    WorkflowStateMetrics,
)
from finetune_fsm.reports.metrics_text import sections, summary
from finetune_fsm.sinks import one_line

NASTY = (
    *("\x1b[2J", "\u202eevil", "\ud800", "a\nb", "\r\n", "", " ", "👩\u200d🚀" * 40, "❤️" * 90),
    *("長い名前の状態" * 20, "n" * 300, "a\tb", "é" * 200, "e\u0301" * 90, "🇩🇪" * 60, "ᄀ" * 80),
    *("::error::x", "[bold]", "x " * 200, "각" * 90),
)
names = st.sampled_from(NASTY) | texts() | st.text(max_size=60)
counts = st.integers(0, 99) | st.integers(0, 10**16)
usages = st.builds(Usage, counts, counts, counts, st.floats(0, 1e12), counts, counts)
scores = st.builds(
    lambda passed, ran, total: Score(passed, passed + ran, passed + ran + total),
    *[st.integers(0, 9) | st.integers(0, 99_999)] * 3,
)
tallies = st.lists(st.tuples(names, counts), max_size=3).map(tuple)
states = st.lists(
    st.builds(StateMetrics, st.sampled_from(list(LoopState)), counts, usages), max_size=4
).map(tuple)
candidates = st.builds(
    CandidateMetrics,
    *(names, names, st.booleans(), names, scores, scores, counts),
    st.none() | st.builds(Comparison, tallies, tallies, counts),
    usages,
)
iterations = st.builds(
    IterationMetrics,
    *(st.integers(1, 1000), st.booleans(), st.none() | scores, st.none() | scores),
    st.lists(candidates, max_size=3).map(tuple),
    *(tallies, states, usages),
)
runs = st.builds(
    RunMetrics,
    st.lists(iterations, max_size=3).map(tuple),
    states,
    st.lists(
        st.builds(StrategyMetrics, st.sampled_from(Strategy), *[counts] * 5, usages, usages),
        max_size=3,
    ).map(tuple),
    st.lists(
        st.builds(WorkflowStateMetrics, names, counts, counts, usages, tallies), max_size=3
    ).map(tuple),
    usages,
)

UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)


_MANY = Score(99_000, 99_999, 99_999)
_DEAR = StateMetrics(LoopState.RUNNING, 99_999, Usage(99_999, 10**8, 10**8, 99_999.0))
HUGE = RunMetrics((IterationMetrics(1000, True, _MANY, _MANY, states=(_DEAR,)),), (_DEAR,))
"""Every column of the iterations as wide as it gets."""


def all_lines(metrics: RunMetrics) -> list[str]:
    told = [line for section in sections(metrics) for line in (section.title, *section.lines)]
    return [*summary(metrics), *told]


@settings(max_examples=120)
@given(runs)
@example(HUGE)
def test_no_name_and_no_number_makes_a_line_too_wide_or_steers_a_screen(
    metrics: RunMetrics,
) -> None:
    for line in all_lines(metrics):
        assert cell_len(line) <= WIDTH, line
        assert not UNSAFE.search(line)
        line.encode("utf-8")


@settings(max_examples=80)
@given(runs)
def test_every_table_has_all_of_its_rows(metrics: RunMetrics) -> None:
    told = {section.title: section.lines for section in sections(metrics)}
    rows = [line for line in summary(metrics) if not line.endswith("since the last test")]
    assert len(rows) == (len(metrics.iterations) + 1 if metrics.iterations else 0)
    ways = sum(1 + len(row.ways) for row in metrics.workflow_states)
    table_of = told.get("States of the workflow, in all rollouts", ())
    assert len(table_of) == (ways + 2 if ways else 0)
    refused = told.get("Drafts and answers refused", ())
    codes = sum(len(row.refused) for row in metrics.iterations)
    assert len(refused) == (codes + 1 if codes else 0)
    strategies = told.get("Drafts by strategy", ())
    assert len(strategies) == (len(metrics.strategies) + 3 if metrics.strategies else 0)


@given(names, st.integers(1, 90))
def test_a_cut_text_fits_and_is_a_beginning(text: str, width: int) -> None:
    clean = one_line(text)
    shown = cut(clean, width)
    assert cell_len(shown) <= width_of(shown) <= width
    assert shown == clean or (shown.endswith("…") and clean.startswith(shown[:-1]))
    assert (shown == clean) is (width_of(clean) <= width)


@given(names, st.integers(0, 60))
@example("長い名前の状態" * 20, 60)
def test_a_paragraph_loses_nothing(text: str, indent: int) -> None:
    lines = list(paragraph(text, indent=indent))
    assert all(line.startswith(" " * indent) and cell_len(line) <= WIDTH for line in lines)
    assert "".join("".join(lines).split()) == "".join(one_line(text, limit=1000).split())


@given(counts, st.floats(0, 1e15))
def test_numbers_are_short_and_never_more_than_they_are(count: int, time: float) -> None:
    assert len(short(count)) <= 6
    assert len(seconds(time)) <= 6
    digits, unit = re.fullmatch(r"(\d+)([kMGT]?)", short(count)).groups()
    shown = int(digits) * 1000 ** " kMGT".index(unit or " ")
    assert shown <= count
    assert shown == count or count - shown < count / 99


@given(st.lists(st.tuples(names, counts), min_size=1, max_size=5))
def test_columns_stand_below_each_other(rows: list[tuple[str, int]]) -> None:
    cells = [[one_line(name), short(count)] for name, count in rows]
    lines = list(table(("name", "count"), cells, name=0))
    assert len({width_of(line) for line in lines}) == 1
    assert all(line.endswith(count) for line, (_, count) in zip(lines[1:], cells, strict=True))


def example_run() -> RunMetrics:
    """Two iterations and what came after, one candidate accepted, one draft refused."""
    asked, ran = Usage(2, 900, 80, 21.04, 0, 1), Usage(8, 400, 96, 12.0, 3)
    first = CandidateMetrics(
        "", "", True, "the workflow as it is", Score(1, 4, 4), Score(0, 2, 2), 6, None, ran
    )
    second = CandidateMetrics(
        "rewrite", "set sort.prompt to 'One word'", True, "it fixes 'Bob' and breaks nothing",
        Score(4, 4, 4), Score(2, 2, 2), 8, Comparison(("a", "b"), (), 4), ran,
    )  # fmt: skip
    running = StateMetrics(LoopState.RUNNING, 1, ran)
    modifying = StateMetrics(LoopState.MODIFYING, 2, asked)
    saving = StateMetrics(LoopState.SAVING, 1, Usage())
    confirming = StateMetrics(LoopState.CONFIRMING, 1, Usage(4, 200, 48, 6.0))
    return RunMetrics(
        (
            IterationMetrics(1, True, first.train, first.holdout, (first,), (), (saving, running)),
            IterationMetrics(
                2, True, second.train, second.holdout, (second,),
                (("unset_placeholder", 1),), (running, modifying),
            ),
            IterationMetrics(
                3, False, second.train, second.holdout,
                states=(confirming,),
            ),
        ),
        (saving, StateMetrics(LoopState.RUNNING, 2, ran + ran), modifying, confirming),
        (StrategyMetrics(Strategy.REWRITE, 2, 2, 1, 1, 1, asked, ran),),
        (WorkflowStateMetrics("sort", 14, 1, ran + ran, (("bill", 9), ("end", 4))),),
        Usage(calls=1),
    )  # fmt: skip


def test_the_tables_read_like_this() -> None:
    text = "\n".join(
        line for s in sections(example_run()) for line in ("", s.title, *s.lines)
    ).lstrip("\n")
    expected = Path(__file__).with_name("metrics.txt").read_text("utf-8")
    assert text + "\n" == expected


@pytest.mark.parametrize(
    "metrics", [RunMetrics(), RunMetrics((IterationMetrics(1, False, None, None),))]
)
def test_what_has_no_rows_has_no_heads(metrics: RunMetrics) -> None:
    told = [section.title for section in sections(metrics)]
    assert told == (["Iterations: what the best passes after each"] if metrics.iterations else [])


@given(st.lists(st.floats(0, 1), max_size=200))
@example([0.0, 1e-9, 0.5, 1 - 1e-9, 1.0])
def test_bars_rise_with_the_rates_and_only_all_and_nothing_reach_the_ends(
    rates: list[float],
) -> None:
    bars = sparkline(rates)
    assert len(bars) == min(40, len(rates))
    if rates:
        assert (bars[0], bars[-1]) == (sparkline(rates[:1]), sparkline(rates[-1:]))
    alone = [sparkline([rate]) for rate in rates]
    assert sorted(alone) == [sparkline([rate]) for rate in sorted(rates)]
    for rate, bar in zip(rates, alone, strict=True):
        assert (bar == "▁") == (rate == 0)
        assert (bar == "█") == (rate == 1)
