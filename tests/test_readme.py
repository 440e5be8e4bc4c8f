"""The README says what is so; its commands are run by `docs/test_pages.py`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from finetune_fsm.cli.registry import COMMANDS
from finetune_fsm.llm.scripted import load_script
from finetune_fsm.loop.table import mermaid

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def test_the_drawing_is_the_table() -> None:
    assert f"```mermaid\n{mermaid()}```" in README


def test_every_command_is_in_the_table_of_commands() -> None:
    told = set(re.findall(r"^\| `agentmech ([a-z-]+)", README, re.MULTILINE))
    assert told == set(COMMANDS)


def test_the_library_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    example = ROOT / "examples" / "simple-greeter"
    shutil.copy(example / "simple-greeter.yaml", tmp_path / "my.yaml")
    tests = (example / "simple-greeter.test.yaml").read_text("utf-8")
    (tmp_path / "my.test.yaml").write_text(tests.replace("simple-greeter.yaml", "my.yaml"))
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == 6
    names: dict[str, object] = {}
    for block in blocks:
        llm = load_script(example / "simple-greeter.script.yaml")
        code = re.sub(r"^llm = .*$", "", block, flags=re.MULTILINE)
        names["llm"] = llm
        exec(compile(code, "README.md", "exec"), names)  # our own README
    assert (tmp_path / "my.finetuned.yaml").is_file()


def test_options_told_are_options_that_there_are() -> None:
    import importlib

    home, _, name = COMMANDS["finetune"].home.partition(":")
    command = getattr(importlib.import_module(home), name)
    shown = CliRunner().invoke(command, ["--help"]).output
    for option in (
        "--ollama-url",
        "--output",
        "--model",
        "--max-iterations",
        "--llm",
        "--executor",
        "--json",
        "--max-calls",
        "--max-tokens",
        "--max-time",
        "--allow",
        "--no-cache",
    ):
        assert option in shown
