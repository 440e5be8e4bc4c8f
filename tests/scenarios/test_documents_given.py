"""Documents of a scenario stand for the search of a knowledge base."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetune_fsm.codec import digest, plain
from finetune_fsm.llm.scripted import ScriptedLLM
from finetune_fsm.scenarios.evaluate import run_suite
from finetune_fsm.scenarios.load import check_suite, load_suite
from finetune_fsm.scenarios.model import Scenario
from finetune_fsm.workflow.load import load

WORKFLOW = """\
name: Helper
start_state: answer
rag: {faq: {directory: nowhere}}
states:
  answer: {type: prompt, prompt: "How?", use_rag: faq, save_as: reply, next: check}
  check: {type: prompt, prompt: "Is {{reply}} right?", use_rag: faq, save_as: verdict}
"""

TESTS = """\
workflow: w.yaml
test_scenarios:
  - name: one
    documents:
      - {source: a.md, text: "Press the button."}
      - {source: b.md, text: "Only here.", state: check}
    assertions:
      - {type: contains, target: reply, value: Press the button}
      - {type: not_contains, target: reply, value: Only here}
      - {type: contains, target: verdict, value: Only here}
  - name: none
    documents: []
    assertions:
      - {type: equals, target: reply, value: "How?"}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "w.yaml").write_text(WORKFLOW)
    (tmp_path / "w.test.yaml").write_text(TESTS)
    return tmp_path


def test_they_go_into_the_prompts_and_nothing_is_searched_or_embedded(root: Path) -> None:
    llm = ScriptedLLM(lambda request: request.text)
    report = run_suite(load(root / "w.yaml"), load_suite(root / "w.test.yaml"), llm)
    assert report.solved, [r.failures for r in report.results]
    assert llm.embedded == []
    assert all(result.rollout.warnings == () for result in report.results)


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("state: check", "state: chek", "unknown_state"),
        ("source: a.md, ", "", "missing_key"),
        ('text: "Press the button."', "text: 3", "schema_type"),
    ],
)
def test_what_is_wrong_with_them_is_told(root: Path, old: str, new: str, code: str) -> None:
    (root / "w.test.yaml").write_text(TESTS.replace(old, new, 1))
    assert code in {problem.code for problem in check_suite(root / "w.test.yaml").problems}


def test_a_scenario_without_documents_keeps_its_digest() -> None:
    assert "documents" not in plain(Scenario("a", ()))
    assert digest(Scenario("a", (), documents=())) != digest(Scenario("a", ()))
