"""Checks of a text that shall be JSON: that it is, what form it has, what stands where.

A schema and a path come from a person's test file, the text from a model: no reference leads out
of a schema, its patterns are searched like all others (`patterns`), and nothing here raises.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from itertools import islice

from finetune_fsm.errors import Path, Problem
from finetune_fsm.scenarios.model import Assertion, AssertionType, Verdict
from finetune_fsm.scenarios.patterns import Found, Unanswered, pattern_problem, search
from finetune_fsm.scenarios.text_checks import Said, said
from finetune_fsm.scenarios.wording import shown
from finetune_fsm.schema import BadSchema, checker, flaw_in
from finetune_fsm.sinks import one_line

_STEP = re.compile(r"\.?([^\W\d][\w-]*)|\[(-?\d{1,9})\]|\['([^']*)'\]|\[\"([^\"]*)\"\]")

_CLOSED = ("$dynamicRef", "$id", "$dynamicAnchor", "patternProperties")
_TOLD = 3
"""Complaints of a schema that a message holds."""


class _Unsearchable(Exception):
    """A pattern of a schema gave no answer."""


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is no JSON")


def read_json(text: str) -> tuple[bool, object]:
    """Return whether *text* is JSON, as RFC 8259 has it, and what it says. Pure."""
    try:
        return True, json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return False, None


def path_steps(path: str) -> tuple[str | int, ...] | None:
    """Return the keys and indices of *path*, or None when it is none. Pure.

    ``$.a[0]['b c']``: the ``$`` may be left out; ``[-1]`` is the last item.

    Source: RFC 9535, the singular queries, with names that hold hyphens.
    """
    rest = path.removeprefix("$")
    steps: list[str | int] = []
    while rest:
        match = _STEP.match(rest)
        if match is None:
            return None
        name, index, *quoted = match.groups()
        steps.append(int(index) if index else next(t for t in (name, *quoted) if t is not None))
        rest = rest[match.end() :]
    return tuple(steps)


def same(one: object, other: object) -> bool:
    """Whether two values are equal as JSON: 1 is 1.0, and true is not 1. Pure."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return one == other


def _is_json(assertion: Assertion, text: str) -> Said:
    reads, document = read_json(text)
    if not reads:
        return said(False, f"is no JSON{_fenced(text)}; it is {shown(text)}")
    if not assertion.schema:
        return said(True, "is JSON")
    try:
        complaints = list(islice(_complaints(assertion.schema, document), _TOLD))
    except (BadSchema, _Unsearchable) as error:
        return Verdict.ERROR, f"cannot be held against the schema: {one_line(str(error))}"
    if not complaints:
        return said(True, "is JSON of the wanted form")
    return said(False, f"is JSON of another form: {'; '.join(complaints)}")


def _fenced(text: str) -> str:
    return ", there is a code fence around it" if text.startswith("```") else ""


def _json_path(assertion: Assertion, text: str) -> Said:
    steps = path_steps(assertion.path)
    reads, wanted = read_json(assertion.value or "null")
    where = shown(assertion.path)
    if steps is None or not reads:
        return Verdict.ERROR, f"cannot be looked into: {where} is no path, or its value no JSON"
    reads, document = read_json(text)
    if not reads:
        return said(False, f"is no JSON{_fenced(text)}; it is {shown(text)}")
    found = list(_at(document, steps))
    if not found:
        return said(False, f"has nothing at {where}")
    got = shown(json.dumps(found[0], ensure_ascii=False))
    if not assertion.value:
        return said(True, f"has {got} at {where}")
    is_same = same(found[0], wanted)
    other = "" if is_same else f", not {shown(assertion.value)}"
    return said(is_same, f"has {got} at {where}{other}")


def _at(document: object, steps: tuple[str | int, ...]) -> Iterator[object]:
    """Yield what stands at *steps*, if there is something."""
    at = document
    for step in steps:
        in_list = isinstance(at, list) and isinstance(step, int) and -len(at) <= step < len(at)
        if not in_list and not (isinstance(at, dict) and isinstance(step, str) and step in at):
            return
        at = at[step]  # type: ignore[index]  # looked at above
    yield at


def _complaints(schema: str, document: object) -> Iterator[str]:
    """Yield what *schema* has against *document*; raises `BadSchema` and `_Unsearchable`."""
    for place, reason in _checker(schema)(document):
        where = "".join(f"[{json.dumps(step)}]" for step in place)
        yield one_line(f"{where or 'the whole'}: {reason}", limit=120)


@lru_cache(maxsize=32)
def _checker(schema: str) -> Callable[[object], Iterator[tuple[Path, str]]]:
    try:
        rules = json.loads(schema)
    except ValueError as error:
        raise BadSchema(f"it is no JSON: {error}") from error
    return checker(rules, _matches)


def _matches(pattern: str, text: str) -> bool:
    answer = search(pattern, text)
    if isinstance(answer, Unanswered):
        raise _Unsearchable(answer.reason)
    return isinstance(answer, Found)


def schema_problems(schema: object) -> Iterator[Problem]:
    """Yield why *schema*, plain data, cannot be used; the paths lead into it. Pure."""
    hint = "see json-schema.org, draft 2020-12"
    if flaw := flaw_in(schema):
        message = f"no JSON Schema: {one_line(flaw[1], limit=200)}"
        yield Problem("bad_schema", message, hint, flaw[0])
        return
    for path, key, value in _keywords(schema, ()):
        if key in _CLOSED:
            message = f"'{key}' is not supported here"
            yield Problem("bad_schema", message, "say it in another way", (*path, key))
        elif key == "$ref" and not _leads_inside(schema, value):
            message = f"the reference {shown(str(value))} leads nowhere in the schema"
            hint = "write '#/$defs/…', the place of a part of this schema"
            yield Problem("bad_schema", message, hint, (*path, key))
        elif key == "pattern" and (problem := pattern_problem(str(value))):
            yield Problem(problem.code, problem.message, problem.hint, (*path, key))


_NAMING = ("properties", "$defs", "definitions", "dependentSchemas")
_DATA = ("const", "enum", "default", "examples")


def _keywords(
    schema: object, path: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], str, object]]:
    """Yield every keyword of *schema* and of the schemas in it, with its place and value."""
    if isinstance(schema, list):
        for index, item in enumerate(schema):
            yield from _keywords(item, (*path, index))
    if not isinstance(schema, Mapping):
        return
    for key, value in schema.items():
        yield path, key, value
        if key in _NAMING and isinstance(value, Mapping):
            for name, part in value.items():
                yield from _keywords(part, (*path, key, name))
        elif key not in _DATA:
            yield from _keywords(value, (*path, key))


def _leads_inside(schema: object, reference: object) -> bool:
    if not isinstance(reference, str) or not reference.startswith("#"):
        return False
    at = schema
    for step in reference[1:].split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(at, Mapping) and name in at:
            at = at[name]
        elif isinstance(at, list) and name.isdecimal() and int(name) < len(at):
            at = at[int(name)]
        else:
            return False
    return reference[1:2] in ("", "/")


JSON_CHECKS: Mapping[AssertionType, Callable[[Assertion, str], Said]] = {
    AssertionType.IS_JSON: _is_json,
    AssertionType.JSON_PATH: _json_path,
}
