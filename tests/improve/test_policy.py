"""The policy: whatever edits are made, nothing is gained, lost or copied."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_fsm.improve.policy import capabilities, changes, violations
from finetune_fsm.scenarios.model import Assertion, AssertionType, Scenario, Suite
from finetune_fsm.workflow.edits import Edit, EditError, EditOp, edited
from finetune_fsm.workflow.load import check_text
from finetune_fsm.workflow.model import Workflow
from finetune_fsm.workflow.text import dump

DOCUMENT = {
    "name": "Mood",
    "description": "Says whether a review is good or bad.",
    "start_state": "ask",
    "states": {
        "ask": {"type": "input", "prompt": "Which review?", "save_as": "review", "next": "sort"},
        "sort": {
            "type": "prompt",
            "prompt": "Good or bad?\n\n{{review}}",
            "save_as": "mood",
            "files": ["notes.txt"],
            "options": {"temperature": 0},
            "next": "end",
        },
    },
}

SUITE = Suite(
    "mood.yaml",
    (
        Scenario(
            "Likes it",
            (
                Assertion(AssertionType.EQUALS, "positive", "mood"),
                Assertion(AssertionType.STATE_REACHED, "sort"),
            ),
            {"ask": "The hotel in Lisbon was a wonderful surprise"},
        ),
    ),
)


def workflow(document: object) -> Workflow:
    checked = check_text(dump(document), folder=Path())
    assert checked.workflow is not None, checked.problems
    return checked.workflow


ORIGINAL = workflow(DOCUMENT)


def codes(*edits: Edit) -> set[str]:
    draft = workflow(edited(DOCUMENT, edits))
    return {problem.code for problem in violations(ORIGINAL, draft, SUITE)}


def put(value: object, *path: str | int) -> Edit:
    return Edit(EditOp.SET, path, value)


PROMPT = ("states", "sort", "prompt")


def test_a_better_instruction_is_allowed() -> None:
    better = "Is this review good or bad? Answer with one word.\n\n{{review}}"
    assert codes(put(better, *PROMPT)) == set()
    assert codes(put(0.2, "states", "sort", "options", "temperature")) == set()


@pytest.mark.parametrize(
    "edit",
    [
        put("Other name", "name"),
        put("llama3:70b", "default_model"),
        put("llama3:70b", "states", "sort", "model"),
        put({"s": {"command": "sh", "args": ["-c", "id"]}}, "mcp_servers"),
        put(["notes.txt", "/etc/passwd"], "states", "sort", "files"),
        put("input", "states", "sort", "type"),
        put(100_000, "states", "sort", "options", "num_ctx"),
        put({"secret": {"file": "/etc/passwd"}}, "variables"),
    ],
)
def test_places_that_are_not_open_stay_as_they_are(edit: Edit) -> None:
    assert "closed_place" in codes(edit)


def test_what_a_test_relies_on_cannot_go() -> None:
    assert codes(Edit(EditOp.REMOVE, ("states", "sort", "save_as"))) == {"lost_support"}


@pytest.mark.parametrize(
    "copied",
    [
        "Answer positive.\n\n{{review}}",
        "Good or bad? (Positive!)\n\n{{review}}",
        "It is good when they say the hotel in Lisbon was nice.\n\n{{review}}",
    ],
)
def test_words_of_a_test_cannot_come_in(copied: str) -> None:
    assert codes(put(copied, *PROMPT)) == {"copied_words"}


def test_words_that_the_workflow_has_already_are_no_copy() -> None:
    suite = Suite(
        "mood.yaml",
        (Scenario("Bad", (Assertion(AssertionType.CONTAINS, "good", "mood"),)),),
    )
    draft = workflow(edited(DOCUMENT, [put("Say good, or say bad.\n{{review}}", *PROMPT)]))
    assert violations(ORIGINAL, draft, suite) == ()


def test_a_prompt_can_neither_lose_its_data_nor_grow_without_bound() -> None:
    assert codes(put("Good or bad?", *PROMPT)) == {"lost_placeholder"}
    assert codes(put("Good or bad? {{review}} " + "Really. " * 500, *PROMPT)) == {"overgrown"}


KEYS = st.sampled_from(
    [
        *("states", "sort", "ask", "prompt", "files", "model", "options", "mcp_servers", "rag"),
        *("use_rag", "variables", "workflow_ref", "prompt_file", "default_model", "next", "new"),
        *("command", "directory", "tools_directory", "file", "temperature", "num_ctx", "on_error"),
    ]
)
VALUES = st.recursive(
    st.sampled_from(["sh", "/etc/passwd", "../x", "llama3:70b", "end", "sort", "ask", "notes.txt"])
    | st.integers(0, 5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=5,
)
PATHS = st.lists(KEYS, min_size=1, max_size=4).map(tuple) | st.tuples(
    st.just("states"), st.sampled_from(["sort", "ask"]), KEYS
)
EDITS = st.lists(st.builds(Edit, st.sampled_from(EditOp), PATHS, VALUES), min_size=1, max_size=4)


@given(EDITS)
def test_no_edits_that_pass_gain_anything(edits: list[Edit]) -> None:
    try:
        document = edited(DOCUMENT, edits)
    except EditError:
        return
    checked = check_text(dump(document), folder=Path())
    if checked.workflow is None or violations(ORIGINAL, checked.workflow, SUITE):
        return
    assert capabilities(checked.workflow.document) <= capabilities(ORIGINAL.document)
    for name in ("name", "default_model", "variables", "mcp_servers", "rag"):
        assert checked.workflow.document.get(name) == ORIGINAL.document.get(name)


DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from(["a", "b"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(DOCUMENTS, DOCUMENTS)
def test_documents_differ_exactly_where_changes_say(old: object, new: object) -> None:
    found = list(changes(old, new))
    same = type(old) is type(new) and old == new and repr(old) == repr(new)
    assert bool(found) != same
    assert list(changes(old, old)) == []


@pytest.mark.parametrize(
    ("addition", "gained"),
    [
        ({"mcp_servers": {"s": {"command": "sh"}}}, "mcp:s:"),
        ({"rag": {"r": {"directory": "docs"}}}, "rag:"),
        ({"variables": {"v": {"file": "/etc/passwd"}}}, "path:/etc/passwd"),
        ({"default_model": "llama3:70b"}, "model:llama3:70b"),
        ({"states": {"s": {"model": "m"}}}, "model:m"),
        ({"states": {"s": {"files": ["a", "b"]}}}, "path:b"),
        ({"states": {"s": {"steps": [{"prompt_file": "p.txt"}]}}}, "path:p.txt"),
        ({"states": {"s": {"workflow_ref": "c.yaml"}}}, "ref:c.yaml"),
        ({"states": {"s": {"mcp_servers": ["x"]}}}, "use:s:"),
        ({"states": {"s": {"rag": {"directory": "d"}}}}, "path:d"),
    ],
)
def test_every_way_out_of_a_workflow_is_a_capability(
    addition: dict[str, object], gained: str
) -> None:
    assert any(word.startswith(gained) for word in capabilities(addition))


def test_a_tool_server_is_bound_to_its_whole_specification() -> None:
    one = capabilities({"mcp_servers": {"s": {"command": "ls"}}})
    other = capabilities({"mcp_servers": {"s": {"command": "sh"}}})
    assert one != other
