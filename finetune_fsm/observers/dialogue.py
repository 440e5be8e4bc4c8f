"""How a person is asked: three functions, so that a test or another program can answer."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from finetune_fsm.errors import InvalidDocument, Problem
from finetune_fsm.observers.lines import Line
from finetune_fsm.sinks import clean, one_line
from finetune_fsm.workflow.text import read_file

EDITORS = ("VISUAL", "EDITOR")
"""Environment variables that name an editor, the first one that is set."""


def show(line: Line) -> None:
    """Print *line* on standard output, safe for any terminal."""
    sys.stdout.write(f"{clean(line.text, limit=max(len(line.text), 1))}\n")
    sys.stdout.flush()


def in_editor(text: str) -> str | Problem:
    """Return what a person made of *text* in their editor, or why there is nothing.

    The editor is that of ``$VISUAL``, else ``$EDITOR``, else vi.
    """
    command = next(filter(None, (os.environ.get(name, "").strip() for name in EDITORS)), "vi")
    with tempfile.TemporaryDirectory(prefix="agentmech-") as folder:
        path = Path(folder, "draft.yaml")
        path.write_bytes(text.encode("utf-8"))
        try:
            done = subprocess.run([*shlex.split(command), str(path)], check=False)
            if done.returncode:
                return _failed(command, f"it ended with {done.returncode}")
            return read_file(path, file="the edited draft")
        except (OSError, ValueError) as error:
            return _failed(command, str(getattr(error, "strerror", None) or error))
        except InvalidDocument as error:
            return error.problems[0]


def _failed(command: str, reason: str) -> Problem:
    message = f"the editor '{one_line(command)}' did not do it: {one_line(reason)}"
    return Problem("no_editor", message, "name another one in $EDITOR")


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A person, as far as the program is concerned.

    Attributes:
        ask: Shows a prompt and returns the line typed. Raises EOFError when none will ever come,
            and KeyboardInterrupt or `Cancelled` when the person wants to stop.
        tell: Shows a line.
        edit: Lets the person edit a text; returns it, or why it could not be done.
    """

    ask: Callable[[str], str] = input
    tell: Callable[[Line], None] = show
    edit: Callable[[str], str | Problem] = in_editor
