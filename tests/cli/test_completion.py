"""Completion of commands, options, files, runs and models: at once, and without a server."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import click
import pytest
from commandline import Agentmech

from finetune_fsm.cli.completion import SHELLS, attach
from finetune_fsm.cli.registry import COMMANDS
from finetune_fsm.cli.remembered import models, path, remember_models

CPU_BUDGET = 0.15
"""Seconds for one key press."""


def completed(folder: Path, *words: str, modules: bool = False) -> list[str]:
    """What bash is offered for the last of *words*; or the modules that it took."""
    program = "import sys; from finetune_fsm.cli.main import main\ntry: main()\n"
    program += "finally: print(*sys.modules, file=sys.stderr)"
    line = " ".join(("agentmech", *words))
    environ = os.environ | {
        "_AGENTMECH_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words)),
    }  # fmt: skip
    command = [sys.executable, "-c", program]
    done = subprocess.run(
        command, cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    if modules:
        return done.stderr.split()
    return [entry.partition(",")[2] for entry in done.stdout.splitlines() if "," in entry]


def test_commands_and_options_are_completed(tmp_path: Path) -> None:
    assert set(completed(tmp_path, "''")) >= set(COMMANDS)
    assert completed(tmp_path, "fine") == ["finetune"]
    assert completed(tmp_path, "test", "--forma") == ["--format"]
    assert set(completed(tmp_path, "test", "--format", "j")) == {"json", "junit"}


def test_workflow_files_and_folders_are_completed(greeter: Path) -> None:
    folder = greeter.parent
    (folder / "notes.txt").write_text("")
    (folder / "deep").mkdir()
    (folder / "deep" / "other.yml").write_text("")
    assert completed(folder, "run", "g") == ["good.yaml", "greeter.test.yaml", "greeter.yaml"]
    assert completed(folder, "validate", "deep/") == ["deep/other.yml"]
    assert completed(folder, "run", "d") == ["deep/"]
    assert completed(folder, "run", "x.yaml", "--llm", "script:go") == ["script:good.yaml"]


def test_runs_are_completed(greeter: Path, agentmech: Agentmech) -> None:
    assert agentmech("finetune", "greeter.yaml", "--llm", "script:good.yaml").code == 0
    (run,) = (greeter.parent / "greeter.agentmech").glob("2*")
    for command in (("show",), ("resume",), ("runs", "repair")):
        assert run.name in completed(greeter.parent, *command, run.name[:4])


def test_models_are_those_that_were_listed_last(greeter: Path, agentmech: Agentmech) -> None:
    assert completed(greeter.parent, "finetune", "x.yaml", "-m", "''") == []
    remember_models(["qwen:1b", "gemma3:4b", "odd\x1bname"])
    assert completed(greeter.parent, "finetune", "x.yaml", "-m", "q") == ["qwen:1b"]
    assert set(completed(greeter.parent, "finetune", "x.yaml", "-m", "''")) == {
        "qwen:1b",
        "gemma3:4b",
    }
    assert agentmech("list-models", "--llm", "script:good.yaml").code == 0
    assert "qwen:1b" in models()  # a script has no models worth a word


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"format": 2, "models": ["a"]}', '{"format": 1, "models": 3}']
)
def test_a_file_of_names_that_is_none_holds_none(text: str) -> None:
    remember_models(["a"])
    assert models() == ("a",)
    path().write_text(text)
    assert models() == ()


def test_a_key_press_beside_a_broken_file_is_quiet_and_light(greeter: Path) -> None:
    greeter.with_name("agentmech.toml").write_text("[[[")
    loaded = set(completed(greeter.parent, "test", "g", modules=True))
    assert not loaded & {
        "rich",
        "yaml",
        "ollama",
        "httpx",
        "jsonschema",
        "loguru",
        "tomllib",
        "asyncio",
    }
    assert "finetune_fsm.cli.finetune" not in loaded


def test_a_key_press_costs_little(greeter: Path) -> None:
    def spent() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        completed(greeter.parent, "test", "g")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(spent() for _ in range(3)) < 2 * CPU_BUDGET  # a busy machine counts double


@pytest.mark.parametrize(("shell", "shown"), [("bash", "'Greets Bob'"), ("zsh", "Greets Bob")])
def test_k_completes_scenarios_of_the_file_that_is_named(
    shell: str, shown: str, greeter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_AGENTMECH_COMPLETE", f"{shell}_complete")
    option = click.Option(["-k"])
    with click.Context(attach(click.Command("test", params=[option]))) as context:
        for file in (greeter, greeter.with_name("greeter.test.yaml")):
            context.params["file"] = str(file)
            assert [item.value for item in option.shell_complete(context, "Greets B")] == [shown]
        context.params["file"] = str(greeter.with_name("missing.yaml"))
        assert option.shell_complete(context, "") == []


@pytest.mark.parametrize("shell", SHELLS)
def test_what_a_shell_reads_names_the_program(shell: str, agentmech: Agentmech) -> None:
    done = agentmech("completion", shell)
    assert (done.code, done.err) == (0, "")
    assert f"_AGENTMECH_COMPLETE={shell}_complete" in done.out
    assert agentmech("completion", shell, "--json").document["script"] == done.out


def test_bash_reads_it() -> None:
    program = 'eval "$(agentmech completion bash)" && complete -p agentmech'
    environ = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", program], env=environ, capture_output=True, text=True, check=True
    )
    assert "-F _agentmech_completion agentmech" in done.stdout
