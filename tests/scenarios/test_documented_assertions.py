"""The page on assertions: each type has a section, and what it says happens."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from finetune_fsm.execution.rollout import Judgement, Rollout, RunStatus, ToolUse, Visit
from finetune_fsm.llm.base import Usage
from finetune_fsm.scenarios.checks import check
from finetune_fsm.scenarios.evaluate import judge_rollout
from finetune_fsm.scenarios.fields import ASSERTION_KEYS
from finetune_fsm.scenarios.load import suite_of
from finetune_fsm.scenarios.model import AssertionType, Scenario, Verdict
from finetune_fsm.scenarios.rubric import question_of
from finetune_fsm.scenarios.statistics import wilson
from finetune_fsm.schema import SUITE, problems_in, schema
from finetune_fsm.workflow.text import parse

PAGE = (Path(__file__).parents[2] / "docs/assertions.md").read_text("utf-8")
SECTION = re.compile(r"^### `(\w+)`\n(.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)
EXAMPLE = re.compile(r"^```yaml\n(.*?)^```\n\n(.*)", re.MULTILINE | re.DOTALL)
CASE = re.compile(r"^- (passes|fails): (.+)$", re.MULTILINE)
SECTIONS = {name: EXAMPLE.search(text) for name, text in SECTION.findall(PAGE)}


def scenario_of(lines: str) -> Scenario:
    document = parse(f"workflow: x.yaml\ntest_scenarios:\n  - {lines}").document
    assert problems_in(document, SUITE) == ()
    assert check(document, None) == ()
    return suite_of(document).scenarios[0]


def rollout_of(case: str) -> Rollout:
    """A text in ticks is the answer; else it is where the run went, or what it took."""
    usage, seconds = Usage(calls=1, prompt_tokens=1), 0.0
    called = re.findall(r"(\w+) (\{.*?\})(?:; |$)", case) if case.startswith("calls ") else ()
    tools = tuple(ToolUse(name, json.loads(arguments)) for name, arguments in called)
    if match := re.fullmatch(r"([\d.]+) (tokens|calls|seconds)", case):
        number, unit = float(match[1]), match[2]
        seconds = number if unit == "seconds" else 0.0
        calls, tokens = (int(number), 1) if unit == "calls" else (1, int(number))
        usage = Usage(calls=calls, prompt_tokens=tokens)
    return Rollout(
        RunStatus.COMPLETED,
        (Visit("ask", "prompt", usage=usage, tools=tools),),
        tuple(case.split(" -> ")),
        {"answer": case.strip("`")},
        seconds=seconds,
    )


def cases() -> list[tuple[str, str, str, str]]:
    return [
        (name, example[1], *case)
        for name, example in SECTIONS.items()
        if example
        for case in CASE.findall(example[2])
    ]


@pytest.mark.parametrize(("name", "text", "verdict", "case"), cases())
def test_what_the_page_says_of_a_type_is_so(name: str, text: str, verdict: str, case: str) -> None:
    scenario = scenario_of(f"{{name: A, assertions: [{text.strip()}]}}")
    [assertion] = scenario.assertions
    assert assertion.type == name
    wanted = Verdict.PASSED if verdict == "passes" else Verdict.FAILED
    said = Judgement(question_of(assertion), "judge", "says yes" in case)
    rollout = replace(rollout_of(case), judgements=(said,))
    assert judge_rollout(scenario, rollout).verdict is wanted


def test_every_type_has_a_section_with_an_example_of_both_verdicts() -> None:
    both = {(name, verdict) for name, _, verdict, _ in cases()}
    assert both == {
        (str(kind), verdict) for kind in AssertionType for verdict in ("passes", "fails")
    }


def test_the_schema_has_every_type_and_every_key() -> None:
    rules = schema(SUITE)["$defs"]["assertion"]
    branches = rules["oneOf"]
    named = [branch["properties"]["type"]["const"] for branch in branches]
    assert named == list(rules["discriminator"]["mapping"])
    assert list(rules["discriminator"]["mapping"].values()) == list(range(len(named)))
    assert set(named) == set(AssertionType)
    keys = {key for branch in branches for key in branch["properties"]}
    assert keys == ASSERTION_KEYS | {"type", "description"}


def test_a_scenario_passes_from_its_score_on() -> None:
    text = PAGE.split("### Weights and `pass_score`")[1].split("```yaml\n")[1].split("```")[0]
    scenario = scenario_of(text.replace("\n", "\n    ").strip())
    right, wrong = (judge_rollout(scenario, rollout_of(text)) for text in ("`yes`", "`no`"))
    assert (right.verdict, right.score) == (Verdict.PASSED, 0.75)
    assert (wrong.verdict, wrong.score) == (Verdict.FAILED, 0.25)


def test_a_scenario_is_run_as_often_as_the_page_says() -> None:
    text = PAGE.split("### `repeat` and `pass_rate`")[1].split("```yaml\n")[1].split("```")[0]
    scenario = scenario_of(text.replace("\n", "\n    ").strip())
    assert (scenario.repeat, scenario.pass_rate) == (5, 0.8)
    found = wilson(4, 5)
    assert f"{100 * found.low:.0f} to {100 * found.high:.0f} %" in PAGE
