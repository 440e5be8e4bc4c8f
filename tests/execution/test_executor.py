from __future__ import annotations

import random
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from execution.small_workflows import ask, child, go, options, prompt, workflow, workflows
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune_fsm.codec import plain, restore
from finetune_fsm.errors import FATAL, LLMError, LLMErrorKind, MissingExtra
from finetune_fsm.execution.executor import run_workflow
from finetune_fsm.execution.inputs import Inputs, LineInputs, MappingInputs
from finetune_fsm.execution.limits import Settings
from finetune_fsm.execution.rollout import Rollout, RunStatus, Visit
from finetune_fsm.llm.base import Completion, Purpose, Request, Stop
from finetune_fsm.llm.scripted import Reply, ScriptedLLM
from finetune_fsm.workflow.model import END, StateKind, VariableFile, Workflow

SAYS_NOTHING = MappingInputs({})


def run(
    flow: Workflow, *script: Reply | str, inputs: Inputs = SAYS_NOTHING, **settings_: object
) -> Rollout:
    return run_workflow(flow, ScriptedLLM(script), inputs=inputs, options=Settings(**settings_))


def erratic(seed: int) -> ScriptedLLM:
    """Replies of every sort, some of them errors, the same for the same seed."""
    chance = random.Random(seed)

    def answer(request: Request) -> str | Completion:
        if chance.random() < 0.3:
            raise LLMError(chance.choice(list(LLMErrorKind)), "broken on purpose")
        text = chance.choice(["", "1", "2", "3", "a", "{{b}}", "no idea", "x" * 500, "\x1b[2J"])
        return Completion(text, 3, 2, cut=chance.random() < 0.2)

    return ScriptedLLM(answer)


def erratic_inputs(seed: int) -> LineInputs:
    chance = random.Random(seed)
    return LineInputs(chance.choice(["", " Bob ", "{{a}}"]) for _ in range(chance.randrange(30)))


Case = tuple[Workflow, int, int]
runs: st.SearchStrategy[Case] = st.tuples(workflows(), st.integers(0, 10_000), st.integers(0, 25))


def erratic_run(case: Case) -> Rollout:
    flow, seed, steps = case
    limits = Settings(max_steps=steps)
    return run_workflow(flow, erratic(seed), inputs=erratic_inputs(seed), options=limits)


# What holds for every run


@given(runs)
def test_every_run_ends_within_its_steps_whatever_the_model_says(case: Case) -> None:
    rollout = erratic_run(case)
    assert len(rollout.visits) <= case[2]
    assert (rollout.status is RunStatus.FAILED) == (rollout.error is not None)
    assert rollout.status is not RunStatus.STOPPED


@given(runs)
def test_the_visited_states_are_a_walk_of_the_graph(case: Case) -> None:
    flow, rollout = case[0], erratic_run(case)
    names = [visit.state for visit in rollout.visits]
    ended = rollout.status is RunStatus.COMPLETED
    assert list(rollout.visited) == names + [END] * ended
    assert END not in names
    if rollout.visits:
        assert names[0] == flow.start_state
    for visit, after in zip(rollout.visits, ways_on(rollout), strict=True):
        state = flow.states[visit.state]
        if visit.error:
            assert visit.next == ""
            assert after in (None, state.on_error or flow.on_error)
        else:
            assert visit.next == after
            assert after in state.targets


def ways_on(rollout: Rollout) -> list[str | None]:
    """Where each visit led: the next one, the state that a limit kept out, or None: it failed."""
    last = rollout.visits[-1:]
    names = list(rollout.visited[1:])
    if not last or rollout.error is None:
        return names[: len(rollout.visits)]
    return [*names, None if last[0].error == rollout.error.message else rollout.error.state]


@given(runs)
def test_the_variables_at_the_end_are_what_the_visits_saved(case: Case) -> None:
    flow, rollout = case[0], erratic_run(case)
    expected = dict(flow.variables)
    for visit, after in zip(rollout.visits, ways_on(rollout), strict=True):
        saves = flow.states[visit.state].save_as
        replied = not visit.error or visit.usage.calls  # else it failed before there was a reply
        if saves and replied:
            expected[saves] = visit.completion
        if visit.error and after:
            expected |= {"error": visit.error, "error_state": visit.state}
    assert dict(rollout.variables) == expected


@given(runs)
def test_no_state_answers_twice_for_one_chain_of_failures(case: Case) -> None:
    chain: list[str] = []
    for visit in erratic_run(case).visits:
        assert not visit.error or visit.state not in chain
        chain = [*chain, visit.state] if visit.error else []


@given(runs)
def test_a_run_is_told_visit_by_visit_as_it_happens(case: Case) -> None:
    flow, seed, steps = case
    entered: list[str] = []
    seen: list[Visit] = []
    rollout = run_workflow(
        flow,
        erratic(seed),
        inputs=erratic_inputs(seed),
        options=Settings(max_steps=steps),
        on_enter=lambda name, state: entered.append(name),
        on_visit=seen.append,
    )
    assert tuple(seen) == rollout.visits
    assert entered == [visit.state for visit in rollout.visits]


@given(runs)
def test_the_same_replies_give_the_same_rollout_and_it_survives_json(case: Case) -> None:
    first, second = (
        replace(r, seconds=0, visits=tuple(_timeless(v) for v in r.visits))
        for r in (erratic_run(case), erratic_run(case))
    )
    assert first == second
    assert restore(Rollout, plain(first)) == first


def _timeless(visit: Visit) -> Visit:
    return replace(visit, usage=replace(visit.usage, seconds=0))


@given(runs)
def test_warnings_and_errors_are_safe_to_print(case: Case) -> None:
    rollout = erratic_run(case)
    shown = [*rollout.warnings, rollout.error.message if rollout.error else ""]
    assert not any("\x1b" in text for text in shown)
    assert len(set(rollout.warnings)) == len(rollout.warnings)


def test_runs_side_by_side_do_not_disturb_each_other() -> None:
    flow = workflow(
        ask("a", save_as="who", next="b"),
        prompt("b", "Hello {{who}}", save_as="out", next="c"),
        prompt("c", "{{who}} {{out}}", save_as="out"),
    )
    llm = ScriptedLLM(lambda request: f"<{request.text}>")

    def one(number: int) -> str:
        return run_workflow(flow, llm, inputs=MappingInputs({"a": str(number)})).variables["out"]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, range(100))) == [f"<{i} <Hello {i}>>" for i in range(100)]


# Each kind of state, as documentation


def test_a_whole_run() -> None:
    flow = workflow(
        ask("get_name", "Your name?", save_as="name", next="sort"),
        prompt(
            "sort",
            "Is {{name}} a person?",
            save_as="kind",
            next=None,
            next_options=options(greet="a person", bye="a thing"),
        ),
        prompt("greet", "Greet {{name}}, {{title}}", save_as="greeting", next="bye"),
        go("bye", END),
        variables={"title": "Dr."},
    )
    rollout = run(flow, "Yes.", "1", "Hello!", inputs=MappingInputs({"get_name": " Ann\n"}))
    assert rollout.status is RunStatus.COMPLETED
    assert rollout.visited == ("get_name", "sort", "greet", "bye", "end")
    assert rollout.variables == {
        "title": "Dr.",
        "name": "Ann",
        "kind": "Yes.",
        "greeting": "Hello!",
    }
    asked, sort, greet, bye = rollout.visits
    assert (asked.kind, asked.prompt, asked.completion) == ("input", "Your name?", "Ann")
    assert (sort.prompt, sort.completion, sort.next) == ("Is Ann a person?", "Yes.", "greet")
    assert (sort.routed, sort.usage.calls) == (True, 2)
    assert (greet.prompt, greet.routed, greet.usage.calls) == ("Greet Ann, Dr.", False, 1)
    assert bye == Visit("bye", StateKind.TRANSITION, next="end")
    assert rollout.usage.calls == 3
    assert rollout.warnings == ()


def test_a_prompt_state_sends_its_model_its_options_and_the_filled_in_prompt() -> None:
    flow = workflow(
        prompt("a", "{{x}}?", model="big", options={"temperature": 0.7, "stop": ["."]}, next="b"),
        prompt("b"),
        variables={"x": "why"},
        default_model="small",
    )
    llm = ScriptedLLM(["one", "two"])
    defaults = {"temperature": 0, "seed": 1}
    run_workflow(flow, llm, inputs=SAYS_NOTHING, options=Settings(defaults=defaults))
    first, second = llm.requests
    assert (first.model, first.text, first.label) == ("big", "why?", "a")
    assert first.options == {"temperature": 0.7, "stop": ["."], "seed": 1}
    assert (first.purpose, first.reuse_prefix) == (Purpose.STATE, False)
    assert (second.model, second.options) == ("small", defaults)


def test_a_later_draw_is_said_with_every_question_of_a_run(tmp_path: Path) -> None:
    (tmp_path / "child.yaml").write_text(
        "name: C\nstart_state: s\nstates: {s: {type: prompt, prompt: hi, next: end}}\n"
    )
    flow = workflow(
        prompt("a", next_options=options(b="one", end="other")),
        child("b", "child.yaml"),
        folder=tmp_path,
    )
    for draw in (0, 2):
        llm = ScriptedLLM(["reply", "none of them", "1", "hello"])
        limits = Settings(defaults={"seed": 5}, draw=draw)
        rollout = run_workflow(flow, llm, inputs=SAYS_NOTHING, options=limits)
        assert rollout.status is RunStatus.COMPLETED
        assert [request.purpose for request in llm.requests] == ["state", "route", "route", "state"]
        assert {request.draw for request in llm.requests} == {draw}
        assert {request.options["seed"] for request in llm.requests} == {5 + draw}


def test_options_go_as_written_where_nobody_sets_defaults() -> None:
    llm = ScriptedLLM(["one"])
    run_workflow(workflow(prompt("a")), llm, inputs=SAYS_NOTHING)
    assert llm.requests[0].options == {}


def test_a_reply_is_saved_exactly_an_empty_one_too() -> None:
    flow = workflow(prompt("a", save_as="x", next="b"), prompt("b", save_as="y"))
    rollout = run(flow, " two\nlines \n", "")
    assert rollout.variables == {"x": " two\nlines \n", "y": ""}


def test_a_reply_that_was_cut_is_a_value_with_a_warning() -> None:
    rollout = run(workflow(prompt("a", save_as="x")), Reply("half of", cut=True))
    assert rollout.status is RunStatus.COMPLETED
    assert rollout.variables == {"x": "half of"}
    assert rollout.warnings == (
        "state 'a': the reply was cut at the token limit — set options.num_predict higher",
    )


def test_a_reply_is_streamed_and_a_routing_is_not() -> None:
    heard: list[str] = []
    flow = workflow(
        prompt("a", next=None, next_options=options(b="x", end="y")), prompt("b", next=END)
    )
    llm = ScriptedLLM(["reply", "1", "more"])
    run_workflow(flow, llm, inputs=SAYS_NOTHING, on_text=heard.append)
    assert heard == ["reply", "more"]


def test_a_routing_without_an_answer_takes_the_first_option_and_says_so() -> None:
    flow = workflow(
        prompt("a", next=None, next_options=options(b="x", end="y")), prompt("b", next=END)
    )
    rollout = run(flow, "reply", "hm", "well", "more")
    assert rollout.visited == ("a", "b", "end")
    assert not rollout.visits[0].routed
    assert rollout.visits[0].usage.calls == 3
    assert "the model chose none" in rollout.warnings[0]


@pytest.mark.parametrize(
    ("given_", "default", "saved"),
    [
        ("  Ann \n", None, "Ann"),
        ("", "{{who}} Doe", "Jo Doe"),
        ("   ", "Bob", "Bob"),
        ("", None, ""),
        ("Ann", "Bob", "Ann"),
    ],
)
def test_an_input_state_saves_the_trimmed_answer_else_its_default(
    given_: str, default: str | None, saved: str
) -> None:
    flow = workflow(
        ask("a", "Hi {{who}}?", save_as="x", default_value=default), variables={"who": "Jo"}
    )
    rollout = run(flow, inputs=MappingInputs({"a": given_}))
    assert rollout.variables["x"] == saved
    assert rollout.visits[0].prompt == "Hi Jo?"
    assert rollout.visits[0].completion == saved


def test_an_input_without_a_given_answer_takes_its_default_in_a_scenario() -> None:
    assert run(workflow(ask("a", save_as="x", default_value="d"))).variables["x"] == "d"


def test_the_end_of_all_answers_is_an_error_unless_there_is_a_default() -> None:
    flow = workflow(ask("a", "First?", next="b"), ask("b", "Second?"))
    rollout = run(flow, inputs=LineInputs(["one\n"]))
    assert rollout.status is RunStatus.FAILED
    assert rollout.error.state == "b"
    assert "there is no answer left for: Second?" in rollout.error.message
    with_default = workflow(ask("a", save_as="x", default_value="d"))
    assert run(with_default, inputs=LineInputs([])).variables["x"] == "d"


def test_unknown_placeholders_stay_with_one_warning_that_names_state_and_variable() -> None:
    flow = workflow(prompt("a", "Hi {{nobody}} {{nobody}}", next="b"), go("b", "a"))
    rollout = run(flow, "x", "x", max_steps=4)
    assert rollout.visits[0].prompt == "Hi {{nobody}} {{nobody}}"
    assert rollout.warnings == (
        "state 'a': nothing has set 'nobody', so '{{nobody}}' stays as written",
    )


def test_a_workflow_that_starts_at_the_end_is_done() -> None:
    rollout = run(workflow(start_state=END))
    assert (rollout.status, rollout.visited) == (RunStatus.COMPLETED, ("end",))


# Files and variables


def test_files_go_with_the_prompt(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("be nice")
    (tmp_path / "dot.png").write_bytes(b"\x89PNG")
    flow = workflow(
        prompt("a", "Look", files=("{{name}}.txt", "dot.png")),
        folder=tmp_path,
        variables={"name": "note"},
    )
    llm = ScriptedLLM(["ok"])
    rollout = run_workflow(flow, llm, inputs=SAYS_NOTHING)
    (message,) = llm.requests[0].messages
    assert message.images == (b"\x89PNG",)
    assert message.content == (
        "Look\n\n--- Content from note.txt ---\nbe nice\n--- End of note.txt ---"
    )
    assert rollout.visits[0].prompt == message.content


def test_a_missing_file_is_a_warning_and_under_strict_an_error(tmp_path: Path) -> None:
    flow = workflow(prompt("a", files=("gone.txt",)), folder=tmp_path)
    lenient = run(flow, "ok")
    assert lenient.status is RunStatus.COMPLETED
    assert "file 'gone.txt' cannot be read: there is no such file" in lenient.warnings[0]
    strict = run(flow, "ok", strict=True)
    assert strict.status is RunStatus.FAILED
    assert "gone.txt" in strict.error.message


def test_a_reply_cannot_name_a_file_outside_and_on_error_answers(tmp_path: Path) -> None:
    flow = workflow(
        prompt("a", save_as="path", next="b"),
        prompt("b", files=("{{path}}",), on_error="c"),
        prompt("c", "It says: {{error}} in {{error_state}}"),
        folder=tmp_path,
    )
    rollout = run(flow, "/etc/passwd", "sorry")
    assert rollout.visited == ("a", "b", "c", "end")
    assert "is refused" in rollout.visits[2].prompt
    assert rollout.visits[2].prompt.endswith("in b")


def test_a_missing_library_leaves_the_run_as_an_exception(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pypdf", None)
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.4")
    flow = workflow(prompt("a", files=("a.pdf",), on_error=END), folder=tmp_path)
    with pytest.raises(MissingExtra):
        run(flow, "ok")


def test_a_variable_may_be_a_files_text(tmp_path: Path) -> None:
    (tmp_path / "rules.txt").write_text("be {{kind}}\n")
    flow = workflow(
        prompt("a", "Rules: {{rules}}"),
        folder=tmp_path,
        variables={"rules": VariableFile("rules.txt"), "kind": "x"},
    )
    assert run(flow, "ok").visits[0].prompt == "Rules: be {{kind}}\n"


def test_a_variables_file_that_is_missing_fails_the_run_before_its_first_state(
    tmp_path: Path,
) -> None:
    flow = workflow(prompt("a"), folder=tmp_path, variables={"rules": VariableFile("gone.txt")})
    rollout = run(flow, "ok")
    assert (rollout.status, rollout.visits) == (RunStatus.FAILED, ())
    assert rollout.error.message == (
        "variable 'rules': file 'gone.txt' cannot be read: there is no such file"
    )


def test_the_run_directory_is_a_variable(tmp_path: Path) -> None:
    flow = workflow(prompt("a", "{{run_directory}}", files=("{{run_directory}}/x.txt",)))
    (tmp_path / "x.txt").write_text("found")
    llm = ScriptedLLM(["ok"])
    rollout = run_workflow(flow, llm, inputs=SAYS_NOTHING, run_directory=tmp_path)
    assert rollout.visits[0].prompt.startswith(f"{tmp_path}\n\n--- Content from x.txt ---\nfound")
    assert rollout.variables == {"run_directory": str(tmp_path)}


def test_without_a_run_directory_there_is_a_temporary_one_of_the_run_alone() -> None:
    flow = workflow(prompt("a", "{{run_directory}}", save_as="x"))
    first, second = run(flow, "ok"), run(flow, "ok")
    assert "agentmech-" in first.visits[0].prompt
    assert first.visits[0].prompt != second.visits[0].prompt
    assert first.variables == {"x": "ok"}
    assert first.warnings == ()


def test_a_variable_that_doubles_at_every_round_fails_in_time() -> None:
    flow = workflow(
        ask("a", save_as="x", default_value="{{x}}{{x}}", next="a"), variables={"x": "boom"}
    )
    rollout = run(flow)
    assert rollout.status is RunStatus.FAILED
    assert "more than 1000000" in rollout.error.message


# Failures


def test_a_failure_goes_to_the_states_on_error_before_the_workflows() -> None:
    flow = workflow(prompt("a", on_error="b"), go("b", END), go("c", END), on_error="c")
    assert run(flow, Reply(error=LLMErrorKind.SERVER)).visited == ("a", "b", "end")
    other = replace(flow, states={**flow.states, "a": prompt("a")})
    rollout = run(other, Reply(error=LLMErrorKind.SERVER))
    assert rollout.visited == ("a", "c", "end")
    assert rollout.status is RunStatus.COMPLETED
    assert rollout.variables == {"error": "the script says: server", "error_state": "a"}
    assert rollout.visits[0].error == "the script says: server"
    assert rollout.visits[0].next == ""


def test_on_error_may_be_the_end_and_the_end_counts_as_visited() -> None:
    rollout = run(workflow(prompt("a", on_error=END)), Reply(error=LLMErrorKind.EMPTY))
    assert rollout.status is RunStatus.COMPLETED
    assert rollout.visited == ("a", "end")


def test_a_failure_that_nothing_answers_fails_the_run() -> None:
    rollout = run(workflow(prompt("a", next="b"), prompt("b")), "ok", Reply(error="denied"))
    assert rollout.status is RunStatus.FAILED
    assert rollout.visited == ("a", "b")
    assert (rollout.error.state, rollout.error.kind) == ("b", "denied")


@pytest.mark.parametrize("fallback", ["a", "b"])
def test_a_fallback_that_fails_does_not_enter_itself_again(fallback: str) -> None:
    flow = workflow(prompt("a"), prompt("b"), on_error=fallback)
    rollout = run(flow, Reply(error=LLMErrorKind.EMPTY))
    assert rollout.status is RunStatus.FAILED
    assert rollout.visited == tuple(dict.fromkeys(("a", fallback)))


def test_two_fallbacks_that_name_each_other_end() -> None:
    flow = workflow(prompt("a", on_error="b"), prompt("b", on_error="a"))
    assert run(flow, Reply(error=LLMErrorKind.EMPTY)).visited == ("a", "b")


def test_a_fallback_that_succeeds_may_lead_back_for_another_try() -> None:
    flow = workflow(prompt("a", on_error="b", save_as="x"), go("b", "a"))
    broken = Reply(error=LLMErrorKind.EMPTY, once=True)
    rollout = run(flow, broken, broken, "at last")
    assert rollout.visited == ("a", "b", "a", "b", "a", "end")
    assert rollout.variables["x"] == "at last"


def test_a_success_ends_the_chain_so_that_a_state_that_failed_may_answer_again() -> None:
    flow = workflow(prompt("a", on_error="b"), go("b", "c"), prompt("c", on_error="a"))
    broken = Reply(error=LLMErrorKind.EMPTY, once=True)
    assert run(flow, broken, broken, "at last").visited == ("a", "b", "c", "a", "end")


def test_a_reply_stays_saved_when_the_routing_after_it_fails() -> None:
    flow = workflow(
        prompt("a", save_as="x", on_error="c", next=None, next_options=options(b="1", c="2")),
        go("b", END),
        go("c", END),
    )
    rollout = run(flow, "kept", Reply(error=LLMErrorKind.BAD_REQUEST))
    assert rollout.visited == ("a", "c", "end")
    assert rollout.variables["x"] == "kept"
    assert rollout.visits[0].completion == "kept"
    assert rollout.visits[0].usage.calls == 1


@pytest.mark.parametrize("kind", LLMErrorKind)
def test_a_broken_world_leaves_an_evaluation_and_a_bad_reply_does_not(kind: LLMErrorKind) -> None:
    flow = workflow(prompt("a", on_error=END))
    script = Reply(error=kind)
    assert run(flow, script).status is RunStatus.COMPLETED
    if kind in FATAL:
        with pytest.raises(LLMError) as caught:
            run(flow, script, fatal_raises=True)
        assert caught.value.kind is kind
    else:
        assert run(flow, script, fatal_raises=True).status is RunStatus.COMPLETED


# Limits and stops


def test_a_run_that_goes_round_for_ever_ends_after_its_steps() -> None:
    rollout = run(workflow(go("a", "b"), go("b", "a")), max_steps=7)
    assert rollout.status is RunStatus.FAILED
    assert rollout.visited == ("a", "b", "a", "b", "a", "b", "a")
    assert rollout.error.state == "b"
    assert "after 7 visited states" in rollout.error.message
    assert "--max-steps" in rollout.error.message
    assert len(run(workflow(go("a", "a"), on_error="a")).visits) == 100


def test_a_run_that_needs_exactly_its_steps_completes() -> None:
    flow = workflow(go("a", "b"), go("b", END))
    assert run(flow, max_steps=2).status is RunStatus.COMPLETED
    assert run(flow, max_steps=1).status is RunStatus.FAILED


def test_a_run_out_of_time_fails_even_in_the_middle_of_a_reply() -> None:
    flow = workflow(prompt("a", on_error=END))
    rollout = run(flow, Reply("late", seconds=0.1), max_seconds=0.05)
    assert rollout.status is RunStatus.FAILED
    assert rollout.error.state == "a"
    assert "after 0.05 seconds" in rollout.error.message
    assert rollout.visits == ()


def test_the_time_a_person_takes_to_answer_does_not_count() -> None:
    def slowly() -> Iterator[str]:
        time.sleep(0.3)
        yield "here"

    flow = workflow(ask("a", save_as="x", next="b"), go("b", END))
    rollout = run(flow, inputs=LineInputs(slowly()), max_seconds=0.2)
    assert rollout.status is RunStatus.COMPLETED


def test_a_stop_leaves_what_was_done_so_far() -> None:
    stop = Stop()
    flow = workflow(prompt("a", save_as="x", next="b"), prompt("b", on_error=END))

    def answer(request: Request) -> str:
        if request.label == "b":
            stop.ask()
        return "done"

    rollout = run_workflow(flow, ScriptedLLM(answer), inputs=SAYS_NOTHING, stop=stop)
    assert (rollout.status, rollout.error) == (RunStatus.STOPPED, None)
    assert rollout.visited == ("a",)
    assert rollout.variables == {"x": "done"}


def test_a_stop_from_another_thread_ends_an_endless_run() -> None:
    stop = Stop()
    threading.Timer(0.05, stop.ask).start()
    flow = workflow(go("a", "a"))
    limits = Settings(max_steps=10**9, max_seconds=20)
    rollout = run_workflow(flow, ScriptedLLM([]), inputs=SAYS_NOTHING, options=limits, stop=stop)
    assert rollout.status is RunStatus.STOPPED


@settings(max_examples=30)
@given(workflows(), st.integers(0, 1000), st.integers(0, 12))
def test_a_run_stopped_anywhere_is_a_beginning_of_the_whole_run(
    flow: Workflow, seed: int, after: int
) -> None:
    stop = Stop()
    seen: list[Visit] = []

    def count(visit: Visit) -> None:
        seen.append(visit)
        if len(seen) >= after:
            stop.ask()

    limits = Settings(max_steps=12)
    whole = run_workflow(flow, erratic(seed), inputs=erratic_inputs(seed), options=limits)
    part = run_workflow(
        flow, erratic(seed), inputs=erratic_inputs(seed), options=limits, on_visit=count, stop=stop
    )
    assert [v.state for v in part.visits] == [v.state for v in whole.visits][: len(part.visits)]
