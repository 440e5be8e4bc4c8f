"""Bad command lines: exit 2, a message that helps, no traceback, nothing written, no secret."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from commandline import GREETER, GREETER_TESTS, Agentmech
from corpus.command_lines import BAD, NAMES, SCRIPT


@pytest.fixture
def corpus(greeter: Path) -> Path:
    (greeter.parent / "folder").mkdir()
    return greeter.parent


def listing(folder: Path) -> list[tuple[str, bytes]]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [(str(path), path.read_bytes()) for path in files]


@pytest.mark.parametrize(
    ("arguments", "words"), [case[1:] for case in BAD], ids=[c[0] for c in BAD]
)
def test_a_bad_command_line_is_refused_with_a_message_that_helps(
    arguments: tuple[str, ...], words: str, agentmech: Agentmech, corpus: Path
) -> None:
    before = listing(corpus)
    done = agentmech(*arguments)
    said = done.err + done.out
    assert done.code == 2
    assert words.lower() in said.lower()
    assert "Traceback" not in said
    assert "secret" not in said
    assert not any(ord(c) < 32 and c != "\n" for c in said)
    assert listing(corpus) == before


@pytest.mark.parametrize("arguments", [c[1] for c in BAD if c[0] >= "03"], ids=repr)
def test_with_json_a_refusal_is_a_document(
    arguments: tuple[str, ...], agentmech: Agentmech, corpus: Path
) -> None:
    assert corpus.exists()
    done = agentmech(arguments[0], "--json", *arguments[1:])
    document = done.document
    assert done.code == 2
    assert ("error" in document) != (document.get("valid") is False)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_may_be_called_anything(name: str, agentmech: Agentmech, corpus: Path) -> None:
    (corpus / name).write_text(GREETER)
    tests = (corpus / name).with_suffix(".test.yaml")
    tests.write_text(GREETER_TESTS.replace("greeter.yaml", as_yaml(name)))
    assert agentmech("validate", "--", name).code == 0
    assert agentmech("graph", "--", name).code == 0
    assert agentmech("run", *SCRIPT, "--input", "ask=A", "--", name).out == "Hello A!\n"
    assert agentmech("test", *SCRIPT, "--", name).code == 0
    done = agentmech("finetune", *SCRIPT, "-i", "1", "--", name)
    assert done.code == 0
    assert not any(ord(c) < 32 and c != "\n" for c in done.out + done.err)


def as_yaml(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)


def test_bytes_that_are_no_text_are_a_name_like_any_other(corpus: Path) -> None:
    name = b"\xff\xfe.yaml"
    (corpus / os.fsdecode(name)).write_text(GREETER)
    command = [os.fsencode(sys.executable), b"-m", b"finetune_fsm", b"validate", name]
    done = subprocess.run(command, cwd=corpus, capture_output=True, check=False)
    assert done.returncode == 0
    assert done.stdout == b"\\udcff\\udcfe.yaml: valid\n"


@pytest.mark.parametrize(
    "environment",
    [{"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, {"PYTHONIOENCODING": "ascii"}],
    ids=repr,
)
def test_a_poor_locale_is_enough(environment: dict[str, str], corpus: Path) -> None:
    command = [sys.executable, "-m", "finetune_fsm", "finetune", "greeter.yaml", *SCRIPT, "-i", "1"]
    done = subprocess.run(
        command, cwd=corpus, capture_output=True, env=os.environ | environment, check=False
    )
    assert done.returncode == 0
    assert done.stdout.isascii()
    assert done.stderr == b""


def test_an_unreachable_server_is_told_in_one_line_before_anything_is_written(
    agentmech: Agentmech, corpus: Path
) -> None:
    before = listing(corpus)
    done = agentmech("finetune", "greeter.yaml", "-u", "http://127.0.0.1:9", "-i", "1")
    assert done.code == 3
    assert "127.0.0.1:9" in done.err
    assert "Traceback" not in done.err
    left = {name for name, _ in listing(corpus)} - {name for name, _ in before}
    assert all("finetune-iter1" in name or "greeter.agentmech" in name for name in left)


def test_many_files_are_checked_in_one_go(agentmech: Agentmech, corpus: Path) -> None:
    names = [f"missing-{number}.yaml" for number in range(2000)]
    done = agentmech("validate", *names, "--json")
    assert done.code == 2
    assert len(done.document["problems"]) == 2000
    assert corpus.exists()


def test_verbose_and_json_go_together(agentmech: Agentmech, corpus: Path) -> None:
    arguments = ("run", "greeter.yaml", *SCRIPT, "--input", "ask=A", "--json", "-vv")
    assert agentmech(*arguments).document["status"] == "completed"
    assert corpus.exists()
