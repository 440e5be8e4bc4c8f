"""Text in, plain data out: the rules of YAML 1.2, within bounds, and back again."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from strategies import TRICKY, hostile_data, layouts, plain_data, texts

from finetune_fsm.codec import canonical
from finetune_fsm.errors import InvalidDocument, Problem
from finetune_fsm.workflow.layout import unwritable
from finetune_fsm.workflow.text import (
    MODEL,
    PERSON,
    Limits,
    decode,
    dump,
    located,
    parse,
    read_file,
)

DAMAGE = (
    "",
    "x",
    " ",
    "\n",
    "\t",
    "[",
    "}",
    "*x ",
    "&x ",
    "!x ",
    "? ",
    "- ",
    "|\n",
    "'",
    '"',
    ": ",
)


def complaints(given_: str | bytes) -> tuple[Problem, ...]:
    """What the reader has against a text; any other exception fails the test."""
    try:
        parse(given_ if isinstance(given_, str) else decode(given_))
    except InvalidDocument as error:
        assert error.problems  # noqa: PT017  # that an error says why is the point
        return error.problems
    return ()


@given(plain_data())
@example({"all": list(TRICKY), **{text: {"inside": text} for text in TRICKY}})
@example({"k" * 600: "long key"})
def test_what_is_dumped_reads_back_equal(document: Any) -> None:
    assert canonical(parse(dump(document)).document) == canonical(document)


@given(st.dictionaries(texts(), texts(), max_size=4))
def test_a_reader_of_yaml_1_1_sees_the_same_text(document: dict[str, str]) -> None:
    assert yaml.safe_load(dump(document)) == document


@given(st.recursive(st.text("ab é", max_size=3), lambda x: st.lists(x) | st.dictionaries(st.text("xyz", max_size=2), x)))  # fmt: skip  # noqa: E501
def test_json_is_yaml(document: Any) -> None:
    assert parse(json.dumps(document, ensure_ascii=False)).document == document


@given(hostile_data())
def test_what_cannot_be_written_is_named_before_it_is_dumped(document: Any) -> None:
    if unwritable(document) is None:
        assert canonical(parse(dump(document)).document) == canonical(document)
    else:
        with pytest.raises(ValueError, match=":"):
            dump(document)


@settings(max_examples=70)
@given(st.text(st.characters(codec="utf-8"), max_size=60) | st.text("[]{}:,-?&*!|>'\"#%\n \ta<", max_size=40))  # fmt: skip  # noqa: E501
def test_any_text_is_read_or_refused_with_a_place(text: str) -> None:
    assert all(problem.line >= 1 and problem.message for problem in complaints(text))


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    assert all(problem.message for problem in complaints(data))


@settings(max_examples=80)
@given(st.data())
def test_a_damaged_file_is_read_or_refused(data: st.DataObject) -> None:
    text = data.draw(layouts())
    for _ in range(data.draw(st.integers(1, 3))):
        values = [match.end() for match in re.finditer("[:-] ", text)]
        start = data.draw(st.sampled_from(values) | st.integers(0, len(text)))
        rest = text.find("\n", start)  # of the line, or a few characters
        few = min(len(text), start + data.draw(st.integers(0, 8)))
        end = rest if rest >= 0 and data.draw(st.booleans()) else few
        text = text[:start] + data.draw(st.sampled_from(DAMAGE)) + text[end:]
    assert all(problem.line >= 1 and problem.message for problem in complaints(text))


@st.composite
def _aliased(draw: st.DrawFn) -> str:
    """Anchored lists, each made of the ones before it."""
    count = draw(st.integers(1, 5))
    lines = []
    for index in range(count):
        earlier = [f"*a{i}" for i in range(index)]
        items = draw(st.lists(st.sampled_from(["x", *earlier]), max_size=3))
        lines.append(f"k{index}: &a{index} [{', '.join(items)}]")
    return "\n".join(lines) + "\n"


def _count(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + sum(1 + _count(item) for item in value.values())
    return 1 + sum(map(_count, value)) if isinstance(value, list) else 1


@given(_aliased(), st.integers(1, 200))
def test_aliases_weigh_exactly_what_they_stand_for(text: str, limit: int) -> None:
    size = _count(parse(text).document)
    assert parse(text).size == size
    limits = Limits(nodes=limit)
    if size <= limit:
        assert parse(text, limits=limits).size == size
    else:
        with pytest.raises(InvalidDocument, match="more than"):
            parse(text, limits=limits)


def test_depth_counts_through_aliases() -> None:
    chain = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 40))
    with pytest.raises(InvalidDocument, match="32 mappings or lists"):
        parse(chain)
    assert parse("\n".join(chain.splitlines()[:20])).document["a19"]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("yes", "yes"),
        ("off", "off"),
        ("true", True),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("2024-01-01", "2024-01-01"),
        ("2024-13-45", "2024-13-45"),
        (".inf", ".inf"),
        (".NaN", ".NaN"),
        ("1e999", "1e999"),
        ("1e3", 1000.0),
        ("-.5", -0.5),
        ("9" * 18, int("9" * 18)),
        ("9" * 5000, "9" * 5000),
        ("~", None),
        ("", None),
        ("NULL", None),
        ("'5'", "5"),
        ('"\\e[31m"', "\x1b[31m"),
    ],
)
def test_a_value_means_what_yaml_1_2_says(written: str, meant: object) -> None:
    found = parse(f"a: {written}").document["a"]
    assert (type(found), found) == (type(meant), meant)


def test_keys_are_the_text_that_stands_there() -> None:
    text = "1: a\ntrue: b\nnull: c\n1.0: d\non: e\n'q': f\n"
    assert list(parse(text).document) == ["1", "true", "null", "1.0", "on", "q"]


def test_merges_bring_keys_in_and_own_keys_win() -> None:
    text = "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc:\n  <<: [*a, *b]\n  x: 0\n'<<': text\n"
    document = parse(text).document
    assert document["c"] == {"x": 0, "y": 1, "z": 2} == yaml.safe_load(text)["c"]
    assert document["<<"] == "text"


@pytest.mark.parametrize("text", ["a: &x 1\nb: *x\n", "a: &x 1\n", "a:\n  <<: {b: 1}\n"])
def test_what_a_model_wrote_has_no_aliases(text: str) -> None:
    assert parse(text, limits=PERSON).document
    with pytest.raises(InvalidDocument, match="not allowed here"):
        parse(text, limits=MODEL)


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("prompt: say #1 thing", True),
        ("prompt: say # thing", True),
        ("description: use channel #general", True),
        ("type: prompt # the kind", False),
        ("description: greets people # later more", False),
        ("prompt: 'say' #1", False),
        ("prompt: |\n  say #1", False),
        ("next: end #done", False),
    ],
)
def test_a_comment_that_cuts_a_sentence_is_a_warning(text: str, *, cut: bool) -> None:
    assert [p.code for p in parse(text).warnings] == ["cut_by_comment"] * cut


def test_problems_find_their_place_or_their_parents() -> None:
    parsed = parse('a:\n  - b: "x"\n    c: 1\n')
    wanted = {
        (): (1, 1),
        ("a",): (1, 1),
        ("a", 0, "b"): (2, 8),
        ("a", 0, "nowhere", 3): (2, 5),
        ("z",): (1, 1),
    }
    problems = [Problem("x", "y", path=path) for path in wanted]
    assert [(p.line, p.column) for p in located(problems, parsed, "f")] == list(wanted.values())
    unknown = located([Problem("unknown_key", "y", path=("a", 0, "b"))], parsed)
    assert (unknown[0].line, unknown[0].column) == (2, 5)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: Say this: hello", 1, "in quotes"),
        ("a:\n  b: 1\n c: 2", 3, "indentation"),
        ("a: 1\nfoo\nb: 2", 3, "key: value"),
        ("a: `x`", 1, "in quotes"),
        ("a: [1, 2\nb: 3", 1, "bracket"),
        ('a: "\\q"', 1, "backslash"),
        ("prompt: line #2 x\n  more\nb: 1", 2, "' #'"),
        ("a: > text", 1, "next line"),
        ("a: 1\na: 2\na: 3", 2, "lines 1 and 2"),
        ("a:\n  <<: 5", 2, "needs a mapping"),
    ],
)
def test_a_mistake_is_explained(text: str, line: int, words: str) -> None:
    with pytest.raises(InvalidDocument) as caught:
        parse(text)
    first = caught.value.problems[0]
    assert first.line == line
    assert words in f"{first.message} {first.hint}"


def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    for path, code in ((loop, "unreadable_file"), (tmp_path / "no", "missing_file"),
                       (tmp_path, "not_a_file")):  # fmt: skip
        with pytest.raises(InvalidDocument) as caught:
            read_file(path)
        assert caught.value.problems[0].code == code
