"""`init` and `schema`: a folder that passes at once, and that editors check."""

from __future__ import annotations

import json
import re
import shlex
import socket
from pathlib import Path

import pytest
from commandline import Agentmech

from finetune_fsm.cli.init import contents
from finetune_fsm.scenarios.load import check_suite
from finetune_fsm.schema import schema
from finetune_fsm.workflow.load import check_file


def files_in(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise AssertionError(f"wants the network: {args[1:]}")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.mark.usefixtures("_no_network")
def test_what_init_writes_passes_its_tests_and_a_finetune_offline(
    agentmech: Agentmech, tmp_path: Path
) -> None:
    assert agentmech("init", "desk").code == 0
    script = ("--llm", "script:desk/support.script.yaml")
    tested = agentmech("test", "desk/support.yaml", *script)
    assert (tested.code, "3 of 3" in tested.out or "3/3" in tested.out) == (0, True)
    assert agentmech("finetune", "desk/support.yaml", *script).code == 0
    assert (tmp_path / "desk" / "support.finetuned.yaml").is_file()


def test_what_init_writes_has_not_one_problem(agentmech: Agentmech, tmp_path: Path) -> None:
    agentmech("init")
    assert check_file(tmp_path / "support.yaml", strict=True).problems == ()
    assert check_suite(tmp_path / "support.test.yaml", strict=True).problems == ()
    assert agentmech("lint", "support.yaml").code == 0


def test_init_prints_three_commands_that_can_be_typed(agentmech: Agentmech) -> None:
    told = agentmech("init", "a folder").out.splitlines()
    commands = [line.strip() for line in told if line.startswith("  agentmech ")]
    assert [shlex.split(command)[1] for command in commands] == ["test", "finetune", "run"]
    assert all(shlex.split(command)[2] == "a folder/support.yaml" for command in commands)


def test_each_yaml_file_names_its_schema_and_the_schema_is_there(
    agentmech: Agentmech, tmp_path: Path
) -> None:
    agentmech("init")
    for file, name in (("support.yaml", "workflow"), ("support.test.yaml", "suite")):
        first = (tmp_path / file).read_text("utf-8").splitlines()[0]
        named = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)
        assert named
        assert json.loads((tmp_path / named[1]).read_text("utf-8")) == schema(name)


@pytest.mark.parametrize("existing", list(contents()))
def test_init_overwrites_nothing_and_writes_nothing_beside_what_exists(
    existing: str, agentmech: Agentmech, tmp_path: Path
) -> None:
    kept = tmp_path / "desk" / existing
    kept.parent.mkdir(parents=True)
    kept.write_text("mine")
    done = agentmech("init", "desk")
    assert done.code == 2
    assert kept.name in done.err
    assert kept.read_text() == "mine"
    assert files_in(tmp_path / "desk") == {existing}


def test_init_says_what_it_wrote_to_programs_too(agentmech: Agentmech, tmp_path: Path) -> None:
    document = agentmech("init", "x", "--json").document
    assert {str(Path(p).relative_to("x")) for p in document["files"]} == files_in(tmp_path / "x")
    assert len(document["next"]) == 3


def test_init_where_a_file_stands_is_no_bug(agentmech: Agentmech, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    done = agentmech("init", "taken")
    assert done.code == 3
    assert "taken" in done.err


@pytest.mark.parametrize(("kind", "name"), [("workflow", "workflow"), ("tests", "suite")])
def test_schema_prints_the_schema_that_validate_uses(
    kind: str, name: str, agentmech: Agentmech
) -> None:
    assert agentmech("schema", kind).document == schema(name)
    assert agentmech("schema", kind, "--json").document == schema(name)


def test_schema_knows_no_other_kind(agentmech: Agentmech) -> None:
    done = agentmech("schema", "workflows")
    assert (done.code, done.out) == (2, "")
    assert "workflow" in done.err
