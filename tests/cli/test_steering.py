"""A finetune that a person takes part in, in a terminal of its own."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from commandline import Agentmech
from faults.terminal import AGENTMECH, CTRL_C, Terminal, terminal
from steered import GREETER_SCRIPT

from finetune_fsm.runs import places
from finetune_fsm.runs.history import load

FINETUNE = ("finetune", "greeter.yaml", "--llm", "script:script.yaml", "--no-cache")

QUESTION = "Try this change? [y,n,e,d,a,q,?] "


@pytest.fixture
def place(greeter: Path) -> Path:
    """The folder in which a run is about to be made."""
    (greeter.parent / "script.yaml").write_text(GREETER_SCRIPT)
    return greeter.parent


@contextmanager
def session(
    place: Path, *options: str, environment: Mapping[str, str] | None = None
) -> Iterator[Terminal]:
    command = (*AGENTMECH, *(options if options[:1] == ("resume",) else (*FINETUNE, *options)))
    with terminal(*command, folder=place, environment=environment) as screen:
        yield screen


def typed(screen: Terminal, prompt: str, keys: bytes, after: int = 0) -> int:
    """Type *keys* when *prompt* has come; return what was shown by then."""
    screen.wait_for(prompt, after=after)
    size = screen.size
    screen.type(keys)
    return size


@pytest.mark.parametrize("approval", ["always", "risky"])
def test_without_a_terminal_it_says_so_at_once(
    approval: str, agentmech: Agentmech, place: Path
) -> None:
    done = agentmech(*FINETUNE, "--approve", approval, stdin="y\n")
    assert done.code == 2
    assert f"--approve {approval} asks a person" in done.err
    assert "--approve never asks nobody" in done.err
    assert not (place / "greeter.agentmech").exists()


def test_a_run_that_asks_does_not_go_on_where_nobody_is(agentmech: Agentmech, place: Path) -> None:
    with session(place, "--approve", "always") as screen:
        typed(screen, QUESTION, b"q\n")
        assert screen.wait()[0] == 130
    done = agentmech("resume", "--llm", "script:script.yaml")
    assert done.code == 2
    assert "standard input is no terminal" in done.err
    done = agentmech("resume", "--llm", "script:script.yaml", "--approve", "never")
    assert done.code == 0


def test_a_draft_is_shown_whole_edited_and_tried(place: Path) -> None:
    editor = place / "editor.py"
    editor.write_text(
        "import pathlib, sys\n"
        "p = pathlib.Path(sys.argv[1]); t = p.read_text()\n"
        "p.write_text(t.replace('Greet the', 'Please greet the'))\n"
    )
    with session(
        place,
        "--approve",
        "always",
        environment={"EDITOR": f"{sys.executable} {editor}", "VISUAL": ""},
    ) as screen:
        at = typed(screen, QUESTION, b"d\n")
        typed(screen, QUESTION, b"e\n", at)
        assert screen.wait()[0] == 0, screen.text
    assert "Meant for: 'Greets Alice', 'Greets Bob'" in screen.text
    assert "default_value: nobody" in screen.text
    result = (place / "greeter.finetuned.yaml").read_text()
    assert "Please greet the person called {{name}} by name" in result
    (run,) = places.in_home(place / "greeter.agentmech")
    assert load(run).run.history[-1].headline.strategy == "person"


def test_a_refusals_reason_is_told_and_the_run_goes_on(place: Path) -> None:
    with session(place, "--approve", "always") as screen:
        at = typed(screen, QUESTION, b"n\n")
        typed(screen, "What is wrong with it? ", b"not so\n", at)
        assert screen.wait()[0] == 1
    assert "Not usable: a person refused it: not so" in screen.text
    (run,) = places.in_home(place / "greeter.agentmech")
    assert "a person refused it: not so" in {r.reason for r in load(run).run.rejections}


def test_ctrl_c_at_the_question_applies_nothing_and_can_be_resumed(place: Path) -> None:
    with session(place, "--approve", "always") as screen:
        typed(screen, QUESTION, CTRL_C)
        code, _ = screen.wait()
    assert code == 130
    assert "to go on: agentmech resume" in screen.text
    assert (place / "greeter.finetuned.yaml").read_text() == (place / "greeter.yaml").read_text()
    resume = ("resume", "--llm", "script:script.yaml", "--no-cache")
    with session(place, *resume) as screen:
        typed(screen, QUESTION, b"a\n")
        assert screen.wait()[0] == 0
    assert "called {{name}}" in (place / "greeter.finetuned.yaml").read_text()


def test_ctrl_d_at_the_question_ends_it_like_quit(place: Path) -> None:
    with session(place, "--approve", "always") as screen:
        typed(screen, QUESTION, b"\x04")
        assert screen.wait()[0] == 130


def test_a_closed_window_at_the_question_ends_it(place: Path) -> None:
    with session(place, "--approve", "always") as screen:
        screen.wait_for(QUESTION)
        screen.hang_up()
        assert screen.process.wait(20) in (129, 130)
    (run,) = places.in_home(place / "greeter.agentmech")
    assert not load(run).finished


def test_the_document_stands_alone_on_standard_output(place: Path) -> None:
    command = " ".join([*AGENTMECH, *FINETUNE, "--json", "--approve", "always"])
    shell = f"{command} > out.json"
    with terminal("/bin/sh", "-c", shell, folder=place) as screen:
        typed(screen, QUESTION, b"a\n")
        assert screen.wait()[0] == 0
    import json

    assert json.loads((place / "out.json").read_text())["status"] == "solved"


DEBUG = "(agentmech) "


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--step",), "--step asks a person"),
        (("--break", "MODIFYING"), "--break asks a person"),
        (("--break", "saving,modfying"), "did you mean 'MODIFYING'?"),
    ],
)
def test_no_debugger_without_a_terminal_or_with_an_unknown_state(
    options: tuple[str, ...], said: str, agentmech: Agentmech, place: Path
) -> None:
    done = agentmech(*FINETUNE, *options)
    assert done.code == 2
    assert said in done.err
    assert not (place / "greeter.agentmech").exists()


def test_a_person_steps_goes_back_and_goes_on_in_a_fork(place: Path) -> None:
    with session(place, "--step") as screen:
        at = typed(screen, DEBUG, b"n\n")
        at = typed(screen, DEBUG, b"break checking\n", at)
        at = typed(screen, DEBUG, b"c\n", at)
        screen.wait_for("[CHECKING]", after=at)
        at = typed(screen, DEBUG, b"p diff\n", at)
        at = typed(screen, DEBUG, b"b 1\n", at)
        screen.wait_for("stays as it is; going on in", after=at)
        at = typed(screen, DEBUG, b"clear CHECKING\n", at)
        typed(screen, DEBUG, b"c\n", at)
        assert screen.wait()[0] == 0, screen.text
    assert "Greet the person called {{name}} by name" in re.sub(r"\x1b\[[\d;]*m", "", screen.text)
    old, fork = map(load, places.in_home(place / "greeter.agentmech"))
    assert (old.state, fork.done) == ("CHECKING", True)
    assert old.entries[: len(old.entries) - 1] == fork.entries[: len(old.entries) - 1]
    assert (place / "greeter.finetuned.yaml").exists()


def test_ctrl_c_in_the_debugger_quits_and_the_run_can_be_resumed(
    agentmech: Agentmech, place: Path
) -> None:
    with session(place, "--break", "ANALYZING") as screen:
        typed(screen, DEBUG, CTRL_C)
        assert screen.wait()[0] == 130
    assert "to go on: agentmech resume" in screen.text
    assert agentmech("resume", *FINETUNE[2:]).code == 0
