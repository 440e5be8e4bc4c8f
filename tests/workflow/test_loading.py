"""A valid file becomes the workflow that it describes."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from strategies import as_workflow, documents, layouts, workflows

from finetune_fsm.codec import canonical
from finetune_fsm.errors import InvalidDocument
from finetune_fsm.workflow.load import check_text, load
from finetune_fsm.workflow.model import END, Option, StateKind, VariableFile, Workflow
from finetune_fsm.workflow.text import parse


@given(documents())
def test_every_state_and_step_is_there_once_and_leads_somewhere(document: dict[str, Any]) -> None:
    workflow = as_workflow(document)
    steps = {name: len(state.get("steps", [1])) for name, state in document["states"].items()}
    assert len(workflow.states) == sum(steps.values())
    assert workflow.file_states == tuple(steps)
    for name, state in workflow.states.items():
        assert state.name == name
        assert set(state.targets) <= {*workflow.states, END}


@given(workflows())
def test_a_workflow_travels(workflow: Workflow) -> None:
    assert pickle.loads(pickle.dumps(workflow)) == workflow
    assert canonical(workflow)


@given(layouts())
def test_a_workflow_keeps_its_text_and_document(text: str) -> None:
    workflow = check_text(text, folder=Path("here")).workflow
    assert workflow is not None
    assert (workflow.text, workflow.document) == (text, parse(text).document)
    assert workflow.folder == Path("here")


STEPS = """
name: Survey
start_state: talk
on_error: sorry
rag:
  k: {directory: docs}
states:
  talk:
    type: prompt
    model: big
    use_rag: k
    options: {seed: 1}
    steps:
      - {prompt: one, save_as: first}
      - {prompt: two, options: {seed: 2}, rag: {directory: other}}
      - {prompt: three, model: small}
    on_error: end
    next_options:
      - {state: talk, description: again}
      - {state: sorry, description: enough}
  sorry: {type: transition, next: end}
"""


def test_steps_become_a_chain_and_inherit() -> None:
    workflow = check_text(STEPS, folder=Path()).workflow
    assert workflow is not None
    first, second, third = (workflow.states[f"talk{s}"] for s in ("", "_step_1", "_step_2"))
    assert [s.next for s in (first, second, third)] == ["talk_step_1", "talk_step_2", None]
    assert third.next_options == (Option("talk", "again"), Option("sorry", "enough"))
    assert (first.next_options, second.next_options) == ((), ())
    assert [s.model for s in (first, second, third)] == ["big", "big", "small"]
    assert [dict(s.options) for s in (first, second, third)] == [{"seed": 1}, {"seed": 2}, {"seed": 1}]  # fmt: skip  # noqa: E501
    assert [s.use_rag for s in (first, second, third)] == ["k", {"directory": "other"}, "k"]
    assert [s.save_as for s in (first, second, third)] == ["first", None, None]
    assert [s.on_error for s in (first, second, third)] == ["end", "end", "end"]
    assert third.origin == ("states", "talk", "steps", 2)
    assert {s.owner for s in (first, second, third)} == {"talk"}


def test_files_are_read_at_load(tmp_path: Path) -> None:
    (tmp_path / "ask.md").write_bytes(b"Hello {{who}}\r\nBye\r\n")
    (tmp_path / "v.txt").write_text("value")
    path = tmp_path / "w.yaml"
    path.write_text(
        "name: x\nstart_state: a\nvariables:\n  who: {value: 1.0}\n  yes: {value: true}\n"
        "  long: {file: v.txt}\nstates:\n  a: {type: input, prompt_file: ask.md}\n"
    )
    workflow = load(path)
    state = workflow.states["a"]
    assert (state.kind, state.prompt, state.prompt_file) == (
        StateKind.INPUT,
        "Hello {{who}}\nBye\n",
        "ask.md",
    )
    assert dict(workflow.variables) == {"who": "1", "yes": "true", "long": VariableFile("v.txt")}
    assert workflow.folder == tmp_path.resolve()


def test_loading_a_bad_file_tells_every_error_and_no_warning(tmp_path: Path) -> None:
    path = tmp_path / "w.yaml"
    path.write_text("name: x\nstart_state: b\nodd: 1\nstates:\n  a: {type: prompt}\n")
    with pytest.raises(InvalidDocument) as caught:
        load(path)
    assert [p.code for p in caught.value.problems] == ["unknown_target", "missing_key"]
    assert str(path) in str(caught.value)
    with pytest.raises(InvalidDocument, match="does not exist"):
        load(tmp_path / "none.yaml")
