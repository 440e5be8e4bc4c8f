"""`generate`: a workflow with tests from a description, or nothing; nothing overwritten."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from commandline import Agentmech, Done
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune_fsm.generate.templates import TEMPLATES
from finetune_fsm.scenarios.load import check_suite
from finetune_fsm.workflow.load import check_file

SCRIPT = {
    "format": 1,
    "replies": [
        {"purpose": "route", "reply": "1"},
        {
            "purpose": "proposal",
            "reply": {
                "name": "Capital finder",
                "question": "Which country?",
                "example": "France",
                "instruction": "Name the capital of the country below. Answer with its name alone.",
            },
        },
        {
            "purpose": "tests",
            "reply": {
                "scenarios": [
                    {
                        "name": "Finds Paris",
                        "inputs": {"ask_question": "France"},
                        "assertions": [
                            {"type": "contains", "target": "answer", "value": "Paris"},
                            {"type": "contains", "target": "answer", "value": "Berlin"},
                        ],
                    }
                ]
            },
        },
        {"purpose": "state", "reply": "Paris"},
        {"purpose": "analysis", "reply": {"analysis": "Fine.", "suggestions": []}},
        {"purpose": "judge", "reply": "1"},
    ],
}


@pytest.fixture
def script(tmp_path: Path) -> str:
    path = tmp_path / "model.yaml"
    path.write_text(json.dumps(SCRIPT))
    return f"script:{path}"


def yaml_files(folder: Path) -> set[str]:
    return {p.name for p in folder.glob("*.yaml")} - {"model.yaml"}


def test_generate_then_finetune_then_test_then_run(
    agentmech: Agentmech, tmp_path: Path, script: str
) -> None:
    llm = ("--llm", script)
    done = agentmech("generate", "Say capitals", "-o", "my-workflow.yaml", *llm)
    assert (done.code, "template simple-qa" in done.out) == (0, True)
    assert "next: agentmech finetune my-workflow.yaml" in done.err
    assert check_file(tmp_path / "my-workflow.yaml", strict=True).problems == ()
    assert check_suite(tmp_path / "my-workflow.test.yaml", strict=True).problems == ()
    assert agentmech("finetune", "my-workflow.yaml", *llm).code == 0
    assert agentmech("test", "my-workflow.finetuned.yaml", *llm).code == 0
    run = agentmech("run", "my-workflow.finetuned.yaml", "--input", "ask_question=France", *llm)
    assert (run.code, "Paris" in run.out) == (0, True)


def test_without_a_description_it_is_read_from_standard_input(
    agentmech: Agentmech, tmp_path: Path, script: str
) -> None:
    done = agentmech("generate", "-o", "w.yaml", "--llm", script, stdin="Say capitals\n")
    assert done.code == 0
    assert "Say capitals" in (tmp_path / "w.yaml").read_text()
    empty = agentmech("generate", "-o", "v.yaml", "--llm", script, stdin=" \n")
    assert empty.code == 2
    assert "the description is empty" in empty.err


def test_the_tests_are_marked_and_checks_that_do_not_hold_are_left_out(
    agentmech: Agentmech, tmp_path: Path, script: str
) -> None:
    done = agentmech("generate", "Say capitals", "-o", "w.yaml", "--llm", script)
    (scenario,) = yaml.safe_load((tmp_path / "w.test.yaml").read_text())["test_scenarios"]
    assert scenario["generated"] is True
    assert [check["value"] for check in scenario["assertions"]] == ["Paris"]
    assert "1 check of the model's did not hold when run" in done.err
    assert agentmech("test", "w.yaml", "--llm", script).code == 0


def test_the_name_is_the_files_and_a_second_one_gets_another(
    agentmech: Agentmech, tmp_path: Path, script: str
) -> None:
    for _ in range(2):
        assert agentmech("generate", "Say capitals", "--llm", script).code == 0
    assert yaml_files(tmp_path) == {
        "capital-finder.yaml", "capital-finder.test.yaml",
        "capital-finder-2.yaml", "capital-finder-2.test.yaml",
    }  # fmt: skip


def test_editors_are_told_of_the_schemas_that_init_has_left(
    agentmech: Agentmech, script: str, tmp_path: Path
) -> None:
    assert agentmech("init", ".").code == 0
    assert agentmech("generate", "capitals", "-o", "a.yaml", "--llm", script).code == 0
    for name, schema in (("a.yaml", "workflow"), ("a.test.yaml", "suite")):
        first = (tmp_path / name).read_text().splitlines()[0]
        assert first == f"# yaml-language-server: $schema=.agentmech/{schema}.schema.json"
        assert (tmp_path / ".agentmech" / f"{schema}.schema.json").is_file()


@pytest.mark.parametrize("there", ["w.yaml", "w.test.yaml"])
def test_nothing_is_overwritten_unless_forced(
    there: str, agentmech: Agentmech, tmp_path: Path, script: str
) -> None:
    (tmp_path / there).write_text("mine")
    refused = agentmech("generate", "x", "-o", "w.yaml", "--llm", script)
    assert (refused.code, yaml_files(tmp_path)) == (2, {there})
    assert f"'{there}' exists" in refused.err
    assert (tmp_path / there).read_text() == "mine"
    assert agentmech("generate", "x", "-o", "w.yaml", "--llm", script, "--force").code == 0
    assert check_suite(tmp_path / "w.test.yaml").problems == ()


def test_a_document_says_what_was_made(agentmech: Agentmech, script: str) -> None:
    done = agentmech("generate", "x", "-o", "w.yaml", "--llm", script, "--json")
    assert done.document["kind"] == "simple-qa"
    assert done.document["states"] == ["ask_question", "answer"]
    assert done.document["workflow"] == "w.yaml"
    assert done.document["tests"] == "w.test.yaml"


def test_standard_output_gets_the_workflow_alone(
    agentmech: Agentmech, tmp_path: Path, script: str
) -> None:
    done = agentmech("generate", "x", "-o", "-", "--llm", script)
    assert yaml.safe_load(done.out)["name"] == "Capital finder"
    assert yaml_files(tmp_path) == set()


def test_the_templates_are_listed(agentmech: Agentmech) -> None:
    assert list(agentmech("generate", "--list", "--json").document["templates"]) == [
        "simple-qa", "user-input-conversation", "sequential-analysis", "content-generator",
        "research-assistant", "own",
    ]  # fmt: skip
    out = agentmech("generate", "--list").out
    assert all(template.summary in out for template in TEMPLATES.values())


def test_an_unknown_template_is_guessed(agentmech: Agentmech, script: str) -> None:
    done = agentmech("generate", "x", "--template", "simple-q", "--llm", script)
    assert done.code == 2
    assert "did you mean 'simple-qa'?" in done.err


@pytest.mark.parametrize("arguments", [("x", "-o", "."), ("x", "-m", " "), ("", "-o", "w.yaml")])
def test_what_makes_no_sense_is_refused_before_a_model_is_asked(
    arguments: tuple[str, ...], agentmech: Agentmech, script: str
) -> None:
    assert agentmech("generate", *arguments, "--llm", script).code == 2


def test_a_broken_world_leaves_nothing_behind(agentmech: Agentmech, tmp_path: Path) -> None:
    for failing in ("route", "proposal", "tests", "state"):
        rules = [r for r in SCRIPT["replies"] if r["purpose"] != failing]  # type: ignore[index]
        broken = {"format": 1, "replies": [{"purpose": failing, "error": "unreachable"}, *rules]}
        (tmp_path / "model.yaml").write_text(json.dumps(broken))
        done = agentmech("generate", "x", "-o", "w.yaml", "--llm", "script:model.yaml")
        assert (done.code, yaml_files(tmp_path)) == (3, set()), failing


words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)
answers = st.one_of(
    words,
    st.sampled_from(
        ["6", "2", "own", "[]", "{}", '{"scenarios": [{}]}', '{"steps": [{"prompt": "x"}]}']
    ),
)


@given(replies=st.lists(answers, min_size=1, max_size=6), description=words)
@settings(max_examples=15)
def test_whatever_a_model_replies_there_is_a_valid_workflow_with_tests(
    replies: list[str], description: str, agentmech: Agentmech, tmp_path: Path
) -> None:
    for path in tmp_path.iterdir():
        path.unlink()
    rules = [{"reply": reply, "once": True} for reply in replies] + [{"reply": replies[-1]}]
    (tmp_path / "model.yaml").write_text(json.dumps({"format": 1, "replies": rules}))
    done: Done = agentmech(
        "generate", f"x {description}", "-o", "w.yaml", "--llm", "script:model.yaml"
    )
    assert done.code == 0, done.err
    assert yaml_files(tmp_path) == {"w.yaml", "w.test.yaml"}
    assert check_file(tmp_path / "w.yaml", strict=True).problems == ()
    assert check_suite(tmp_path / "w.test.yaml", strict=True).suite is not None
