"""A slice of the mutations of `bench/fuzz.py`, and that it would notice what it looks for."""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from corpus.prober import Outcome

PATH = Path(__file__).resolve().parents[2] / "bench" / "fuzz.py"

spec = importlib.util.spec_from_file_location("fuzz", PATH)
assert spec
assert spec.loader
fuzz = importlib.util.module_from_spec(spec)
sys.modules["fuzz"] = fuzz  # its dataclasses look their module up
spec.loader.exec_module(fuzz)

MATERIAL = fuzz.samples(fuzz.ROOT / "examples")
COUNT, PARTS = 300, 4


@pytest.mark.parametrize("part", range(PARTS))
def test_no_mutation_of_a_valid_file_breaks_the_command(
    part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fuzz, "SECONDS", 4.0)  # 1.0 on a machine with nothing else to do
    found = fuzz.session(range(part, COUNT, PARTS), seed=20, jobs=1)
    assert found.violations == {}
    assert found.codes.total() == COUNT // PARTS
    assert len(found.codes) >= 2


def test_every_kind_of_file_of_every_example_is_mutated() -> None:
    folders = {path.name for path in (fuzz.ROOT / "examples").iterdir() if path.is_dir()}
    kinds = {(sample.example, sample.kind) for sample in MATERIAL}
    assert kinds == {(name, kind) for name in folders for kind in ("workflow", "test", "script")}


def test_a_case_is_made_from_its_number_alone() -> None:
    cases = [fuzz.case(7, number, MATERIAL) for number in range(200)]
    assert cases == [fuzz.case(7, number, MATERIAL) for number in range(200)]
    assert {name for case in cases for name in case.mutations} == {
        mutation.__name__.strip("_") for mutation in fuzz.MUTATIONS
    }
    assert {case.arguments[0] for case in cases} == {"validate", "run", "test"}
    changed = sum(case.data != case.sample.data for case in cases)
    assert changed > 190


FINE = Outcome(2, "", "mutant.yaml:1:1: error: x\n", 0.4, 40.0)
WRONG = {
    "it hangs": {"hung": True, "code": -9},
    "exit code 4": {"code": 4},
    "exit code -11": {"code": -11},
    "1.20 s": {"seconds": 1.2},
    "201 MB": {"memory": 201.0},
    "a traceback": {"err": "mutant.yaml\nTraceback (most recent call last):\n"},
    "a control character: '\\x1b'": {"err": "mutant.yaml \x1b[2J"},
    "a failure without a word": {"err": "\n"},
    "the message does not name the file": {"err": "error: x"},
}


@pytest.mark.parametrize("words", WRONG)
def test_what_is_wrong_with_an_outcome_is_noticed(words: str) -> None:
    numbers = (fuzz.case(7, number, MATERIAL) for number in range(1000))
    case = next(case for case in numbers if case.arguments == ("validate", "mutant.yaml"))
    assert list(fuzz.complaints(case, FINE)) == []
    assert words in list(fuzz.complaints(case, replace(FINE, **WRONG[words])))


def test_a_session_is_told_to_people_and_to_programs() -> None:
    found = fuzz.Found(seconds=0.5, slowest=3, violations={7: ("exit code 4",)})
    found.codes.update({2: 9, 4: 1})
    assert "codes outside the table  1" in fuzz.table(found)
    assert json.loads(fuzz.as_json(found, 1)) == {
        "seed": 1,
        "cases": 10,
        "codes": {"2": 9, "4": 1},
        "slowest": {"case": 3, "cpu_seconds": 0.5},
        "largest": {"case": 0, "megabytes": 0.0},
        "violations": {"7": ["exit code 4"]},
    }


def test_what_fails_is_kept_and_says_how_to_run_it_again(tmp_path: Path) -> None:
    case = fuzz.case(7, 3, MATERIAL)
    place = fuzz.save(tmp_path, 7, case, FINE, ("1.20 s",))
    assert (place / case.name).read_bytes() == case.data
    assert "--seed 7 --only 3" in (place / "case.json").read_text()
