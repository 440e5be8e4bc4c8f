"""``replay``, ``fork``, ``undo`` and ``capture``: what people do with a run afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest
from commandline import GREETER, Agentmech
from steered import GREETER_SCRIPT

from finetune_fsm.runs import places

LLM = ("--llm", "script:script.yaml", "--no-cache")


@pytest.fixture
def place(greeter: Path, agentmech: Agentmech) -> Path:
    """A folder in which a run came to its end."""
    (greeter.parent / "script.yaml").write_text(GREETER_SCRIPT)
    assert agentmech("finetune", "greeter.yaml", *LLM, "-q").code == 0
    return greeter.parent


def test_a_run_is_told_up_to_a_step_forked_there_and_goes_on(
    agentmech: Agentmech, place: Path
) -> None:
    told = agentmech("replay", "greeter.yaml", "--to", 4)
    assert (told.code, told.err) == (0, "")
    heads = [line for line in told.out.splitlines() if line.startswith("[")]
    assert heads[0] == "[1] PREPARING → SAVING"
    assert heads[3] == "[4] TESTING → ANALYZING"
    assert len(heads) == 4
    assert "  It goes on in ANALYZING, iteration 1" in told.out
    assert "  Best: the workflow of iteration 1, 0/2 passed" in told.out
    document = agentmech("replay", "--to", 4, "--json").document
    assert (document["state"], document["best"]) == (
        "ANALYZING",
        {"iteration": 1, "pass_rate": 0.0},
    )
    assert agentmech("replay").out.count("\n[") + 1 > 4
    (old,) = places.in_home(place / "greeter.agentmech")
    journal = (old / places.JOURNAL).read_bytes()
    forked = agentmech("fork", "--at", 4, "--set", "max-iterations=2", "--set", "goal=tokens")
    assert forked.code == 0
    assert "to go on: agentmech resume greeter.agentmech/" in forked.err
    _, new = places.in_home(place / "greeter.agentmech")
    assert agentmech("resume", *LLM).code == 0
    assert "forked from" in agentmech("show", new).out
    assert (old / places.JOURNAL).read_bytes() == journal


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("fork",), "missing option '--at'"),
        (("fork", "--at", "99"), "has no step 99: there is 1 to"),
        (("fork", "--at", "3", "--set", "sed=1"), "did you mean 'seed'?"),
        (("fork", "--at", "3", "--set", "seed=x"), "must be a whole number"),
        (("fork", "--at", "3", "--set", "seed"), "KEY=VALUE"),
        (("replay", "--to", "99"), "has no step 99"),
        (("capture",), "missing option '--scenario'"),
        (("capture", "--scenario", "Greets Alce"), "did you mean 'Greets Alice'?"),
        (("undo", "--redo"), "is the last of 2 accepted versions"),
    ],
)
def test_what_makes_no_sense_is_said(
    arguments: tuple[str, ...], said: str, agentmech: Agentmech, place: Path
) -> None:
    done = agentmech(*arguments)
    assert done.code == 2
    assert said in done.err


def test_undo_says_what_it_did_and_how_to_take_it_back(agentmech: Agentmech, place: Path) -> None:
    improved = (place / "greeter.finetuned.yaml").read_text()
    done = agentmech("undo", "greeter.yaml")
    assert done.code == 0
    assert "is that of iteration 1 again (0/2 passed), not of iteration 2 (2/2)" in done.out
    assert "agentmech undo --redo" in done.err
    assert (place / "greeter.finetuned.yaml").read_text() == GREETER
    assert agentmech("undo", "--redo").code == 0
    assert (place / "greeter.finetuned.yaml").read_text() == improved


def test_a_captured_test_is_printed_or_added_and_passes(agentmech: Agentmech, place: Path) -> None:
    printed = agentmech("capture", "--scenario", 1)
    assert printed.out.startswith("workflow: greeter.finetuned.yaml\n")
    assert agentmech("capture", "--scenario", 1, "-o", "mine.test.yaml").code == 0
    assert agentmech("capture", "--scenario", "Greets Bob", "-o", "mine.test.yaml").code == 0
    assert agentmech("test", "mine.test.yaml", *LLM[:2]).code == 0
