"""One check of one rollout: three outcomes and a sentence.

Text is compared after trimming both sides, as JavaScript trims. A variable that was never set
fails every check of it, ``not_contains`` too: a workflow that stopped saving must not pass. A
pattern that cannot be answered for is an error, which is neither passed nor failed.
"""

from __future__ import annotations

from typing import assert_never

from finetune_fsm.execution.rollout import Rollout
from finetune_fsm.scenarios.character_sets import SPACE
from finetune_fsm.scenarios.model import Assertion, AssertionResult, AssertionType, Verdict
from finetune_fsm.scenarios.patterns import Found, NotFound, Unanswered, search
from finetune_fsm.sinks import one_line

_SHOWN = 120
"""Characters of one value within a message."""


def judge(assertion: Assertion, rollout: Rollout) -> AssertionResult:
    """Return what *assertion* says of *rollout*. Pure, but for the process of `patterns`."""
    if assertion.type is AssertionType.STATE_REACHED:
        return _state_reached(assertion, rollout)
    actual = rollout.variables.get(assertion.target)
    if actual is None:
        message = f"{_named(assertion)} was never set"
        return AssertionResult(assertion, Verdict.FAILED, message)
    match assertion.type:
        case AssertionType.EQUALS:
            return _equals(assertion, actual)
        case AssertionType.CONTAINS | AssertionType.NOT_CONTAINS:
            return _matches(assertion, actual) if assertion.regex else _contains(assertion, actual)
        case AssertionType.REGEX:
            return _matches(assertion, actual)
        case _:
            assert_never(assertion.type)


def trimmed(text: str) -> str:
    """Return *text* without white space at its ends. Pure."""
    return text.strip(SPACE)


def _state_reached(assertion: Assertion, rollout: Rollout) -> AssertionResult:
    wanted = trimmed(assertion.value)
    path = " -> ".join(rollout.visited)
    if wanted in rollout.visited:
        message = f"state {_shown(wanted)} was reached"
        return AssertionResult(assertion, Verdict.PASSED, message, path)
    where = one_line(path, limit=2 * _SHOWN) or "nowhere"
    message = f"state {_shown(wanted)} was not reached; the run went {where}"
    return AssertionResult(assertion, Verdict.FAILED, message, path)


def _equals(assertion: Assertion, actual: str) -> AssertionResult:
    name, wanted, got = _named(assertion), trimmed(assertion.value), trimmed(actual)
    if got == wanted:
        message = f"{name} equals {_shown(wanted)}"
        return AssertionResult(assertion, Verdict.PASSED, message, actual)
    message = f"{name} is {_shown(got)}, not {_shown(wanted)}{_near_miss(wanted, got)}"
    return AssertionResult(assertion, Verdict.FAILED, message, actual)


def _near_miss(wanted: str, got: str) -> str:
    """Say what little *got* and *wanted* differ in, or nothing. Pure."""
    if wanted.casefold() == got.casefold():
        return "; only the letter case differs"
    if wanted.split() == got.split():
        return "; only the white space differs"
    if wanted and wanted in got:
        return "; there is more around it"
    return ""


def _contains(assertion: Assertion, actual: str) -> AssertionResult:
    wanted, got = trimmed(assertion.value), trimmed(actual)
    found = wanted in got
    if not assertion.case_sensitive:
        found = wanted.casefold() in got.casefold()
    return _presence(assertion, actual, _shown(wanted), found=found)


def _matches(assertion: Assertion, actual: str) -> AssertionResult:
    # "regex" takes its pattern as written, the others trim theirs, as in existing files.
    as_written = assertion.type is AssertionType.REGEX
    pattern = assertion.value if as_written else trimmed(assertion.value)
    answer = search(pattern, trimmed(actual), case_sensitive=assertion.case_sensitive or as_written)
    shown = f"the pattern {_shown(pattern)}"
    match answer:
        case Found(text):
            return _presence(assertion, actual, f"{shown} as {_shown(text)}", found=True)
        case NotFound():
            return _presence(assertion, actual, shown, found=False)
        case Unanswered(reason):
            message = f"{shown} gave no answer: {one_line(reason)}"
            return AssertionResult(assertion, Verdict.ERROR, message, actual)
        case _:
            assert_never(answer)


def _presence(assertion: Assertion, actual: str, what: str, *, found: bool) -> AssertionResult:
    wanted = assertion.type is not AssertionType.NOT_CONTAINS
    verb = "contains" if found else "does not contain"
    message = f"{_named(assertion)} {verb} {what}"
    if found is wanted:
        return AssertionResult(assertion, Verdict.PASSED, message, actual)
    case = ""
    if not found and not assertion.regex and assertion.type is AssertionType.CONTAINS:
        case = _other_case(assertion, actual)
    message = f"{message}; it is {_shown(trimmed(actual))}{case}"
    return AssertionResult(assertion, Verdict.FAILED, message, actual)


def _other_case(assertion: Assertion, actual: str) -> str:
    near = trimmed(assertion.value).casefold() in actual.casefold()
    return "; only the letter case differs" if near else ""


def _named(assertion: Assertion) -> str:
    return f"variable {_shown(assertion.target)}"


def _shown(text: str) -> str:
    return f"'{one_line(text, limit=_SHOWN)}'" if trimmed(text) else "empty"
