"""A run that was stopped anywhere goes on as if nothing had been, and asks nothing twice."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune_fsm.api import finish, open_loop, open_run, reopen_run
from finetune_fsm.codec import plain
from finetune_fsm.errors import (
    BadRun,
    Busy,
    JournalError,
    LLMError,
    LLMErrorKind,
    SourceChanged,
    UsageError,
)
from finetune_fsm.llm.base import Purpose, Request, Stop
from finetune_fsm.llm.meter import Budget
from finetune_fsm.llm.scripted import Reply, ScriptedLLM
from finetune_fsm.loop.machine import Loop
from finetune_fsm.loop.outcomes import Ending
from finetune_fsm.loop.run import Run
from finetune_fsm.runs import places
from finetune_fsm.runs.history import History, load, moments
from finetune_fsm.runs.repairs import repaired
from finetune_fsm.storage.journal import Record, line_of, read

WORKFLOW = """\
name: Mood
description: Says whether a review is good, bad or mixed.
start_state: ask
states:
  ask: {type: input, prompt: "Which review?", save_as: review, next: sort}
  sort:
    type: prompt
    prompt: "What do you think of this review? {{review}}"
    save_as: mood
    next: end
"""

TESTS = """\
workflow: mood.yaml
test_scenarios:
  - name: Likes it
    inputs: [{state: ask, value: The room was lovely and quiet}]
    assertions: [{type: equals, target: mood, value: good}]
  - name: Hates it
    inputs: [{state: ask, value: Never again will I stay there}]
    assertions: [{type: equals, target: mood, value: bad}]
  - name: Is torn
    inputs: [{state: ask, value: Lovely rooms but never again}]
    assertions: [{type: contains, target: mood, value: mixed}]
"""

PROMPTS = (
    "Is this good or bad? One word. {{review}}",
    "Say it {{nicely}}",  # refused: nothing sets it
    "What is it?",  # refused: it loses the review
    "Good, bad or mixed? One word, mixed allowed. {{review}}",
)


def reply(request: Request) -> str:
    """A model whose every reply follows from the question alone."""
    text = request.text
    if request.purpose is Purpose.STATE:
        if "mixed" in text and "Lovely rooms" in text:
            return "mixed"
        mood = "good" if "lovely" in text.lower() else "bad"
        return mood if "One word" in text else f"I think it is {mood}!"
    if request.purpose is Purpose.ANALYSIS:
        return json.dumps({"analysis": "No form.", "suggestions": []})
    if request.purpose is Purpose.PROPOSAL:
        number = 1 if request.options.get("temperature") == 0 else 3
        return json.dumps({"problem": "No form.", "new_prompt": PROMPTS[number]})
    return "1"


Place = Callable[[], Path]


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run to its end: the folder of its workflow, and its own."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "mood.yaml").write_text(WORKFLOW)
    (folder / "mood.test.yaml").write_text(TESTS)
    with open_run(folder / "mood.yaml", llm=ScriptedLLM(reply), jobs=1) as session:
        finish(session.loop)
        return folder, session.folder


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "mood.yaml").write_text(WORKFLOW)
    (tmp_path / "mood.test.yaml").write_text(TESTS)
    return tmp_path


def timeless(value: object) -> object:
    """The plain data *value* without what no two runs share."""
    if isinstance(value, dict):
        return {key: timeless(item) for key, item in value.items() if key not in ("seconds", "at")}
    return [timeless(item) for item in value] if isinstance(value, list) else value


def steps(run: Path) -> object:
    text = json.dumps([timeless(plain(entry)) for entry in load(run).entries])
    return json.loads(text.replace(str(run.parent.parent), ""))


def asked(run: Path) -> list[str]:
    return [call.key for _, call in load(run).calls]


def stopped_copy(whole: tuple[Path, Path], to: Path, journal: bytes) -> Path:
    """The run as if its process had died when its journal held *journal*."""
    folder, run = whole
    for name in ("mood.yaml", "mood.test.yaml"):
        shutil.copy(folder / name, to / name)
    copy = to / run.relative_to(folder)
    copy.mkdir(parents=True)
    moved = [r for r in _records(journal) if r is not None]
    rest = journal[sum(len(line_of(r)) for r in moved) :]
    text = b"".join(line_of(_moved(r, folder, to)) for r in moved) + rest
    (copy / places.JOURNAL).write_bytes(text)
    return copy


def _records(journal: bytes) -> list[Record]:
    from finetune_fsm.storage.journal import parsed

    return list(parsed(journal).records)


def _moved(record: Record, old: Path, new: Path) -> Record:
    text = json.dumps(record.data).replace(str(old), str(new))
    return replace(record, data=json.loads(text))


@settings(max_examples=25)
@given(st.data())
def test_stopped_anywhere_it_ends_as_if_it_had_not_been(
    whole: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    journal = (whole[1] / places.JOURNAL).read_bytes()
    first = journal.index(b"\n") + 1
    cut = data.draw(st.integers(first, len(journal)))
    to = tmp_path_factory.mktemp("cut")
    run = stopped_copy(whole, to, journal[:cut])
    known = set(asked(run))
    llm = ScriptedLLM(reply)
    if load(run).finished:
        return
    with reopen_run(run, llm=llm) as session:
        finish(session.loop)
    assert steps(run) == steps(whole[1])
    assert sorted(asked(run)) == sorted(asked(whole[1]))
    assert len(llm.requests) == len(asked(whole[1])) - len(known)
    assert load(run).notes == () or "cut off" in " ".join(load(run).notes)
    result = "mood.finetuned.yaml"
    assert (to / result).read_bytes() == (whole[0] / result).read_bytes()


def test_the_run_tried_everything_that_a_run_can(whole: tuple[Path, Path]) -> None:
    run = load(whole[1]).run
    assert any(record.accepted and record.iteration > 1 for record in run.history)
    assert any(not record.accepted for record in run.history)
    assert any(rejection.code for rejection in run.rejections)
    assert run.usage.calls == len(asked(whole[1])) > 15


def test_a_rebuilt_run_is_the_run_that_was(place: Path) -> None:
    with open_run(place / "mood.yaml", llm=ScriptedLLM(reply)) as session:
        for entry in session.loop:
            history = load(session.folder)
            assert history.run == session.loop.run
            assert history.entries == session.loop.entries
            assert history.entries[-1] == entry
            assert history.state is session.loop.state
        assert [m.state for m in moments(history)][::2] == [e.state for e in history.entries]


def test_a_person_who_stops_can_go_on(place: Path, whole: tuple[Path, Path]) -> None:
    stop = Stop()

    def until_the_third(request: Request) -> str:
        if len(llm.requests) == 3:
            stop.ask()
        return reply(request)

    llm = ScriptedLLM(until_the_third)
    with open_run(place / "mood.yaml", llm=llm, stop=stop, jobs=1) as session:
        assert finish(session.loop).ending is Ending.INTERRUPTED
    for _ in range(2):
        again = ScriptedLLM(reply)
        with reopen_run(place / "mood.yaml", llm=again) as second:
            second.loop.step()
            second.loop.interrupt(Ending.INTERRUPTED)
    with reopen_run(session.folder, llm=ScriptedLLM(reply)) as third:
        finish(third.loop)
    assert steps(session.folder) == steps(whole[1])
    assert sorted(asked(session.folder)) == sorted(asked(whole[1]))
    assert load(session.folder).sessions == 4


@given(st.integers(1, 40))
@settings(max_examples=12)
def test_a_budget_ends_the_run_with_the_best_so_far_and_more_of_it_goes_on(
    whole: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory, calls: int
) -> None:
    folder = tmp_path_factory.mktemp("budget")
    for name in ("mood.yaml", "mood.test.yaml"):
        shutil.copy(whole[0] / name, folder / name)
    llm = ScriptedLLM(reply)
    budget = Budget(calls=calls)
    with open_run(folder / "mood.yaml", llm=llm, jobs=1, budget=budget) as session:
        run = finish(session.loop)
    total = len(asked(whole[1]))
    assert len(llm.requests) == min(calls, total)
    assert run.usage.calls == len(llm.requests)
    assert (run.ending is Ending.CALLS) == (calls < total)
    if run.ending is Ending.CALLS:
        assert (run.output is not None) == (run.best is not None)
        again = ScriptedLLM(reply)
        with reopen_run(session.folder, llm=again, budget=Budget()) as second:
            finish(second.loop)
        assert len(again.requests) == total - calls
    assert steps(session.folder) == steps(whole[1])


def test_more_iterations_go_on_where_the_last_one_ended(place: Path) -> None:
    llm = ScriptedLLM(reply)
    with open_run(place / "mood.yaml", llm=llm, max_iterations=1) as session:
        assert finish(session.loop).ending is Ending.ITERATIONS
    with (
        pytest.raises(UsageError, match=r"is finished .*-i NUMBER"),
        reopen_run(place / "mood.yaml", llm=llm),
    ):
        pass
    with reopen_run(place / "mood.yaml", llm=llm, max_iterations=3) as more:
        run = finish(more.loop)
    assert len(run.history) > 1
    history = load(session.folder)
    assert history.run == run
    assert [entry.number for entry in history.entries] == list(range(1, len(history.entries) + 1))
    too_few = reopen_run(place / "mood.yaml", llm=llm, max_iterations=1)
    with pytest.raises(UsageError, match=r"must be [23]"), too_few:
        pass


def test_a_model_that_does_not_come_out_the_same_twice_is_noticed(place: Path) -> None:
    """As if the time of day stood in a prompt: what was asked before is not asked again."""

    def broken(request: Request) -> str:
        if len(llm.requests) == 3:
            raise LLMError(LLMErrorKind.UNREACHABLE, "gone")
        return reply(request)

    llm = ScriptedLLM(broken)
    with open_run(place / "mood.yaml", llm=llm, jobs=1) as session, pytest.raises(LLMError):
        finish(session.loop)
    path = session.folder / places.JOURNAL
    lines = [
        replace(r, data={**r.data, "key": f"another {r.seq}"}) if r.kind == "call" else r
        for r in read(path).records
    ]
    path.write_bytes(b"".join(map(line_of, lines)))
    told: list[str] = []
    with reopen_run(session.folder, llm=ScriptedLLM(reply), note=told.append) as again:
        finish(again.loop)
    assert ["2 replies" in message and "RUNNING" in message for message in told] == [True]
    assert load(session.folder).notes == tuple(told)


def test_a_run_whose_files_have_changed_is_not_resumed_unless_told(place: Path) -> None:
    with open_run(place / "mood.yaml", llm=ScriptedLLM(reply)) as session:
        session.loop.step()
    (place / "mood.test.yaml").write_text(TESTS.replace("Likes", "Loves"))
    with (
        pytest.raises(SourceChanged, match=r"mood.test.yaml was changed .*--ignore-changes"),
        reopen_run(session.folder, llm=ScriptedLLM(reply)),
    ):
        pass
    assert load(session.folder).sessions == 1
    llm = ScriptedLLM(reply)
    with reopen_run(session.folder, llm=llm, ignore_changes=True) as again:
        run = finish(again.loop)
    assert run.suite is not None
    assert run.suite.scenarios[0].name == "Likes it"


def test_a_file_that_changes_during_the_run_ends_it_at_the_next_iteration(place: Path) -> None:
    def edits(request: Request) -> str:
        (place / "mood.yaml").write_text(WORKFLOW + "# mine\n")
        return reply(request)

    with open_run(place / "mood.yaml", llm=ScriptedLLM(edits)) as session:
        with pytest.raises(SourceChanged, match="SHA-256"):
            finish(session.loop)
        assert len(session.loop.run.history) == 1
        assert session.loop.run.output == place / "mood.finetuned.yaml"


def test_a_script_goes_on_where_it_was(place: Path) -> None:
    script = [Reply(f"reply {n}", once=True) for n in range(3)]
    short = ScriptedLLM(script[:2])
    with open_run(place / "mood.yaml", llm=short, jobs=1) as session, pytest.raises(LLMError):
        finish(session.loop)
    with reopen_run(session.folder, llm=ScriptedLLM(script)) as again:
        again.loop.step()
        assert [
            r.variables["mood"] for r in (s.rollout for s in again.loop.run.laps[0].samples)
        ] == [
            "reply 0",
            "reply 1",
            "reply 2",
        ]


def test_another_process_cannot_have_the_same_workflow(place: Path) -> None:
    llm = ScriptedLLM(reply)
    with open_run(place / "mood.yaml", llm=llm) as session:
        with pytest.raises(Busy), open_run(place / "mood.yaml", llm=llm):
            pass
        with pytest.raises(Busy), reopen_run(session.folder, llm=llm):
            pass
        load(session.folder)
    assert len(places.in_home(session.folder.parent)) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: [replace(r[0], data={**r[0].data, "format": 99}), *r[1:]], "format 99"),
        (lambda r: [replace(r[0], kind="step"), *r[1:]], "format None"),
        (lambda r: [], "is empty"),
        (lambda r: [r[0], replace(r[1], kind="wish")], "unknown here: wish"),
        (lambda r: [r[0], replace(r[1], data={})], "makes no sense"),
        (lambda r: [r[0], replace(r[1], data={**r[1].data, "state": "TESTING"})], "not in PREP"),
        (lambda r: [r[0], replace(r[1], data={**r[1].data, "target": "DONE"})], "other rules"),
        (lambda r: [r[0], replace(r[1], data={**r[1].data, "mark": "x"})], "other rules"),
        (lambda r: [r[0], replace(r[1], data={**r[1].data, "outcome": {"x": 1}})], "another ver"),
    ],
)
def test_a_journal_that_another_version_wrote_is_refused(
    place: Path, change: Callable[[list[Record]], list[Record]], message: str
) -> None:
    with open_run(place / "mood.yaml", llm=ScriptedLLM(reply)) as session:
        session.loop.step()
    path = session.folder / places.JOURNAL
    path.write_bytes(b"".join(map(line_of, change(list(read(path).records)))))
    before = path.read_bytes()
    with pytest.raises(BadRun, match=message):
        load(session.folder)
    with pytest.raises(BadRun), reopen_run(session.folder, llm=ScriptedLLM(reply)):
        pass
    assert path.read_bytes() == before


def test_what_is_sound_of_a_damaged_run_can_be_copied_and_resumed(
    whole: tuple[Path, Path], tmp_path: Path
) -> None:
    journal = (whole[1] / places.JOURNAL).read_bytes()
    run = stopped_copy(whole, tmp_path, journal)
    path = run / places.JOURNAL
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    with pytest.raises(JournalError, match="runs repair"):
        load(run)
    copy, lost = repaired(run)
    assert path.read_bytes() == bytes(data)
    assert lost > 0
    with reopen_run(copy, llm=ScriptedLLM(reply)) as session:
        finish(session.loop)
    assert steps(copy) == steps(whole[1])
    path.write_bytes(b"x")
    with pytest.raises(BadRun, match="not even"):
        repaired(run)


def test_runs_are_found_by_folder_name_workflow_or_being_the_newest(
    whole: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, run = whole
    monkeypatch.chdir(folder)
    for where in (None, run, run.parent, folder / "mood.yaml", run.name, Path("mood.yaml")):
        assert places.find(where).resolve() == run
    monkeypatch.chdir(tmp_path)
    for where in (None, run.name, "nonsense", tmp_path / "nonsense", tmp_path):
        with pytest.raises(UsageError):
            places.find(where)
    assert (run.parent / ".gitignore").read_text() == "*\n"
    assert run.stat().st_mode & 0o777 == run.parent.stat().st_mode & 0o777 == 0o700


def test_a_loop_without_a_journal_asks_nothing_twice_either(place: Path) -> None:
    llm = ScriptedLLM(reply)
    loop: Loop = open_loop(place / "mood.yaml", llm=llm)
    run: Run = finish(loop)
    assert run.usage.calls == len(llm.requests) == len(set(map(str, llm.requests)))
    assert not (place / "mood.agentmech").exists()


def test_settings_and_secrets(place: Path) -> None:
    with open_run(place / "mood.yaml", llm=ScriptedLLM(reply), spec="ollama:http://h") as session:
        pass
    history: History = load(session.folder)
    sources: Mapping[str, str] = history.beginning.sources
    assert sorted(sources) == [str(place / "mood.test.yaml"), str(place / "mood.yaml")]
    assert history.beginning.llm == "ollama:http://h"
    assert history.state == "PREPARING"
