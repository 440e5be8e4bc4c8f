"""Pages: whatever is in a run or a report, a browser finds what we made, and reads the rest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import cycle, pairwise
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from suites import reports
from tales import tale

from finetune_fsm.loop.outcomes import Ending
from finetune_fsm.loop.run import Run
from finetune_fsm.reports.differences import DiffKind, differences, unified
from finetune_fsm.reports.html import run_page, suite_page
from finetune_fsm.reports.html.diff import diff
from finetune_fsm.reports.html.markup import POLICY, Html, tag
from finetune_fsm.reports.html.parts import block, fitting
from finetune_fsm.reports.markdown_run import render as markdown
from finetune_fsm.reports.verdict import Turn, verdict_on
from finetune_fsm.runs.history import History
from finetune_fsm.scenarios.model import SuiteReport
from finetune_fsm.sinks import look_again
from finetune_fsm.workflow.load import check_text

EVIL = """<zz on="x">'"</zz></pre></td></table></main><script>zz()</script>&lt;zz&gt;<!--"""

ELEMENTS = frozenset(
    re.findall(
        r"\S+",
        "html head meta title style body header main footer nav section figure figcaption div p ul "
        "li dl dt dd h1 h2 h3 h4 table caption thead tbody tr th td pre span ins del i strong a "
        "details summary svg g path polygon polyline line rect circle text",
    )
)
ATTRIBUTES = frozenset(
    re.findall(
        r"\S+",
        "lang charset http-equiv content name class id href scope role tabindex aria-label "
        "aria-labelledby x y x1 x2 y1 y2 cx cy r rx d points width height viewbox transform "
        "text-anchor",
    )
)
EMPTY = {"meta"}

contents = st.sampled_from([EVIL, "", " ", "\x00\x1b[2J", "\ud800", "\u202e", "a\r\nb", "]]>"])
contents |= st.text(max_size=12)


class Page(HTMLParser):
    """A page as a browser reads it."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.style = ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ELEMENTS, tag
        names = [name for name, _ in attrs]
        assert set(names) <= ATTRIBUTES, names
        assert len(set(names)) == len(names)
        self.found.append((tag, dict(attrs)))
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["style"]:
            self.style += data
        else:
            self.words.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    @property
    def text(self) -> str:
        return "".join(self.words)

    def all(self, tag: str) -> Iterator[dict[str, str | None]]:
        return (attributes for name, attributes in self.found if name == tag)


def checked(text: str) -> Page:
    """Read a page and check what every page promises."""
    text.encode()
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2028\u2029\ufeff]", text)
    assert text.startswith("<!doctype html>\n<html")
    page = Page(text)
    (policy,) = (a["content"] for a in page.all("meta") if "http-equiv" in a)
    assert policy == POLICY
    assert "script" not in POLICY
    assert "url(" not in page.style
    assert "@import" not in page.style
    ids = [attributes["id"] for _, attributes in page.found if "id" in attributes]
    assert len(set(ids)) == len(ids)
    for name, attributes in page.found:
        for key, value in attributes.items():
            if key != "aria-label":  # it may quote
                assert not re.search(r"https?:|url\(|javascript:", value or "")
            if key == "href":
                assert name == "a"
                assert value
                assert value[0] == "#"
                assert value[1:] in ids
            if key == "aria-labelledby":
                assert value in ids
    accessible(page)
    return page


def accessible(page: Page) -> None:
    """Landmarks, headings in order, heads and captions of tables, names of pictures."""
    names = [name for name, _ in page.found]
    for landmark in ("header", "main", "footer", "h1"):
        assert names.count(landmark) == 1
    levels = [int(name[1]) for name in names if re.fullmatch("h[1-6]", name)]
    assert all(b <= a + 1 for a, b in pairwise(levels))
    assert all(a.get("scope") in ("col", "row") for a in page.all("th"))
    assert names.count("caption") == names.count("table")
    assert all(a["role"] == "img" and a["aria-labelledby"] for a in page.all("svg"))
    assert all(a["tabindex"] == "0" for a in page.all("div") if a.get("class") == "wide")


@given(report=reports(contents), workflow=contents)
@settings(max_examples=40)
def test_any_text_in_a_report_stays_text(report: SuiteReport, workflow: str) -> None:
    page = checked(suite_page.render(report, workflow=workflow, timestamp="2026-05-17"))
    assert sum(1 for _ in page.all("details")) == report.total
    assert f"{report.passed} of {report.total} scenario" in page.text


def run_of(texts: list[str], *, iterations: int = 3, scenarios: int = 3) -> History:
    following = cycle(texts)
    return tale(lambda: next(following), iterations=iterations, scenarios=scenarios)


def page_of(history: History) -> str:
    assert history.run.best is not None
    found = check_text(history.run.best.candidate.text, folder=Path())
    return run_page.render(history, workflow=found.workflow)


@given(texts=st.lists(contents, min_size=1, max_size=7))
@example(texts=[EVIL])
@settings(max_examples=12)
def test_any_text_in_a_run_stays_text(texts: list[str]) -> None:
    history = run_of(texts)
    page = checked(page_of(history))
    assert "Iteration 2" in page.text
    text = markdown(history)
    assert text.startswith("# Finetune of tale.yaml\n\nFrom 0 of 3 scenarios passed to 2 of 3")
    assert "<zz" not in text.replace("\\<", "")


def test_a_run_s_page_tells_everything_there_is() -> None:
    numbers = iter(range(100_000))
    said: list[str] = []

    def text() -> str:
        said.append(f"text-{next(numbers):05}.")
        return said[-1]

    history = tale(text, iterations=3, scenarios=3)
    page = checked(page_of(history))
    shown = set(re.findall(r"text-\d{5}\.", page.text))
    run = history.run
    assert run.suite is not None
    wanted = [s.name + s.description + s.inputs["ask"] for s in run.suite.scenarios]
    wanted += [run.confirmed, *history.notes, history.settings.model, history.beginning.llm]
    for record in run.history:
        wanted += [trial.reason for trial in record.trials]
        wanted += [refusal.reason for refusal in record.refused]
    for entry in history.entries:
        outcome = entry.outcome
        for laps in getattr(outcome, "laps", ()):
            sample = laps.samples[0]
            if laps is outcome.laps[0]:  # of an iteration the candidate that was kept
                wanted += [sample.rollout.visits[1].prompt, sample.rollout.visits[1].completion]
        if analysis := getattr(outcome, "analysis", None):
            wanted += [analysis.summary, analysis.suggestions[0].change]
        if draft := getattr(outcome, "draft", None):
            wanted += [str(draft.edits[0].value)]
    assert set(re.findall(r"text-\d{5}\.", "".join(wanted))) <= shown
    assert page_of(history) == page_of(history)


def test_ten_iterations_of_thirty_scenarios_fit_a_megabyte_and_all_are_there() -> None:
    numbers = iter(range(100_000))
    words = "the customer's “order” <b>was</b> & is late, so "

    def text() -> str:
        return f"{next(numbers)} {words * 20}"

    history = tale(text, iterations=10, scenarios=30)
    text_of_page = page_of(history)
    assert 300_000 < len(text_of_page.encode()) <= 1_000_000
    page = checked(text_of_page)
    assert "cut here:" in page.text
    assert sum(1 for _ in page.all("details")) > 30 * 10
    for number in range(1, 11):
        assert f"Iteration {number}" in page.text
    for n in range(30):
        assert re.search(rf"(?<!\d){n} \d+ the customer's", page.text)


def test_no_secret_is_shown_not_even_a_part_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    key = "sk-0123456789-abcdef"
    monkeypatch.setenv("MY_API_KEY", key)
    look_again()
    old, new = f"a: {key}\nb: 1\n", f"a: {key.replace('5', '6')}\nb: 1\n"
    told = Page(f"<div>{diff(old, new, lines=50).text}</div>").text
    assert "a: ***" in told
    assert "4567" not in told
    assert "sk-" not in block("x" * 95 + key, 100).text
    text = page_of(run_of([f"so {key}, then", "x"]))
    look_again()
    assert key not in text
    assert "***" in text


@given(old=st.text("ab \n<", max_size=30), new=st.text("ab \n<", max_size=30))
def test_a_diff_s_text_is_what_patch_would_read(old: str, new: str) -> None:
    page = Page(f"<div>{diff(old, new, lines=1000).text}</div>")
    if old == new:
        assert page.text == "The text is the same."
        return
    found = differences(old, new, context=3)
    assert page.text == "".join(unified(found))
    classes = [a["class"] for a in page.all("span")]
    for kind, word, element in (
        (DiffKind.ADDED, "added", "ins"),
        (DiffKind.REMOVED, "removed", "del"),
    ):
        rows = [row for row in found if row.kind is kind]
        assert classes.count(word) == len(rows)
        marked = sum(len(row.marks) for row in rows if row.partly)
        assert sum(1 for _ in page.all(element)) == marked


@given(sizes=st.lists(st.integers(0, 50), min_size=1, max_size=5), room=st.integers(0, 60))
def test_what_is_fitted_is_the_first_that_fits(sizes: list[int], room: int) -> None:
    made = fitting(lambda size: Html("x" * size), sizes, room)
    assert made.size == next((size for size in sizes if size <= room), sizes[-1])


@given(text=st.text(), value=st.text())
def test_an_element_holds_its_text_and_its_attribute_and_nothing_else(
    text: str, value: str
) -> None:
    page = Page(tag("p", text, aria_label=value, class_=False).text)
    assert [name for name, _ in page.found] == ["p"]
    assert set(page.found[0][1]) == {"aria-label"}


def test_the_verdict_says_what_changed_and_whether_it_held() -> None:
    history = run_of(["so be it"])
    found = verdict_on(history.run, history.entries, history.seconds)
    assert found.turn is Turn.BETTER
    assert found.sentence == (
        "From 0 of 3 scenarios passed to 2 of 3, after 24 LLM calls, 1,440 tokens, 1 min 2 s; "
        "confirmed: so be it."
    )
    assert history.run.ending is Ending.ITERATIONS
    nothing = verdict_on(Run(history.settings, ""), (), 0)
    assert (nothing.turn, nothing.sentence) == (
        Turn.NOTHING,
        "Nothing is judged yet; 0 LLM calls, 0 tokens, 0 ms.",
    )
    first = run_of(["x"], iterations=1)
    same = verdict_on(first.run, first.entries, 2.0)
    assert same.turn is Turn.SAME
    assert same.sentence.startswith("The workflow stays as it was, 0 of 3 scenarios pass")
