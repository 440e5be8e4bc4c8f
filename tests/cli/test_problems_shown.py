"""Problems with the line they mean, and a caret that stands below the right column."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from finetune_fsm.cli.problems import WINDOW, as_data, as_text, excerpt
from finetune_fsm.errors import Problem

LINES = st.text(st.characters(codec="utf-8", exclude_characters="\n\r"), max_size=300)
EASY = st.text("ab \t中é", min_size=1, max_size=300).flatmap(
    lambda line: st.tuples(st.just(line), st.integers(1, len(line)))
)
"""A line, and a column in it."""


def problem(line: int, column: int, file: str = "w.yaml") -> Problem:
    return Problem("code", "is wrong", "mend it", ("a",), file=file, line=line, column=column)


@given(EASY)
def test_the_caret_stands_below_the_column_it_means(place: tuple[str, int]) -> None:
    line, column = place
    shown, caret = excerpt(line, 7, column)
    assert caret.endswith("^")
    indent = cell_len(caret) - 1
    after = line[column - 1].replace("\t", " ")
    if after.strip():
        width = 0
        for character in shown:
            if width == indent:
                assert character == after
                return
            width += cell_len(character)
        pytest.fail("the caret stands beyond the line")


@given(LINES, st.integers(1, 10**9), st.integers(-5, 10**9))
def test_an_excerpt_is_two_short_lines_without_control_characters(
    line: str, number: int, column: int
) -> None:
    for shown in excerpt(line, number, column):
        assert shown.isprintable() or max(shown) >= "\u00a0"
        assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in shown)
    assert len(excerpt("x" * 10_000, 1, 5_000)[0]) < WINDOW + 20


def test_a_problem_is_shown_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "w.yaml"
    file.write_text("name: x\nstates:\n  a: {tpye: prompt}\n")
    head, line, caret = as_text(problem(3, 7, str(file))).splitlines()
    assert head == f"{file}:3:7: error: is wrong — mend it"
    assert line == "    3 |   a: {tpye: prompt}"
    assert caret.index("^") == line.index("tpye")


@pytest.mark.parametrize("file", ["", "missing.yaml", "\0", "\udcff", "/dev/zero", "/", "a" * 300])
def test_a_file_that_cannot_be_read_again_costs_the_excerpt_only(file: str) -> None:
    assert len(as_text(problem(1, 1, file)).splitlines()) == 1


def test_a_problem_beyond_the_end_has_no_excerpt() -> None:
    assert len(as_text(problem(9, 1), source="one\n").splitlines()) == 1


def test_programs_get_a_pointer_and_numbers() -> None:
    assert as_data(Problem("c", "m", "h", ("a/b", 0, "x~"), file="f", line=1, column=2)) == {
        "severity": "error", "code": "c", "file": "f", "path": "/a~1b/0/x~0",
        "message": "m", "hint": "h", "line": 1, "column": 2,
    }  # fmt: skip
