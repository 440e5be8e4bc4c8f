"""Rates, intervals and sign tests over results."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from quality.summary import against, cases_table, of_way, summarised, table, wilson


def row(
    way: str, case: str, *, before: int = 0, after: int = 0, good: bool = False, calls: int = 9
) -> dict[str, Any]:
    split = {"total": 3, "before": before, "after": after, "won": [], "lost": []}
    solved = calls if after == 3 else None
    return {
        "way": way,
        "case": case,
        "seed": 0,
        "good": good,
        "fresh": case.startswith("01"),
        "train": split,
        "holdout": split,
        "calls": calls,
        "tokens": 10 * calls,
        "seconds": 1.0,
        "valid": True,
        "changed": after != before,
        "hard_coded": [],
        "more_powerful": [],
        "closed_places": [],
        "solved_calls": solved,
        "solved_distinct": solved,
    }


@st.composite
def results(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Rows of three ways on the same cases, some of them good."""
    found = []
    for number in range(draw(st.integers(1, 6))):
        before, good = draw(st.integers(0, 3)), draw(st.booleans())
        for way in ("ours", "gepa-prompts", "gepa-yaml"):
            after, calls = draw(st.integers(0, 3)), draw(st.integers(1, 100))
            found.append(
                row(way, f"{number:02}-x", before=before, after=after, good=good, calls=calls)
            )
    return found


@given(total=st.integers(1, 500), data=st.data())
def test_an_interval_holds_its_rate_and_shrinks_with_more_trials(
    total: int, data: st.DataObject
) -> None:
    hits = data.draw(st.integers(0, total))
    low, high = wilson(hits, total)
    assert 0 <= low <= hits / total + 1e-12
    assert hits / total - 1e-12 <= high <= 1
    wider_low, wider_high = low, high
    low, high = wilson(4 * hits, 4 * total)
    assert high - low < wider_high - wider_low
    other_low, other_high = wilson(total - hits, total)
    assert abs(other_low - (1 - wider_high)) < 1e-9
    assert abs(other_high - (1 - wider_low)) < 1e-9


def test_the_interval_is_wilsons() -> None:
    # Newcombe 1998, table I: 81 of 263, score interval 0.2553 to 0.3662.
    low, high = wilson(81, 263)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)
    assert wilson(0, 0) == (0.0, 1.0)


@given(results())
@settings(max_examples=50)
def test_wins_of_one_way_are_the_losses_of_the_other(rows: list[dict[str, Any]]) -> None:
    ours = [r for r in rows if r["way"] == "ours"]
    other = [r for r in rows if r["way"] == "gepa-yaml"]
    there, back = against(ours, other), against(other, ours)
    for name in ("raised", "solved"):
        assert there[name]["wins"] == back[name]["losses"]
        assert there[name]["losses"] == back[name]["wins"]
        assert there[name]["p"] == back[name]["p"]
        assert there[name]["wins"] + there[name]["losses"] <= there["pairs"]


@given(results(), st.randoms(use_true_random=False))
@settings(max_examples=50)
def test_the_order_of_results_does_not_matter(rows: list[dict[str, Any]], chance: Any) -> None:
    shuffled = list(rows)
    chance.shuffle(shuffled)
    assert table(summarised(shuffled)) == table(summarised(rows))
    assert cases_table(shuffled) == cases_table(rows)


@given(results())
@settings(max_examples=50)
def test_the_union_is_no_worse_than_either_mode_and_no_better_than_both(
    rows: list[dict[str, Any]],
) -> None:
    summary = summarised(rows)
    modes = [summary["ways"][way] for way in ("gepa-prompts", "gepa-yaml")]
    both = summary["gepa_union"]
    for name in ("raised", "solved"):
        hits = [mode[name]["hits"] for mode in modes]
        assert max(hits) <= both[name] <= min(sum(hits), both["of"])


def test_good_workflows_count_for_nothing_but_being_left_alone() -> None:
    rows = [row("ours", "01-a", after=3), row("ours", "02-b", before=3, after=2, good=True)]
    found = of_way(rows)
    assert (found["raised"]["hits"], found["raised"]["of"]) == (1, 1)
    assert (found["good"], found["good_changed"]) == (1, 1)
    assert found["to_solved"]["median_calls"] == 9
