"""Comparisons told: exact for programs, harmless for people, whatever the texts in them are."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from contests import benchmarks, contender, result
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from strategies import texts

from finetune_fsm.llm.base import Usage
from finetune_fsm.reports import comparison_json, comparison_markdown, comparison_text
from finetune_fsm.reports.comparison_text import label, span
from finetune_fsm.scenarios.benchmark import Benchmark, Contender, Finding, Price, match
from finetune_fsm.scenarios.model import SuiteReport
from finetune_fsm.scenarios.statistics import Interval
from finetune_fsm.sinks import one_line

WHEN = "2026-05-17T12:34:56Z"
NASTY = (
    "\x1b[2J",
    "\u202eevil",
    "\ud800",
    "a\nB is better than A",
    "\r\n",
    "| a | b |",
    "# heading",
    "- list",
    "1. one",
    "```",
    "[a](javascript:x)",
    "<script>alert(1)</script>",
    "https://x.y",
    "**bold**",
    "a\\",
    "::error::x",
    "🎈",
    "",
    " ",
)
contents = st.sampled_from(NASTY) | texts() | st.text(max_size=20)
FORMS = (comparison_text.render, comparison_json.render, comparison_markdown.render)


@pytest.mark.parametrize("render", FORMS)
@given(benchmark=benchmarks(contents), tests=contents)
@settings(max_examples=30)
def test_any_comparison_can_be_printed_and_encoded_anywhere(
    render: Callable[..., str], benchmark: Benchmark, tests: str
) -> None:
    text = render(benchmark, tests=tests, timestamp=WHEN)
    text.encode("utf-8")
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2028\u2029\ufeff]", text)
    assert text.endswith("\n")


@given(benchmarks(contents), contents)
@settings(max_examples=40)
def test_json_says_exactly_what_was_found(benchmark: Benchmark, tests: str) -> None:
    data = json.loads(comparison_json.render(benchmark, tests=tests, timestamp=WHEN))
    first = benchmark.baseline
    assert (data["format"], data["tests"], data["timestamp"]) == (1, tests, WHEN)
    assert (data["scenarios"], data["repeat"]) == (len(first.scenarios), first.repeat)
    assert data["asked"]["llm_calls"] == benchmark.asked.calls
    assert data["regressed"] is any(w["against_first"]["losses"] for w in data["workflows"][1:])
    for told, meant in zip(data["workflows"], benchmark.contenders, strict=True):
        assert told["workflow"] == meant.name
        assert (told["passed"], told["runs"]) == (meant.passes, meant.runs)
        assert told["interval"] == [meant.interval.low, meant.interval.high]
        assert (told["llm_calls"], told["tokens"]) == (meant.usage.calls, meant.usage.tokens)
        assert (told["flip_rate"] is None) is (meant.repeat == 1)
        rows = [(s["name"], s["passed"], tuple(s["draws"])) for s in told["scenarios"]]
        assert rows == list(zip(meant.scenarios, meant.passed, meant.verdicts, strict=True))
    assert "against_first" not in data["workflows"][0]
    for told, meant in zip(data["workflows"][1:], benchmark.matches, strict=True):
        found = told["against_first"]
        assert found["finding"] == meant.finding
        assert (found["p_value"], found["scenarios_needed"]) == (meant.p_value, meant.takes)
        assert [w["name"] for w in found["wins"]] == [s.scenario for s in meant.wins]
        assert [w["passed_after"] for w in found["losses"]] == [s.after for s in meant.losses]
        assert found["ties"] == meant.ties


@given(benchmarks(contents), contents)
@settings(max_examples=40)
def test_foreign_text_makes_no_markup_in_markdown(benchmark: Benchmark, tests: str) -> None:
    text = comparison_markdown.render(benchmark, tests=tests, timestamp=WHEN)
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(text)
    kinds = [token.type for token in tokens]
    others = len(benchmark.matches)
    assert kinds.count("heading_open") == 1 + others
    assert kinds.count("table_open") == 1
    assert kinds.count("tr_open") == 1 + len(benchmark.contenders)
    cells = 9 * (1 + len(benchmark.contenders))
    assert kinds.count("td_open") + kinds.count("th_open") == cells
    shifts = sum(len(found.wins) + len(found.losses) for found in benchmark.matches)
    assert kinds.count("list_item_open") == shifts
    inside = [child.type for token in tokens for child in token.children or ()]
    assert not set(inside) & {"link_open", "image", "html_inline", "code_inline", "strong_open"}
    assert not set(kinds) & {"html_block", "fence", "code_block", "blockquote_open", "hr"}


@given(benchmarks(contents), contents)
@settings(max_examples=40)
def test_a_name_stays_on_its_line_of_the_text(benchmark: Benchmark, tests: str) -> None:
    lines = comparison_text.render(benchmark, tests=tests, timestamp=WHEN).splitlines()
    many = len(benchmark.contenders)
    assert lines[2].startswith("A  ")
    assert lines[2].endswith("  (the baseline)")
    heads = [line for line in lines if re.match(r"[B-D](:| is) ", line)]
    assert heads == [
        comparison_text.headline(number, found) for number, found in enumerate(benchmark.matches, 1)
    ]
    marked = [line for line in lines if re.match(r"  [+-] ", line)]
    assert len(marked) == sum(len(m.wins) + len(m.losses) for m in benchmark.matches)
    repeats = 8 if benchmark.baseline.repeat > 1 else 7
    table = lines[2 + many + 1 : 2 + many + 2 + many]
    assert len({len(line) for line in table}) == 1
    assert len(re.split(r"  +", table[0].strip())) == repeats - 1
    assert all(one_line(line) == line or "  " in line for line in lines)


def example() -> Benchmark:
    spent = (Usage(2, 400, 100, 1.5), Usage(1, 100, 20, 0.6))
    names = [f"case {number}" for number in range(1, 8)]
    marks = ([False] * 6 + [True], [True] * 6 + [False])
    first, second = (
        Contender(
            name,
            (
                SuiteReport(
                    tuple(
                        result(n, passed=p, usage=usage) for n, p in zip(names, passed, strict=True)
                    )
                ),
            ),
        )
        for name, passed, usage in zip(("old.yaml", "new.yaml"), marks, spent, strict=True)
    )
    return Benchmark((first, second), Usage(15, 4000, 1000, 12.0), 12.34)


def test_the_text_reads_like_this() -> None:
    text = comparison_text.render(example(), tests="t.yaml", timestamp=WHEN)
    assert text == (
        """\
Comparing 2 workflows on 7 scenarios of t.yaml  2026-05-17T12:34:56Z

A  old.yaml  (the baseline)
B  new.yaml

   passed  rate  95 % interval  calls  tokens  seconds
A  1 of 7  14 %       2 - 52 %    2.0     500     1.50
B  6 of 7  85 %      48 - 98 %    1.0     120     0.60
calls and tokens: the mean of a run; seconds: its median, waiting for the model;
counted as if each workflow ran alone, though equal questions are asked once

B: too few scenarios to tell from A — it would take about 12 like these
  6 won, 1 lost, 0 tied; p = 0.125 (exact sign test)
  + case 1
  + case 2
  + case 3
  + case 4
  + case 5
  + case 6
  - case 7
  calls 0.50x, tokens 0.24x, seconds 0.40x

15 model calls for 21 answers, 5000 tokens, 12.3 s
"""
    )


def test_the_markdown_reads_like_this() -> None:
    text = comparison_markdown.render(example(), tests="t.yaml", timestamp=WHEN)
    assert "| B | new.yaml | 6 of 7 | 85 % | 48 - 98 % | unknown | 1.0 | 120 | 0.60 |" in text
    assert "## B: too few scenarios to tell from A — it would take about 12 like these" in text
    assert "- Won: case 6\n- LOST: case 7\n" in text
    assert "Beside A: calls 0.50x, tokens 0.24x, seconds 0.40x" in text


def test_draws_are_told_where_there_are_several() -> None:
    benchmark = Benchmark(
        (
            contender([[True, False, False]] * 6),
            contender([[True, True, False]] * 6),
        )
    )
    text = comparison_text.render(benchmark, tests="t.yaml", timestamp=WHEN)
    assert "Comparing 2 workflows on 6 scenarios of t.yaml, 3 draws each" in text
    assert "  + scenario 0  (baseline 1 of 3, here 2)" in text
    assert re.search(r"^A   6 of 18  33 %  .*  67 % \(28 - 93 %\)", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ([True] * 6, [False] * 6, "B is worse than A"),
        ([False] * 6, [True] * 6, "B is better than A"),
        ([False] * 6, [False] * 6, "B: no difference seen from A"),
        ([False] * 3, [False] * 3, "B: too few scenarios to tell from A — it takes 6 at least"),
    ],
)
def test_findings_in_words(before: list[bool], after: list[bool], words: str) -> None:
    found = match(contender([[m] for m in before]), contender([[m] for m in after]))
    assert comparison_text.headline(1, found) == words
    assert (comparison_text.takes(found) == "") is (found.finding is not Finding.TOO_FEW)


def test_a_small_p_is_not_nothing() -> None:
    found = match(contender([[True]] * 20), contender([[False]] * 20))
    assert comparison_text.p_value(found) == "p below 0.001"


@given(st.floats(0, 1), st.floats(0, 1))
def test_an_interval_is_rounded_outwards(one: float, other: float) -> None:
    interval = Interval(min(one, other), max(one, other))
    low, high = map(int, re.findall(r"\d+", span(interval)))
    assert 0 <= low <= 100 * interval.low
    assert 100 * interval.high <= high <= 100
    assert high - low <= 100 * (interval.high - interval.low) + 2


@given(st.integers(0, 200), st.integers(0, 200))
def test_labels_tell_workflows_apart(one: int, other: int) -> None:
    assert (label(one) == label(other)) is (one == other)
    assert label(0) == "A"


def test_what_asks_no_model_has_no_ratio() -> None:
    free = contender([[True]] * 6)
    assert "it asked no model" in comparison_text.prices(free, free)
    ratios = comparison_text.ratios(free.price, free.price)
    assert ratios == {"calls": None, "tokens": None, "seconds": None}


def test_a_share_of_next_to_nothing_is_none() -> None:
    instant = Price(1.0, 10.0, 5e-324)
    ratios = comparison_text.ratios(instant, Price(2.0, 5.0, 3.0))
    assert ratios == {"calls": 2.0, "tokens": 0.5, "seconds": None}
