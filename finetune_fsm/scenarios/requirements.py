"""What an assertion asks for, in a sentence: for reports, and for models that shall repair.

A model takes what it is shown for a form to copy, so a pattern is never shown, only described.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from finetune_fsm.scenarios.model import Assertion, AssertionType

_SENTENCES: Mapping[AssertionType, str] = {
    AssertionType.EQUALS: "the answer must{no} be exactly: {value}",
    AssertionType.CONTAINS: "the answer must{no} contain: {value}{case}",
    AssertionType.NOT_CONTAINS: "the answer must{no} contain: {value}{case}",
    AssertionType.STARTS_WITH: "the answer must{no} begin with: {value}{case}",
    AssertionType.ENDS_WITH: "the answer must{no} end with: {value}{case}",
    AssertionType.ONE_OF: "the answer must{no} be one of these: {values}{case}",
    AssertionType.CONTAINS_ALL: "the answer must{no} contain all of these: {values}{case}",
    AssertionType.CONTAINS_ANY: "the answer must{no} contain any of these: {values}{case}",
    AssertionType.LENGTH: "the answer must{no} have {range} {unit}",
    AssertionType.NUMERIC: "the last number in the answer must{no} be {value}{tolerance}",
    AssertionType.SIMILARITY: "the answer must{no} read much like: {value}",
    AssertionType.IS_JSON: "the answer must{no} be JSON and nothing else{keys}",
    AssertionType.JSON_PATH: "the answer must be JSON that {has} {path}{equal}",
    AssertionType.LLM_RUBRIC: "the answer must{no} keep this rule: {value}",
    AssertionType.STATE_REACHED: "the run must{no} reach the state '{value}'",
    AssertionType.STATE_NOT_REACHED: "the run must{no} reach the state '{value}'",
    AssertionType.PATH: "the run must{no} visit {only}these states in this order: {values}",
    AssertionType.VISITS: "the run must{no} visit the state '{value}' {range} times",
    AssertionType.TOKENS: "the run must{no} take {range} tokens of the model",
    AssertionType.LLM_CALLS: "the run must{no} take {range} calls of the model",
    AssertionType.LATENCY: "the run must{no} take {range} seconds",
    AssertionType.TOOL_CALLED: "the tool '{value}' must{no} be called{times}",
    AssertionType.TOOL_NOT_CALLED: "the tool '{value}' must{no} be called",
    AssertionType.TOOL_ARGS: "the tool '{value}' must{no} be called with these arguments: "
    "{arguments}",
}

_SHOWN_KEYS = 12
"""Keys of a JSON Schema that a sentence names."""


def in_words(assertion: Assertion) -> str:
    """Return what *assertion* asks for, one sentence without a full stop. Pure."""
    if assertion.is_pattern or assertion.type not in _SENTENCES:
        return assertion.description or "the answer must have the required form"
    forbids = (
        AssertionType.NOT_CONTAINS,
        AssertionType.STATE_NOT_REACHED,
        AssertionType.TOOL_NOT_CALLED,
    )
    negated = assertion.negated is not (assertion.type in forbids)
    tolerance = assertion.tolerance
    return _SENTENCES[assertion.type].format(
        no=" not" if negated else "",
        value=assertion.value,
        values=", ".join(assertion.values),
        case="" if assertion.case_sensitive else " (in any letter case)",
        range=_range(assertion),
        times=f" {limits} times" if (limits := _range(assertion)) else "",
        arguments=assertion.arguments,
        unit=assertion.unit,
        tolerance=f", give or take {number(tolerance)}" if tolerance else "",
        only="only " if assertion.exact else "",
        keys=_keys(assertion.schema),
        has="lacks" if negated and not assertion.value else "has",
        path=f"'{assertion.path.removeprefix('$').removeprefix('.')}'",
        equal=_equal(assertion.value, negated=negated),
    )


def number(value: float) -> str:
    """Return *value* as a person writes it: whole numbers without a point. Pure."""
    return str(int(value)) if value == int(value) else str(value)


def _range(assertion: Assertion) -> str:
    least, most = assertion.least, assertion.most
    if least is not None and least == most:
        return f"exactly {number(least)}"
    parts = [
        *([] if least is None else [f"at least {number(least)}"]),
        *([] if most is None else [f"at most {number(most)}"]),
    ]
    return " and ".join(parts)


def _equal(value: str, *, negated: bool) -> str:
    if not value:
        return ""
    return f" other than {value}" if negated else f" as {value}"


def _keys(schema: str) -> str:
    """The keys that an object must have, with their types: its form, none of its contents."""
    try:
        rules = json.loads(schema) if schema else {}
    except ValueError:
        return ""
    known = rules.get("properties") if isinstance(rules, dict) else None
    if not isinstance(known, dict) or not known:
        return " of the required form" if schema else ""
    kinds = {key: part.get("type") for key, part in known.items() if isinstance(part, dict)}
    shown = [f"{key} ({kind})" if (kind := kinds.get(key)) else key for key in known]
    more = ", …" if len(shown) > _SHOWN_KEYS else ""
    return f", an object with: {', '.join(shown[:_SHOWN_KEYS])}{more}"
