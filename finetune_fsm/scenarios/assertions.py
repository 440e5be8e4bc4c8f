"""One check of one rollout: three outcomes and a sentence.

Text is compared after trimming both sides, as JavaScript trims. A variable that was never set
fails every check of it, ``not_contains`` too: a workflow that stopped saving must not pass. A
pattern that cannot be answered for is an error, which is neither passed nor failed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from finetune_fsm.execution.rollout import Rollout
from finetune_fsm.scenarios.json_checks import JSON_CHECKS
from finetune_fsm.scenarios.model import Assertion, AssertionResult, AssertionType, Verdict
from finetune_fsm.scenarios.patterns import Found, NotFound, Unanswered, search
from finetune_fsm.scenarios.rubric import rubric_check
from finetune_fsm.scenarios.run_checks import RUN_CHECKS
from finetune_fsm.scenarios.text_checks import TEXT_CHECKS, bare
from finetune_fsm.scenarios.wording import shown
from finetune_fsm.sinks import one_line

_CHECKS = {**TEXT_CHECKS, **JSON_CHECKS}
_OPPOSITE = {
    Verdict.PASSED: Verdict.FAILED,
    Verdict.FAILED: Verdict.PASSED,
    Verdict.ERROR: Verdict.ERROR,
}


def judge(assertion: Assertion, rollout: Rollout) -> AssertionResult:
    """Return what *assertion* says of *rollout*. Pure, but for the process of `patterns`.

    One that is negated turns passed and failed round, but where there is nothing to look at.
    """
    found = _judged(assertion, rollout)
    if not assertion.negated or found.actual is None:
        return found
    verdict = _OPPOSITE[found.verdict]
    must = ", which must not be" if verdict is Verdict.FAILED else ""
    return replace(found, verdict=verdict, message=f"{found.message}{must}")


def _judged(assertion: Assertion, rollout: Rollout) -> AssertionResult:
    if assertion.type in RUN_CHECKS:
        verdict, fact, seen = RUN_CHECKS[assertion.type](assertion, rollout)
        return AssertionResult(assertion, verdict, fact, seen)
    actual = rollout.variables.get(assertion.target)
    if actual is None:
        message = f"{_named(assertion)} was never set"
        return AssertionResult(assertion, Verdict.FAILED, message)
    if assertion.type is AssertionType.LLM_RUBRIC:
        verdict, fact = rubric_check(assertion, rollout)
        return AssertionResult(assertion, verdict, f"{_named(assertion)} {fact}", actual)
    if assertion.type in _CHECKS:
        verdict, fact = _CHECKS[assertion.type](assertion, bare(actual))
        return AssertionResult(assertion, verdict, f"{_named(assertion)} {fact}", actual)
    if assertion.type is AssertionType.EQUALS:
        return _equals(assertion, actual)
    return _matches(assertion, actual) if assertion.is_pattern else _contains(assertion, actual)


def trimmed(text: str) -> str:
    """Return *text* without white space at its ends. Pure."""
    return bare(text)


def _equals(assertion: Assertion, actual: str) -> AssertionResult:
    name, wanted, got = _named(assertion), trimmed(assertion.value), trimmed(actual)
    if got == wanted:
        message = f"{name} equals {shown(wanted)}"
        return AssertionResult(assertion, Verdict.PASSED, message, actual)
    message = f"{name} is {shown(got)}, not {shown(wanted)}{_near_miss(wanted, got)}"
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
    return _presence(assertion, actual, shown(wanted), found=found)


def _matches(assertion: Assertion, actual: str) -> AssertionResult:
    # "regex" takes its pattern as written, the others trim theirs, as in existing files.
    as_written = assertion.type is AssertionType.REGEX
    pattern = assertion.value if as_written else trimmed(assertion.value)
    answer = search(pattern, trimmed(actual), case_sensitive=assertion.case_sensitive or as_written)
    named = f"the pattern {shown(pattern)}"
    match answer:
        case Found(text):
            return _presence(assertion, actual, f"{named} as {shown(text)}", found=True)
        case NotFound():
            return _presence(assertion, actual, named, found=False)
        case Unanswered(reason):
            message = f"{named} gave no answer: {one_line(reason)}"
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
    message = f"{message}; it is {shown(trimmed(actual))}{case}"
    return AssertionResult(assertion, Verdict.FAILED, message, actual)


def _other_case(assertion: Assertion, actual: str) -> str:
    near = trimmed(assertion.value).casefold() in actual.casefold()
    return "; only the letter case differs" if near else ""


def _named(assertion: Assertion) -> str:
    return f"variable {shown(assertion.target)}"
