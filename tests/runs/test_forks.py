"""Forks, versions and captures: what can be made of a run without touching it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from steered import MIXED, TESTS, WORKFLOW, asked, place, reply, steps

from finetune_fsm.api import capture, finish, fork_run, open_run, reopen_run, undo
from finetune_fsm.errors import InvalidDocument, UsageError
from finetune_fsm.llm.base import Request
from finetune_fsm.llm.meter import Budget
from finetune_fsm.llm.scripted import ScriptedLLM
from finetune_fsm.loop.table import LoopState
from finetune_fsm.runs import places
from finetune_fsm.runs.history import load
from finetune_fsm.runs.versions import versions
from finetune_fsm.scenarios.evaluate import run_suite
from finetune_fsm.scenarios.load import load_suite
from finetune_fsm.workflow.load import load as load_workflow


def made(folder: Path, **options: object) -> Path:
    """The folder of a run to its end."""
    with open_run(place(folder), llm=ScriptedLLM(reply), jobs=1, **options) as session:
        finish(session.loop)
    return session.folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nobody changes."""
    return made(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return made(tmp_path)


def silent(request: Request) -> str:
    raise AssertionError(f"asked again: {request.label}")


@given(st.floats(0, 1))
@example(0.0)
@example(1.0)
@settings(max_examples=6)
def test_a_fork_goes_the_same_way_and_asks_for_nothing(whole: Path, share: float) -> None:
    journal = (whole / places.JOURNAL).read_bytes()
    at = 1 + int(share * (len(load(whole).steps) - 2))
    fork = fork_run(whole, at=at)
    assert fork.parent == whole.parent
    assert load(fork).entries == load(whole).entries[:at]
    assert sorted(asked(fork)) == sorted(asked(whole))
    with reopen_run(fork, llm=ScriptedLLM(silent)) as session:
        finish(session.loop)
    assert steps_but_spending(fork) == steps_but_spending(whole)
    assert (whole / places.JOURNAL).read_bytes() == journal
    assert load(fork).notes == (f"forked from {whole.name} at step {at}",)


def steps_but_spending(run: Path) -> object:
    """The steps without what they cost: a fork pays for nothing that is known."""

    def free(value: object) -> object:
        if isinstance(value, dict):
            return {k: free(v) for k, v in value.items() if k != "usage"}
        return [free(item) for item in value] if isinstance(value, list) else value

    return free(steps(run))


def test_a_fork_of_a_run_in_several_sessions_reads_as_it_does(tmp_path: Path) -> None:
    workflow = place(tmp_path)
    with open_run(
        workflow, llm=ScriptedLLM(reply), jobs=1, budget=Budget(calls=5), max_iterations=1
    ) as session:
        finish(session.loop)
    for calls, iterations in ((8, 2), (999, 5)):
        with reopen_run(
            workflow,
            llm=ScriptedLLM(reply),
            budget=Budget(calls=calls),
            max_iterations=iterations,
        ) as session:
            finish(session.loop)
    there = load(session.folder)
    assert there.retaken
    for at in range(1, len(there.steps)):
        fork = load(fork_run(session.folder, at=at))
        assert fork.entries == there.entries[:at]
        assert fork.settings == there.settings


def test_a_fork_goes_on_with_what_is_asked_for_anew(run: Path, tmp_path: Path) -> None:
    history = load(run)
    tested = [e.number for e in history.entries if e.state is LoopState.TESTING]
    fork = fork_run(run, at=tested[0], max_iterations=1, output=tmp_path / "other.yaml", seed=7)
    settings = load(fork).settings
    assert (settings.max_iterations, settings.seed) == (1, 7)
    assert settings.output == tmp_path / "other.yaml"
    assert load(fork).state is LoopState.CONFIRMING
    with reopen_run(fork, llm=ScriptedLLM(reply)) as session:
        finish(session.loop)
    assert (tmp_path / "other.yaml").read_text() == WORKFLOW


def test_what_makes_no_sense_is_refused_and_leaves_nothing(run: Path) -> None:
    last = len(load(run).steps)
    tested = [e.number for e in load(run).entries if e.state is LoopState.TESTING]
    changes: tuple[Callable[[], Path], ...] = (
        lambda: fork_run(run, at=0),
        lambda: fork_run(run, at=last + 1),
        lambda: fork_run(run, at=last),
        lambda: fork_run(run, at=3, max_iterations=0),
        lambda: fork_run(run, at=tested[-1], max_iterations=1),
        lambda: fork_run(run, at=tested[-1], candidates=1),
    )
    for change in changes:
        with pytest.raises(UsageError):
            change()
    assert places.in_home(run.parent) == [run]


def test_undo_goes_back_version_by_version_and_forward_again(run: Path, tmp_path: Path) -> None:
    output = tmp_path / "mood.finetuned.yaml"
    there = versions(load(run))
    assert len(there) > 1
    assert there[0].text == WORKFLOW
    assert output.read_text() == there[-1].text
    for version in reversed(there[:-1]):
        assert undo(run).after == version
        assert output.read_text() == version.text
    with pytest.raises(UsageError, match="first of"):
        undo(tmp_path / "mood.yaml")
    for version in there[1:]:
        assert undo(run, redo=True).after == version
        assert output.read_text() == version.text
    with pytest.raises(UsageError, match="last of"):
        undo(run, redo=True)
    assert (tmp_path / "mood.yaml").read_text() == WORKFLOW


def test_undo_leaves_alone_what_somebody_wrote_since(run: Path, tmp_path: Path) -> None:
    output = tmp_path / "mood.finetuned.yaml"
    output.write_text(output.read_text() + "# mine\n")
    before = output.read_text()
    with pytest.raises(UsageError, match="somebody changed it"):
        undo(run)
    assert output.read_text() == before
    output.unlink()
    with pytest.raises(UsageError, match="resume"):
        undo(run)


def test_what_is_captured_holds_for_the_best(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.test.yaml"
    capture(run, scenario="Is torn", output=path)
    capture(run, scenario="1", output=path)
    capture(run, scenario="Is torn", output=path)
    suite = load_suite(path)
    assert suite.workflow == "mood.finetuned.yaml"
    names = ["Is torn (captured)", "Likes it (captured)", "Is torn (captured) 2"]
    assert [s.name for s in suite.scenarios] == names
    first = suite.scenarios[0]
    assert first.inputs == {"ask": "Lovely rooms but never again"}
    assert [(a.type, a.target, a.value) for a in first.assertions] == [
        ("equals", "mood", "mixed"),
        ("state_reached", "", "ask"),
        ("state_reached", "", "sort"),
        ("state_reached", "", "end"),
    ]
    report = run_suite(load_workflow(tmp_path / "mood.finetuned.yaml"), suite, ScriptedLLM(reply))
    assert report.passed == 3
    worse = run_suite(load_workflow(tmp_path / "mood.yaml"), suite, ScriptedLLM(reply))
    assert worse.passed == 0


def test_capturing_keeps_what_is_in_the_file_and_refuses_what_is_no_test(
    run: Path, tmp_path: Path
) -> None:
    path = tmp_path / "mood.test.yaml"
    text = f"# mine\n{TESTS}"
    path.write_text(text)
    capture(run, scenario="Likes it", output=path)
    assert path.read_text().startswith(text)
    (tmp_path / "notes.yaml").write_text("a: 1\n")
    with pytest.raises(InvalidDocument):
        capture(run, scenario="Likes it", output=tmp_path / "notes.yaml")
    assert (tmp_path / "notes.yaml").read_text() == "a: 1\n"
    for wanted in ("Likes its", "0", "4", ""):
        with pytest.raises(UsageError):
            capture(run, scenario=wanted)
    assert MIXED not in capture(run, scenario="Likes it")
