"""What a workflow can reach, and that a draft reaches no more."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from policies import codes, equals, problems, reached, suite, swapped
from strategies import plain_data

from finetune_fsm.improve.capabilities import OPEN_OPTIONS, capabilities
from finetune_fsm.scenarios.model import Suite


@pytest.mark.parametrize(
    ("addition", "gained"),
    [
        ({"mcp_servers": {"s": {"command": "sh"}}}, {"server"}),
        ({"rag": {"r": {"directory": "docs"}}}, {"knowledge"}),
        ({"variables": {"v": {"file": "/etc/passwd"}}}, {("file", "/etc/passwd")}),
        ({"default_model": "llama3:70b"}, {("model", "llama3:70b")}),
        ({"states": {"s": {"model": "m"}}}, {("model", "m")}),
        ({"states": {"s": {"files": ["a", "b"]}}}, {("file", "a"), ("file", "b")}),
        ({"states": {"s": {"steps": [{"prompt_file": "p.txt"}]}}}, {("file", "p.txt")}),
        ({"states": {"s": {"workflow_ref": "c.yaml"}}}, {("workflow", "c.yaml")}),
        ({"states": {"s": {"mcp_servers": ["x"]}}}, {"tools"}),
        ({"states": {"s": {"rag": {"directory": "d"}}}}, {"knowledge"}),
        ({"states": {"s": {"use_rag": "d"}}}, {"knowledge"}),
        ({"states": {"s": {"options": {"num_ctx": 1}}}}, {("option", "num_ctx", "1")}),
        ({"states": {"s": {"options": {"temperature": 1}}}}, set()),
        ({"states": {"s": {"prompt": "x", "next": "y", "save_as": "z"}}}, set()),
        ({"variables": {"v": {"value": "x"}, "w": "y"}}, set()),
    ],
)
def test_every_way_out_of_a_workflow_is_a_capability(
    addition: dict[str, object], gained: set[object]
) -> None:
    found = capabilities(addition) - capabilities({})
    assert {word if word in gained else word[0] for word in found} == gained


def test_the_model_that_a_workflow_does_not_name_is_one_too() -> None:
    assert capabilities({}) == capabilities({"default_model": "gemma3:4b"})


def test_a_name_is_bound_to_what_it_names() -> None:
    def of(server: object, base: object) -> frozenset[tuple[str, ...]]:
        states = {"a": {"mcp_servers": ["s"], "use_rag": "r"}}
        return capabilities({"mcp_servers": {"s": server}, "rag": {"r": base}, "states": states})

    assert of({"command": "ls"}, 1) == of({"command": "ls"}, 1)
    assert {w[0] for w in of({"command": "ls"}, 1) - of({"command": "sh"}, 1)} == {
        "server",
        "tools",
    }
    assert {w[0] for w in of({"command": "ls"}, 1) - of({"command": "ls"}, 2)} == {"knowledge"}


def test_a_base_is_the_same_wherever_it_is_described() -> None:
    named = {"rag": {"r": {"directory": "d"}}, "states": {"a": {"use_rag": "r"}}}
    inline = {"states": {"a": {"rag": {"directory": "d"}}}}
    assert capabilities(named) == capabilities(inline)


def test_tools_belong_to_the_state_that_uses_them() -> None:
    one = capabilities({"states": {"a": {"mcp_servers": ["s"]}, "b": {}}})
    other = capabilities({"states": {"a": {}, "b": {"steps": [{}, {"mcp_servers": ["s"]}]}}})
    assert one != other
    states = {"a": {"mcp_servers": ["s"]}, "b": {"model": "m"}}
    assert {w[0] for w in capabilities({"states": states}, {"a"})} == {"model", "tools"}
    assert ("model", "m") in capabilities({"states": states}, {"b"})
    assert {w[0] for w in capabilities({"states": states}, set())} == {"model"}


def test_names_that_run_together_are_still_two() -> None:
    one = capabilities({"states": {"a:b": {"mcp_servers": ["c"]}}})
    assert one != capabilities({"states": {"a": {"mcp_servers": ["b:c"]}}})


@given(plain_data())
def test_any_mapping_has_capabilities(document: object) -> None:
    capabilities(document if isinstance(document, dict) else {"states": document})


def test_only_sampling_is_open() -> None:
    assert {"temperature", "top_p", "top_k", "num_predict", "seed", "stop"} == OPEN_OPTIONS


TEXT = """\
name: W
start_state: ask
mcp_servers: {disk: {command: ls}}
rag: {faq: {directory: docs}}
states:
  ask: {type: input, prompt: "?", save_as: review, next: work}
  work: {type: prompt, prompt: "Sort {{review}}", save_as: mood, next: end}
  dead: {type: prompt, prompt: Hi, DEAD next: end}
"""


def with_dead(what: str, *pairs: str) -> str:
    return swapped(TEXT.replace("DEAD", what), *pairs)


REVIVED = ("save_as: mood, next: end", "save_as: mood, next: dead")
DEAD = [
    "model: llama3:70b,",
    "files: [README.md],",
    "mcp_servers: [disk],",
    "options: {num_ctx: 99},",
    "rag: {directory: /},",
]


@pytest.mark.parametrize("what", DEAD)
def test_a_draft_cannot_send_runs_into_what_its_author_switched_off(what: str) -> None:
    before, after = with_dead(what), with_dead(what, *REVIVED)
    found = problems(before, after)
    assert [p.code for p in found] == ["capability_gain"]
    assert found[0].message.startswith("the draft would gain: ")
    assert codes(before, swapped(before, "Sort {{", "Sort the {{")) == []
    error = swapped(before, "save_as: mood, next: end", "save_as: mood, on_error: dead, next: end")
    assert codes(before, error) == ["capability_gain"]
    assert codes(with_dead(""), with_dead("", *REVIVED)) == []


def test_a_test_that_a_person_wrote_may_want_it_reached() -> None:
    before, after = with_dead("files: [README.md],"), with_dead("files: [README.md],", *REVIVED)
    assert codes(before, after, tests=suite(reached("dead"))) == []
    assert codes(before, after, tests=suite(equals("mood"), dead="x")) == []
    assert codes(before, after, tests=suite(equals("dead"))) == ["capability_gain"]
    assert codes(before, after, tests=suite(reached("dead"), generated=True)) == ["capability_gain"]
    both = Suite("w.yaml", suite(reached("dead"), generated=True).scenarios * 2)
    assert codes(before, after, tests=both) == ["capability_gain"]


def test_a_test_that_wants_a_state_reached_excuses_no_other() -> None:
    after = with_dead("", "save_as: mood, next: end", "save_as: mood, next: new")
    after += NEW.replace("EXTRA", "model: m,")
    tests = suite(reached("dead"))
    assert codes(with_dead(""), after, "structure", tests=tests) == ["capability_gain"]


NEW = "  new: {type: prompt, prompt: Hi, EXTRA next: end}\n"


@pytest.mark.parametrize(
    ("extra", "said", "hint"),
    [
        ("model: m,", "ask the model 'm'", "--allow model:m"),
        ("files: [Makefile],", "read the file 'Makefile'", "--allow file:Makefile"),
        ("mcp_servers: [disk],", "use tools of 'disk' in the state 'new'", "--allow tools:disk"),
        ("rag: {directory: /},", "search another knowledge base", "only a person can write that"),
        ("options: {num_ctx: 9},", "run with the option num_ctx at 9", "only a person can write"),
    ],
)
def test_what_would_be_gained_is_said_and_who_can_allow_it(
    extra: str, said: str, hint: str
) -> None:
    before = with_dead("")
    after = with_dead("", *(REVIVED[0], "save_as: mood, next: new")) + NEW.replace("EXTRA", extra)
    found = problems(before, after, "structure")
    assert [p.message for p in found] == [f"the draft would gain: {said}"]
    assert hint in found[0].hint


def test_a_new_server_is_a_gain_besides(tmp_path: Path) -> None:
    before = with_dead("")
    found = problems(before, swapped(before, "command: ls", "command: sh"), "tools:disk")
    assert [p.code for p in found] == ["closed_place", "capability_gain"]
    assert "start the tool server 'disk'" in found[1].message
    assert found[1].hint == "only a person can write that"


@pytest.mark.parametrize(
    "grant", ["file:Makefile", "model:Makefile", "tools:Makefile", "workflow:Makefile"]
)
def test_a_grant_holds_for_its_own_kind(grant: str) -> None:
    draft = with_dead("", "save_as: mood, next: end", "save_as: mood, next: new")
    draft += NEW.replace("EXTRA", "files: [Makefile],")
    wanted = [] if grant == "file:Makefile" else ["capability_gain"]
    assert codes(with_dead(""), draft, "structure", grant) == wanted


def test_a_child_is_a_capability(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(
        "name: C\nstart_state: a\nstates:\n  a: {type: prompt, prompt: A, next: end}\n"
    )
    before = with_dead("")
    after = swapped(before, "save_as: mood, next: end", "save_as: mood, next: new")
    after += "  new: {type: workflow_ref, workflow_ref: c.yaml}\n"
    found = problems(before, after, "structure", folder=tmp_path)
    assert [p.message for p in found] == ["the draft would gain: run the workflow 'c.yaml'"]
    assert found[0].hint == "only a person can allow it: --allow workflow:c.yaml"
    assert codes(before, after, "structure", "workflow:c.yaml", folder=tmp_path) == []
