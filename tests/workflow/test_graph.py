"""The graph says what runs can do, and its picture runs nothing."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from strategies import as_workflow, workflows

from finetune_fsm.workflow.graph import (
    mermaid,
    predecessors,
    successors,
    unreachable,
    without_end,
)
from finetune_fsm.workflow.model import END, Workflow


def _walk(workflow: Workflow, start: str, *, errors: bool) -> set[str]:
    """A simpler model: repeat one step until nothing changes."""
    seen = {start}
    for _ in range(len(workflow.states) + 1):
        for name in tuple(seen):
            state = workflow.states.get(name)
            if state:
                seen |= set(successors(workflow, state) if errors else state.targets)
    return seen


@given(workflows())
def test_reachability_is_what_walking_finds(workflow: Workflow) -> None:
    seen = _walk(workflow, workflow.start_state, errors=True)
    assert set(unreachable(workflow)) == set(workflow.states) - seen
    stuck = {n for n in workflow.states if END not in _walk(workflow, n, errors=False)}
    assert set(without_end(workflow)) == stuck


@given(workflows())
def test_predecessors_are_targets_turned_round(workflow: Workflow) -> None:
    for name in (*workflow.states, END):
        for before in predecessors(workflow, name):
            assert name in workflow.states[before].targets
    edges = sum(len(set(s.targets)) for s in workflow.states.values())
    assert edges == sum(len(list(predecessors(workflow, n))) for n in (*workflow.states, END))


@given(workflows(), st.data())
def test_a_picture_has_every_state_once_and_colours_the_path(
    workflow: Workflow, data: st.DataObject
) -> None:
    names = [*workflow.states, END, "child_ref_x"]
    visited = data.draw(st.lists(st.sampled_from(names), max_size=6))
    picture = mermaid(workflow, visited)
    nodes = re.findall(r"^    (s\d+)[\[(]", picture, re.MULTILINE)
    assert nodes == [f"s{index}" for index in range(len(workflow.states))]
    coloured = re.findall(r"class ([\w,]+) visited", picture)
    known = {name for name in visited if name != "child_ref_x"}
    assert len(coloured[0].split(",") if coloured else []) == len(known)
    arrows = re.findall(r"--|-\.->", picture)
    for numbers in re.findall(r"linkStyle ([\d,]+)", picture):
        assert all(0 < int(n) < len(arrows) for n in numbers.split(","))


def test_a_label_cannot_break_out() -> None:
    evil = '"]; click s0 href "x" <script> %% `|'
    option = {"state": "end", "description": evil}
    workflow = as_workflow(
        {
            "name": "x",
            "start_state": evil,
            "states": {
                evil: {"type": "prompt", "prompt": "x", "next_options": [option, option]},
            },
        }
    )
    picture = mermaid(workflow)
    labels = re.findall(r'"([^"]*)"', picture)
    assert len(labels) == 3
    assert not set("".join(labels)) & set('"<>|]`%')
