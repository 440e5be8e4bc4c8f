"""Names, results, arguments and contents: what must hold for all of them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_fsm.errors import ToolError
from finetune_fsm.llm.base import Tool
from finetune_fsm.tools.arguments import flaws_in
from finetune_fsm.tools.contents import content_of
from finetune_fsm.tools.launch import launch_of
from finetune_fsm.tools.model import Offer, Specification
from finetune_fsm.tools.naming import distinct, safe
from finetune_fsm.tools.results import as_data, joined

NAMES = st.one_of(st.sampled_from(["a", "b", "a_b", "a.b", "b_a", "a_2", ""]), st.text(max_size=80))
SERVED = st.dictionaries(NAMES, st.lists(NAMES, max_size=5), max_size=4)


def offers(names: list[str]) -> list[Offer]:
    return [Offer(Tool(name, name)) for name in names]


@given(SERVED)
def test_every_tool_of_every_server_has_a_safe_name_of_its_own(
    served: dict[str, list[str]],
) -> None:
    named = distinct({server: offers(names) for server, names in served.items()})
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name) for name in named)
    behind = [(offered.server, offered.own) for offered in named.values()]
    assert behind == [(server, name) for server, names in served.items() for name in names]
    assert all(offered.tool.name == name for name, offered in named.items())
    assert all(offered.tool.description == offered.own for offered in named.values())


@given(SERVED)
def test_a_tool_that_shares_its_name_with_none_keeps_it(served: dict[str, list[str]]) -> None:
    named = distinct({server: offers(names) for server, names in served.items()})
    every = [safe(name) for names in served.values() for name in names]
    for own in every:
        assert (own in named) is (every.count(own) == 1)


@given(st.text(max_size=200), st.text(max_size=40))
def test_a_result_cannot_end_its_own_fence(text: str, tool: str) -> None:
    head, *middle, fence = as_data(text, tool=tool).split("\n")
    assert "\n".join(middle) == text
    assert head.endswith(f"up to the line {fence}.")
    assert fence not in text
    assert as_data(text, tool=tool) == as_data(text, tool=tool)


@given(st.lists(st.text(max_size=9000), max_size=6))
def test_a_result_is_short_and_steers_no_screen(parts: list[str]) -> None:
    text = joined(parts)
    assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e\ud800-\udfff]", text)


SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer", "minimum": 1}, "to": {"pattern": "^(a+)+$"}},
    "required": ["n"],
}


@pytest.mark.parametrize(
    ("given_", "flaw"),
    [
        ({"n": 1}, ""),
        ({"n": 1, "more": 2}, ""),
        ({}, "'n' is a required property"),
        ({"n": "1"}, "n: '1' is not of type 'integer'"),
        ({"n": 0}, "n: 0 is less than the minimum of 1"),
        ({"n": 1, "to": "a" * 50 + "!"}, ""),  # patterns are the server's to search
    ],
)
def test_arguments_are_held_against_the_schema(given_: dict[str, object], flaw: str) -> None:
    assert flaws_in(given_, Tool("t", "", SCHEMA)) == flaw


@pytest.mark.parametrize("schema", [{"type": "nonsense"}, {"$ref": "http://x.invalid/y"}, {}])
def test_a_schema_that_is_none_has_nothing_against_anything(schema: dict[str, object]) -> None:
    assert flaws_in({"a": 1}, Tool("t", "", schema)) == ""


BASE = Specification("s", {"command": "python", "args": ["a"], "env": {"A": "1"}}, Path("/nowhere"))


@pytest.mark.parametrize(
    "document",
    [
        {"command": "python3", "args": ["a"], "env": {"A": "1"}},
        {"command": "python", "args": ["b"], "env": {"A": "1"}},
        {"command": "python", "args": [], "env": {"A": "1"}},
        {"command": "python", "args": ["a"], "env": {"B": "1"}},
        {"type": "npx", "package": "python", "args": ["a"], "env": {"A": "1"}},
    ],
)
def test_another_command_is_another_server_whatever_its_name(document: dict[str, object]) -> None:
    assert content_of(replace(BASE, document=document)) != content_of(BASE)


def test_the_value_of_a_variable_and_the_name_of_a_server_do_not_make_another_one() -> None:
    other = {"command": "python", "args": ["a"], "env": {"A": "2"}}
    assert content_of(replace(BASE, document=other, name="t")) == content_of(BASE)


def test_code_in_a_tools_folder_makes_another_server_and_data_does_not(tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    wanted = Specification("s", {"type": "custom-tools", "tools_directory": "tools"}, tmp_path)
    seen = {content_of(wanted)}
    for name, text in (("a.py", "1"), ("a.py", "2"), ("b.js", "2"), ("in/c.mjs", "3")):
        (tools / name).parent.mkdir(exist_ok=True)
        (tools / name).write_text(text, "utf-8")
        seen.add(content_of(wanted))
    assert len(seen) == 5
    (tools / "data.json").write_text("{}", "utf-8")
    assert content_of(wanted) in seen


def test_a_server_gets_few_variables_of_ours() -> None:
    ours = {"PATH": "/usr/bin:/bin", "HOME": "/h", "OPENAI_API_KEY": "k", "npm_config_x": "y"}
    made = launch_of(Specification("s", {"command": "sh", "env": {"HOME": "/g"}}, Path("/")), ours)
    assert made.env == {"PATH": "/usr/bin:/bin", "HOME": "/g"}


def test_npx_is_started_with_yes_and_the_package(tmp_path: Path) -> None:
    (tmp_path / "npx").write_text("#!/bin/sh\n", "utf-8")
    (tmp_path / "npx").chmod(0o755)
    ours = {"PATH": str(tmp_path), "npm_config_registry": "r", "TOKEN": "t"}
    document = {"type": "npx", "package": "@scope/server", "args": ["."]}
    made = launch_of(Specification("s", document, tmp_path), ours)
    assert made.command == (str(tmp_path / "npx"), "-y", "@scope/server", ".")
    assert made.env == {"PATH": str(tmp_path), "npm_config_registry": "r"}


def test_a_program_with_a_slash_is_beside_the_workflow(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="there is no program"):
        launch_of(Specification("s", {"command": "./serve"}, tmp_path))
    (tmp_path / "serve").write_text("", "utf-8")
    made = launch_of(Specification("s", {"command": "./serve"}, tmp_path))
    assert made.command == (str(tmp_path / "serve"),)
