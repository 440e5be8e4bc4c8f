"""Files of settings: what TOML says, checked against the options that there are. Pure.

``agentmech.toml`` holds settings at its top, ``pyproject.toml`` under ``[tool.agentmech]``. A key
is an option's long name, with ``-`` or ``_``; a table called like a command, such as
``[finetune]``, holds for that command alone and goes before the top. A key that nothing knows is
an error, with its line and what was likely meant.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import click

from finetune_fsm.cli import known
from finetune_fsm.errors import Problem
from finetune_fsm.schema import suggestion
from finetune_fsm.sinks import one_line

PYPROJECT = "pyproject.toml"
PYPROJECT_TABLE = ("tool", "agentmech")

_AT = re.compile(r"\(at line (\d+), column (\d+)\)")
_HEADER = re.compile(r"\s*\[\s*([^\[\]#]+?)\s*\]\s*(?:#.*)?")
_KEY = re.compile(r"\s*([\w\s.\"'-]+?)\s*=")


@dataclass(frozen=True, slots=True)
class Setting:
    """One value, and where it stands.

    Attributes:
        key: The option, as `known.key_of` calls it.
        value: As TOML has it, checked.
        line: 1-based; 0 when unknown.
    """

    key: str
    value: object
    line: int = 0


@dataclass(frozen=True, slots=True)
class Config:
    """A file of settings, read.

    Attributes:
        file: Its path, empty when there is none.
        tables: Settings by command; those for all commands under ``""``.
        problems: All that is wrong with it; whoever has some uses nothing of it.
    """

    file: str = ""
    tables: Mapping[str, tuple[Setting, ...]] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


def parse(text: str, file: str, *, within: tuple[str, ...] = ()) -> Config | None:
    """Return what the TOML *text* of *file* sets; None when it has no table *within*. Pure."""
    try:
        document: object = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        return Config(file, problems=(_broken(error, file),))
    for name in within:
        if not isinstance(document, Mapping) or name not in document:
            return None
        document = document[name]
    if not isinstance(document, Mapping):
        message = f"[{'.'.join(within)}] must be a table"
        return Config(file, problems=(Problem("bad_setting", message, file=file),))
    reading = _Reading(file, _lines_of(text), within)
    tables = {name: tuple(found) for name, found in reading.tables(document)}
    return Config(file, tables, tuple(reading.problems))


def _broken(error: Exception, file: str) -> Problem:
    at = _AT.search(str(error))
    message = one_line(_AT.sub("", str(error)).strip(), limit=200)
    line, column = (int(at[1]), int(at[2])) if at else (0, 0)
    hint = 'text stands in quotes: key = "value"'
    return Problem("bad_toml", f"is no TOML: {message}", hint, file=file, line=line, column=column)


class _Reading:
    """Turns a document into settings and keeps what is wrong with it."""

    def __init__(
        self, file: str, lines: Mapping[tuple[str, ...], int], within: tuple[str, ...]
    ) -> None:
        self.problems: list[Problem] = []
        self._file = file
        self._lines = lines
        self._within = within

    def tables(self, document: Mapping[str, object]) -> Iterator[tuple[str, list[Setting]]]:
        """Yield the settings for all commands, then those of each table."""
        commands = known.all_options()
        every: dict[str, list[click.Option]] = {}
        for options in commands.values():
            for key, option in options.items():
                every.setdefault(key, []).append(option)
        plain = {k: v for k, v in document.items() if not (k in commands and _is_table(v))}
        yield "", self._settings(plain, every, (), commands)
        for name, table in document.items():
            if name in commands and isinstance(table, Mapping):
                own = {key: [option] for key, option in commands[name].items()}
                yield name, self._settings(table, own, (name,), {})

    def _settings(
        self,
        table: Mapping[str, object],
        options: Mapping[str, list[click.Option]],
        path: tuple[str, ...],
        commands: Mapping[str, object],
    ) -> list[Setting]:
        found: dict[str, Setting] = {}
        for written, value in table.items():
            key = known.normal(written)
            where = (*path, written)
            if key in options and key not in known.IN_FILES:
                why = known.REASONS.get(key, "it is for the command line")
                self._wrong(where, f"'{key}' cannot be set in a file: {why}", _aloud(key))
            elif key not in options:
                hint = suggestion(key, [*options, *known.ALIASES, *commands])
                listed = f"one of: {', '.join(sorted(set(options) & known.IN_FILES))}"
                self._wrong(where, f"unknown key '{one_line(written)}'", hint or listed)
            elif key in found:
                self._wrong(where, f"'{key}' is set twice", "keep one of them")
            elif reason := _misfit(options[key], value):
                self._wrong(where, f"'{one_line(written)}' {one_line(reason)}", "")
            else:
                found[key] = Setting(key, value, self._line(where))
        return list(found.values())

    def _wrong(self, path: tuple[str, ...], message: str, hint: str) -> None:
        problem = Problem("bad_setting", message, hint, path, file=self._file)
        line = self._line(path)
        self.problems.append(
            Problem(problem.code, message, hint, path, file=self._file, line=line, column=1)
            if line
            else problem
        )

    def _line(self, path: tuple[str, ...]) -> int:
        return self._lines.get((*self._within, *path), 0)


def _is_table(value: object) -> bool:
    return isinstance(value, Mapping)


def _aloud(key: str) -> str:
    dashed = key.replace("_", "-")
    return f"say --{dashed} on the command line, or set {known.variable_of(key)}"


def _misfit(options: list[click.Option], value: object) -> str:
    """Why *value* is none of any of *options*; empty when it is one's."""
    reasons = []
    for option in options:
        try:
            known.converted(option, value)
        except ValueError as error:
            reasons.append(str(error))
        else:
            return ""
    return reasons[0]


def _lines_of(text: str) -> Mapping[tuple[str, ...], int]:
    """Return the line of each key, 1-based. Pure.

    Read with the eye of a person and not of a parser: lines within a text of several lines may be
    mistaken for keys, which makes a wrong line in a message and nothing else.
    """
    found: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.fullmatch(line):
            table = _dotted(header[1])
            found.setdefault(table, number)
        elif key := _KEY.match(line):
            found.setdefault((*table, *_dotted(key[1])), number)
    return found


def _dotted(text: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in text.split("."))
