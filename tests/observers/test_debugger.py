"""The debugger: it changes nothing by itself, and what a person does with it is in the journal."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from steered import MIXED, WORKFLOW, Person, asked, place, reply, steps

from finetune_fsm.api import finish, fork_run, open_run, reopen_run
from finetune_fsm.errors import UsageError
from finetune_fsm.improve.model import Strategy
from finetune_fsm.llm.scripted import ScriptedLLM
from finetune_fsm.loop.outcomes import Ending, Interrupted
from finetune_fsm.loop.run import Run
from finetune_fsm.loop.settings import Settings
from finetune_fsm.loop.table import RULES, LoopState
from finetune_fsm.observers.debugger import HELP, Debugger, Detour, states_named
from finetune_fsm.observers.drawing import about, machine, ways
from finetune_fsm.observers.inspection import PRINTERS
from finetune_fsm.runs import places
from finetune_fsm.runs.history import load

STATES = [state for state in LoopState if state is not LoopState.DONE]


def debugged(folder: Path, person: Person, **options: object) -> Path:
    """The folder of a run with *person* at the debugger, left where it ended."""
    debugger = Debugger(person.talk, **options)
    llm = ScriptedLLM(reply)
    with open_run(place(folder), llm=llm, jobs=1, observers=[debugger]) as session:
        finish(session.loop)
    return session.folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nobody stepped through."""
    folder = tmp_path_factory.mktemp("whole")
    with open_run(place(folder), llm=ScriptedLLM(reply), jobs=1) as session:
        finish(session.loop)
    return session.folder


@pytest.fixture(scope="module")
def undisturbed(whole: Path) -> tuple[object, list[str]]:
    """Its steps and its questions."""
    return steps(whole), asked(whole)


@given(
    st.lists(st.sampled_from(["n", "c", "", "next", "continue"]), min_size=1, max_size=12),
    st.sets(st.sampled_from(STATES)),
    st.booleans(),
)
@settings(max_examples=4)
def test_stepping_through_changes_nothing(
    undisturbed: tuple[object, list[str]],
    keys: list[str],
    breakpoints: set[LoopState],
    step: bool,
) -> None:
    with tempfile.TemporaryDirectory() as name:
        person = Person(itertools.cycle(["p", "l", "x", "p scenario 1", *keys]))
        run = debugged(Path(name), person, breakpoints=breakpoints, step=step)
        assert (steps(run), asked(run)) == undisturbed
        assert bool(person.prompts) is (step or bool(breakpoints))


def test_a_breakpoint_stops_before_its_state_alone(tmp_path: Path) -> None:
    person = Person(itertools.repeat("c"))
    run = debugged(tmp_path, person, step=False, breakpoints=["modifying"])
    visits = sum(entry.state is LoopState.MODIFYING for entry in load(run).entries)
    assert len(person.prompts) == visits > 1
    assert person.text.count("[MODIFYING]") == visits
    assert "MODIFYING: about to make a draft (repair 1), without a model" in person.text


@pytest.mark.parametrize("keys", [["q"], [], ["n", "n", "n", "quit"], ["c"]])
def test_who_quits_keeps_the_best_and_can_go_on(
    keys: list[str], whole: Path, tmp_path: Path
) -> None:
    run = debugged(tmp_path, Person(keys), breakpoints=["CHECKING"])
    history = load(run)
    assert history.run.ending is Ending.INTERRUPTED
    assert isinstance(history.entries[-2].outcome, Interrupted)
    with reopen_run(run, llm=ScriptedLLM(reply)) as session:
        finish(session.loop)
    assert steps(run) == steps(whole)


def until(state: LoopState, keys: list[str]) -> list[str]:
    """Keys that go on to *state*, and there press *keys*."""
    return [f"break {state.lower()}", "c", f"clear {state}", *keys]


OLD = "What do you think of this review? {{review}}"


def test_an_edited_draft_is_a_persons_and_passes_the_gate(tmp_path: Path) -> None:
    edits = [WORKFLOW.replace(OLD, "Say {{it}}"), WORKFLOW.replace(OLD, MIXED)]
    keys = until(LoopState.CHECKING, ["p draft", "e", "y", "c"])
    person = Person(keys, edits)
    run = load(debugged(tmp_path, person)).run
    assert "loses the placeholder {{review}}" in person.text
    strategies = [trial.strategy for row in run.history for trial in row.trials]
    assert Strategy.PERSON in strategies
    assert run.passed
    assert run.output is not None
    assert MIXED in run.output.read_text()


def test_commands_that_do_not_fit_say_so_and_change_nothing(whole: Path, tmp_path: Path) -> None:
    keys = [
        "nxt",
        "p bset",
        "e",
        "b",
        "b x",
        "w skip",
        "break SAVNG",
        "clear",
        "p prompt nope",
        "h",
    ]
    person = Person([*keys, "c"])
    run = debugged(tmp_path, person)
    assert steps(run) == steps(whole)
    for said in (
        "there is no command 'nxt' — did you mean 'next'?",
        "print knows no 'bset' — did you mean 'best'?",
        "there is a draft to edit in CHECKING",
        "there are 0 steps behind",
        "back takes a number",
        "'what-if skip' is for CHECKING",
        "no state 'SAVNG' — did you mean 'SAVING'?",
        "no state 'nope'",
        *HELP,
    ):
        assert said in person.text


def test_everything_can_be_printed_anywhere(tmp_path: Path) -> None:
    every = [f"p {what}" for what in PRINTERS]
    more = ["p scenario Is torn", "p scenario 2", "p prompt sort", "w", "l", "n"]
    person = Person(itertools.cycle([*every, *more]))
    debugged(tmp_path, person)
    assert "An earlier answer was refused" in person.text
    assert "suspect 1: sort.prompt" in person.text
    assert "Lovely rooms but never again" in person.text
    assert "rewrite of sort.prompt" in person.text


def gone_on(folder: Path, keys: list[str], then: list[str]) -> tuple[Path, Path, Person]:
    """The run that was left by a detour, the fork that went on to its end, and the person."""
    person = Person([*keys, *then])
    debugger = Debugger(person.talk)
    workflow = place(folder)
    with (
        pytest.raises(Detour) as left,
        open_run(workflow, llm=ScriptedLLM(reply), jobs=1, observers=[debugger]) as session,
    ):
        finish(session.loop)
    fork = fork_run(session.folder, at=left.value.keep)
    debugger.go_on(left.value)
    with reopen_run(fork, llm=ScriptedLLM(reply), observers=[debugger]) as again:
        debugger.entries = again.loop.entries
        finish(again.loop)
    return session.folder, fork, person


def test_back_goes_on_in_a_fork_and_leaves_the_run_where_it_stood(tmp_path: Path) -> None:
    old, fork, person = gone_on(tmp_path, until(LoopState.ANALYZING, ["b 2"]), ["p", "q"])
    assert load(old).state is LoopState.ANALYZING
    assert load(fork).entries[:2] == load(old).entries[:2]
    assert "In RUNNING" in person.text
    assert len(places.in_home(old.parent)) == 2


def test_what_if_skips_a_draft_or_tries_another_idea_first(tmp_path: Path) -> None:
    _, fork, _ = gone_on(tmp_path / "a", until(LoopState.CHECKING, ["w skip"]), ["c"])
    first = next(r for r in load(fork).run.rejections if r.code == "skipped")
    assert first.change not in [t.change for t in load(fork).run.rejections if not t.code]
    _, fork, person = gone_on(tmp_path / "b", until(LoopState.MODIFYING, ["w", "w 3"]), ["c"])
    tried = [e.outcome.attempt for e in load(fork).entries if e.state is LoopState.MODIFYING]
    assert tried[0] is not None
    assert (tried[0].strategy, tried[0].index) == (Strategy.REPAIR, 2)
    assert tried[1] is not None
    assert (tried[1].strategy, tried[1].index) == (Strategy.REPAIR, 0)
    assert "  3. repair: 'sort' does not say what the description does" in person.text


def test_the_drawing_shows_every_state_once_and_the_present_one_marked() -> None:
    for state in LoopState:
        drawn = machine(state)
        assert drawn.count(f"[{state}]") == 1
        assert drawn.count("[") == 1
        assert max(map(len, drawn.splitlines())) < 80
        for other in LoopState:
            assert drawn.count(str(other)) == 1


def test_all_ways_of_the_table_are_told() -> None:
    for rule in RULES:
        if rule.event != "interrupted":
            assert rule.target in ways(rule.source)
    run = Run(Settings(Path("w.yaml"), Path("o.yaml")), WORKFLOW)
    assert all(about(state, run) for state in LoopState)


def test_states_have_names_in_any_case_and_no_others() -> None:
    assert states_named(["saving", " Checking "]) == {LoopState.SAVING, LoopState.CHECKING}
    for name in ("DONE", "", "MODIFY"):
        with pytest.raises(UsageError, match="the loop has no state"):
            states_named([name])
