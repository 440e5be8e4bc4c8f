"""The reference says all that the program has, and pages name only what there is."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path

import click
import pytest

from finetune_fsm.cli import known
from finetune_fsm.cli.registry import COMMANDS, load
from finetune_fsm.errors import ExitCode
from finetune_fsm.improve.policy import CODES
from finetune_fsm.loop.table import LoopState
from finetune_fsm.schema import SUITE, WORKFLOW, schema

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


def program(name: str):  # noqa: ANN201  # a module
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


REFERENCE = program("reference")
HOOKS = program("hooks")


def test_every_option_of_every_command_has_a_row() -> None:
    sections = re.split(r"^## ", REFERENCE.commands(), flags=re.MULTILINE)[1:]
    assert [section.split("`")[1] for section in sections] == list(COMMANDS)
    for name, section in zip(COMMANDS, sections, strict=True):
        for parameter in load(name).params:
            if isinstance(parameter, click.Option) and not parameter.hidden:
                assert parameter.opts[-1] in section, (name, parameter.opts)


def test_signs_of_a_help_text_mean_nothing_in_a_table() -> None:
    cells = re.findall(r"^\| `.*?` \| (.*) \|$", REFERENCE.commands(), re.MULTILINE)
    assert cells
    assert not [cell for cell in cells if re.search(r"(?<!\\)[<>*_`|]", cell)]


def test_every_setting_has_a_row_with_its_variable() -> None:
    table = REFERENCE.settings()
    for options in known.all_options().values():
        for key in options:
            assert f"| `{key}` | `{known.variable_of(key)}` | " in table
    for key in known.IN_FILES:
        assert re.search(rf"^\| `{key}` \| `\w+` \| yes \|", table, re.MULTILINE)


def test_every_other_variable_is_one_that_the_program_knows() -> None:
    package = Path(known.__file__).parents[1]
    sources = "".join(path.read_text("utf-8") for path in package.rglob("*.py"))
    assert [name for name in REFERENCE.OTHERS if f'"{name}"' not in sources] == []


def test_every_exit_code_has_a_meaning() -> None:
    rows = re.findall(r"^\| (\d+) \| (\w+) \| .{5,} \|$", REFERENCE.exit_codes(), re.MULTILINE)
    assert rows == [(str(code.value), code.name) for code in ExitCode]


def test_every_key_of_both_formats_has_a_row() -> None:
    told = REFERENCE.formats()
    for name in (WORKFLOW, SUITE):
        parts = (schema(name), *schema(name)["$defs"].values())
        for key in {key for part in parts for key in part.get("properties", ())}:
            assert f"| `{key}` | " in told, key


def test_the_pages_have_the_places_for_all_of_it_and_no_row_is_broken() -> None:
    marks = [
        mark
        for page in PAGES
        for mark in re.findall(r"^<!-- generated: (.*) -->$", page.read_text(), re.MULTILINE)
    ]
    assert sorted(marks) == sorted(REFERENCE.PARTS)
    for name in REFERENCE.PARTS:
        widths: set[int] = set()
        for line in REFERENCE.filled(f"<!-- generated: {name} -->").splitlines():
            if line.startswith("|"):
                widths.add(len(re.findall(r"(?<!\\)\|", line)))
            else:
                assert len(widths) <= 1, line
                widths = set()


def test_links_out_of_the_pages_become_words_and_others_stay() -> None:
    text = "[a](../bench/x.md) and [b](how-to/y.md) and ![c](../images/z.svg)"
    assert HOOKS.inside(text, "index.md") == "a and [b](how-to/y.md) and ![c](../images/z.svg)"
    assert (
        HOOKS.inside("[a](../index.md) [b](../../README.md)", "how-to/y.md") == "[a](../index.md) b"
    )


SAID = [
    (page.name, said)
    for page in PAGES
    for said in re.findall(r"(?<!`)`(agentmech [a-z][^`]*)`", page.read_text("utf-8"))
]


@pytest.mark.parametrize(("page", "said"), SAID, ids=lambda value: str(value)[:50])
def test_a_command_named_in_a_sentence_is_one_that_there_is(page: str, said: str) -> None:
    del page
    _, name, *words = shlex.split(said.replace("\\|", "|"))
    assert name in COMMANDS, said
    command = load(name)
    if isinstance(command, click.Group) and words and words[0] in command.commands:
        command = command.commands[words[0]]
    there = {opt for p in command.params for opt in p.opts} | {"--help"}
    for word in words:
        if word.startswith("-") and word != "-":
            assert word.split("=")[0] in there, said


def test_the_page_about_the_loop_has_every_state_and_the_drawing_is_current(tmp_path: Path) -> None:
    from finetune_fsm.cli.main import main

    page = (ROOT / "docs/loop.md").read_text("utf-8")
    assert re.findall(r"^\| ([A-Z]+) \|", page, re.MULTILINE) == [str(s) for s in LoopState]
    assert main(["graph", "--loop", "-o", str(tmp_path / "loop.svg")]) == 0
    drawn = (ROOT / "docs/images/loop.svg").read_bytes()
    assert drawn == (tmp_path / "loop.svg").read_bytes(), "run: make docs"


def test_the_page_about_the_gate_has_every_code_of_the_policy() -> None:
    page = (ROOT / "docs/gate.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", page, re.MULTILINE))
    assert rows == dict(CODES)
