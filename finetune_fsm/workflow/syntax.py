"""What libyaml says about broken text, in words that help the person who wrote it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import yaml

from finetune_fsm.errors import Problem
from finetune_fsm.sinks import one_line

_QUOTE_BRACES = 'put the text in quotes: "{{name}}"'
_TAB = "indent with spaces: YAML allows no tab there"
_FENCE = "remove the ``` lines: the file must hold the YAML alone"
_COLON = 'put text that holds ": " in quotes, or write it as a block after "|"'

_KNOWN: tuple[tuple[str, str, str], ...] = (
    ("unexpected end of stream", "this quote is never closed", "add the closing quote"),
    (
        "mapping values are not allowed",
        "a second ': ' is not allowed on this line",
        _COLON,
    ),
    (
        "invalid Unicode character escape",
        "this escape is no character: half of a surrogate pair",
        "write the character itself",
    ),
    (
        "unknown escape character",
        "this escape is unknown in double quotes",
        r"write \\ for a backslash, or use single quotes",
    ),
    (
        "expected alphabetic or numeric character",
        "'*' and '&' at the beginning of a value have a meaning in YAML",
        "put text that begins with * or & in quotes",
    ),
    ("undefined alias", "this alias names an anchor that nothing defines", ""),
    (
        "expected comment or line break",
        "nothing may follow '|' or '>' on its line",
        "begin the text on the next line, indented",
    ),
    ("could not find expected ':'", "this line has no ': '", "write 'key: value'"),
    (
        "expected '-' indicator",
        "this line is no item of the list above",
        "begin it with '- ', or indent it like the key that it belongs to",
    ),
    (
        "expected ',' or",
        "this bracket is never closed, or a comma is missing",
        "close the bracket on the same line, or put the text in quotes",
    ),
    ("tab character", "a tab cannot indent", _TAB),
    (
        "did not find expected key",
        "this does not fit what stands before it",
        "check the indentation, and quotes around text with special characters",
    ),
    ("incompatible YAML", "this version of YAML is unknown", "remove the %YAML line"),
)


def complaint(error: yaml.YAMLError, text: str, *, file: str = "") -> Problem:
    """Return *error*, raised while *text* was read, as a problem with its place. Pure."""
    reason = str(getattr(error, "problem", "") or error)
    mark = getattr(error, "problem_mark", None)
    context = getattr(error, "context_mark", None)
    if context is not None and ("end of stream" in reason or "',' or" in reason):
        mark = context  # where the quote or bracket opens, not where the file ends
    line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
    lines = text.splitlines()
    message, hint = _clue(lines, line, column) or _wording(reason)
    return Problem("bad_yaml", message, hint, file=file, line=line, column=column)


def _wording(reason: str) -> tuple[str, str]:
    for words, message, hint in _KNOWN:
        if words in reason:
            return message, hint
    return f"this is not YAML: {one_line(reason)}", ""


def _clue(lines: Sequence[str], line: int, column: int) -> tuple[str, str] | None:
    """Return what the source line itself gives away, which says more than the parser does."""
    here = lines[line - 1] if 0 < line <= len(lines) else ""
    before = lines[line - 2] if 1 < line <= len(lines) + 1 else ""
    for found, message, hint in _CLUES:
        if found(here, before, column):
            return message, hint
    return None


_Test = Callable[[str, str, int], bool]


def _at(characters: str) -> _Test:
    return lambda here, _before, column: here[column - 1 : column] in set(characters)


def _cut_text(here: str, before: str, _column: int) -> bool:
    continued = here.startswith(" ") and not re.match(r"\s*([^\s:]+:\s|- )", here)
    return continued and re.search(r"\s#", before) is not None


_CLUES: tuple[tuple[_Test, str, str], ...] = (
    (
        lambda here, _before, _column: here.lstrip().startswith(("```", "~~~")),
        "this is a Markdown fence, not YAML",
        _FENCE,
    ),
    (
        lambda here, _before, _column: "\t" in here[: len(here) - len(here.lstrip())],
        "a tab cannot indent",
        _TAB,
    ),
    (
        lambda here, _before, _column: re.search(r"(:|-)\s+\{\{", here) is not None,
        "text that begins with {{ must stand in quotes",
        _QUOTE_BRACES,
    ),
    (
        _cut_text,
        "the line above ends at its ' #', and this one does not fit after it",
        "put text that holds ' #' in quotes, or write it as a block after '|'",
    ),
    (_at("`@%"), "text cannot begin with this character", "put the text in quotes"),
)
