"""A tool server for a folder of Python files; started as a script, never imported by the package.

::

    python -P python_bridge.py FOLDER

Every public function that a file defines is a tool: its name is the tool's, the first paragraph of
its docstring the description, its annotations the schema. What it returns is the result: text as it
is, everything else as JSON. What it raises is the result's error. A function may be a coroutine.

It speaks the part of MCP (2025-06-18) that tools need, over standard input and output, with nothing
but the standard library; what the tools print goes to standard error.
"""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import json
import os
import sys
import types
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

VERSION = "2025-06-18"

_KINDS = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}
_NO_METHOD, _BAD_PARAMETERS = -32601, -32602


def main() -> None:
    """Serve until standard input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a tool prints must not look like an answer
    sys.stdout = sys.stderr
    tools = dict(tools_in(Path(sys.argv[1])))
    for line in sys.stdin:
        try:
            message = json.loads(line)
        except ValueError:
            continue
        if isinstance(message, dict) and "method" in message and "id" in message:
            _write(answers, {"jsonrpc": "2.0", "id": message["id"], **_answer(message, tools)})


def _write(answers: TextIO, message: dict[str, Any]) -> None:
    answers.write(json.dumps(message) + "\n")
    answers.flush()


def tools_in(folder: Path) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield the tools of the files in *folder*, by name."""
    sys.path.insert(0, str(folder))
    for path in sorted(folder.glob("*.py")):
        if path.stem.startswith("_"):
            continue
        spec = importlib.util.spec_from_file_location(path.stem, path)
        if spec is None or spec.loader is None:
            continue
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)
        for name, value in vars(module).items():
            own = inspect.isfunction(value) and value.__module__ == path.stem
            if own and not name.startswith("_"):
                yield name, value


def _answer(message: dict[str, Any], tools: dict[str, Callable[..., Any]]) -> dict[str, Any]:
    parameters = message.get("params") or {}
    match message["method"]:
        case "initialize":
            info = {"name": "finetune-fsm tools folder", "version": "1"}
            asked = parameters.get("protocolVersion", VERSION)
            return _result(protocolVersion=asked, capabilities={"tools": {}}, serverInfo=info)
        case "ping":
            return _result()
        case "tools/list":
            return _result(tools=[description_of(name, tool) for name, tool in tools.items()])
        case "tools/call":
            tool = tools.get(str(parameters.get("name")))
            if tool is None:
                return _error(_BAD_PARAMETERS, f"there is no tool {parameters.get('name')!r}")
            text, failed = _called(tool, parameters.get("arguments") or {})
            return _result(content=[{"type": "text", "text": text}], isError=failed)
        case other:
            return _error(_NO_METHOD, f"there is no method {other!r}")


def _result(**fields: object) -> dict[str, Any]:
    return {"result": fields}


def _error(code: int, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


def _called(tool: Callable[..., Any], arguments: dict[str, Any]) -> tuple[str, bool]:
    try:
        found = tool(**arguments)
        if inspect.iscoroutine(found):
            found = asyncio.run(found)
        text = found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)
    except Exception as error:  # noqa: BLE001  # a tool may raise anything, and the model is told
        return f"{type(error).__name__}: {error}", True
    return text, False


def description_of(name: str, tool: Callable[..., Any]) -> dict[str, Any]:
    """Return what the tool *name* is listed as."""
    words = (inspect.getdoc(tool) or "").split("\n\n")[0]
    schema = schema_of(tool)
    return {"name": name, "description": " ".join(words.split()), "inputSchema": schema}


def schema_of(tool: Callable[..., Any]) -> dict[str, Any]:
    """Return the JSON Schema of *tool*'s arguments, from its annotations."""
    try:
        hints = typing.get_type_hints(tool)
    except (NameError, TypeError):
        hints = {}
    fields: dict[str, Any] = {}
    required: list[str] = []
    for name, parameter in inspect.signature(tool).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        fields[name] = _form(hints.get(name))
        if parameter.default is parameter.empty:
            required.append(name)
    return {
        "type": "object",
        "properties": fields,
        "required": required,
        "additionalProperties": False,
    }


def _form(hint: Any) -> dict[str, Any]:
    """Return the JSON Schema of one annotation; any value will do for one not known here."""
    if hint in _KINDS:
        return {"type": _KINDS[hint]}
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return {"enum": list(inner)}
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [_form(member) for member in inner]}
    if hint is list or origin is list:
        return {"type": "array", **({"items": _form(inner[0])} if inner else {})}
    if hint is dict or origin is dict:
        return {"type": "object"}
    return {}


if __name__ == "__main__":
    main()
