"""Each type of assertion against a plainer way to say the same."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from strategies import item_at, paths_in, plain_data, texts
from suites import assertions, rollouts

from finetune_fsm.codec import canonical
from finetune_fsm.execution.rollout import Rollout, RunError, RunStatus, Visit
from finetune_fsm.llm.base import Completion, Usage
from finetune_fsm.scenarios.assertions import judge, trimmed
from finetune_fsm.scenarios.evaluate import judge_rollout
from finetune_fsm.scenarios.json_checks import path_steps, same
from finetune_fsm.scenarios.model import Assertion, AssertionType, Scenario, Unit, Verdict
from finetune_fsm.scenarios.text_checks import COMPARED, likeness

small = st.text("aAbB ", max_size=5)
lists = st.lists(small, min_size=1, max_size=3).map(tuple)
states = st.sampled_from(["ask", "say", "end"])
ways = st.lists(states, max_size=5).map(tuple)
OPPOSITE = {"passed": "failed", "failed": "passed", "error": "error"}


def said(check: Assertion, text: str) -> Verdict:
    return judge(check, Rollout(RunStatus.COMPLETED, variables={"x": text})).verdict


def of(kind: str, value: str = "", **fields: Any) -> Assertion:
    return Assertion(AssertionType(kind), value, "x", **fields)


def went(check: Assertion, way: Sequence[str]) -> bool:
    rollout = Rollout(RunStatus.COMPLETED, visited=tuple(way))
    return judge(replace(check, target=""), rollout).verdict is Verdict.PASSED


@given(assertions(), rollouts(st.text("a1 tea{}[]", max_size=6) | texts()))
@settings(max_examples=100)
def test_a_negated_check_says_the_opposite_but_of_what_is_not_there(
    check: Assertion, rollout: Rollout
) -> None:
    plain = judge(replace(check, negated=False), rollout)
    turned = judge(replace(check, negated=True), rollout)
    missing = plain.actual is None
    assert turned.verdict == (plain.verdict if missing else OPPOSITE[plain.verdict])
    assert not missing or plain.verdict is Verdict.FAILED
    assert (turned.actual, turned.message[: len(plain.message)]) == (plain.actual, plain.message)


@given(small, small, st.booleans())
def test_a_text_has_the_ends_that_it_has(wanted: str, text: str, case: bool) -> None:
    bare, end = trimmed(text), trimmed(wanted)
    if not case:
        bare, end = bare.lower(), end.lower()
    starts = said(of("starts_with", wanted, case_sensitive=case), text)
    ends = said(of("ends_with", wanted, case_sensitive=case), text)
    assert (starts is Verdict.PASSED) == (bare[: len(end)] == end)
    assert (ends is Verdict.PASSED) == (bare[len(bare) - len(end) :] == end)


@given(lists, small, st.booleans())
@settings(max_examples=100)
def test_a_list_is_as_its_parts_one_by_one(values: tuple[str, ...], text: str, case: bool) -> None:
    there = [said(of("contains", v, case_sensitive=case), text) is Verdict.PASSED for v in values]
    equal = [
        said(of("equals", v if case else v.lower()), text if case else text.lower()) for v in values
    ]
    every = said(of("contains_all", values=values, case_sensitive=case), text)
    some = said(of("contains_any", values=values, case_sensitive=case), text)
    one = said(of("one_of", values=values, case_sensitive=case), text)
    assert (every is Verdict.PASSED) == all(there)
    assert (some is Verdict.PASSED) == any(there)
    assert (one is Verdict.PASSED) == (Verdict.PASSED in equal)


@given(st.integers(0, 6), st.integers(0, 6), st.integers(0, 6), st.sampled_from(["words", "lines"]))
def test_a_length_is_counted_in_its_unit(count: int, least: int, most: int, unit: str) -> None:
    text = {"words": " \n", "lines": "\n"}[unit].join(["ab"] * count)
    for name, size in ((unit, count), ("characters", len(text)), ("tokens", len(text) // 3 + 1)):
        check = of("length", least=float(least), most=float(most), unit=Unit(name))
        there = size if text else 0
        assert (said(check, f" {text}\n") is Verdict.PASSED) == (least <= there <= most)
        assert (said(replace(check, most=None), text) is Verdict.PASSED) == (least <= there)
        assert (said(replace(check, least=None), text) is Verdict.PASSED) == (there <= most)


decimals = st.decimals(-99_999, 99_999, places=2) | st.integers(-9_999_999, 9_999_999)


@given(
    decimals,
    decimals,
    st.sampled_from(["0", "0.01", "0.5", "100"]),
    st.sampled_from(["{}", "{:,}"]),
    st.sampled_from(["", "3 and ", "It is: ", "a=", "$", "(", "5-", "1.5, "]),
    st.sampled_from(["", ".", " kg", "%", ")", "!\n", ", I think", "e"]),
)
@settings(max_examples=100)
@example(3, 3, "0", "{}", "2-", "")
def test_the_last_number_is_held_against_the_wanted_one(
    number: Any, wanted: Any, tolerance: str, form: str, before: str, after: str
) -> None:
    assume(not (before == "5-" and number < 0))
    check = of("numeric", str(wanted), tolerance=float(tolerance))
    near = abs(Fraction(str(number)) - Fraction(str(wanted))) <= Fraction(tolerance)
    verdict = said(check, f"{before}{form.format(number)}{after}")
    assert (verdict is Verdict.PASSED) == near
    assert said(replace(check, value=str(number)), f"{form.format(number)}") is Verdict.PASSED


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1e3", "1000"),
        ("-.5", "-0.5"),
        ("\u22127", "-7"),
        ("v2.", "2"),
        ("1,2", "2"),
        ("12,3456", "3456"),
        ("10-3", "3"),
        ("(4)-5", "5"),
        ("1e999999999", "99999"),
    ],
)
def test_numbers_are_read_as_people_write_them(text: str, number: str) -> None:
    wanted = Verdict.FAILED if text == "1e999999999" else Verdict.PASSED
    assert said(of("numeric", number), text) is wanted
    assert said(of("numeric", "5"), "no number") is Verdict.FAILED
    assert said(of("numeric", "x"), text) is Verdict.ERROR


@given(texts(), texts(), st.floats(0.01, 1))
@settings(max_examples=80)
def test_likeness_decides_similarity_and_the_same_is_wholly_alike(
    one: str, other: str, threshold: float
) -> None:
    ratio = likeness(trimmed(one), trimmed(other))
    assert 0 <= ratio <= 1
    check = of("similarity", one, threshold=threshold)
    assert (said(check, other) is Verdict.PASSED) == (ratio >= threshold)
    assert said(replace(check, threshold=1.0), one) is Verdict.PASSED
    assert likeness(trimmed(other), trimmed(one)) == ratio
    assert likeness("abc" * 9, "xyz" * 9) == 0


@given(st.text("abc", max_size=7), st.text("abc", max_size=7))
@settings(max_examples=60)
def test_likeness_is_that_of_the_longest_common_subsequence(one: str, other: str) -> None:
    def longest(first: str, second: str) -> int:
        if not first or not second:
            return 0
        if first[0] == second[0]:
            return 1 + longest(first[1:], second[1:])
        return max(longest(first[1:], second), longest(first, second[1:]))

    both = len(one) + len(other)
    assert likeness(one, other) == (2 * longest(one, other) / both if both else 1)


def test_likeness_of_endless_repetition_is_found_in_no_time() -> None:
    started = time.process_time()
    assert likeness("a" * COMPARED + "b", "a" * COMPARED + "c") == 1
    assert likeness("ab" * COMPARED, "ba" * COMPARED) > 0.99
    assert time.process_time() - started < 2


schemas = st.sampled_from(
    [
        {"type": "object", "required": ["a"], "additionalProperties": {"type": "integer"}},
        {"type": "array", "items": {"enum": [1, "a", None]}, "maxItems": 2},
        {"anyOf": [{"type": "string", "pattern": "^a"}, {"type": ["number", "null"]}]},
        {"$defs": {"n": {"type": "boolean"}}, "items": {"$ref": "#/$defs/n"}},
        False,
    ]
)


@given(plain_data(), schemas, st.sampled_from(["", " ", "\n"]))
@settings(max_examples=100)
@example({"a": 1}, {"type": "object"}, "")
def test_json_of_a_form_is_what_jsonschema_says(document: Any, form: Any, around: str) -> None:
    text = f"{around}{json.dumps(document)}{around}"
    assert said(of("is_json"), text) is Verdict.PASSED
    fits = Draft202012Validator(form).is_valid(document)
    assert (said(of("is_json", schema=canonical(form)), text) is Verdict.PASSED) == fits


@pytest.mark.parametrize(
    "text", ["", "NaN", "{'a': 1}", "[1,]", "{} {}", "```json\n{}\n```", "[" * 9999, "01"]
)
def test_what_is_no_json_fails(text: str) -> None:
    assert said(of("is_json"), text) is Verdict.FAILED
    assert said(of("json_path", path="$"), text) is Verdict.FAILED


@pytest.mark.parametrize(
    "schema",
    [
        '{"$ref":"#"}',
        '{"$ref":"http://127.0.0.1:9/x"}',
        '{"$ref":"#/$defs/gone"}',
        '{"pattern":"(a+)+$"}',
        '{"pattern":"("}',
        '{"type":5}',
        "not json",
    ],
)
def test_a_schema_that_cannot_be_applied_is_an_error_and_asks_no_network(schema: str) -> None:
    assert said(of("is_json", schema=schema), json.dumps("a" * 40 + "!")) is Verdict.ERROR


@given(plain_data(), plain_data(), st.data())
@settings(max_examples=100)
def test_a_path_finds_what_stands_there(document: Any, other: Any, data: st.DataObject) -> None:
    places = [p for p in paths_in(document) if not any("'" in str(s) and '"' in str(s) for s in p)]
    place = data.draw(st.sampled_from(places or [()]))
    path = "$" + "".join(_step(step) for step in place)
    assert path_steps(path) == place
    found, text = item_at(document, place), json.dumps(document)
    assert said(of("json_path", path=path), text) is Verdict.PASSED
    assert said(of("json_path", canonical(found), path=path), text) is Verdict.PASSED
    verdict = said(of("json_path", canonical(other), path=path), text)
    assert (verdict is Verdict.PASSED) == same(found, other)
    assert said(of("json_path", path=f"{path}['no such key']"), text) is Verdict.FAILED


def _step(step: str | int) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    return f'["{step}"]' if "'" in step else f"['{step}']"


@given(plain_data(), plain_data())
@example(1, True)
@example([1.0], [1])
@example({"a": 0}, {"a": False})
def test_values_are_the_same_when_json_says_so(one: Any, other: Any) -> None:
    assert same(one, one)
    assert same(one, other) == Draft202012Validator({"const": other}).is_valid(one)


@pytest.mark.parametrize(
    "path", ["a..b", "$.", "$[", "$[a]", "a[*]", "$..a", "a b", "1a", "$[1.5]"]
)
def test_what_is_no_path_is_told(path: str) -> None:
    assert path_steps(path) is None
    assert said(of("json_path", path=path), "{}") is Verdict.ERROR


@given(states, ways, st.integers(0, 3), st.integers(0, 3))
def test_states_are_counted_among_those_visited(
    state: str, way: tuple[str, ...], least: int, most: int
) -> None:
    reached, unreached = of("state_reached", state), of("state_not_reached", f" {state} ")
    assert went(reached, way) == (state in way) != went(unreached, way)
    check = of("visits", state, least=float(least), most=float(most))
    assert went(check, way) == (least <= way.count(state) <= most)


@given(st.lists(states, min_size=1, max_size=3).map(tuple), ways)
@settings(max_examples=100)
@example(("ask", "ask"), ("ask",))
def test_a_path_is_a_part_of_the_way_in_order(
    wanted: tuple[str, ...], way: tuple[str, ...]
) -> None:
    def is_part(few: tuple[str, ...], many: tuple[str, ...]) -> bool:
        if not few or not many:
            return not few
        return is_part(few[1:] if few[0] == many[0] else few, many[1:])

    assert went(of("path", values=wanted), way) == is_part(wanted, way)
    assert went(of("path", values=wanted, exact=True), way) == (wanted == way)


def test_a_check_wants_the_states_without_which_it_fails() -> None:
    for kind in AssertionType:
        for negated in (False, True):
            for least in (None, 1.0):
                check = Assertion(
                    kind, "say", values=("ask", "say"), negated=negated, least=least, most=9.0
                )
                for state in check.wanted_states:
                    way = tuple(s for s in ("ask", "say", "end") if s != state)
                    assert not went(check, way)
                    assert state in check.states


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.booleans())), st.integers(0, 30))
def test_what_a_run_took_is_summed_and_what_was_kept_counts(
    spent: list[tuple[int, int, bool]], most: int
) -> None:
    completions = [Completion("a", read, written, cached=kept) for read, written, kept in spent]
    visits = tuple(Visit("ask", "prompt", usage=Usage.of(c)) for c in completions)
    rollout = Rollout(RunStatus.COMPLETED, visits, seconds=most + 0.5)
    tokens = sum(read + written for read, written, _ in spent)

    def verdict(kind: str, limit: float) -> Verdict:
        return judge(Assertion(AssertionType(kind), most=limit), rollout).verdict

    known = tokens or not spent
    wanted = ("passed" if tokens <= most else "failed") if known else "error"
    assert verdict("tokens", most) == wanted
    assert (verdict("llm_calls", most) is Verdict.PASSED) == (len(spent) <= most)
    assert verdict("latency", most) is Verdict.FAILED
    assert verdict("latency", most + 0.5) is Verdict.PASSED


verdicts = st.lists(
    st.tuples(st.integers(1, 30), st.sampled_from(["right", "wrong", "odd"])),
    min_size=1,
    max_size=4,
)


@given(verdicts, st.integers(1, 10), st.booleans())
@settings(max_examples=100)
@example([(7, "right"), (3, "wrong")], 7, True)
def test_a_scenario_passes_from_its_score_on_and_an_error_leaves_it_open(
    parts: list[tuple[int, str]], tenths: int, completed: bool
) -> None:
    checks = {
        "right": of("equals", "a"),
        "wrong": of("equals", "b"),
        "odd": of("regex", "("),
    }
    scenario = Scenario(
        "A",
        tuple(replace(checks[word], weight=tenth / 10) for tenth, word in parts),
        pass_score=tenths / 10,
    )
    error = None if completed else RunError("ask", "broken")
    status = RunStatus.COMPLETED if completed else RunStatus.FAILED
    result = judge_rollout(scenario, Rollout(status, variables={"x": "a"}, error=error))
    total = sum(tenth for tenth, _ in parts)
    sure = sum(tenth for tenth, word in parts if word == "right")
    open_ = sum(tenth for tenth, word in parts if word != "wrong")
    if not completed or open_ * 10 < tenths * total:
        wanted = "failed"
    else:
        wanted = "passed" if sure * 10 >= tenths * total else "error"
    assert result.verdict == wanted
    assert result.score == pytest.approx(sure / total)


@given(st.sampled_from(["^ab+c$", r"\d{4}", "(?<y>a)", "[a-z]+ing"]), st.booleans())
def test_a_requirement_never_shows_a_pattern(pattern: str, negated: bool) -> None:
    form = canonical({"properties": {"name": {"type": "string", "pattern": pattern}}})
    checks = [
        of("regex", pattern, negated=negated),
        of("contains", pattern, regex=True, negated=negated),
        of("not_contains", pattern, regex=True, negated=negated),
        of("is_json", schema=form, negated=negated),
    ]
    for check in checks:
        assert pattern not in check.requirement
    assert "name (string)" in checks[3].requirement


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (of("one_of", values=("a", "b")), "the answer must be one of these: a, b"),
        (of("starts_with", "a", negated=True), "the answer must not begin with: a"),
        (of("not_contains", "a", negated=True), "the answer must contain: a"),
        (of("contains", "a", case_sensitive=False), "must contain: a (in any letter case)"),
        (of("length", least=2.0, unit=Unit.WORDS), "the answer must have at least 2 words"),
        (of("length", least=2.0, most=2.0), "exactly 2 characters"),
        (of("numeric", "5", tolerance=0.5), "be 5, give or take 0.5"),
        (of("json_path", path="$.a[0]"), "JSON that has 'a[0]'"),
        (of("json_path", "5", path="a", negated=True), "JSON that has 'a' other than 5"),
        (of("json_path", path="a", negated=True), "JSON that lacks 'a'"),
        (of("state_not_reached", "say"), "the run must not reach the state 'say'"),
        (of("path", values=("a", "b"), exact=True), "visit only these states in this order: a, b"),
        (of("visits", "a", most=2.0), "visit the state 'a' at most 2 times"),
        (of("latency", most=2.5), "the run must take at most 2.5 seconds"),
        (of("equals", "{value} {no}"), "exactly: {value} {no}"),
    ],
)
def test_a_requirement_is_a_sentence(check: Assertion, words: str) -> None:
    assert words in check.requirement
