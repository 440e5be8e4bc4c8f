"""The entry point: help without weight, one exit code for every ending."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from commandline import Agentmech

from finetune_fsm.cli import main as main_module
from finetune_fsm.cli.main import main
from finetune_fsm.cli.registry import COMMANDS, Commands
from finetune_fsm.errors import (
    Cancelled,
    ExecutionError,
    ExitCode,
    InvalidDocument,
    LLMError,
    LLMErrorKind,
    MissingExtra,
    NoRuleError,
    Problem,
    StorageError,
    UsageError,
)

HEAVY = ("ollama", "httpx", "rich", "jsonschema", "loguru", "asyncio", "yaml", "transitions")


def modules_after(*arguments: str) -> set[str]:
    """The modules that a process of its own has imported when the command is over."""
    program = (
        "import sys; from finetune_fsm.cli.main import main; code = main(sys.argv[1:]);"
        "print('MODULES', *sys.modules, file=sys.stderr); sys.exit(code)"
    )
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(done.stderr.partition("MODULES")[2].split())


@pytest.mark.parametrize("arguments", [("--help",), *((name, "--help") for name in COMMANDS)])
def test_help_imports_nothing_heavy(arguments: tuple[str, ...]) -> None:
    assert not modules_after(*arguments) & set(HEAVY)


def test_validate_imports_no_client_no_loop_and_no_screen(greeter: Path) -> None:
    heavy = {"ollama", "httpx", "rich", "loguru", "asyncio", "transitions"}
    assert not modules_after("validate", str(greeter)) & heavy


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_registry_has_help_with_defaults(
    name: str, agentmech: Agentmech
) -> None:
    done = agentmech(name, "--help")
    assert done.code == 0
    assert f"Usage: agentmech {name}" in done.out
    assert "--json" in done.out


def test_the_help_of_finetune_states_its_options_and_their_defaults(agentmech: Agentmech) -> None:
    text = " ".join(agentmech("finetune", "--help").out.split())
    assert "-u, --ollama-url <url> Ollama API URL" in text
    assert '(default: "http://localhost:11434"' in text
    assert "-o, --output <path> Output file path for the finetuned workflow" in text
    assert '-m, --model <model> Model to use for analysis (default: "gemma3:4b")' in text
    assert '-i, --max-iterations <number> Maximum number of iterations (default: "5")' in text


def test_the_list_of_commands_is_the_registry(agentmech: Agentmech) -> None:
    out = agentmech("--help").out
    for name, entry in COMMANDS.items():
        assert f"{name} " in out
        assert entry.help in out


def test_version_names_what_the_program_stands_on(agentmech: Agentmech) -> None:
    lines = agentmech("--version").out.splitlines()
    assert [line.split()[0] for line in lines] == [
        "agentmech", "python", "transitions", "pyyaml", "ollama", "jsonschema",
    ]  # fmt: skip
    assert all(line.split()[1][0].isdigit() for line in lines)


def test_python_dash_m_is_the_same_program() -> None:
    command = [sys.executable, "-m", "finetune_fsm", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("agentmech ")


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("finetuen", "finetune"),
        ("vlidate", "validate"),
        ("RUN", "run"),
        ("listmodels", "list-models"),
    ],
)
def test_an_unknown_command_is_guessed(given: str, meant: str, agentmech: Agentmech) -> None:
    done = agentmech(given)
    assert (done.code, done.out) == (2, "")
    assert f"did you mean '{meant}'?" in done.err


def test_a_command_like_no_other_is_answered_with_all_of_them(agentmech: Agentmech) -> None:
    assert "one of: finetune, resume" in agentmech("xyzzy").err


def test_an_unknown_option_is_guessed(agentmech: Agentmech) -> None:
    done = agentmech("finetune", "x.yaml", "--max-iteration", "3")
    assert done.code == 2
    assert "--max-iterations" in done.err


def test_no_arguments_print_the_help_as_an_error(agentmech: Agentmech) -> None:
    done = agentmech()
    assert (done.code, done.out) == (2, "")
    assert "finetune" in done.err


ENDINGS = [
    (None, ExitCode.OK),
    (ExitCode.FAILED, ExitCode.FAILED),
    (ExecutionError("no way on", state="s"), ExitCode.FAILED),
    (UsageError("makes no sense"), ExitCode.BAD_INPUT),
    (click.UsageError("makes no sense"), ExitCode.BAD_INPUT),
    (InvalidDocument((Problem("c", "is wrong", "mend it", file="f"),)), ExitCode.BAD_INPUT),
    (MissingExtra("embedded", "the engine"), ExitCode.BAD_INPUT),
    (LLMError(LLMErrorKind.UNREACHABLE, "no server", hint="start it"), ExitCode.WORLD),
    (StorageError("disk full"), ExitCode.WORLD),
    (PermissionError(13, "Permission denied", "f"), ExitCode.WORLD),
    (NoRuleError("a hole"), ExitCode.BUG),
    (ValueError("a bug"), ExitCode.BUG),
    (RecursionError("deep"), ExitCode.BUG),
    (KeyboardInterrupt(), ExitCode.INTERRUPTED),
    (Cancelled(), ExitCode.INTERRUPTED),
    (BrokenPipeError(), ExitCode.BROKEN_PIPE),
    (ExitCode.TERMINATED, ExitCode.TERMINATED),
    (ExitCode.HANGUP, ExitCode.HANGUP),
]  # fmt: skip
UNUSED = {ExitCode.NO_SCENARIO, ExitCode.BAD_RUN, ExitCode.BUSY}
"""Codes of commands that this version does not have."""


def ending_with(ending: object) -> click.Group:
    """A command line whose one command ends so."""

    @click.command()
    @click.pass_obj
    def end(console: object) -> object:
        del console
        if isinstance(ending, BaseException):
            raise ending
        return ending

    @click.group(cls=click.Group)
    def group() -> None:
        pass

    group.add_command(end)
    return group


@pytest.mark.parametrize(("ending", "code"), ENDINGS, ids=[repr(e)[:40] for e, _ in ENDINGS])
def test_every_ending_has_the_exit_code_of_the_table(
    ending: object, code: ExitCode, agentmech: Agentmech, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(main_module, "commands", ending_with(ending))
    done = agentmech("end")
    assert done.code == code
    assert done.out == ""
    assert "Traceback" not in done.err


def test_every_exit_code_is_reached_by_some_ending() -> None:
    assert {code for _, code in ENDINGS} | UNUSED == set(ExitCode)


@pytest.mark.parametrize("code", set(ExitCode) - UNUSED - {ExitCode.OK})
def test_the_table_in_the_entry_point_names_every_code(code: ExitCode) -> None:
    assert f"\n{code.value} " in (main_module.__doc__ or "")


def test_a_bug_says_how_to_report_it_and_shows_the_place_only_when_asked(
    agentmech: Agentmech, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = ending_with(ValueError("a \x1b bug"))
    monkeypatch.setattr(main_module, "commands", group)
    done = agentmech("end")
    assert "internal error: ValueError: a \\x1b bug" in done.err
    assert "report" in done.err


@pytest.mark.parametrize("ending", [e for e, c in ENDINGS if c in (2, 3, 4)], ids=repr)
def test_an_error_is_a_document_too_where_a_program_listens(
    ending: Exception, monkeypatch: pytest.MonkeyPatch, agentmech: Agentmech
) -> None:
    group = ending_with(ending)
    group.commands["end"].params.append(click.Option(["--json"], is_flag=True, expose_value=False))
    monkeypatch.setattr(main_module, "commands", group)
    done = agentmech("end", "--json")
    assert done.document["error"]["exit_code"] == done.code
    assert done.document["error"]["message"]
    assert done.err


def test_a_traceback_needs_two_v(agentmech: Agentmech, greeter: Path) -> None:
    llm = ("--llm", "script:missing.yaml")
    assert "Traceback" not in agentmech("run", greeter, *llm, "-v").err
    done = agentmech("run", greeter, *llm, "-vv")
    assert done.code == 2
    assert "Traceback" in done.err


def test_a_reader_that_goes_away_ends_the_program_quietly(greeter: Path) -> None:
    wide = [str(greeter)] + [f"missing-{n}.yaml" for n in range(3000)]
    command = [sys.executable, "-m", "finetune_fsm", "validate", *wide]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(30) == 141


def test_a_full_disk_under_standard_output_is_an_error_of_the_world() -> None:
    if not Path("/dev/full").exists():
        pytest.fail("this test needs /dev/full")
    command = [sys.executable, "-m", "finetune_fsm", "graph", "--loop"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 3
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_closed_standard_streams_do_not_matter(closed: tuple[int, ...], greeter: Path) -> None:
    command = [sys.executable, "-m", "finetune_fsm", "validate", str(greeter)]

    def close() -> None:
        for number in closed:
            os.close(number)

    done = subprocess.run(command, preexec_fn=close, check=False, timeout=60)
    assert done.returncode == 0


def test_the_group_imports_a_command_only_when_it_is_called() -> None:
    context = click.Context(Commands())
    assert Commands().get_command(context, "nothing") is None
    assert isinstance(main, type(modules_after))
