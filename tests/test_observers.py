"""The session that a person reads: content and order, and nothing that could hurt a screen."""

from __future__ import annotations

import itertools
import json
import re
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune_fsm.api import finish, open_loop
from finetune_fsm.errors import LLMError, LLMErrorKind, Problem
from finetune_fsm.execution.rollout import Rollout, RunError, RunStatus
from finetune_fsm.improve.compare import Comparison
from finetune_fsm.improve.model import Analysis, Attempt, Draft, Repair, Strategy, Suggestion
from finetune_fsm.improve.race import Lap
from finetune_fsm.improve.samples import Sample
from finetune_fsm.llm.base import Purpose, Request, Stop
from finetune_fsm.llm.scripted import Reply, ScriptedLLM
from finetune_fsm.loop.machine import Entered, Leaving, Moment
from finetune_fsm.loop.outcomes import (
    Analyzed,
    Checked,
    Confirmed,
    Ending,
    Interrupted,
    Modified,
    Outcome,
    Prepared,
    Ran,
    Tested,
    Tried,
)
from finetune_fsm.loop.run import Run
from finetune_fsm.loop.settings import Settings
from finetune_fsm.loop.table import LoopState
from finetune_fsm.observers.lines import Line
from finetune_fsm.observers.narrator import lines_of, narrator
from finetune_fsm.scenarios.model import (
    Assertion,
    AssertionType,
    Scenario,
    ScenarioResult,
    Suite,
    SuiteReport,
    Verdict,
)
from finetune_fsm.workflow.edits import Edit, EditOp

WORKFLOW = """\
name: Mood
description: Says whether a review is good or bad.
start_state: ask
states:
  ask: {type: input, prompt: "Which review?", save_as: review, next: sort}
  sort:
    type: prompt
    prompt: "What do you think of this review? {{review}}"
    save_as: mood
"""

TESTS = """\
workflow: mood.yaml
test_scenarios:
  - name: Likes it
    inputs: [{state: ask, value: The room was lovely}]
    assertions: [{type: equals, target: mood, value: good}]
  - name: Hates it
    inputs: [{state: ask, value: Never again}]
    assertions: [{type: equals, target: mood, value: bad}]
"""

BETTER = "Is this review good or bad? Answer with that one word: {{review}}"


def model(request: Request) -> str:
    """Do what the prompt says, and only then; repair it when asked."""
    if request.purpose is Purpose.STATE:
        mood = "good" if "lovely" in request.text else "bad"
        return mood if "one word" in request.text else f"I think it is {mood}!"
    if request.purpose is Purpose.ANALYSIS:
        suggestions = [{"state": "sort", "change": "Ask for one word."}]
        solved = "one word" in request.text
        return json.dumps(
            {"analysis": "No form is asked for.", "suggestions": [] if solved else suggestions}
        )
    if request.purpose is Purpose.PROPOSAL:
        return json.dumps({"problem": "No form.", "new_prompt": BETTER})
    return "1"


Told = Callable[..., list[str]]


def session(
    folder: Path, llm: ScriptedLLM, *, fails: type[Exception] | None = None, **options: object
) -> list[str]:
    """The lines of a whole session in *folder*."""
    said: list[Line] = []
    watch = narrator(said.append, clock=iter(range(10_000)).__next__)
    loop = open_loop(folder / "mood.yaml", llm=llm, observers=(watch,), **options)  # type: ignore[arg-type]
    if fails:
        with pytest.raises(fails):
            finish(loop)
    else:
        finish(loop)
    return "\n".join(line.text for line in said).split("\n")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mood.yaml").write_text(WORKFLOW)
    (tmp_path / "mood.test.yaml").write_text(TESTS)
    return tmp_path


def in_order(lines: list[str], *wanted: str) -> None:
    """Every wanted text is in a line of its own, in this order."""
    rest = iter(lines)
    for text in wanted:
        assert any(text in line for line in rest), f"{text!r} is missing, or not in its place"


def test_a_session_tells_the_steps_in_the_order_of_the_command_that_people_know(
    folder: Path,
) -> None:
    lines = session(folder, ScriptedLLM(model))
    in_order(
        lines,
        "AgentMech Workflow Finetune",
        "This will iteratively improve your workflow using LLM-powered analysis.",
        f"Loading workflow from: {folder}/mood.yaml",
        'Workflow "Mood" loaded successfully',
        f"Output will be saved to: {folder}/mood.finetuned.yaml",
        "Using model: gemma3:4b",
        f"Found existing test file: {folder}/mood.test.yaml",
        "Starting finetune process with max 5 iterations",
        "═" * 60,
        "📊 ITERATION 1/5",
        "─" * 60,
        f"Iteration workflow saved: {folder}/mood.finetune-iter1.yaml",
        "Running workflow...",
        "  Workflow executed successfully",
        "Running tests...",
        "  2 tests failed (0/2 passed):",
        "    - Likes it: ",
        "    - Hates it: ",
        "Analyzing workflow and test results...",
        "📋 Analysis:",
        "0 of 2 scenarios pass.",
        "💡 Suggestions:",
        "  1. ",
        "Applying improvements to workflow...",
        "  Meant for: 'Likes it', 'Hates it'",
        "  - set sort.prompt",
        "    @@ -",
        "✅ Modifications applied",
        "─" * 60,
        "📊 ITERATION 2/5",
        "  Rolled back to iteration 1",
        "📋 Analysis:",
        "No form is asked for.",
        "  All tests passed (2/2)",
        "Kept: it fixes 'Likes it' and 'Hates it' and breaks nothing",
        "Confirming what was gained...",
        f"✅ Finetune complete! Final workflow saved to: {folder}/mood.finetuned.yaml",
        "📊 Summary:",
        "  Total iterations: ",
        "  Final test status: PASSED",
        "  Scenarios passed: 0/2 → 2/2",
        "  Ended because: ",
        "  LLM calls: ",
    )


def test_paragraphs_are_parted_by_one_blank_line(folder: Path) -> None:
    lines = session(folder, ScriptedLLM(model))
    assert lines[0]
    assert ("", "") not in set(itertools.pairwise(lines))


def test_generated_tests_are_announced_before_and_after(folder: Path) -> None:
    (folder / "mood.test.yaml").unlink()
    lines = session(folder, ScriptedLLM([Reply("no tests from me")]), max_iterations=1)
    in_order(
        lines,
        "No test file found: generating test scenarios...",
        "  The model's scenarios are not usable: ",
        "Generated 1 test scenario: ",
        "Starting finetune process with max 1 iteration",
    )
    again = session(folder, ScriptedLLM([Reply("no tests from me")]), max_iterations=1)
    in_order(again, "mood.finetune-tests.yaml")
    assert any("Found existing test file: " in line for line in again)
    assert not any("generating" in line for line in again)


def test_a_draft_that_is_refused_and_one_that_is_rolled_back_are_told() -> None:
    attempt, problem = Attempt(Strategy.REWRITE, 0), Problem("c", "no JSON", "send JSON")
    run = Run(Settings(Path("w.yaml"), Path("o.yaml")), "name: W", attempt=attempt)
    again = replace(run, problems=(problem,))
    analysis, modifying = LoopState.ANALYZING, LoopState.MODIFYING
    told = [
        Entered(modifying, run),
        Leaving(modifying, Modified(attempt, None, (problem,)), LoopState.CHECKING, run),
        Leaving(LoopState.CHECKING, Checked((problem,)), modifying, again),
        Entered(modifying, again),
        Leaving(LoopState.CHECKING, Checked((problem,)), analysis, run),
        Leaving(analysis, Analyzed(Analysis("x"), fresh=False), modifying, run),
        Leaving(modifying, Modified(), LoopState.CHECKING, run),
        Leaving(
            LoopState.TESTING,
            Tested((Tried((), SuiteReport(()), False, "it breaks 'x'", Comparison()),)),
            analysis,
            run,
        ),
    ]
    lines = [line.text for moment in told for line in lines_of(moment) if line.text]
    assert lines == [
        "Applying improvements to workflow...",
        "  Not usable: no JSON — send JSON",
        "  Asking again, with what is wrong with the draft",
        "  Not usable: no JSON — send JSON",
        "❌ Modifications refused: the workflow stays as it was",
        "Going on from the workflow of iteration 1 with the next idea",
        "  Nothing is left to try",
        "  0 passed of the 0 that were run",
        "  Not kept: it breaks 'x'",
        "  Rolled back to iteration 1",
    ]


def test_a_failing_rollout_is_told_with_its_state(folder: Path) -> None:
    replies = [
        Reply(error=LLMErrorKind.EMPTY, purpose=Purpose.STATE),
        Reply(json.dumps({"analysis": "Empty.", "suggestions": []}), purpose=Purpose.ANALYSIS),
        Reply("x", purpose=Purpose.PROPOSAL),
    ]
    lines = session(folder, ScriptedLLM(replies), max_iterations=1)
    in_order(lines, "  Workflow failed in 2 of 2 scenarios:", "    - Likes it: in state 'sort': ")


def test_a_broken_world_is_told_and_the_best_named(folder: Path) -> None:
    replies = [
        Reply("I think so!", purpose=Purpose.STATE),
        Reply(error=LLMErrorKind.UNREACHABLE, purpose=Purpose.ANALYSIS),
    ]
    lines = session(folder, ScriptedLLM(replies), fails=LLMError)
    in_order(
        lines,
        "⚠ Stopped: the script says: unreachable",
        "⚠ Finetune broke off. Best workflow so far saved to: ",
        "  Ended because: the world broke",
    )


def test_an_interruption_before_the_first_verdict_saves_nothing_and_says_so(folder: Path) -> None:
    stop = Stop()
    stop.ask()
    lines = session(folder, ScriptedLLM(model), stop=stop)
    in_order(lines, "⚠ Interrupted", "❌ Nothing was saved: no workflow had been tested yet")
    assert not (folder / "mood.finetuned.yaml").exists()


def test_the_lines_of_a_moment_follow_from_the_moment_alone(folder: Path) -> None:
    moments: list[Moment] = []
    said: list[Line] = []
    watch = narrator(said.append, clock=lambda: 0.0)
    observers = (moments.append, watch)
    finish(open_loop(folder / "mood.yaml", llm=ScriptedLLM(model), observers=observers))
    assert {type(moment) for moment in moments} == {Entered, Leaving}
    again = [line for moment in moments for line in lines_of(moment)]
    assert [line for line in again if line.text] == [line for line in said if line.text]


def test_every_state_is_told_of(folder: Path) -> None:
    states: set[LoopState] = set()

    def watch(moment: Moment) -> None:
        if any(line.text for line in lines_of(moment)):
            states.add(moment.state)

    finish(open_loop(folder / "mood.yaml", llm=ScriptedLLM(model), observers=(watch,)))
    assert states == set(LoopState) - {LoopState.DONE}


HOSTILE = st.text(max_size=60) | st.sampled_from(
    ["\x1b[2J", "\x1b]52;c;aGk=\x07", "[/INST]", "\u202e", "\x9b31m", "\r\n", "\x00", "::error::x"]
)
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]")


@settings(max_examples=25)
@given(st.lists(HOSTILE, min_size=1, max_size=8))
def test_no_reply_of_a_model_puts_a_control_character_into_the_session(texts: list[str]) -> None:
    queue = itertools.cycle(texts)

    def reply(request: Request) -> str:
        text = next(queue)
        if request.purpose is Purpose.ANALYSIS:
            change = {"state": "sort", "change": next(queue)}
            return json.dumps({"analysis": text, "suggestions": [change]})
        if request.purpose is Purpose.PROPOSAL:
            return json.dumps({"problem": text, "new_prompt": next(queue) + "{{review}}"})
        return text

    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        (path / "mood.yaml").write_text(WORKFLOW)
        (path / "mood.test.yaml").write_text(TESTS)
        lines = session(path, ScriptedLLM(reply, slots=1), max_iterations=2)
    assert not CONTROL.search("".join(lines))


def moments(text: str) -> list[Moment]:
    """One moment of each kind that carries foreign text, and all of it is *text*."""
    settings = Settings(Path("w.yaml"), Path("o.yaml"), model=text)
    attempt = Attempt(Strategy.REWRITE, 0)
    problem = Problem("code", text, text)
    edit = Edit(EditOp.SET, ("states", text, "prompt"), text, text)
    suite = Suite("w.yaml", (Scenario(text, (Assertion(AssertionType.EQUALS, text, text),)),))
    rollout = Rollout(RunStatus.FAILED, error=RunError(text, text), warnings=(text,))
    report = SuiteReport((ScenarioResult(suite.scenarios[0], rollout, Verdict.FAILED, (), text),))
    analysis = Analysis(text, (Suggestion(text, text),), (), (Repair("c", (edit,), text),), (text,))
    outcomes: list[tuple[LoopState, Outcome]] = [
        (LoopState.PREPARING, Prepared(suite, Path("t.yaml"), True, (), (text,))),
        (LoopState.RUNNING, Ran((Lap((Sample(0, 0, rollout),), text),))),
        (LoopState.TESTING, Tested((Tried(report.results, report, False, text, Comparison()),))),
        (LoopState.CONFIRMING, Confirmed(False, text)),
        (LoopState.ANALYZING, Analyzed(analysis)),
        (LoopState.MODIFYING, Modified(attempt, None, (problem,))),
        (LoopState.MODIFYING, Modified(attempt, Draft(attempt, (edit,), text, text))),
        (LoopState.CHECKING, Checked((problem,))),
        (LoopState.CHECKING, Interrupted(Ending.BROKEN, text)),
    ]
    run = Run(settings, f"name: {json.dumps(text)}", suite=suite, attempt=attempt)
    left = [Leaving(state, outcome, LoopState.DONE, run) for state, outcome in outcomes]
    return [Entered(LoopState.PREPARING, run), *left]


@given(HOSTILE)
def test_no_text_of_a_moment_brings_a_control_character_into_its_lines(text: str) -> None:
    for moment in moments(text):
        shown = "".join(line.text for line in lines_of(moment))
        assert not CONTROL.search(shown), moment


@given(st.text("ab\n", max_size=30).filter(str.strip))
def test_foreign_text_other_than_the_analysis_stays_on_its_line(text: str) -> None:
    for moment in moments(text):
        if not isinstance(moment, Leaving) or not isinstance(moment.outcome, Analyzed):
            assert not any("\n" in line.text for line in lines_of(moment))
