"""One assertion from the plain data of a test file, and back. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import cast

from finetune_fsm.codec import canonical
from finetune_fsm.scenarios.model import Assertion, AssertionType, Unit

ASSERTION_KEYS = frozenset(
    {
        *("target", "value", "values", "case_sensitive", "regex", "not", "weight", "min", "max"),
        *("unit", "tolerance", "threshold", "schema", "path", "states", "state", "exact"),
        *("model", "tool", "arguments"),
    }
)
"""Keys that change what an assertion of some type says."""

TOOL_TYPES = (AssertionType.TOOL_CALLED, AssertionType.TOOL_NOT_CALLED, AssertionType.TOOL_ARGS)

_DEFAULT = Assertion(AssertionType.EQUALS)


def assertion_of(item: Mapping[str, object]) -> Assertion:
    """Return the assertion that *item*, valid by the schema, describes."""
    kind = AssertionType(str(item["type"]))
    many = cast("Sequence[str]", item.get("values") or item.get("states") or ())
    return Assertion(
        type=kind,
        value=_value(kind, item),
        target=str(item.get("target", "")),
        case_sensitive=item.get("case_sensitive") is not False,
        regex=item.get("regex") is True,
        description=str(item.get("description") or ""),
        negated=item.get("not") is True,
        weight=_number(item, "weight", _DEFAULT.weight),
        values=tuple(many),
        schema=canonical(item["schema"]) if "schema" in item else "",
        path=str(item.get("path", "")),
        least=_number(item, "min", 0.0) if "min" in item else None,
        most=_number(item, "max", 0.0) if "max" in item else None,
        unit=Unit(str(item.get("unit", _DEFAULT.unit))),
        tolerance=_number(item, "tolerance", _DEFAULT.tolerance),
        threshold=_number(item, "threshold", _DEFAULT.threshold),
        exact=item.get("exact") is True,
        model=str(item.get("model", "")),
        arguments=canonical(item["arguments"]) if "arguments" in item else "",
    )


def _value(kind: AssertionType, item: Mapping[str, object]) -> str:
    if kind is AssertionType.VISITS:
        return str(item["state"])
    if kind in TOOL_TYPES:
        return str(item["tool"])
    if kind is AssertionType.JSON_PATH:
        return canonical(item["value"]) if "value" in item else ""
    return str(item.get("value", ""))


def _number(item: Mapping[str, object], key: str, default: float) -> float:
    return float(cast("float", item.get(key, default)))


def document_of(assertion: Assertion) -> dict[str, object]:
    """Return what `assertion_of` reads as *assertion*; what is as usual is left out."""
    kind = assertion.type
    fields: dict[str, object] = {"type": str(kind)}
    if assertion.target:
        fields["target"] = assertion.target
    fields |= _own(assertion)
    for key, value, usual in (
        ("case_sensitive", assertion.case_sensitive, True),
        ("regex", assertion.regex, False),
        ("unit", str(assertion.unit), str(_DEFAULT.unit)),
        ("tolerance", assertion.tolerance, _DEFAULT.tolerance),
        ("threshold", assertion.threshold, _DEFAULT.threshold),
        ("exact", assertion.exact, False),
        ("model", assertion.model, ""),
        ("not", assertion.negated, False),
        ("weight", assertion.weight, _DEFAULT.weight),
        ("description", assertion.description, ""),
    ):
        if value != usual:
            fields[key] = _plain(value)
    return fields


def _own(assertion: Assertion) -> Mapping[str, object]:
    """The fields that say what is wanted."""
    tells = _of_tool if assertion.type in TOOL_TYPES else _wanted
    found = dict(tells(assertion))
    for key, bound in (("min", assertion.least), ("max", assertion.most)):
        if bound is not None:
            found[key] = _plain(bound)
    return found


def _of_tool(assertion: Assertion) -> Mapping[str, object]:
    arguments = {"arguments": json.loads(assertion.arguments)} if assertion.arguments else {}
    return {"tool": assertion.value, **arguments}


def _wanted(assertion: Assertion) -> Mapping[str, object]:
    found: dict[str, object] = {}
    if assertion.type is AssertionType.VISITS:
        found["state"] = assertion.value
    elif assertion.type is AssertionType.PATH:
        found["states"] = list(assertion.values)
    elif assertion.values:
        found["values"] = list(assertion.values)
    elif assertion.type is AssertionType.JSON_PATH:
        found["path"] = assertion.path
        found |= {"value": json.loads(assertion.value)} if assertion.value else {}
    elif assertion.type is AssertionType.NUMERIC:
        found["value"] = json.loads(assertion.value)
    elif assertion.type is AssertionType.IS_JSON:
        found |= {"schema": json.loads(assertion.schema)} if assertion.schema else {}
    elif assertion.least is None and assertion.most is None:
        found["value"] = assertion.value
    return found


def _plain(value: object) -> object:
    """Whole numbers without a point: a count of 3.0 is none."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
