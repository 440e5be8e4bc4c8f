"""Perturbed inputs: another look, the same meaning, the same tests."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from flaws import contains, reached, scenario, workflow
from hypothesis import example, given
from hypothesis import strategies as st
from strategies import texts
from suites import suites

from finetune_fsm.improve.goals.goal import Goal, GoalKind
from finetune_fsm.improve.goals.measures import measure
from finetune_fsm.improve.goals.perturbed import FILLERS, Kind, perturbations, perturbed
from finetune_fsm.llm.scripted import Reply, ScriptedLLM
from finetune_fsm.scenarios.evaluate import run_suite
from finetune_fsm.scenarios.model import Assertion, AssertionType, Scenario, Suite

SEEDS = st.integers(0, 20)
PIECES = (
    "Where", "is", "my", "order", "4711?", "I", "would", "like", "a", "refund,", "please.", "Alice",
    "asked", "'keep this'", '"and this one"', "\u201cquoted words\u201d", "3.5", "a1", "me@x.org",
    "printer", "yesterday!", "The", "colour", "stra\u00dfe", "\u0130stanbul", "你好", "nothing",
    '{"a": 1}', "don't", "well-known", "U.S.", "...", "don\u2019t", "`code here`", "one\ntwo",
)  # fmt: skip
QUOTED = ("'keep this'", '"and this one"', "\u201cquoted words\u201d", "`code here`")
VALUES = ("refund", "Alice", "my order", "4711", "ie", "nothing", "please", "AND THIS", "a", "not")


@st.composite
def asking(draw: st.DrawFn) -> Suite:
    """Scenarios with inputs of words, numbers, quotes and names, and checks for some of them."""
    found = []
    for number in range(draw(st.integers(1, 4))):
        pieces = draw(st.lists(st.sampled_from(PIECES), min_size=1, max_size=12))
        inputs = {"ask": " ".join(pieces), "more": draw(st.sampled_from(("yes", "", "Bob", "7")))}
        kind = st.sampled_from(
            (AssertionType.CONTAINS, AssertionType.EQUALS, AssertionType.NOT_CONTAINS)
        )
        made = st.builds(Assertion, kind, st.sampled_from(VALUES), st.just("out"))
        found.append(Scenario(f"s{number}", tuple(draw(st.lists(made, max_size=2))), inputs))
    return Suite("w.yaml", tuple(found))


def changed(suite: Suite, seed: int, each: int = 1) -> list[tuple[Kind, Scenario, str, str]]:
    """Kind and scenario of each variant, with the input as it was and as it is."""
    found = []
    for one in perturbations(suite, seed, each=each):
        old = suite.scenarios[one.origin]
        (state,) = [s for s in old.inputs if old.inputs[s] != one.scenario.inputs[s]]
        found.append((one.kind, old, old.inputs[state], one.scenario.inputs[state]))
    return found


@given(suites() | asking(), SEEDS, st.integers(1, 6))
def test_one_input_is_another_and_all_else_is_the_same(suite: Suite, seed: int, each: int) -> None:
    made = perturbations(suite, seed, each=each)
    assert made == perturbations(suite, seed, each=each)
    assert perturbed(suite, seed, each=each) == replace(
        suite, scenarios=tuple(one.scenario for one in made)
    )
    for one in made:
        old = suite.scenarios[one.origin]
        assert one.scenario == replace(old, name=one.scenario.name, inputs=one.scenario.inputs)
        assert list(one.scenario.inputs) == list(old.inputs)
        assert sum(old.inputs[s] != one.scenario.inputs[s] for s in old.inputs) == 1
        assert one.scenario.name.startswith(f"{old.name} [{one.kind}")
    names = [s.name for s in suite.scenarios] + [one.scenario.name for one in made]
    assert len(names) == len(set(names))
    origins = [one.origin for one in made]
    assert origins == sorted(origins)
    assert all(origins.count(index) <= each for index in origins)
    assert len({(one.origin, one.kind) for one in made}) == len(made)


@given(suites() | asking(), SEEDS)
def test_numbers_and_what_is_quoted_stay(suite: Suite, seed: int) -> None:
    for _, _, old, new in changed(suite, seed, each=6):
        numbers = r"\S*\d\S*"
        assert re.findall(numbers, new) == re.findall(numbers, old)
        for quoted in QUOTED:
            assert new.count(quoted) == old.count(quoted)


@given(asking(), SEEDS)
def test_what_an_assertion_looks_for_stays(suite: Suite, seed: int) -> None:
    for _, one, old, new in changed(suite, seed, each=6):
        for value in [a.value for a in one.assertions]:
            assert new.count(value) == old.count(value)
            sought = {word.lower() for word in re.findall(r"\w+", value)}
            same = [
                [word for word in re.findall(r"\w+", text) if word.lower() in sought]
                for text in (old, new)
            ]
            assert same[0] == same[1]


@given(suites() | asking(), SEEDS)
def test_every_word_is_still_there_in_its_place(suite: Suite, seed: int) -> None:
    """Whatever the kind: the same letters in each word, and at most a filler in front."""
    for kind, one, old, new in changed(suite, seed, each=6):
        if kind is Kind.FILLER:
            assert new.endswith(old)
            assert new.removesuffix(old) in FILLERS
            continue
        words = [[w.casefold() for w in re.findall(r"[^\W_]+", text)] for text in (old, new)]
        differing = [pair for pair in zip(*words, strict=True) if pair[0] != pair[1]]
        assert len(differing) == (kind is Kind.TYPO)
        for before, after in differing:
            assert sorted(before) == sorted(after)
            assert (before[0], before[-1]) == (after[0], after[-1])
        if any(a.regex or a.type is AssertionType.REGEX for a in one.assertions):
            assert re.findall(r"[^\W_]+", old) == re.findall(r"[^\W_]+", new)


@given(asking(), SEEDS)
def test_space_is_added_only_between_two_plain_words(suite: Suite, seed: int) -> None:
    for kind, one, old, new in changed(suite, seed, each=6):
        if kind is not Kind.SPACES:
            continue
        sides = [re.split(r"(\s+)", text) for text in (old, new)]
        assert sides[0][::2] == sides[1][::2]
        sought = {word for a in one.assertions for word in re.findall(r"\w+", a.value.lower())}
        for at, (before, after) in enumerate(zip(*sides, strict=True)):
            if before != after:
                assert (before, after) in ((" ", "\n"), (" ", "  "))
                for piece in (sides[0][at - 1], sides[0][at + 1]):
                    assert re.fullmatch(r"[^\W\d]+(?:['\u2019-]\w+)?[.,!?]*", piece)
                    assert not {*re.findall(r"\w+", piece.lower())} & sought


@given(texts(), SEEDS)
@example("Alice", 0)
@example("refund, please", 1)
def test_an_input_that_an_assertion_needs_whole_is_left_alone(text: str, seed: int) -> None:
    one = Scenario("s", (Assertion(AssertionType.EQUALS, text, "out"),), {"ask": text})
    assert perturbations(Suite("w", (one,)), seed, each=6) == ()


@pytest.mark.parametrize("text", ["", " ", "4711", "你好吗", "'as it is'", "me@x.org", "/tmp/a.b"])
def test_what_has_no_free_word_is_left_alone(text: str) -> None:
    one = scenario("s", reached("end"), ask=text)
    assert perturbed(Suite("w", (one,)), 0, each=6).scenarios == ()


COMPLAINT = "My printer does not work since yesterday, what should I do?"


def test_the_kinds_take_turns() -> None:
    many = tuple(scenario(str(n), reached("end"), ask=COMPLAINT) for n in range(6))
    found = {one.kind: one.scenario for one in perturbations(Suite("w", many), 0)}
    assert list(found) == list(Kind)
    assert found[Kind.TYPO].inputs["ask"].startswith("My prinetr does")
    assert found[Kind.CASE].inputs["ask"] == COMPLAINT.upper()
    assert found[Kind.ENDING].inputs["ask"] == COMPLAINT + "??"
    assert found[Kind.FILLER].inputs["ask"] == f"Excuse me: {COMPLAINT}"
    assert found[Kind.BARE].inputs["ask"] == COMPLAINT[:-1]
    assert found[Kind.SPACES].inputs["ask"].split() == COMPLAINT.split()
    assert found[Kind.TYPO].name == "0 [typo]"
    later = perturbations(Suite("w", many), 1)
    assert [one.kind for one in later] == [*list(Kind)[1:], Kind.TYPO]


def test_a_name_that_is_taken_gets_a_number() -> None:
    one = scenario("s", reached("end"), ask=COMPLAINT)
    other = scenario("s [typo]", reached("end"), ask="4711")
    made = perturbed(Suite("w", (one, other)), 0)
    assert [s.name for s in made.scenarios] == ["s [typo 2]"]


def test_robustness_is_the_pass_rate_on_them() -> None:
    states = (
        "  ask: {type: input, prompt: 'What?', save_as: word, next: work}\n"
        "  work: {type: prompt, prompt: 'Sort: {{word}}', save_as: out}\n"
    )
    many = tuple(scenario(str(n), contains("out", "hardware"), ask=COMPLAINT) for n in range(6))
    suite = perturbed(Suite("w", many), 0)
    deaf = ScriptedLLM([Reply("hardware", ("printer",)), Reply("unclear")])
    report = run_suite(workflow(states), suite, deaf)
    metric = measure(Goal(GoalKind.ROBUSTNESS, "robustness"), workflow(states), report.results)
    assert (metric.value, metric.n) == (4 / 6, 6)
    assert "0 [typo]" not in metric.passed
    assert "1 [capitals]" not in metric.passed
