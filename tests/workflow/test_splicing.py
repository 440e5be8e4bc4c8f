"""Edits keep everything that they do not touch."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import edits, layouts

from finetune_fsm.codec import canonical
from finetune_fsm.workflow.edits import Edit, EditError, EditOp, edited
from finetune_fsm.workflow.splice import splice
from finetune_fsm.workflow.text import parse


@settings(max_examples=150)
@given(st.data())
def test_a_splice_reads_back_as_the_edited_document(data):
    text = data.draw(layouts())
    document = parse(text).document
    made = []
    for _ in range(data.draw(st.integers(1, 3))):
        made.append(data.draw(edits(edited(document, made))))
    spliced = splice(text, made)
    assert canonical(parse(spliced.text).document) == canonical(edited(document, made))


@settings(max_examples=150)
@given(st.data())
def test_a_splice_of_an_ordinary_file_never_needs_the_dump(data):
    text = data.draw(layouts())
    edit = data.draw(edits(parse(text).document))
    assert splice(text, (edit,)).clean
