"""The JSON Schemas, compiled once, and their complaints as `Problem`s.

The schemas are files of the package `finetune_fsm.schemas` (the repository's ``schemas/``), draft
2020-12, resolved offline by their URN. `jsonschema` is imported on first use: a command's help
must not pay for it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache
from heapq import nlargest
from importlib.resources import files
from itertools import islice
from typing import Any, cast

from finetune_fsm.errors import Path, Problem, Severity
from finetune_fsm.sinks import one_line

WORKFLOW = "workflow"
SUITE = "suite"

PROBLEM_LIMIT = 50
"""Problems of one kind that are told; nobody reads more, and each costs time to word."""

_EMPTY = "must not be empty"
_WORD_LIMIT = 100  # characters; nobody mistypes a longer word
_COMPARED = 20
_CLOSE = 0.6


@cache
def schema(name: str) -> Mapping[str, Any]:
    """Return the schema called *name*, such as ``workflow``, as plain data."""
    text = files("finetune_fsm.schemas").joinpath(f"{name}.schema.json").read_text("utf-8")
    loaded: Mapping[str, Any] = json.loads(text)
    return loaded


@cache
def _validator(name: str) -> Any:
    from jsonschema import Draft202012Validator, validators

    kind = validators.extend(Draft202012Validator, {"oneOf": _one_of})  # type: ignore[no-untyped-call]  # theirs
    rules = schema(name)
    return kind(_inlined(rules, rules.get("$defs", {})))


def _one_of(validator: Any, branches: Any, instance: Any, rules: Any) -> Iterator[Any]:
    """Check the one branch that the value's own type names, where that is known.

    To try all of twenty branches takes twenty times as long; what one has to say is the same.
    """
    from jsonschema import Draft202012Validator

    rule = rules.get("discriminator", {})
    kind = instance.get(rule.get("propertyName")) if isinstance(instance, Mapping) else None
    branch = rule["mapping"].get(kind) if rule and isinstance(kind, str) else None
    if branch is None:
        yield from Draft202012Validator.VALIDATORS["oneOf"](validator, branches, instance, rules)
    else:
        yield from validator.descend(instance, branches[branch], schema_path=branch)


def _inlined(part: Any, definitions: Mapping[str, Any]) -> Any:
    """Return *part* with every ``{"$ref": "#/$defs/x"}`` replaced by what it names. Pure.

    To look a reference up costs more than to check what it stands for, at each of thousands of
    items. A definition that leads to itself would never end; ours do not.
    """
    if isinstance(part, list):
        return [_inlined(item, definitions) for item in part]
    if not isinstance(part, dict):
        return part
    if set(part) == {"$ref"}:
        return _inlined(definitions[part["$ref"].removeprefix("#/$defs/")], definitions)
    return {key: _inlined(value, definitions) for key, value in part.items() if key != "$defs"}


def problems_in(document: object, name: str) -> tuple[Problem, ...]:
    """Return all that the schema called *name* has against *document*, causes first. Pure.

    A problem that only follows from another at the same place or above is left out, so that a
    wrong ``type`` is not buried under the fields that the wrong type would need. Beyond
    `PROBLEM_LIMIT` unknown keys, and as many other problems, the rest is left out with a word.
    """
    room = _Room()
    found = (p for e in _validator(name).iter_errors(document) for p in _problems(e, room))
    # Unknown keys have a room of their own: tolerated, they must not hide what is an error.
    unique: dict[tuple[Path, str], Problem] = {}
    others = 0
    for problem in found:
        others += problem.code != "unknown_key"
        if others > PROBLEM_LIMIT:
            room.left_out = room.left_out or problem.path
            break
        unique[problem.path, problem.message] = problem
    more = () if room.left_out is None else (_more(room.left_out),)
    return (*sorted(unique.values(), key=_order), *more)


@dataclass(slots=True)
class _Room:
    """How many more unknown keys are told, and where the first stands that is not."""

    keys: int = PROBLEM_LIMIT
    left_out: Path | None = None


def limited(problems: Iterable[Problem]) -> Iterator[Problem]:
    """Yield *problems* up to `PROBLEM_LIMIT`, then a last one that says that there are more.

    For problems that are all of one severity: an error behind many warnings would be lost. Pure.
    """
    waiting = iter(problems)
    yield from islice(waiting, PROBLEM_LIMIT)
    following = next(waiting, None)
    if following is not None:
        yield _more(following.path)


def _more(path: Path) -> Problem:
    message = f"more problems like these {PROBLEM_LIMIT} follow from here on"
    return Problem("more_problems", message, "correct these first", path, Severity.WARNING)


def check(document: object, rules: Mapping[str, Any]) -> tuple[Problem, ...]:
    """Return all that the schema *rules*, given as data, has against *document*. Pure."""
    from jsonschema import Draft202012Validator

    errors = Draft202012Validator(rules).iter_errors(document)
    return tuple(problem for error in errors for problem in _problems(error, _Room()))


class BadSchema(Exception):
    """A schema that a person wrote cannot be applied; says why."""


def flaw_in(rules: object) -> tuple[Path, str] | None:
    """Return where *rules* are no JSON Schema and why, or None. Pure."""
    from jsonschema import Draft202012Validator, FormatChecker
    from jsonschema.exceptions import SchemaError

    try:
        # its own idea of a pattern is Python's; who applies the schema has another
        Draft202012Validator.check_schema(cast("Any", rules), FormatChecker(formats=()))
    except SchemaError as error:
        return tuple(error.absolute_path), error.message
    return None


def checker(
    rules: object, matches: Callable[[str, str], bool]
) -> Callable[[object], Iterator[tuple[Path, str]]]:
    """Return what tells all that *rules*, which a person wrote, have against a document.

    It gives place and reason of each, raises `BadSchema`, and never asks the network.

    Args:
        rules: A JSON Schema, draft 2020-12.
        matches: Whether a pattern is found in a text; what it raises goes through.
    """
    from jsonschema import Draft202012Validator, ValidationError, validators
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    def pattern(validator: Any, wanted: Any, instance: Any, part: Any) -> Iterator[Any]:  # noqa: ARG001  # a keyword
        if isinstance(instance, str) and not matches(wanted, instance):
            yield ValidationError(f"{_shown(instance)} does not match {_shown(wanted)}")

    kind: Any = validators.extend(Draft202012Validator, {"pattern": pattern})  # type: ignore[no-untyped-call]  # theirs
    validator = kind(rules, registry=Registry())

    def complaints(document: object) -> Iterator[tuple[Path, str]]:
        try:
            for error in validator.iter_errors(document):
                yield tuple(error.absolute_path), error.message
        except (Unresolvable, RecursionError) as error:
            raise BadSchema("its references lead nowhere") from error
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise BadSchema(f"it is no JSON Schema: {error}") from error

    return complaints


def _order(problem: Problem) -> tuple[int, str, str]:
    return len(problem.path), problem.pointer, problem.message


def _problems(error: Any, room: _Room) -> list[Problem]:
    """Turn one jsonschema error into problems a person can act on."""
    path: Path = tuple(error.absolute_path)
    keyword = error.validator
    if keyword == "additionalProperties" and error.validator_value is False:
        return _unknown_keys(path, error, room)
    if keyword == "required":
        missing = [key for key in error.validator_value if key not in error.instance]
        return [_missing_key(path, key, error) for key in missing]
    if keyword == "oneOf" and "discriminator" in error.schema:
        return _discriminated(error, path, room)
    if keyword in ("oneOf", "anyOf") and error.context and "hint" not in error.schema:
        return _problems(_closest(error), room)
    if "propertyNames" in error.relative_schema_path:
        return [_bad_name(path, error)]
    message, hint = _wording(error)
    code = "empty_text" if message == _EMPTY else f"schema_{keyword}"
    return [Problem(code, message, hint, path)]


def _discriminated(error: Any, path: Path, room: _Room) -> list[Problem]:
    """Return the complaints of the one branch that the value's own type names.

    The annotation ``discriminator`` beside ``oneOf`` says which property tells the branches apart,
    the index of the branch for each of its values, and the branch when it is missing, if there is
    one. All other branches would only complain that the value is not of their type.
    """
    rule = error.schema["discriminator"]
    name, branches = rule["propertyName"], rule["mapping"]
    if not isinstance(error.instance, Mapping):
        return []  # the keyword "type" beside it says so already
    if name not in error.instance:
        if "default" not in rule:
            return [_missing_type(path, name, error, tuple(branches))]
        branch = rule["default"]
    else:
        given = error.instance[name]
        branch = branches.get(given) if isinstance(given, str) else None
        if branch is None:
            hint = suggestion(str(given), tuple(branches)) or f"one of: {', '.join(branches)}"
            message = f"{_shown(given)} is no known {name}"
            return [Problem("unknown_type", message, hint, (*path, name))]
    chosen = (e for e in error.context if e.relative_schema_path[0] == branch)
    return [problem for inner in chosen for problem in _problems(inner, room)]


def _missing_type(path: Path, name: str, error: Any, choices: Sequence[str]) -> Problem:
    meant = suggestion(name, [str(key) for key in error.instance]).removeprefix("did you mean ")
    hint = f"write '{name}' instead of {meant[:-1]}" if meant else ""
    choose = f"add '{name}:' with one of: {', '.join(choices)}"
    return Problem("missing_key", f"'{name}' is missing", hint or choose, path)


def _closest(error: Any) -> Any:
    from jsonschema.exceptions import relevance

    return max(error.context, key=relevance)


def _extra_keys(error: Any) -> list[str]:
    known = set(error.schema.get("properties", ()))
    return [key for key in error.instance if key not in known]


def _unknown_keys(path: Path, error: Any, room: _Room) -> list[Problem]:
    keys = _extra_keys(error)
    told = keys[: room.keys]
    room.keys -= len(told)
    if len(told) < len(keys) and room.left_out is None:
        room.left_out = (*path, keys[len(told)])
    return [_unknown_key(path, key, error.schema) for key in told]


def _unknown_key(path: Path, key: str, rules: Mapping[str, Any]) -> Problem:
    known = [name for name, about in rules.get("properties", {}).items() if "not" not in about]
    hint = suggestion(str(key), known) or f"known keys: {', '.join(known)}"
    where = f" in {rules['title']}" if "title" in rules else ""
    message = f"unknown key '{one_line(str(key), limit=60)}'{where}"
    return Problem("unknown_key", message, hint, (*path, key))


def _missing_key(path: Path, key: str, error: Any) -> Problem:
    about = error.schema.get("properties", {}).get(key, {})
    known = set(error.schema.get("properties", ()))
    unknown = [str(name) for name in error.instance if name not in known]
    meant = suggestion(key, unknown).removeprefix("did you mean ")[:-1]
    hint = f"write '{key}' instead of {meant}" if meant else about.get("hint") or f"add '{key}:'"
    return Problem("missing_key", f"'{key}' is missing", hint, path)


def _bad_name(path: Path, error: Any) -> Problem:
    name = error.instance
    wording = error.schema.get("problem", "{value} is no name for this")
    message = wording.replace("{value}", _shown(name))
    return Problem("bad_name", message, error.schema.get("hint", ""), (*path, name))


def _wording(error: Any) -> tuple[str, str]:
    hint = error.schema.get("hint", "")
    value = error.instance
    if error.validator == "type":
        return _type_wording(error, hint)
    if error.validator == "enum":
        return f"{_shown(value)} is not allowed here", hint or _enum_hint(value, error)
    if error.validator == "const":
        return f"must be {_shown(error.validator_value)}", hint
    if error.validator == "not":
        return error.schema.get("problem", f"{_shown(value)} is not allowed here"), hint
    if error.validator in ("minItems", "minProperties"):
        return f"needs at least {error.validator_value}, has {len(value)}", hint
    if error.validator in ("maxItems", "maxProperties"):
        return f"may have at most {error.validator_value}, has {len(value)}", hint
    if error.validator == "maxLength":
        limit = error.validator_value
        return f"may have at most {limit} characters, has {len(value)}", hint or "shorten it"
    if error.validator in ("minLength", "pattern"):
        empty = isinstance(value, str) and not value.strip()
        return _EMPTY if empty else f"{_shown(value)} is not allowed here", hint
    if error.validator in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
        bound = {"minimum": ">=", "maximum": "<=", "exclusiveMinimum": ">"}
        wanted = f"{bound.get(error.validator, '<')} {error.validator_value}"
        return f"must be {wanted}, is {_shown(value)}", hint
    return error.schema.get("problem", error.message[:300]), hint


def _type_wording(error: Any, hint: str) -> tuple[str, str]:
    names, value = error.validator_value, error.instance
    names = [names] if isinstance(names, str) else names
    message = f"must be {_kinds(names)}, not {_kind_of(value)}"
    if "string" in names and isinstance(value, bool | int | float):
        # The document no longer knows how a number was written: 1.10 is 1.1 by now.
        shown = "" if isinstance(value, float) else f': "{str(value).lower()}"'
        return message, f"put it in quotes{shown}"
    return message, hint


def _enum_hint(value: object, error: Any) -> str:
    choices = [str(choice) for choice in error.validator_value]
    return suggestion(str(value), choices) or f"one of: {', '.join(choices)}"


_KINDS = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "nothing",
}


def _kinds(names: Sequence[str]) -> str:
    return " or ".join(_KINDS[name] for name in names)


def _kind_of(value: object) -> str:
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return str(value).lower()
    for kind, name in ((str, "string"), (int, "integer"), (float, "number"), (Mapping, "object")):
        if isinstance(value, kind):
            return _KINDS[name]
    return _KINDS["array"]


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def suggestion(word: str, known: Sequence[str]) -> str:
    """Return ``did you mean 'x'?`` for the likeliest of *known*, or empty text. Pure."""
    if len(word) > _WORD_LIMIT:
        return ""
    close = _closest_word(word, known)
    if not close:
        lowered = {name.lower(): name for name in known}
        close = lowered.get(word.lower(), "")
    return f"did you mean '{close}'?" if close else ""


def _closest_word(word: str, known: Sequence[str]) -> str:
    """Return what `difflib.get_close_matches` would put first, or empty text.

    It compares with all that are half alike, which takes milliseconds among hundreds of similar
    names; here only with those that share the most letters.
    """
    matcher = SequenceMatcher()
    matcher.set_seq2(word)
    sharing: list[tuple[float, str]] = []
    for name in known:
        matcher.set_seq1(name)
        if matcher.real_quick_ratio() >= _CLOSE:
            sharing.append((matcher.quick_ratio(), name))
    ratios: list[tuple[float, str]] = []
    for most, name in nlargest(_COMPARED, sharing):
        if most < _CLOSE:
            break
        matcher.set_seq1(name)
        ratios.append((matcher.ratio(), name))
    best = max(ratios, default=(0.0, ""))
    return best[1] if best[0] >= _CLOSE else ""
