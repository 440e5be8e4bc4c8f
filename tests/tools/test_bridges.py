"""Folders of Python and JavaScript functions as tool servers."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

import pytest

from finetune_fsm.errors import ToolError
from finetune_fsm.tools.launch import launch_of
from finetune_fsm.tools.model import Specification
from finetune_fsm.tools.processes import McpServer

needs_node = pytest.mark.node

PYTHON = '''
    import sys
    from typing import Literal

    print("this is no message")
    LIMIT = 3

    def add(a: int, b: int = 1) -> int:
        """Add two numbers.

        Further words are for people.
        """
        print("adding")
        return a + b

    async def greet(name: str, tone: Literal["warm", "cold"] = "warm") -> str:
        return f"{tone} greetings, {name} \\u00e9"

    def facts(words: list[str], of: dict | None = None) -> dict:
        return {"words": words, "of": of}

    def broken():
        raise RuntimeError("the disk is full")

    def _private():
        return 1
'''

JAVASCRIPT = {
    "shout.js": """
        console.log("this is no message");
        module.exports = (given) => given.text.toUpperCase();
    """,
    "sums.js": """
        module.exports = {
          name: "sum",
          description: "Add numbers.",
          inputSchema: {type: "object", properties: {a: {type: "number"}}, required: ["a"]},
          execute: async ({a}) => ({total: a + 1}),
        };
    """,
    "several.mjs": """
        export const first = {description: "One.", execute: () => "1"};
        export const second = {name: "zwei", execute: () => { throw new Error("no luck"); }};
    """,
}


def folder(tmp_path: Path, files: Mapping[str, str]) -> Specification:
    place = tmp_path / "own tools"
    place.mkdir()
    for name, text in files.items():
        (place / name).write_text(dedent(text), "utf-8")
    return Specification("own", {"type": "custom-tools", "tools_directory": "own tools"}, tmp_path)


def test_a_folder_of_python_functions_is_a_server(tmp_path: Path) -> None:
    server = McpServer.start(launch_of(folder(tmp_path, {"maths.py": PYTHON})), tmp_path)
    try:
        offers = {offer.tool.name: offer.tool for offer in server.offers}
        assert list(offers) == ["add", "greet", "facts", "broken"]
        assert offers["add"].description == "Add two numbers."
        assert offers["add"].parameters == {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
            "required": ["a"],
            "additionalProperties": False,
        }
        fields = offers["greet"].parameters["properties"]
        assert fields == {"name": {"type": "string"}, "tone": {"enum": ["warm", "cold"]}}
        assert server.call("add", {"a": 2}).text == "3"
        assert server.call("greet", {"name": "Zoë"}).text == "warm greetings, Zoë é"
        assert server.call("facts", {"words": ["x"]}).text == '{"words": ["x"], "of": null}'
        failed = server.call("broken", {})
        assert (failed.text, failed.failed) == ("RuntimeError: the disk is full", True)
        assert server.call("add", {"wrong": 2}).failed
        assert server.call("_private", {}).failed
    finally:
        server.close()
    assert not list((tmp_path / "own tools").glob("__pycache__"))


@needs_node
def test_a_folder_of_javascript_functions_is_a_server(tmp_path: Path) -> None:
    assert shutil.which("node"), "this test needs Node.js"
    server = McpServer.start(launch_of(folder(tmp_path, JAVASCRIPT)), tmp_path)
    try:
        assert sorted(o.tool.name for o in server.offers) == ["first", "shout", "sum", "zwei"]
        described = {offer.tool.name: offer.tool.description for offer in server.offers}
        assert described["sum"] == "Add numbers."
        assert server.call("shout", {"text": "hé"}).text == "HÉ"
        assert server.call("sum", {"a": 2}).text == '{"total":3}'
        assert server.call("first", {}).text == "1"
        assert server.call("zwei", {}).text == "Error: no luck"
        assert server.call("zwei", {}).failed
    finally:
        server.close()


@needs_node
@pytest.mark.parametrize("text", ["module.exports = (", "throw new Error('bad day')"])
def test_a_broken_javascript_file_is_told(tmp_path: Path, text: str) -> None:
    with pytest.raises(ToolError, match="ended with code 1"):
        McpServer.start(launch_of(folder(tmp_path, {"a.js": text})), tmp_path)


def test_a_broken_python_file_is_told(tmp_path: Path) -> None:
    wanted = folder(tmp_path, {"a.py": "import no_such_module"})
    with pytest.raises(ToolError, match=r"ended with code 1.*no_such_module"):
        McpServer.start(launch_of(wanted), tmp_path)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "holds no .js and no .py files"),
        ({"readme.md": "x"}, "holds no .js and no .py files"),
        ({"a.py": "x", "b.js": "y"}, "give each a folder"),
    ],
)
def test_a_folder_that_cannot_be_served_is_told(
    tmp_path: Path, files: Mapping[str, str], message: str
) -> None:
    with pytest.raises(ToolError, match=message):
        launch_of(folder(tmp_path, files))


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    document = {"type": "custom-tools", "tools_directory": "nowhere"}
    with pytest.raises(ToolError, match="there is no folder"):
        launch_of(Specification("x", document, tmp_path))
