"""Problems as people read them, with the line and a caret, and as programs do."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from finetune_fsm.errors import Problem
from finetune_fsm.sinks import clean, known, one_line

WINDOW = 96
"""Characters of a source line that are shown."""

_SIZE_LIMIT = 4_000_000  # bytes of a file that are read again for its lines


def as_text(problem: Problem, *, source: str | None = None) -> str:
    """Return *problem* in one line, and below it the line it means with a caret.

    Args:
        problem: The problem.
        source: The text it is about; read from its file without.
    """
    shown = replace(problem, file=one_line(problem.file, limit=1000))
    head = one_line(str(shown), limit=2000)
    lines = _split(source) if source is not None else _lines(problem.file)
    if not 0 < problem.line <= len(lines):
        return head
    return "\n".join((head, *excerpt(lines[problem.line - 1], problem.line, problem.column)))


def excerpt(line: str, number: int, column: int) -> tuple[str, str]:
    """Return *line* with its *number*, and a caret under *column*, both 1-based. Pure.

    A long line is shown from somewhat before the column on.
    """
    at = min(max(column, 1) - 1, len(line))
    before, line = known().mask(line[:at]), known().mask(line)
    at = min(len(before), len(line))  # where no secret was hidden, the same
    start = 0 if at < WINDOW - 20 else at - WINDOW // 2
    cut = "…" if start else ""
    before = cut + clean(line[start:at].replace("\t", " "))
    rest = clean(line[at : start + WINDOW].replace("\t", " "))
    margin = f"{number:>5} | "
    caret = " " * (len(margin) - 2) + "| " + " " * _width(before) + "^"
    return f"{margin}{before}{rest}".rstrip(), caret


def _width(text: str) -> int:
    """Columns that *text*, which is clean, takes on a screen."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.combining(c) > 0 for c in text)


@lru_cache(maxsize=4)
def _split(source: str) -> tuple[str, ...]:
    return tuple(source.splitlines())


@lru_cache(maxsize=4)
def _lines(file: str) -> tuple[str, ...]:
    path = Path(file)
    try:
        if not file or not path.is_file() or path.stat().st_size > _SIZE_LIMIT:
            return ()
        text = path.read_text("utf-8-sig", "replace")
    except (OSError, ValueError):
        return ()
    return tuple(text.replace("\r\n", "\n").split("\n"))


def as_data(problem: Problem) -> Mapping[str, object]:
    """Return *problem* as plain data; the path is a JSON Pointer."""
    # Secrets are hidden before the pointer changes their slashes.
    steps = (known().mask(step) if isinstance(step, str) else step for step in problem.path)
    return {
        "severity": problem.severity.value,
        "code": problem.code,
        "file": problem.file,
        "path": replace(problem, path=tuple(steps)).pointer,
        "message": problem.message,
        "hint": problem.hint,
        "line": problem.line,
        "column": problem.column,
    }
