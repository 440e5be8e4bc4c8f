"""The fault matrix in the documentation names tests that exist, and all that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
DOCS = TESTS.parent / "docs" / "reliability.md"

ROWS = 60


def rows() -> dict[int, str]:
    """Where each row is shown, by its number."""
    found = re.findall(r"^\| (\d+) \|.*\| *(\S*) *\|$", DOCS.read_text("utf-8"), re.MULTILINE)
    return {int(number): file for number, file in found}


def test_every_row_is_there_once() -> None:
    listed = re.findall(r"^\| (\d+) \|", DOCS.read_text("utf-8"), re.MULTILINE)
    assert [int(number) for number in listed] == list(range(1, ROWS + 1))


@pytest.mark.parametrize("number", range(1, ROWS + 1))
def test_the_file_that_a_row_names_shows_it(number: int) -> None:
    file = rows()[number]
    if file.startswith("faults/"):
        text = (TESTS / file).read_text("utf-8")
        assert re.search(rf"row_(\d\d_and_)?{number:02}(_|\b)", text)
    else:
        assert not file or (TESTS / file).exists()


def test_a_row_that_a_test_is_named_after_names_its_file() -> None:
    listed = rows()
    for path in sorted(TESTS.glob("faults/test_*.py")):
        for number in re.findall(r"def test_row_(\d\d)_", path.read_text("utf-8")):
            assert listed[int(number)], f"{path.name} shows row {number}, the documentation not"
