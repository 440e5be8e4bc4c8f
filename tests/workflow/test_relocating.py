"""A workflow written elsewhere still finds its files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from strategies import layouts

from finetune_fsm.workflow.load import check_text
from finetune_fsm.workflow.relocate import relocated
from finetune_fsm.workflow.text import parse

TEXT = """\
# a comment
name: x
start_state: a
variables:
  v: {file: data/v.txt}   # beside
rag:
  k: {directory: ./docs, embeddings_file: store.json}
mcp_servers:
  t: {type: custom-tools, tools_directory: tools/}
states:
  a:
    type: prompt
    prompt_file: "prompts/a.md"  # the prompt
    files: [data/v.txt, "{{v}}/x.txt", /etc/hostname]
    next: b
  b:
    type: workflow_ref
    workflow_ref: child.yaml
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    for name in ("data/v.txt", "docs/d.md", "tools/t.js", "prompts/a.md"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("text")
    child = "name: c\nstart_state: a\nstates:\n  a: {type: transition, next: end}\n"
    (folder / "child.yaml").write_text(child)
    monkeypatch.chdir(tmp_path)
    return folder


@given(layouts())
def test_without_paths_the_text_stays_the_same(text: str) -> None:
    assert relocated(text, Path("/a"), Path("/b/c")) == text


def test_in_the_same_folder_the_text_stays_the_same(home: Path) -> None:
    assert relocated(TEXT, home, home / "data" / "..") == TEXT


@pytest.mark.parametrize("target", ["out", "home/deeper/down", "."])
def test_every_path_leads_where_it_led(home: Path, tmp_path: Path, target: str) -> None:
    folder = tmp_path / target
    folder.mkdir(parents=True, exist_ok=True)
    moved = relocated(TEXT, home, folder)
    assert check_text(moved, folder=folder).problems == check_text(TEXT, folder=home).problems
    assert moved.count("#") == TEXT.count("#")
    document: Any = parse(moved).document
    state = document["states"]["a"]
    assert state["files"][1:] == ["{{v}}/x.txt", "/etc/hostname"]
    for name, place in (
        (state["prompt_file"], "prompts/a.md"),
        (state["files"][0], "data/v.txt"),
        (document["variables"]["v"]["file"], "data/v.txt"),
        (document["rag"]["k"]["directory"], "docs"),
        (document["rag"]["k"]["embeddings_file"], "store.json"),
        (document["mcp_servers"]["t"]["tools_directory"], "tools"),
        (document["states"]["b"]["workflow_ref"], "child.yaml"),
    ):
        assert os.path.realpath(folder / name) == str((home / place).resolve())


def test_a_path_that_only_the_current_folder_has_stays(home: Path, tmp_path: Path) -> None:
    (tmp_path / "here.txt").write_text("x")
    text = "states:\n  a: {type: prompt, prompt: x, files: [here.txt]}\n"
    assert relocated(text, home, tmp_path / "out") == text
