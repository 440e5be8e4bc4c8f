"""Script files: YAML to the rules of a `ScriptedLLM`, or the one reason why not."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path as FilePath

from finetune_fsm.errors import InvalidDocument, LLMErrorKind, Path, Problem
from finetune_fsm.llm.base import Purpose, ToolCall
from finetune_fsm.llm.script_text import HINT, Parsed, Refused, parsed, text_of
from finetune_fsm.llm.scripted import FORMAT, Reply
from finetune_fsm.schema import suggestion
from finetune_fsm.sinks import one_line

PATTERN_LIMIT = 2_000
"""Characters of a pattern."""

LONGEST_WAIT = 3600.0
"""Seconds that a rule may wait."""

_CALL_HINT = "write {name: add, arguments: {a: 1}}"

_FIELDS = ("when", "purpose", "reply", "error", "once", "cut", "seconds", "tool_calls", "after")


def read(path: FilePath) -> tuple[Reply, ...]:
    """Return the rules of the script file at *path*, at least one.

    Raises:
        InvalidDocument: the file cannot be read or is no script; one problem, with its place.
    """
    file = str(path)
    try:
        return _Rules(parsed(text_of(path))).all()
    except Refused as error:
        message = f"no usable script: {error.message}"
        problem = Problem(
            "bad_script", message, error.hint, file=file, line=error.line, column=error.column
        )
        raise InvalidDocument((problem,)) from error


class _Rules:
    """Turns a document into rules."""

    def __init__(self, document: Parsed) -> None:
        self._parsed = document

    def all(self) -> tuple[Reply, ...]:
        """Return all rules; raises `Refused`."""
        document = self._parsed.document
        if not isinstance(document, Mapping) or document.get("format") != FORMAT:
            raise Refused(f"expected 'format: {FORMAT}'", self._parsed.place(("format",)))
        unknown = [key for key in document if key not in ("format", "replies")]
        if unknown:
            raise self._refused(
                f"unknown key '{one_line(unknown[0], limit=60)}'", (unknown[0],), HINT
            )
        rules = document.get("replies")
        if not isinstance(rules, list) or not rules:
            raise self._refused(
                "'replies' must be a list with at least one rule", ("replies",), HINT
            )
        return tuple(self._rule(rule, ("replies", index)) for index, rule in enumerate(rules))

    def _rule(self, rule: object, path: Path) -> Reply:
        if not isinstance(rule, Mapping):
            raise self._refused(
                f"a rule must be a mapping, not {one_line(repr(rule), limit=60)}", path
            )
        for key in rule:
            if key not in _FIELDS:
                hint = suggestion(key, _FIELDS) or f"known keys: {', '.join(_FIELDS)}"
                raise self._refused(f"unknown key '{one_line(key, limit=60)}'", (*path, key), hint)
        reply = rule.get("reply", "")
        purpose, error = self._word(rule, "purpose", path), self._word(rule, "error", path)
        return Reply(
            reply=reply if isinstance(reply, str) else json.dumps(reply, ensure_ascii=False),
            when=tuple(self._patterns(rule.get("when"), (*path, "when"))),
            purpose=Purpose(purpose) if purpose else None,
            error=LLMErrorKind(error) if error else None,
            once=self._flag(rule, "once", path),
            cut=self._flag(rule, "cut", path),
            seconds=self._seconds(rule.get("seconds"), (*path, "seconds")),
            tool_calls=tuple(self._calls(rule.get("tool_calls"), (*path, "tool_calls"))),
            after=self._tool(rule.get("after"), (*path, "after")),
        )

    def _calls(self, calls: object, path: Path) -> Iterator[ToolCall]:
        if calls is not None and not isinstance(calls, list):
            raise self._refused("'tool_calls' is a list of calls", path, _CALL_HINT)
        for index, call in enumerate(calls or ()):
            place = (*path, index)
            if not isinstance(call, Mapping) or not call.keys() <= {"name", "arguments"}:
                raise self._refused("a call has a name and arguments", place, _CALL_HINT)
            arguments = call.get("arguments", {})
            if not call.get("name") or not isinstance(arguments, Mapping):
                raise self._refused("a call has a name and arguments", place, _CALL_HINT)
            yield ToolCall(self._tool(call["name"], (*place, "name")), arguments)

    def _tool(self, name: object, path: Path) -> str:
        if name is None or isinstance(name, str):
            return name or ""
        raise self._refused("the name of a tool is text", path, "put it in quotes")

    def _patterns(self, when: object, path: Path) -> Iterator[str]:
        listed = when if isinstance(when, list) else [] if when is None else [when]
        for index, pattern in enumerate(listed):
            place = (*path, index) if isinstance(when, list) else path
            if not isinstance(pattern, str):
                raise self._refused(
                    "'when' is a pattern or a list of patterns", place, "put it in quotes"
                )
            if len(pattern) > PATTERN_LIMIT:
                message = f"a pattern has {len(pattern)} characters, more than {PATTERN_LIMIT}"
                raise self._refused(message, place, "shorten it")
            if reason := _why_not(pattern):
                raise self._refused(f"not a pattern: {one_line(reason)}", place, "see Python's re")
            yield pattern

    def _word(self, rule: Mapping[str, object], key: str, path: Path) -> str:
        value = rule.get(key)
        kinds: type[StrEnum] = Purpose if key == "purpose" else LLMErrorKind
        known = [str(kind) for kind in kinds]
        if value is None or (isinstance(value, str) and value in known):
            return value or ""
        hint = suggestion(str(value), known) or f"one of: {', '.join(known)}"
        raise self._refused(f"'{one_line(str(value), limit=60)}' is no {key}", (*path, key), hint)

    def _flag(self, rule: Mapping[str, object], key: str, path: Path) -> bool:
        value = rule.get(key)
        if value is None or isinstance(value, bool):
            return value is True
        raise self._refused(f"'{key}' must be true or false", (*path, key), "without quotes")

    def _seconds(self, value: object, path: Path) -> float:
        if value is None:
            return 0.0
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not 0 <= float(str(value)) <= LONGEST_WAIT:
            raise self._refused(f"'seconds' must be a number from 0 to {LONGEST_WAIT:g}", path, "")
        return float(str(value))

    def _refused(self, message: str, path: Path, hint: str = HINT) -> Refused:
        return Refused(message, self._parsed.place(path), hint)


def _why_not(pattern: str) -> str:
    """Return why *pattern* cannot be searched for, or empty text."""
    try:
        with warnings.catch_warnings():  # on patterns that will mean something else some day
            warnings.simplefilter("ignore")
            re.compile(pattern, re.DOTALL)  # as it will be searched, so that it is kept
    except (re.error, RecursionError, OverflowError) as error:
        return str(error)
    return ""
