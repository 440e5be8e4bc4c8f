"""What the reflection LLM is asked, and what is made of its answers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_fsm.errors import Problem
from finetune_fsm.execution.rollout import Rollout, RunStatus, Visit
from finetune_fsm.improve import proposals, reflection, testgen
from finetune_fsm.improve.changes import with_placeholders_of
from finetune_fsm.improve.model import (
    Analysis,
    Attempt,
    Rejection,
    Repair,
    Strategy,
    Suggestion,
    Suspect,
)
from finetune_fsm.improve.proposals import Means, plan
from finetune_fsm.improve.strategies import FORMS, Brief
from finetune_fsm.scenarios.evaluate import judge_all
from finetune_fsm.scenarios.model import (
    Assertion,
    AssertionType,
    Scenario,
    Suite,
    SuiteReport,
)
from finetune_fsm.workflow.edits import Edit, EditOp
from finetune_fsm.workflow.load import check_text
from finetune_fsm.workflow.model import PLACEHOLDER, Workflow

TEXT = """\
name: Desk
description: Sends a message to sales or support.
start_state: ask
states:
  ask: {type: input, prompt: "Message?", save_as: message, next: sort}
  sort:
    type: prompt
    prompt: "What is this? {{message}}"
    save_as: kind
    next_options:
      - {state: sales, description: Wants to buy}
      - {state: support, description: Has a problem}
  sales: {type: prompt, prompt: "Sell: {{message}}", save_as: out, next: end}
  support: {type: prompt, prompt: "Help: {{message}}", save_as: out, next: end}
"""

SUITE = Suite(
    "desk.yaml",
    (
        Scenario(
            "Broken chair",
            (
                Assertion(AssertionType.EQUALS, "problem", "kind"),
                Assertion(AssertionType.STATE_REACHED, "support"),
                Assertion(AssertionType.REGEX, "(?i)^sor+y", "out", description="says sorry"),
            ),
            {"ask": "My chair broke"},
        ),
        Scenario("Ten chairs", (Assertion(AssertionType.STATE_REACHED, "sales"),), {"ask": "Ten!"}),
    ),
)


def workflow() -> Workflow:
    checked = check_text(TEXT, folder=Path())
    assert checked.workflow is not None
    return checked.workflow


def report() -> SuiteReport:
    def went_to_sales(message: str) -> Rollout:
        visits = (
            Visit("ask", "input", "Message?", message, "sort"),
            Visit("sort", "prompt", "What is this?", "WRONG ANSWER", "sales", routed=True),
            Visit("sales", "prompt", "Sell", "Buy!", "end"),
        )
        variables = {"message": message, "kind": "WRONG ANSWER", "out": "Buy!"}
        path = ("ask", "sort", "sales", "end")
        return Rollout(RunStatus.COMPLETED, visits, path, variables)

    return judge_all(SUITE, [went_to_sales("My chair broke"), went_to_sales("Ten!")])


def brief(*path: str, change: str = "") -> Brief:
    suspect = Suspect(("states", *path), "it is suspected", (), ("Broken chair",), change)
    return Brief(workflow(), report(), suspect, "tiny", seed=7)


SORT = brief("sort", "prompt")


def test_a_rewrite_asks_about_one_prompt_in_words_and_shows_no_wrong_answer() -> None:
    asked = proposals.request(SORT, Attempt(Strategy.REWRITE, 0))
    assert asked.text == (
        "Task: Desk: Sends a message to sales or support.\n"
        "\n"
        "A prompt for a language model does this task badly:\n"
        '"""\n'
        "What is this? {{message}}\n"
        '"""\n'
        "\n"
        "It should give these answers:\n"
        "- When ask = 'My chair broke': the answer must be exactly: problem; the run must reach "
        "the state 'support'; says sorry\n"
        "\n"
        "Rewrite the prompt as clear instructions to the model: the task, every rule of it, the "
        "exact form of the answer. The rules must fit all inputs, so leave the examples out. Keep "
        "{{message}}; the input is put there.\n"
        'Reply with JSON: first "problem", what the prompt does not say; then "new_prompt".'
    )
    assert "WRONG ANSWER" not in asked.text
    assert "(?i)" not in asked.text
    assert asked.model == "tiny"
    assert asked.reuse_prefix


def test_the_analysis_sees_the_workflow_the_results_and_the_last_rejections() -> None:
    rejections = [
        Rejection(Attempt(Strategy.REWRITE, i), "", f"change {i}", "no") for i in range(5)
    ]
    asked = reflection.request("tiny", workflow(), report(), rejections)
    assert TEXT.strip() in asked.text
    assert "0 of 2 scenarios passed" not in asked.text  # sales was reached
    assert "1 of 2 scenarios passed." in asked.text
    assert "change 4" in asked.text
    assert "change 2" in asked.text
    assert "change 1" not in asked.text
    assert asked.text.index("Workflow:") < asked.text.index("Test results:")


def test_a_schema_names_only_what_exists_and_is_not_there_already() -> None:
    routes = proposals.request(brief("sort", "next_options"), Attempt(Strategy.ROUTES, 0)).schema
    assert routes is not None
    assert routes["properties"]["descriptions"]["minItems"] == 2  # type: ignore[index]
    redirect = proposals.request(brief("sales", "next"), Attempt(Strategy.REDIRECT, 0)).schema
    assert redirect is not None
    targets = redirect["properties"]["next"]["enum"]  # type: ignore[index]
    assert targets == ["ask", "sort", "support"]
    assert list(redirect["properties"]) == ["problem", "next"]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path", "strategy", "reply", "expected"),
    [
        (
            ("sort", "prompt"),
            Strategy.REWRITE,
            {"problem": "vague", "new_prompt": "Name the kind."},
            [(("states", "sort", "prompt"), "Name the kind.\n\nMessage: {{message}}")],
        ),
        (
            ("sort", "prompt"),
            Strategy.ADDITION,
            {"problem": "vague", "addition": "Answer with one word."},
            [
                (
                    ("states", "sort", "prompt"),
                    "What is this? {{message}}\n\nAnswer with one word.",
                )
            ],
        ),
        (
            ("sort", "next_options"),
            Strategy.ROUTES,
            {"problem": "vague", "descriptions": ["Wants to buy", "Needs help"]},
            [(("states", "sort", "next_options", 1, "description"), "Needs help")],
        ),
        (
            ("sales", "next"),
            Strategy.REDIRECT,
            {"problem": "wrong", "next": "support"},
            [(("states", "sales", "next"), "support")],
        ),
    ],
)
def test_an_answer_becomes_typed_edits(
    path: tuple[str, str],
    strategy: Strategy,
    reply: dict[str, object],
    expected: list[tuple[object, object]],
) -> None:
    read = proposals.read(json.dumps(reply), brief(*path), strategy)
    assert not isinstance(read, Problem)
    edits, why = read
    assert [(edit.path, edit.value) for edit in edits] == expected
    assert why == reply["problem"]


REPLIES = st.text() | st.dictionaries(
    st.sampled_from(["problem", "new_prompt", "addition", "descriptions", "next", "analysis"]),
    st.text() | st.integers() | st.lists(st.text() | st.none(), max_size=3) | st.none(),
).map(json.dumps)


@given(REPLIES, st.sampled_from([s for s in FORMS if s is not Strategy.WHOLE]))
def test_any_answer_is_edits_inside_the_suspect_or_a_problem(
    reply: str, strategy: Strategy
) -> None:
    suspected = brief("sort", "next_options" if strategy is Strategy.ROUTES else "prompt")
    read = proposals.read(reply, suspected, strategy)
    if isinstance(read, Problem):
        assert read.message
    else:
        near = [e for e in read[0] if e.path[:2] == ("states", "sort") or e.path[-1] == "sort_2"]
        assert list(read[0]) == near or strategy is Strategy.CHOICE


def test_a_repeated_question_tells_what_was_wrong() -> None:
    problem = Problem("x", "prompt loses the placeholder {{message}}", "keep {{message}}")
    asked = proposals.request(SORT, Attempt(Strategy.REWRITE, 0), (problem,))
    first = proposals.request(SORT, Attempt(Strategy.REWRITE, 0))
    assert asked.text.startswith(first.text)  # the shared prefix is what a server can reuse
    assert "prompt loses the placeholder {{message}} (keep {{message}})" in asked.text


def test_the_plan_goes_from_free_to_warm_and_from_blamed_to_asked() -> None:
    blamed = tuple(Suspect(("states", s, "prompt"), "", (), ("one",)) for s in "abcde")
    asked = (Suspect(("states", "z", "prompt"), "", change="Be kind."),)
    attempts = list(plan(Analysis("", (), asked + blamed, (a_repair(), a_repair()))))
    assert len(attempts) == len(set(attempts))
    assert [a.strategy for a in attempts[:2]] == [Strategy.REPAIR] * 2
    assert attempts[2:] == []  # what costs a call waits for the model's analysis
    asked_too = Analysis("", (), asked + blamed, (a_repair(), a_repair()), asked=True)
    attempts = list(plan(asked_too, Means(promising=1, structure=True)))
    assert len(attempts) == len(set(attempts))
    assert [a.strategy for a in attempts[:3]] == [Strategy.MERGE, *[Strategy.REPAIR] * 2]
    assert all(a.free for a in attempts[:3])
    first, last = attempts[3:-4], attempts[-4:]
    assert not any(a.free for a in first + last)
    assert [a.variant for a in first] == sorted(a.variant for a in first)
    assert {a.index for a in first} == {1, 2, 3, 4}
    assert {a.index for a in last} == {0}
    wider = [Strategy.CHOICE, Strategy.INSERT, Strategy.WHOLE]
    assert [a.strategy for a in first if a.strategy in wider] == wider
    way = replace(
        asked_too,
        suspects=(*asked_too.suspects, Suspect(("states", "y", "next"), "", (), ("one",))),
    )
    listed = [a.strategy for a in plan(way, Means(structure=True)) if a.strategy in wider]
    assert listed == 2 * wider
    assert Strategy.INSERT not in {a.strategy for a in plan(asked_too)}  # nobody allowed it
    warm = proposals.request(SORT, Attempt(Strategy.REWRITE, 0, 1))
    assert warm.options["temperature"] == proposals.WARM
    assert warm.options["seed"] == 8


def a_repair() -> Repair:
    return Repair("rule", (Edit(EditOp.SET, ("states", "a", "next"), "b"),), "why")


@given(st.text(), st.text())
def test_no_placeholder_is_lost(old: str, new: str) -> None:
    kept = with_placeholders_of(old, new)
    assert set(PLACEHOLDER.findall(old)) <= set(PLACEHOLDER.findall(kept))
    assert kept.startswith(new.rstrip())


def test_an_analysis_joins_rules_and_model() -> None:
    reply = json.dumps(
        {
            "analysis": "It guesses.",
            "suggestions": [
                {"state": "sort", "change": "Say one word."},
                {"state": "support", "change": "Be kind."},
                {"state": "nowhere", "change": "x"},
                "nonsense",
            ],
        }
    )
    read = reflection.read(reply, workflow())
    joined = reflection.analysis(workflow(), report(), read)
    assert joined.suggestions == (
        Suggestion("sort", "Say one word."),
        Suggestion("support", "Be kind."),
    )
    assert joined.suspects[0].path[1:] == ("sort", "next_options")
    assert joined.suspects[-1].change == "Be kind."
    alone = reflection.analysis(workflow(), report(), Problem("x", "the reply is no JSON object"))
    assert alone.problems == ("the reply is no JSON object",)
    assert "1 of 2 scenarios pass" in alone.summary


def test_generated_tests_name_only_what_exists() -> None:
    good = {
        "name": "One",
        "inputs": {"ask": "Hello", "nowhere": "x"},
        "assertions": [
            {"type": "contains", "target": "out", "value": "hello"},
            {"type": "contains", "target": "nothing", "value": "x"},
            {"type": "state_reached", "value": "mars"},
            {"type": "state_reached", "value": "sales"},
        ],
    }
    reply = json.dumps({"scenarios": [good, {**good, "assertions": []}, 7]})
    read = testgen.read(reply, workflow())
    assert not isinstance(read, Problem)
    (scenario,) = read
    assert scenario.inputs == {"ask": "Hello"}
    assert [a.value for a in scenario.assertions] == ["hello", "sales"]
    assert scenario.generated
    schema = json.dumps(testgen.request("tiny", workflow()).schema)
    assert '"ask"' in schema
    assert '["end", "sales", "support"]' in schema


@given(
    st.text()
    | st.recursive(
        st.text(),
        lambda i: (
            st.lists(i)
            | st.dictionaries(
                st.sampled_from(
                    ["scenarios", "name", "inputs", "assertions", "type", "target", "value"]
                ),
                i,
            )
        ),
    ).map(json.dumps)
)
def test_any_reply_is_scenarios_or_a_problem(reply: str) -> None:
    read = testgen.read(reply, workflow())
    assert isinstance(read, Problem) or all(s.assertions and s.name for s in read)


@pytest.mark.parametrize("odd", [[], {}, None, 7, ["sort"]])
def test_names_of_any_type_are_read_as_data(odd: object) -> None:
    suggestions = [{"state": odd, "change": "x"}]
    read = reflection.read(json.dumps({"analysis": "a", "suggestions": suggestions}), workflow())
    assert read == ("a", ())
    check = {"type": odd, "target": odd, "value": "x"}
    scenario = {"name": "n", "inputs": odd, "assertions": [check]}
    assert isinstance(testgen.read(json.dumps({"scenarios": [scenario]}), workflow()), Problem)
