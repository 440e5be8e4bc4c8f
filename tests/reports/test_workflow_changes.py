"""What differs in what two workflows do: nothing too much, nothing left out."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from strategies import documents, edits, layouts

from finetune_fsm.codec import canonical
from finetune_fsm.errors import InvalidDocument
from finetune_fsm.observers.changes import differing
from finetune_fsm.reports.workflow_changes import Difference, Kind, shape, workflow_changes
from finetune_fsm.workflow.edits import Edit, EditOp, edited
from finetune_fsm.workflow.text import parse


@st.composite
def related(draw: st.DrawFn) -> tuple[Any, Any]:
    """A document and what some edits, a new name or another hand made of it."""
    old = draw(documents())
    if draw(st.booleans()):
        return old, draw(documents())
    new = deepcopy(old)
    for _ in range(draw(st.integers(1, 3))):
        try:
            new = edited(new, (draw(edits(new)),))
        except InvalidDocument:
            continue
    states = new.get("states") if isinstance(new, dict) else None
    if isinstance(states, dict) and states and draw(st.booleans()):
        first = next(iter(states))
        new = {**new, "states": {("z" if k == first else k): v for k, v in states.items()}}
    return old, new


def redone(document: Any, found: tuple[Difference, ...]) -> Any:
    """*document* with each difference made in it: an applier of its own."""
    root = {"": deepcopy(document)}
    moved: dict[str, Any] = {}
    for one in found:
        if one.kind is Kind.RENAMED:
            moved[one.path[1]] = root[""]["states"][one.old]
            del root[""]["states"][one.old]
    for one in found:
        holder: Any = root
        *steps, last = ("", *one.path)
        for step in steps:
            if isinstance(holder, dict) and (step not in holder or holder[step] is None):
                holder[step] = {}
            holder = holder[step]
        if one.kind is Kind.REMOVED:
            del holder[last]
        else:
            holder[last] = moved[one.path[1]] if one.kind is Kind.RENAMED else one.new
    return root[""]


def kept(value: Any) -> Any:
    """*value* without mappings that hold nothing: a place says what is there, not what is not."""
    if isinstance(value, list):
        return [kept(item) for item in value]
    if not isinstance(value, dict):
        return value
    found = {key: kept(item) for key, item in value.items()}
    return {key: item for key, item in found.items() if item != {}}


@settings(max_examples=80)
@given(related())
@example(({"states": {"a": {}}}, {"states": {"b": {}}}))
@example(({"states": {"a": {"x": 1}, "b": {"x": 1}}}, {"states": {"c": {"x": 1}}}))
@example(({"states": {"a": 1}}, {"states": {"b": 1, "c": 1}}))
def test_making_the_differences_in_one_gives_the_other(pair: tuple[Any, Any]) -> None:
    old, new = pair
    found = workflow_changes(old, new)
    assert canonical(kept(redone(old, found))) == canonical(kept(new))
    assert len({one.path for one in found}) == len(found)
    assert (not found) == (canonical(old) == canonical(new))
    for one in found:
        assert all("\n" not in line.text for line in differing(one))
        assert one.where
    assert len(list(shape(found))) == len(found)


@given(st.data())
def test_no_layout_makes_a_difference(data: st.DataObject) -> None:
    document = data.draw(documents())
    one, other = (data.draw(layouts(st.just(document))) for _ in range(2))
    assert workflow_changes(parse(one).document, parse(other).document) == ()


def test_a_state_comes_or_goes_as_a_whole() -> None:
    old = {"states": {"a": {"type": "prompt", "prompt": "x"}, "b": {"next": "a"}}}
    new = {"states": {"c": {"type": "input", "prompt": "y"}, "b": {"next": "c"}}}
    found = {(one.where, one.kind.value) for one in workflow_changes(old, new)}
    assert found == {("state a", "removed"), ("state c", "added"), ("b.next", "changed")}


def test_another_name_is_told_as_such() -> None:
    body = {"type": "prompt", "prompt": "x"}
    found = workflow_changes({"states": {"a": body}}, {"states": {"b": body}})
    assert [(one.where, one.kind, one.old) for one in found] == [("state b", Kind.RENAMED, "a")]
    assert [line.text for line in differing(found[0])] == ["  ~ state b renamed, was a"]


def test_the_reasons_are_those_of_the_edits_of_that_place() -> None:
    old = {"states": {"a": {"prompt": "x", "next": "b"}}}
    new = {"states": {"a": {"prompt": "y", "next": "c"}}}
    reasons = (
        Edit(EditOp.SET, ("states", "a", "prompt"), "y", "says more"),
        Edit(EditOp.SET, ("states", "b"), {}, "of another place"),
    )
    found = {one.where: one.why for one in workflow_changes(old, new, reasons)}
    assert found == {"a.prompt": "says more", "a.next": ""}
