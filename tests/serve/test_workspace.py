"""The folder that is served: nothing outside of it is seen, whatever the name."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from finetune_fsm.serve.workspace import Workspace

WORKFLOW = "name: W\nstart_state: end\nstates: {}\n"
LINES = "name: W\nstart_state: a\nstates:\n  a: {type: transition, next: end}\n"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with workflows, beside one that is none of ours, and links between them."""
    house = tmp_path_factory.mktemp("house")
    outside, root = house / "outside", house / "root"
    for folder in (outside, root, root / "deep", outside / "x.agentmech" / "20260101-000000-0001"):
        folder.mkdir(parents=True)
    for path in (outside / "x.yaml", root / "a.yaml", root / "deep" / "b é<.yml"):
        path.write_text(LINES)
    (outside / "x.agentmech" / "20260101-000000-0001" / "journal.jsonl").write_text("")
    (root / "link.yaml").symlink_to(outside / "x.yaml")
    (root / "way").symlink_to(outside)
    (root / "x.agentmech").symlink_to(outside / "x.agentmech")
    (root / "inner.yaml").symlink_to(root / "a.yaml")
    return house


PIECES = ("..", ".", "", "way", "link.yaml", "x.yaml", "root", "outside", "x.agentmech", "deep",
          "20260101-000000-0001", "%2e%2e", "a.yaml", "\x00", "~", "C:")  # fmt: skip


@given(st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=4)), max_size=6), st.booleans())
@example(["..", "outside", "x.yaml"], True)
@example(["way", "x.yaml"], False)
@example(["", "etc", "passwd"], False)
@example(["x.agentmech", "20260101-000000-0001"], False)
def test_no_name_leads_out_of_the_folder(house: Path, pieces: list[str], quoted: bool) -> None:
    space = Workspace.at(house / "root")
    name = "/".join(pieces)
    key = quote(name.encode("utf-8", "surrogatepass")) if quoted else name
    try:
        found = [space.workflow(key), space.run(key)]
    except UnicodeEncodeError:
        return  # no request line holds such a key
    for path in filter(None, found):
        assert Path(os.path.realpath(path)).is_relative_to((house / "root").resolve())


def test_what_is_listed_is_found_by_its_key(house: Path) -> None:
    space = Workspace.at(house / "root")
    found = space.workflows()
    assert [path.name for path in found] == ["a.yaml", "b é<.yml", "inner.yaml"]
    for path in found:
        assert space.key(path).isascii()
        assert space.workflow(space.key(path)) == path


def test_tests_and_snapshots_are_no_workflows(tmp_path: Path) -> None:
    names = ("w.yaml", "w.test.yaml", "w.finetune-tests.yaml", "w.finetune-iter2b.yaml", ".h.yaml",
             "w.finetuned.yaml", "script.yaml", "node_modules", "w.agentmech")  # fmt: skip
    for name in names:
        path = tmp_path / name
        if "." in name.removesuffix(".agentmech"):
            path.write_text("format: 1\nreplies: []\n" if name == "script.yaml" else WORKFLOW)
        else:
            path.mkdir()
            (path / "inside.yaml").write_text(WORKFLOW)
    found = Workspace.at(tmp_path).workflows()
    assert [path.name for path in found] == ["w.finetuned.yaml", "w.yaml"]


def test_a_folder_that_is_a_link_is_served_all_the_same(house: Path) -> None:
    space = Workspace.at(house / "root" / "way")
    assert [path.name for path in space.workflows()] == ["x.yaml"]
    assert len(space.runs()) == 1
    assert space.run(space.key(space.runs()[0])) == space.runs()[0]
