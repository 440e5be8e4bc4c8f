"""``agentmech diff``: what differs in what two workflows do, and what a run changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from commandline import GREETER, Agentmech
from steered import GREETER_SCRIPT

FINETUNE = ("finetune", "greeter.yaml", "--llm", "script:script.yaml", "--no-cache", "-q")


@pytest.fixture
def folder(greeter: Path) -> Path:
    """A folder with a greeter and a model that improves it."""
    (greeter.parent / "script.yaml").write_text(GREETER_SCRIPT)
    return greeter.parent


def test_two_files_differ_where_they_do_something_else(agentmech: Agentmech, folder: Path) -> None:
    text = GREETER.replace('"Greet {{name}}"', '"Greet {{name}} well"').replace("50}", "60}")
    (folder / "other.yaml").write_text("# mine\n" + text)
    done = agentmech("diff", "greeter.yaml", "other.yaml")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        "A  greeter.yaml",
        "B  other.yaml",
        "",
        "2 differences",
        "  ~ greet.prompt changed: Greet {{name}} → Greet {{name}} well",
        "  ~ greet.options.num_predict changed: 50 → 60",
    ]
    assert "+# mine" in agentmech("diff", "greeter.yaml", "other.yaml", "--text").out


def test_comments_are_no_difference_but_to_who_asks_for_the_text(
    agentmech: Agentmech, folder: Path
) -> None:
    (folder / "other.yaml").write_text("# mine\n" + GREETER)
    files = ("diff", "greeter.yaml", "other.yaml", "--exit-code")
    done = agentmech(*files)
    assert (done.code, done.out.splitlines()[-1]) == (
        0,
        "They do the same: only comments, layout or the order of keys differ",
    )
    assert agentmech(*files, "--text").code == 1
    assert agentmech("diff", "greeter.yaml", "greeter.yaml", "--text", "--exit-code").code == 0


def test_of_a_run_it_tells_what_was_changed_and_why(agentmech: Agentmech, folder: Path) -> None:
    assert agentmech(*FINETUNE).code == 0
    for named in ((), ("greeter.yaml",)):
        out = agentmech("diff", *named).out
        assert "A  greeter.yaml, as it was" in out
        change = "Greet {{name}} → Greet the person called {{name}} by name"
        assert f"  ~ greet.prompt changed: {change}" in out
        assert "    The name is not used." in out
    assert agentmech("diff", "greeter.yaml", "greeter.finetuned.yaml", "--exit-code").code == 1
    (run,) = (folder / "greeter.agentmech").glob("2*")
    assert "1 difference" in agentmech("diff", "greeter.yaml", run).out


def test_as_a_document_it_has_places_and_the_whole_diff(agentmech: Agentmech, folder: Path) -> None:
    assert agentmech(*FINETUNE).code == 0
    document = agentmech("diff", "--json").document
    (change,) = document["changes"]
    assert (change["kind"], change["where"]) == ("changed", "greet.prompt")
    assert change["path"] == ["states", "greet", "prompt"]
    assert change["new"] == "Greet the person called {{name}} by name"
    assert document["diff"].startswith("@@ ")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 2, "there is no run here or below"),
        (("greeter.yaml", "none.yaml"), 2, "none.yaml: error: the file does not exist"),
        (("greeter.yaml", "bad.yaml", "good.yaml"), 2, "two workflows can be compared, no more"),
        (("-", "-"), 2, "not both"),
        (("greeter.yaml", "script.yaml"), 0, ""),
    ],
)
def test_what_cannot_be_compared_is_said(
    arguments: tuple[str, ...], code: int, said: str, agentmech: Agentmech, folder: Path
) -> None:
    done = agentmech("diff", *arguments)
    assert done.code == code
    assert said in done.err


def test_one_side_may_come_from_standard_input(agentmech: Agentmech, folder: Path) -> None:
    done = agentmech("diff", "greeter.yaml", "-", stdin=GREETER.replace("nobody", "somebody"))
    assert "  ~ ask.default_value changed: nobody → somebody" in done.out


def test_no_control_of_a_file_reaches_the_terminal(agentmech: Agentmech, folder: Path) -> None:
    text = GREETER.replace("Greet {{name}}", r"Greet \e[2J{{name}}")
    (folder / "other.yaml").write_text(text)
    done = agentmech("diff", "greeter.yaml", "other.yaml")
    assert "greet.prompt" in done.out
    assert "\x1b" not in done.out
