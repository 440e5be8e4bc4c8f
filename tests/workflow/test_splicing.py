"""Edits keep everything that they do not touch."""

from __future__ import annotations

import difflib
import re

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import edits, layouts, paths_in, texts

from finetune_fsm.codec import canonical
from finetune_fsm.workflow.edits import Edit, EditError, EditOp, edited
from finetune_fsm.workflow.nodes import Scalar
from finetune_fsm.workflow.seams import node_at
from finetune_fsm.workflow.splice import Spliced, splice
from finetune_fsm.workflow.text import parse
from finetune_fsm.workflow.tree import tree_of


@settings(max_examples=70)
@given(st.data())
def test_a_splice_reads_back_as_the_edited_document(data: st.DataObject) -> None:
    text = data.draw(layouts())
    document = parse(text).document
    made = []
    for _ in range(data.draw(st.integers(1, 3))):
        made.append(data.draw(edits(edited(document, made))))
    spliced = splice(text, made)
    assert canonical(parse(spliced.text).document) == canonical(edited(document, made))


@settings(max_examples=70)
@given(st.data())
def test_a_splice_of_an_ordinary_file_never_needs_the_dump(data: st.DataObject) -> None:
    text = data.draw(layouts())
    assume(not re.search(r"\n +#[^\n]*\s*$", text))  # a text block after it would swallow it
    edit = data.draw(edits(parse(text).document))
    assert splice(text, (edit,)).clean


@settings(max_examples=70)
@given(st.data())
def test_a_new_text_changes_only_the_lines_of_the_old_one(data: st.DataObject) -> None:
    text = data.draw(layouts()).replace("\r\n", "\n")
    document = parse(text).document
    root = tree_of(text).root
    nodes = {p: node_at(root, p) for p in paths_in(document) if p[-1:] in (("prompt",), ("name",))}
    path = data.draw(st.sampled_from([p for p, node in nodes.items() if isinstance(node, Scalar)]))
    edit = Edit(EditOp.SET, path, data.draw(texts()))
    old = nodes[path]
    assert old is not None
    spliced = splice(text, (edit,))
    assert spliced.clean
    start = text.rfind("\n", 0, old.span.start)
    if not text[start + 1 : old.span.start].strip():  # the value began on a line of its own
        start = text.rfind("\n", 0, start)
    end = text.find("\n", max(old.span.start, old.span.end - 1))
    assert spliced.text.startswith(text[: start + 1])
    assert end < 0 or spliced.text.endswith(text[end:])
    assert spliced.text.count("# above") == text.count("# above")
    assert spliced.text.count("# beside") == text.count("# beside")


@given(layouts())
def test_setting_what_is_there_changes_nothing(text: str) -> None:
    changes = [Edit(EditOp.SET, (key,), value) for key, value in parse(text).document.items()]
    assert splice(text, changes) == Spliced(text, clean=True)


FILE = """\
# A greeter.
name: Greeter   # shown
start_state: ask

states:
  # first of all
  ask:
    type: input
    prompt: "Who are you?"   # the question
    save_as: who
    next: greet

  greet:
    type: prompt
    prompt_file: greet.md
    options: {temperature: 0.2}
    next_options:
      - state: ask   # once more
        description: again
      # or not
      - state: end
        description: stop
"""


def lines_of(changes: list[Edit], text: str = FILE) -> list[str]:
    """The lines that edits remove and add, as a unified diff shows them."""
    spliced = splice(text, changes)
    assert spliced.clean
    diff = difflib.unified_diff(text.splitlines(), spliced.text.splitlines(), lineterm="", n=0)
    return [line for line in diff if not line.startswith(("---", "+++", "@@"))]


ASK, GREET = ("states", "ask"), ("states", "greet")


def test_a_value_keeps_its_quotes_and_its_comment() -> None:
    assert lines_of([Edit(EditOp.SET, (*ASK, "prompt"), "Your name?")]) == [
        '-    prompt: "Who are you?"   # the question',
        '+    prompt: "Your name?"   # the question',
    ]


def test_long_text_becomes_a_block() -> None:
    assert lines_of([Edit(EditOp.SET, (*ASK, "prompt"), "Hello.\nWho # are you?")]) == [
        '-    prompt: "Who are you?"   # the question',
        "+    prompt: |-   # the question",
        "+      Hello.",
        "+      Who # are you?",
    ]


def test_a_prompt_takes_the_place_of_its_file() -> None:
    changes = [
        Edit(EditOp.REMOVE, (*GREET, "prompt_file")),
        Edit(EditOp.SET, (*GREET, "prompt"), "Greet {{who}}."),
    ]
    changed = FILE.replace("prompt_file: greet.md", 'prompt: "Greet {{who}}."')
    assert splice(FILE, changes) == splice(FILE, changes[::-1]) == Spliced(changed, clean=True)


def test_flow_collections_stay_on_their_line() -> None:
    assert lines_of([Edit(EditOp.SET, (*GREET, "options", "seed"), 7)]) == [
        "-    options: {temperature: 0.2}",
        "+    options: {temperature: 0.2, seed: 7}",
    ]


def test_a_new_state_is_set_apart_like_the_others() -> None:
    state = {"type": "prompt", "prompt": "Bye.", "next": "end"}
    assert lines_of([Edit(EditOp.SET, ("states", "part"), state)]) == [
        "+",
        "+  part:",
        "+    type: prompt",
        "+    prompt: Bye.",
        "+    next: end",
    ]  # fmt: skip


def test_an_item_goes_without_its_neighbours() -> None:
    assert lines_of([Edit(EditOp.REMOVE, (*GREET, "next_options", 0))]) == [
        "-      - state: ask   # once more",
        "-        description: again",
    ]


def test_a_whole_state_given_anew_changes_only_what_differs() -> None:
    state = parse(FILE).document["states"]["ask"] | {"next": "end", "default_value": "you"}
    assert lines_of([Edit(EditOp.SET, ASK, state)]) == [
        "-    next: greet",
        "+    next: end",
        "+    default_value: you",
    ]


def test_windows_line_ends_and_a_missing_last_one_stay() -> None:
    text = FILE.rstrip("\n").replace("\n", "\r\n")
    spliced = splice(text, [Edit(EditOp.SET, (*GREET, "prompt"), "a\nb")])
    assert spliced.clean
    assert spliced.text.count("\r\n") == spliced.text.count("\n") == FILE.count("\n") + 2
    assert not spliced.text.endswith("\n")


@pytest.mark.parametrize(
    "text",
    [
        "a: &x {b: 1}\nc: *x  # gone\n",
        "a: &x 1\nb: *x\nc: {b: *x}\n",
        "? a\n: 1\n? c\n: {b: 2}\n",
    ],
)
def test_what_is_too_intricate_is_written_anew(text: str) -> None:
    changes = [Edit(EditOp.SET, ("c", "b"), "new"), Edit(EditOp.SET, ("a",), "new")]
    spliced = splice(text, changes)
    assert not spliced.clean
    assert parse(spliced.text).document == edited(parse(text).document, changes)


def test_a_merged_key_is_overridden_where_it_was_merged() -> None:
    text = "a: &x {k: 1}\nb:\n  <<: *x  # shared\n  m: 2\n"
    spliced = splice(text, [Edit(EditOp.SET, ("b", "k"), 3)])
    assert spliced == Spliced("a: &x {k: 1}\nb:\n  <<: *x  # shared\n  m: 2\n  k: 3\n", clean=True)


def test_an_impossible_edit_is_an_error_not_a_dump() -> None:
    with pytest.raises(EditError, match="did you mean 'greet'"):
        splice(FILE, [Edit(EditOp.SET, ("states", "gret", "prompt"), "x")])
