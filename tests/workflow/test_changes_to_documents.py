"""Edits change plain data, and only what they name."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import documents, edits, hostile_data, item_at, paths_in, scalars

from finetune_fsm.errors import Path
from finetune_fsm.workflow.edits import Edit, EditError, EditOp, edited


@given(st.data())
def test_an_edit_leaves_the_original_alone_and_sets_its_place(data: st.DataObject) -> None:
    document = data.draw(documents())
    edit = data.draw(edits(document))
    before = deepcopy(document)
    after: Any = edited(document, (edit,))
    assert document == before
    if edit.op is EditOp.SET:
        assert item_at(after, edit.path) == edit.value
        back = edited(after, (Edit(EditOp.SET, edit.path, edit.value),))
        assert back == after
    else:
        owner, rest = item_at(document, edit.path[:-1]), item_at(after, edit.path[:-1])
        assert len(rest) == len(owner) - 1


STEPS = st.sampled_from(["states", "ask", "0", "__class__", "", -1, 0, 1, 9, True])


@given(st.data())
def test_any_edit_is_made_or_refused(data: st.DataObject) -> None:
    document = data.draw(documents())
    wanted = []
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(paths_in(document)))
        path = (*path, *data.draw(st.lists(STEPS, max_size=2)))
        op = data.draw(st.sampled_from(EditOp))
        wanted.append(Edit(op, path, data.draw(scalars() | hostile_data())))
    refused = None
    try:
        edited(document, wanted)
    except EditError as error:
        refused = error
    if refused:
        assert 1 <= len(refused.problems) <= len(wanted)
        assert refused.problem == refused.problems[0]


DOCUMENT = {"name": "x", "states": {"ask": {"type": "input", "steps": [{"prompt": "a"}]}}}


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (("states", "aks", "prompt"), "did you mean 'ask'?"),
        (("states", "nope", "prompt"), "it has: ask"),
        (("states", "__class__", "x"), "has no '__class__'"),
        (("states", 0), "no numbers"),
        (("states", "ask", "steps", 5, "prompt"), "has 1 items"),
        (("states", "ask", "steps", "0", "prompt"), "count its items from 0"),
        (("states", "ask", "steps", -1), "count its items from 0"),
        (("name", "x"), "no mapping and no list"),
        ((), "a place inside"),
    ],
)
def test_a_wrong_place_is_explained(path: Path, words: str) -> None:
    with pytest.raises(EditError) as caught:
        edited(DOCUMENT, (Edit(EditOp.SET, path, "v"), Edit(EditOp.SET, path, "w")))
    assert len(caught.value.problems) == 2
    problem = caught.value.problem
    assert words in f"{problem.message} {problem.hint}"


def test_options_and_variables_come_into_being_by_themselves() -> None:
    path = ("states", "ask", "options", "seed")
    after: Any = edited(DOCUMENT, (Edit(EditOp.SET, path, 1),))
    assert after["states"]["ask"]["options"] == {"seed": 1}
    with pytest.raises(EditError):
        edited(DOCUMENT, (Edit(EditOp.REMOVE, path),))
