"""Every way out: what arrives there is text, whatever it was."""

from __future__ import annotations

import csv
import io
import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from finetune_fsm import sinks
from finetune_fsm.sinks import (
    Secrets,
    ascii_json,
    clean,
    command,
    csv_cell,
    distinct_slug,
    html,
    inert,
    json_text,
    one_line,
    slug,
    stopped,
    visible,
    visible_line,
    xml,
)

DANGEROUS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
SIGNS = "\x1b]52;c;aGk=\x07", "\x9b31m", "\u202e", "::error::", "##[group]", "<script>", "=cmd()"
ANY = st.lists(
    st.sampled_from((*SIGNS, "\r\n", "&amp;", "]]>", "\n", "'", '"', "a,b;c", "日本", "%0A"))
    | st.text(st.characters(codec=None, exclude_categories=()), max_size=10)
).map("".join)


def on_the_runner(output: str) -> list[str]:
    """The commands that GitHub's runner finds in *output*, as its source finds them."""
    found: list[str] = []
    stopped_by = ""
    for line in output.split("\n"):
        bare = line.lstrip()
        if stopped_by:
            stopped_by = "" if bare == f"::{stopped_by}::" else stopped_by
        elif bare.startswith("::stop-commands::"):
            stopped_by = bare.removeprefix("::stop-commands::")
        elif bare.startswith("::") and "::" in bare[2:]:
            found.append(bare)
        elif "##[" in line and "]" in line.partition("##[")[2]:
            found.append(line)
    return found


@given(ANY)
def test_clean_text_steers_no_screen_and_can_be_written(text: str) -> None:
    for shown in (clean(text), visible(text), html(text), xml(text), csv_cell(text)):
        assert not DANGEROUS.search(shown)
        shown.encode("utf-8")


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126) | st.sampled_from("\n\tä日🎉")))
def test_harmless_text_stays_as_it_is_and_cleaning_twice_changes_nothing(text: str) -> None:
    assert visible(text) == text
    assert clean(clean(text)) == clean(text)


@given(ANY, st.integers(1, 50))
def test_a_line_is_one_line_and_no_longer_than_allowed(text: str, limit: int) -> None:
    for line in (one_line(text, limit=limit), visible_line(text, limit=limit)):
        assert len(line) <= limit
        assert "\n" not in line


def test_a_cut_is_said() -> None:
    assert clean("x" * 30, limit=10) == "x" * 10 + "… 20 more characters"
    assert clean("\x1b[2J\u202e\r\n") == "\\x1b[2J\\u202e\n"


class Reader(HTMLParser):
    """Collects what a browser would: tags, attributes and text."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.values: list[str | None] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.values += [value for _, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


@given(ANY)
@example("' onload='x")
@example('" onload="x')
def test_html_holds_the_text_and_no_tag_or_attribute_more(text: str) -> None:
    shown = html(text)
    page = Reader(f"<p title=\"{shown}\" lang='{shown}'>{shown}</p>")
    assert page.tags == ["p"]
    assert page.values == [clean(text), clean(text)]
    assert page.text == clean(text)


@given(st.text(st.characters(codec=None, exclude_categories=())))
@example("\ufffe\uffff\ud800\x00\x1b")
def test_xml_is_well_formed_and_reads_back(text: str) -> None:
    element = ET.Element("a", {"b": xml(text)})
    element.text = xml(text)
    read = ET.fromstring(ET.tostring(element, encoding="unicode"))
    assert (read.text or "") == read.get("b") == clean(text)


@given(st.lists(st.lists(ANY, min_size=1, max_size=4), max_size=4))
def test_csv_reads_back_and_no_cell_is_a_formula(rows: list[list[str]]) -> None:
    stream = io.StringIO()
    cells = [[csv_cell(text) for text in row] for row in rows]
    csv.writer(stream).writerows(cells)
    assert list(csv.reader(io.StringIO(stream.getvalue(), newline=""))) == cells
    for row, texts in zip(cells, rows, strict=True):
        for cell, text in zip(row, texts, strict=True):
            assert cell[:1] not in tuple("=+-@\t\r\n＝＋－＠")  # noqa: RUF001
            assert cell in (clean(text), f"'{clean(text)}")


@pytest.mark.parametrize("text", ["=cmd()", "+1", "-1", "@x", "\tx", " =x", "\r=x", "＝x"])  # noqa: RUF001
def test_a_formula_begins_with_an_apostrophe(text: str) -> None:
    assert csv_cell(text).startswith("'") == (not clean(text).startswith("\\"))


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(-1e9, 1e9) | ANY,
    lambda inner: st.lists(inner) | st.dictionaries(ANY, inner),
    max_leaves=10,
)  # fmt: skip


@given(plain)
def test_json_reads_back_whole_and_can_be_printed_and_encoded(value: object) -> None:
    text = json_text(value, secrets=Secrets())
    assert json.loads(text) == value
    assert not DANGEROUS.search(text)
    assert on_the_runner(text) == []
    text.encode("utf-8")
    assert json.loads(ascii_json(text)) == value
    assert re.fullmatch(r"[\n -~]*", ascii_json(text))


def test_json_has_no_number_that_json_has_not() -> None:
    with pytest.raises(ValueError, match="JSON"):
        json_text(float("nan"))


@given(ANY, ANY)
@example("\n::error::x", "a,b:c\n::x::")
def test_a_command_is_one_line_and_says_what_it_was_told(message: str, title: str) -> None:
    line = command("error", message, title=title, file="")
    assert "\n" not in line
    assert on_the_runner(line) == [line]
    head, _, told = line[2:].partition("::")
    assert unescaped(told) == clean(message)
    name, _, properties = head.partition(" ")
    assert name == "error"
    assert properties == "" if not title else unescaped(properties[6:]) == clean(title)
    assert "," not in properties
    assert ":" not in properties


def unescaped(text: str) -> str:
    for sign, escape in ((",", "%2C"), (":", "%3A"), ("\n", "%0A"), ("\r", "%0D"), ("%", "%25")):
        text = text.replace(escape, sign)
    return text


def test_a_command_reads_like_this() -> None:
    told = command("error", "50 %\nof it", file="a b.yaml", line="3", title="x: y, z")
    assert told == "::error file=a b.yaml,line=3,title=x%3A y%2C z::50 %25%0Aof it"


@given(ANY)
@example("::stop-commands::x\n::x::\n::error::y")
def test_the_runner_acts_on_nothing_in_a_stopped_block_and_goes_on_after_it(text: str) -> None:
    block = stopped(clean(text))
    assert clean(text) in block
    assert on_the_runner(f"{block}::notice::mine") == ["::notice::mine"]


@given(ANY, st.booleans())
@example("  ::error::x", True)
@example("a\n\t::error::x\nb ##[error]c", True)
def test_no_line_made_inert_is_a_command(text: str, fresh: bool) -> None:
    shown = clean(text)
    line = inert(shown, fresh=fresh)
    assert on_the_runner(line if fresh else f"x{line}") == []
    assert line.replace("\\x3a:", "::").replace("#\\x23[", "##[") == (
        shown.replace("\\x3a:", "::").replace("#\\x23[", "##[")
    )


@given(ANY)
@example("CON")
@example("lpt1 ")
@example("con.txt")
def test_a_slug_is_a_safe_file_name_everywhere(text: str) -> None:
    reserved = r"(?!(?:con|prn|aux|nul|com\d|lpt\d)$)"
    assert re.fullmatch(rf"{reserved}[a-z0-9]([a-z0-9-]{{0,48}}[a-z0-9])?", slug(text))
    assert re.fullmatch(rf"{reserved}[a-z0-9][a-z0-9-]{{0,48}}[a-z0-9]", distinct_slug(text))


@given(ANY, ANY)
@example("A b", "a-b")
@example("é", "e")
@example("日本", "中文")
def test_two_texts_have_two_distinct_slugs(first: str, second: str) -> None:
    assert (distinct_slug(first) == distinct_slug(second)) == (first == second)


def test_every_name_of_the_door_is_there() -> None:
    for name in sinks.__all__:
        assert getattr(sinks, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        sinks.nothing  # noqa: B018  # the access is the test
