"""The cases of bench/quality: complete, valid, and what they are called."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from quality import check
from quality.cases import Case, cases, names
from quality.truth import differences

from finetune_fsm.errors import UsageError
from finetune_fsm.workflow.edits import Edit, EditOp, edited

ALL = cases()


def test_nothing_is_wrong_with_the_cases() -> None:
    assert list(check.problems(ALL)) == []


def test_half_of_the_flaws_are_structural_and_a_fifth_of_the_cases_are_good() -> None:
    counts = Counter("good" if case.good else case.structural for case in ALL)
    assert counts["good"] >= 6
    assert counts[True] >= 12
    assert counts[True] + counts[False] >= 24
    kinds = [case.kind for case in ALL if not case.good]
    assert len(set(kinds)) == len(kinds)


@pytest.mark.parametrize("case", ALL[::7], ids=lambda case: case.name)
def test_a_reference_that_repairs_nothing_is_noticed(case: Case) -> None:
    found = list(check.problems([replace(case, reference=case.start)]))
    if case.good:
        assert found == []
    else:
        assert any("the reference fails" in problem for problem in found)
        assert any("good is what needs no repair" in problem for problem in found)


def test_a_holdout_that_was_shown_in_training_is_noticed() -> None:
    case = ALL[0]
    found = list(check.problems([replace(case, holdout=case.train)]))
    assert any("share" in problem for problem in found)


def test_a_workflow_that_passes_is_no_flawed_one() -> None:
    case = ALL[0]
    found = list(check.problems([replace(case, start=case.reference)]))
    assert any("passes the hold-out" in problem for problem in found)


def test_an_input_in_two_cases_is_noticed() -> None:
    twin = replace(ALL[0], name="99-twin")
    assert any("is an input of" in p for p in check.problems([ALL[0], twin]))


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_the_differences_are_all_that_lies_between_workflow_and_reference(case: Case) -> None:
    leaves = differences(case.start.document, case.reference.document)
    edits = [Edit(EditOp.SET, leaf.path, leaf.value) for leaf in leaves]
    assert edited(case.start.document, edits) == case.reference.document
    assert bool(leaves) is not case.good


def test_cases_are_named_by_how_their_names_begin() -> None:
    assert names(["01", "03"]) == tuple(n for n in names() if n.startswith(("01", "03")))
    with pytest.raises(UsageError, match="no case 'nothing'"):
        names(["nothing"])
