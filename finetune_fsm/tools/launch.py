"""How each kind of tool server is started: command, environment, folder, patience.

=============  ====================================================================================
kind           started as
=============  ====================================================================================
``command``    the command with its arguments
``npx``        ``npx -y PACKAGE ARGS``
custom-tools   our bridge, in Node for a folder of ``.js`` files, in Python for one of ``.py`` files
=============  ====================================================================================

A server gets a few variables of ours (`INHERITED`), without which most programs do not run, and
those of its ``env``. Keys and tokens of ours are not its business.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from finetune_fsm.errors import ToolError
from finetune_fsm.sinks import one_line
from finetune_fsm.tools.contents import tools_folder
from finetune_fsm.tools.model import Specification
from finetune_fsm.workflow.outline import list_at, mapping_at, text_at

INHERITED = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "TMPDIR", "TZ", "LANG", "LC_ALL"),
        *("LC_CTYPE", "VIRTUAL_ENV", "SYSTEMROOT", "SYSTEMDRIVE", "APPDATA", "LOCALAPPDATA"),
        *("USERPROFILE", "USERNAME", "HOMEDRIVE", "HOMEPATH", "TEMP", "TMP", "PATHEXT", "COMSPEC"),
    }
)
"""Variables of ours that every server gets; on Windows their names come in capitals."""

FETCHING = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "NODE_EXTRA_CA_CERTS"})
"""Those that npx gets too: it may have to fetch the package. And those of npm's settings."""

START_SECONDS = 30.0
"""Until a server has listed its tools."""

FETCH_SECONDS = 180.0
"""The same for npx, which may fetch the package first."""

CALL_SECONDS = 120.0
"""For one call of a tool."""


@dataclass(frozen=True, slots=True)
class Launch:
    """All that it takes to start a server.

    Attributes:
        name: What people call it.
        command: Program and arguments.
        env: Its whole environment.
        folder: Where it starts.
        start_seconds: Until it must have listed its tools.
        call_seconds: Until it must have answered a call.
    """

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str]
    folder: Path
    start_seconds: float = START_SECONDS
    call_seconds: float = CALL_SECONDS


def launch_of(wanted: Specification, environment: Mapping[str, str] = os.environ) -> Launch:
    """Return how *wanted* is started.

    Args:
        wanted: The server.
        environment: Ours.

    Raises:
        ToolError: there is no such program, package or folder.
    """
    document = wanted.document
    kind = text_at(document, "type")
    args = tuple(str(item) for item in list_at(document, "args"))
    env = {name: value for name, value in environment.items() if name.upper() in INHERITED}
    patience = START_SECONDS
    if kind == "npx":
        env |= {name: value for name, value in environment.items() if _is_for_npm(name)}
        command = ("npx", "-y", text_at(document, "package") or "", *args)
        patience = FETCH_SECONDS
    elif kind == "custom-tools":
        command = _bridge(wanted)
    else:
        command = (text_at(document, "command") or "", *args)
    env |= {name: str(value) for name, value in mapping_at(document, "env").items()}
    program = _program(command[0], wanted.folder, env)
    return Launch(wanted.name, (program, *command[1:]), env, wanted.folder, patience)


def _is_for_npm(name: str) -> bool:
    return name.upper() in FETCHING or name.lower().startswith("npm_config_")


def _bridge(wanted: Specification) -> tuple[str, ...]:
    folder = tools_folder(wanted)
    if not folder.is_dir():
        raise ToolError(f"there is no folder {one_line(str(folder))}")
    here = Path(__file__).parent
    kinds = {entry.suffix for entry in folder.iterdir() if entry.is_file()}
    python, node = ".py" in kinds, bool(kinds & {".js", ".mjs", ".cjs"})
    if python and node:
        raise ToolError(f"{one_line(str(folder))} holds .js and .py files; give each a folder")
    if python:
        return (sys.executable, "-P", "-B", str(here / "python_bridge.py"), str(folder))
    if node:
        return ("node", str(here / "node_bridge.mjs"), str(folder))
    raise ToolError(f"{one_line(str(folder))} holds no .js and no .py files")


def _program(name: str, folder: Path, env: Mapping[str, str]) -> str:
    """The program's whole path: one with a slash is beside the workflow, others on the path."""
    if os.sep in name or (os.altsep and os.altsep in name):
        place = folder / name
        if not place.is_file():
            raise ToolError(f"there is no program {one_line(str(place))}")
        return str(place)
    found = shutil.which(name, path=env.get("PATH"))
    if found is None:
        hint = " — install Node.js, which has it" if name in ("npx", "node") else ""
        raise ToolError(f"there is no program '{one_line(name)}' on the path{hint}")
    return found
