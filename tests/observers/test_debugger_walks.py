"""Whatever is typed at the debugger, its journals stay sound and the end is that of a calm run."""

from __future__ import annotations

import itertools
import tempfile
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from steered import Person, place, reply, steps

from finetune_fsm.api import Session, finish, fork_run, open_run, reopen_run
from finetune_fsm.llm.scripted import ScriptedLLM
from finetune_fsm.observers.debugger import Debugger, Detour
from finetune_fsm.runs import places
from finetune_fsm.runs.history import load

MOST = 20
"""Runs that one walk makes at most; it types no more than half as many commands that fork."""

COMMANDS = ("n", "c", "p", "p draft", "b", "b 3", "l", "w", "w 2", "w skip", "q", "break testing")


def walked(folder: Path, keys: list[str]) -> tuple[list[Path], bool]:
    """The runs that were made by typing *keys* and then ``c``, and whether another way was gone."""
    debugger = Debugger(Person(itertools.chain(keys, itertools.repeat("c"))).talk)
    workflow, other = place(folder), False
    opened = open_run(workflow, llm=ScriptedLLM(reply), jobs=1, observers=[debugger])
    for _ in range(MOST):
        folder, left = gone_through(opened, debugger)
        if left is None:
            break
        other = other or left.instead is not None
        fork = fork_run(folder, at=left.keep)
        assert load(fork).entries == load(folder).entries[: left.keep]
        debugger.go_on(left)
        opened = reopen_run(fork, llm=ScriptedLLM(reply), jobs=1, observers=[debugger])
    runs = places.in_home(folder.parent)
    assert runs[-1] == folder
    return runs, other


def gone_through(
    opened: AbstractContextManager[Session], debugger: Debugger
) -> tuple[Path, Detour | None]:
    """The folder of the run, once it is over or left for a fork, and the way there."""
    with opened as session:
        debugger.entries = session.loop.entries
        try:
            finish(session.loop)
        except Detour as detour:
            return session.folder, detour
        return session.folder, None


def told(run: Path) -> object:
    """The steps of *run* without what was paid: a fork does not pay again for what it has."""
    return _free(steps(run))


def _free(value: object) -> object:
    if isinstance(value, dict):
        return {key: _free(item) for key, item in value.items() if key != "usage"}
    return [_free(item) for item in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> tuple[object, int]:
    """The steps of a run that nobody stepped through, and what its best passes."""
    folder = tmp_path_factory.mktemp("calm")
    with open_run(place(folder), llm=ScriptedLLM(reply), jobs=1) as session:
        finish(session.loop)
    best = session.loop.run.best
    assert best is not None
    return told(session.folder), best.report.passed


@settings(max_examples=8)
@given(st.lists(st.sampled_from(COMMANDS), min_size=1, max_size=10))
@example(["n", "n", "n", "b", "n", "q"])
@example(["break checking", "c", "w skip", "c"])
@example(["n", "b", "b 3", "q", "l"])
def test_any_walk_leaves_sound_journals_and_ends_as_a_calm_run(
    calm: tuple[object, int], keys: list[str]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        runs, other = walked(Path(name), keys)
        last = load(runs[-1])
        if not last.finished:  # the person quit
            with reopen_run(runs[-1], llm=ScriptedLLM(reply), jobs=1) as session:
                finish(session.loop)
            last = load(runs[-1])
        assert last.finished
        assert all(load(run).beginning.original == last.beginning.original for run in runs)
        assert last.run.best is not None
        if other:
            assert last.run.best.report.passed >= last.run.history[0].passed
        else:
            assert told(runs[-1]) == calm[0]
            assert last.run.best.report.passed == calm[1]
