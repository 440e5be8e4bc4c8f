"""The model with known truth: repeatable, right exactly when it can be, and tempted otherwise."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from quality.cases import Case, cases
from quality.truth import Truth, model
from quality.worker import TOKEN, worker

from finetune_fsm.improve.policy import violations
from finetune_fsm.llm.base import Message, Purpose, Request
from finetune_fsm.scenarios.evaluate import run_suite
from finetune_fsm.workflow.load import check_text

ALL = cases()
FIRST, ROUTED, CUT, GOOD = (cases([number])[0] for number in ("01", "14", "12", "25"))

names = st.sampled_from(["problem", "new_prompt", "addition", "next", "state", "why"])
leaves = st.one_of(
    st.just({"type": "string"}),
    st.just({"type": "boolean"}),
    st.just({"type": "integer", "minimum": 1, "maximum": 3}),
    st.lists(st.text(max_size=5), min_size=1, max_size=3, unique=True).map(lambda e: {"enum": e}),
)
schemas = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(
            lambda item, least: {"type": "array", "items": item, "minItems": least, "maxItems": 4},
            inner,
            st.integers(0, 3),
        ),
        st.dictionaries(names, inner, max_size=3).map(
            lambda properties: {
                "type": "object",
                "properties": properties,
                "required": sorted(properties),
                "additionalProperties": False,
            }
        ),
    ),
    max_leaves=6,
)


def asked(text: str, **more: Any) -> Request:
    return Request("m", (Message("user", text),), purpose=Purpose.PROPOSAL, **more)


@given(
    schema=schemas,
    text=st.sampled_from(["3 of 3 scenarios passed", "0 of 3 scenarios passed"]),
    useful=st.sampled_from([0.0, 1.0]),
)
@settings(max_examples=150)
def test_whatever_form_is_asked_for_is_filled(
    schema: dict[str, Any], text: str, useful: float
) -> None:
    answer = Truth(ROUTED, 0, useful)(asked(text, schema=schema))
    jsonschema.validate(json.loads(answer.text), schema)


@given(
    texts=st.lists(st.sampled_from(["a", "b", "states: {}"]), min_size=1, max_size=6),
    seed=st.integers(0, 5),
)
@settings(max_examples=40)
def test_the_same_question_has_the_same_answer_in_whatever_order(
    texts: list[str], seed: int
) -> None:
    first, second = model(FIRST, seed), model(FIRST, seed)
    there = {text: first.complete(asked(text)).text for text in texts}
    back = {text: second.complete(asked(text)).text for text in reversed(texts)}
    assert there == back


def test_another_sampling_seed_is_another_draw() -> None:
    llm = model(FIRST)
    options = [{"seed": number, "temperature": 0.8} for number in range(40)]
    answers = {llm.complete(asked("states:", options=one)).text for one in options}
    assert len(answers) > 3
    assert f"```yaml\n{FIRST.reference.text}```" in answers


@pytest.mark.parametrize("case", ALL[::6], ids=lambda case: case.name)
def test_the_useful_answer_repairs_and_the_useless_ones_do_not(case: Case) -> None:
    for useful in (0.0, 1.0):
        for number in range(12):
            reply = Truth(case, number, useful)(asked("states:")).text
            text = reply.removeprefix("```yaml\n").removesuffix("```")
            workflow = check_text(text, folder=case.folder).workflow
            llm = worker(case.folder / "script.yaml")
            solved = workflow is not None and run_suite(workflow, case.holdout, llm).solved
            assert solved or not useful
            if not useful and not case.good:
                assert not solved


def test_a_tests_words_are_among_the_temptations() -> None:
    replies = {Truth(FIRST, number, 0.0)(asked("states:")).text for number in range(30)}
    pasted = [
        workflow
        for reply in replies
        if (workflow := check_text(_bare(reply), folder=FIRST.folder).workflow)
        and violations(FIRST.start, workflow, FIRST.train)
    ]
    assert pasted


def _bare(reply: str) -> str:
    return reply.removeprefix("```yaml\n").removesuffix("```")


def test_the_worker_stops_at_its_limit() -> None:
    llm = worker(CUT.folder / "script.yaml")
    prompt = "the passengers of the train to Leeds, which is one hour late. We apologise"
    replies = {
        room: llm.complete(Request("m", (Message("user", prompt),), {"num_predict": room}))
        for room in (2, 200)
    }
    assert len(replies[2].text) == 2 * TOKEN
    assert replies[2].cut
    assert not replies[200].cut
    assert replies[200].text.startswith(replies[2].text)


def test_nothing_is_suggested_when_all_scenarios_pass() -> None:
    schema = {
        "type": "object",
        "properties": {"suggestions": {"type": "array", "items": {"type": "string"}}},
    }
    reply = Truth(GOOD, 0, 1.0)(asked("6 of 6 scenarios passed.", schema=schema))
    assert json.loads(reply.text) == {"suggestions": []}
