"""A history that is reopened as it was is what folding its steps again would give."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from crash import guests
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune_fsm.api import finetune, finish, reopen_run
from finetune_fsm.errors import UsageError
from finetune_fsm.llm.base import Request
from finetune_fsm.llm.scripted import ScriptedLLM
from finetune_fsm.runs import places
from finetune_fsm.runs.history import beginning_of, fold, load, rebuilt, reopened
from finetune_fsm.storage.journal import line_of, parsed, read


def model(request: Request) -> str:
    return guests.reply(request.text, warm=bool(request.options.get("temperature")))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two sessions: the first was killed in its middle."""
    workflow = guests.write(tmp_path_factory.mktemp("reopening"))
    finetune(workflow, llm=ScriptedLLM(model), max_iterations=3)
    folder = places.find(workflow)
    records = read(folder / places.JOURNAL).records
    half = b"".join(line_of(record) for record in records[: len(records) // 2])
    (folder / places.JOURNAL).write_bytes(half)
    with reopen_run(folder, llm=ScriptedLLM(model)) as session:
        finish(session.loop)
    return folder


@settings(max_examples=60)
@given(st.data())
def test_reopening_with_the_same_wishes_is_folding_again(run: Path, data: st.DataObject) -> None:
    records = read(run / places.JOURNAL).records
    cut = data.draw(st.integers(1, len(records)))
    history = rebuilt(run, parsed(b"".join(line_of(record) for record in records[:cut])))
    more = data.draw(st.integers(0, 1))
    wanted = replace(history.settings, max_iterations=history.settings.max_iterations + more)
    try:
        found = reopened(history, wanted)
    except UsageError:
        assert cut == len(records)
        return
    again = fold(
        wanted, history.beginning.original, found.steps, retaken=found.retaken, lost=found.lost
    )
    assert (found.run, found.state, found.entries) == again


def test_the_beginning_alone_is_that_of_the_whole_history(run: Path) -> None:
    assert beginning_of(run) == load(run).beginning
