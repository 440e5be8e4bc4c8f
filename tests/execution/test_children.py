from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest
from execution.small_workflows import ask, child, go, prompt, workflow

from finetune_fsm.errors import LLMErrorKind
from finetune_fsm.execution.executor import run_workflow
from finetune_fsm.execution.inputs import MappingInputs
from finetune_fsm.execution.limits import Settings
from finetune_fsm.execution.rollout import Rollout, RunStatus
from finetune_fsm.llm.scripted import Reply, ScriptedLLM
from finetune_fsm.workflow.load import load
from finetune_fsm.workflow.model import END, Workflow

BROKEN = Reply(error=LLMErrorKind.EMPTY)


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(text), "utf-8")
    return path


GREETER = """
    name: Greeter
    default_model: small
    start_state: hello
    variables: {tone: warm, own: kept}
    states:
      hello:
        type: prompt
        prompt: "Greet {{name}}, {{tone}}"
        save_as: greeting
        next: rest
      rest: {type: transition, next: end}
    """


def run(flow: Workflow, *script: Reply | str, **inputs: str) -> Rollout:
    return run_workflow(flow, ScriptedLLM(script), inputs=MappingInputs(inputs))


def test_a_whole_workflow_from_files(tmp_path: Path) -> None:
    write(tmp_path, "parts/greeter.yaml", GREETER)
    main = write(
        tmp_path,
        "main.yaml",
        """
        name: Main
        start_state: ask
        states:
          ask: {type: input, prompt: "Who?", save_as: name, next: greet}
          greet: {type: workflow_ref, workflow_ref: parts/greeter.yaml, next: review}
          review:
            type: prompt
            steps:
              - {prompt: "Is '{{greeting}}' {{tone}}?", save_as: verdict}
              - {prompt: "Say it shorter: {{verdict}}", save_as: short}
        """,
    )
    llm = ScriptedLLM(["Hi Ann!", "Quite warm.", "Warm."])
    rollout = run_workflow(load(main), llm, inputs=MappingInputs({"ask": "Ann"}))
    assert rollout.status is RunStatus.COMPLETED
    assert rollout.visited == (
        "ask",
        "greet",
        "greet_ref_hello",
        "greet_ref_rest",
        "review",
        "review_step_1",
        "end",
    )
    assert [v.next for v in rollout.visits] == list(rollout.visited[1:])
    assert rollout.variables == {
        "name": "Ann",
        "tone": "warm",
        "own": "kept",
        "greeting": "Hi Ann!",
        "verdict": "Quite warm.",
        "short": "Warm.",
    }
    assert [request.label for request in llm.requests] == [
        "greet_ref_hello",
        "review",
        "review_step_1",
    ]


def test_the_callers_variables_lie_over_the_childs_own(tmp_path: Path) -> None:
    write(tmp_path, "c.yaml", GREETER)
    flow = workflow(child("s", "c.yaml"), folder=tmp_path, variables={"name": "Bo", "tone": "cold"})
    rollout = run(flow, "Hm.")
    assert rollout.visits[1].prompt == "Greet Bo, cold"
    assert rollout.variables["own"] == "kept"


def test_the_childs_own_default_model_holds_inside_it(tmp_path: Path) -> None:
    write(tmp_path, "c.yaml", GREETER)
    flow = workflow(
        child("s", "c.yaml", next="after"), prompt("after"), folder=tmp_path, default_model="big"
    )
    llm = ScriptedLLM(["one", "two"])
    run_workflow(flow, llm, inputs=MappingInputs({}))
    assert [request.model for request in llm.requests] == ["small", "big"]


def test_the_childs_files_lie_beside_the_child(tmp_path: Path) -> None:
    write(tmp_path, "parts/note.txt", "hello from the part")
    write(tmp_path, "parts/rules.txt", "some rules")
    write(
        tmp_path,
        "parts/c.yaml",
        """
        name: Child
        start_state: a
        variables: {rules: {file: rules.txt}}
        states:
          a: {type: prompt, prompt: "{{rules}}", files: [note.txt]}
        """,
    )
    rollout = run(workflow(child("s", "parts/c.yaml"), folder=tmp_path), "ok")
    assert "hello from the part" in rollout.visits[1].prompt
    assert rollout.visits[1].prompt.startswith("some rules")


def test_inputs_within_a_child_are_named_as_they_are_visited(tmp_path: Path) -> None:
    write(
        tmp_path,
        "c.yaml",
        """
        name: Child
        start_state: a
        states:
          a: {type: input, prompt: "Who?", save_as: x}
        """,
    )
    flow = workflow(child("s", "c.yaml"), folder=tmp_path)
    assert run(flow, s_ref_a="Ann").variables["x"] == "Ann"


def test_a_child_of_a_child_is_named_after_both_and_ends_back_at_the_start(tmp_path: Path) -> None:
    write(tmp_path, "inner.yaml", GREETER)
    write(
        tmp_path,
        "outer.yaml",
        """
        name: Outer
        start_state: o
        states:
          o: {type: workflow_ref, workflow_ref: inner.yaml}
        """,
    )
    flow = workflow(child("s", "outer.yaml", next="z"), go("z", END), folder=tmp_path)
    rollout = run(flow, "Hi")
    assert rollout.visited == (
        "s",
        "s_ref_o",
        "s_ref_o_ref_hello",
        "s_ref_o_ref_rest",
        "z",
        "end",
    )
    assert rollout.variables["greeting"] == "Hi"


def test_a_child_that_starts_at_its_end_goes_straight_on(tmp_path: Path) -> None:
    write(
        tmp_path,
        "c.yaml",
        """
        name: Nothing
        start_state: end
        variables: {x: "1"}
        states:
          never: {type: transition, next: end}
        """,
    )
    flow = workflow(child("s", "c.yaml", next="z"), go("z", END), folder=tmp_path)
    rollout = run(flow)
    assert rollout.visited == ("s", "z", "end")
    assert [v.next for v in rollout.visits] == ["z", "end"]
    assert rollout.variables == {"x": "1"}


def guarded(on_error: str) -> str:
    return f"""
    name: Guarded
    start_state: a
    on_error: {on_error}
    states:
      a: {{type: prompt, prompt: "try", save_as: got}}
      sorry: {{type: transition, next: end}}
    """


def test_the_childs_own_on_error_holds_inside_it(tmp_path: Path) -> None:
    write(tmp_path, "c.yaml", guarded("sorry"))
    flow = workflow(child("s", "c.yaml", next="z"), go("z", END), go("sorry", END), folder=tmp_path)
    rollout = run(flow, BROKEN)
    assert rollout.visited == ("s", "s_ref_a", "s_ref_sorry", "z", "end")
    assert rollout.variables["error_state"] == "s_ref_a"


def test_on_error_end_inside_a_child_ends_the_child_only(tmp_path: Path) -> None:
    write(tmp_path, "c.yaml", guarded("end"))
    flow = workflow(child("s", "c.yaml", next="z"), go("z", END), folder=tmp_path)
    assert run(flow, BROKEN).visited == ("s", "s_ref_a", "z", "end")


def test_a_failure_that_the_child_leaves_open_is_the_callers(tmp_path: Path) -> None:
    write(tmp_path, "c.yaml", GREETER)
    here = workflow(
        child("s", "c.yaml", on_error="z"), go("z", END), folder=tmp_path, variables={"name": "Bo"}
    )
    rollout = run(here, BROKEN)
    assert rollout.visited == ("s", "s_ref_hello", "z", "end")
    assert rollout.variables == {
        "name": "Bo",
        "error": "the script says: empty",
        "error_state": "s_ref_hello",
    }
    nobody = workflow(child("s", "c.yaml"), folder=tmp_path)
    failed = run(nobody, BROKEN)
    assert failed.status is RunStatus.FAILED
    assert failed.error.state == "s_ref_hello"


def test_two_children_that_answer_for_each_other_end(tmp_path: Path) -> None:
    write(tmp_path, "c.yaml", GREETER)
    flow = workflow(
        child("s", "c.yaml", on_error="t"), child("t", "c.yaml", on_error="s"), folder=tmp_path
    )
    rollout = run(flow, BROKEN)
    assert rollout.status is RunStatus.FAILED
    assert rollout.visited == ("s", "s_ref_hello", "t", "t_ref_hello")


def test_a_child_that_succeeds_ends_the_chain_of_failures_around_it(tmp_path: Path) -> None:
    write(tmp_path, "c.yaml", GREETER)
    flow = workflow(
        prompt("a", on_error="s"),
        child("s", "c.yaml", next="b"),
        prompt("b", on_error="a"),
        folder=tmp_path,
    )
    once = Reply(error=LLMErrorKind.EMPTY, once=True)
    rollout = run(flow, once, "Hi", once, "at last")
    assert rollout.visited == ("a", "s", "s_ref_hello", "s_ref_rest", "b", "a", "end")


@pytest.mark.parametrize(
    ("text", "words"),
    [(None, "c.yaml"), ("name: x", "start_state"), ("{", "c.yaml")],
)
def test_a_child_that_cannot_be_loaded_is_a_failure_of_its_caller(
    tmp_path: Path, text: str | None, words: str
) -> None:
    if text is not None:
        write(tmp_path, "c.yaml", text)
    flow = workflow(child("s", "c.yaml", on_error="z"), go("z", END), folder=tmp_path)
    rollout = run(flow)
    assert rollout.visited == ("s", "z", "end")
    assert words in rollout.variables["error"]


def test_a_missing_variable_file_of_a_child_is_a_failure_of_its_caller(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "c.yaml",
        """
        name: Child
        start_state: a
        variables: {rules: {file: rules.txt}}
        states:
          a: {type: transition, next: end}
        """,
    )
    write(tmp_path, "rules.txt", "x")
    load(path)
    (tmp_path / "rules.txt").unlink()
    rollout = run(workflow(child("s", "c.yaml"), folder=tmp_path))
    assert rollout.status is RunStatus.FAILED
    assert rollout.error.state == "s"


def test_a_circle_of_files_ends(tmp_path: Path) -> None:
    write(
        tmp_path,
        "c.yaml",
        """
        name: Circle
        start_state: s
        states:
          s: {type: workflow_ref, workflow_ref: d.yaml}
        """,
    )
    write(
        tmp_path,
        "d.yaml",
        """
        name: Circle
        start_state: s
        states:
          s: {type: workflow_ref, workflow_ref: c.yaml}
        """,
    )
    rollout = run(workflow(child("s", "c.yaml"), folder=tmp_path))
    assert rollout.status is RunStatus.FAILED
    assert len(rollout.visits) <= 3


def test_the_limit_on_steps_holds_for_all_workflows_together(tmp_path: Path) -> None:
    write(tmp_path, "c.yaml", GREETER)
    flow = workflow(child("s", "c.yaml", next="s"), folder=tmp_path)
    llm = ScriptedLLM([Reply("Hi")])
    rollout = run_workflow(flow, llm, inputs=MappingInputs({}), options=Settings(max_steps=5))
    assert rollout.visited == ("s", "s_ref_hello", "s_ref_rest", "s", "s_ref_hello")
    assert rollout.error.state == "s_ref_rest"
    assert rollout.variables["greeting"] == "Hi"


def test_a_value_in_a_child_may_not_lead_to_the_callers_folder(tmp_path: Path) -> None:
    write(tmp_path, "secret.txt", "SECRET")
    write(
        tmp_path,
        "parts/c.yaml",
        """
        name: Child
        start_state: a
        states:
          a: {type: prompt, prompt: "Read", files: ["{{path}}"]}
        """,
    )
    flow = workflow(ask("q", save_as="path", next="s"), child("s", "parts/c.yaml"), folder=tmp_path)
    rollout = run(flow, "ok", q="../secret.txt")
    assert rollout.status is RunStatus.FAILED
    assert "is refused" in rollout.error.message
