"""A person who is asked about drafts: what they say holds, and nothing is asked twice."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from steered import MIXED, PLAIN, WORKFLOW, Person, place, reply, steps

from finetune_fsm.api import finetune, finish, open_run, reopen_run
from finetune_fsm.errors import Problem
from finetune_fsm.improve.model import Draft, Strategy
from finetune_fsm.llm.base import Purpose
from finetune_fsm.llm.scripted import ScriptedLLM
from finetune_fsm.loop.machine import Leaving, Moment
from finetune_fsm.loop.outcomes import Checked, Ending
from finetune_fsm.loop.run import Run
from finetune_fsm.loop.settings import Approval
from finetune_fsm.loop.toolbox import Decision
from finetune_fsm.observers.approver import Approver
from finetune_fsm.runs import places
from finetune_fsm.runs.history import load
from finetune_fsm.storage.journal import read

OLD = "What do you think of this review? {{review}}"
OWN = WORKFLOW.replace(OLD, MIXED)


def improved(folder: Path, person: Person, **wishes: object) -> Run:
    llm = ScriptedLLM(reply)
    return finetune(place(folder), llm=llm, jobs=1, approve=Approver(person.talk), **wishes)


class Judge:
    """Somebody whose answer follows from the draft alone; remembers what they were asked."""

    def __init__(self, seed: int, *, tires: int = 99) -> None:
        self.seed = seed
        self.tires = tires
        self.seen: list[str] = []

    def __call__(self, run: Run, draft: Draft) -> Decision:
        self.seen.append(draft.text)
        number = hashlib.sha256(f"{self.seed}{draft.text}".encode()).digest()[0]
        if number % 4 == 0 and "mixed" not in draft.text:
            return Decision((Problem("refused", "a person refused it: not so"),))
        if number % 4 == 1 and OWN not in (draft.text, *(c.text for c in run.waiting)):
            return Decision(draft=_own(run, draft))
        return Decision(rest=number % 11 == 0)


def _own(run: Run, draft: Draft) -> Draft | None:
    from finetune_fsm.observers.editing import checked

    own = checked(run, draft, OWN)
    return own if isinstance(own, Draft) else None


@given(st.integers(0, 30), st.floats(0, 1))
@example(3, 0.5)
@settings(max_examples=15)
def test_a_run_stopped_anywhere_asks_for_nothing_that_was_decided(seed: int, cut: float) -> None:
    with tempfile.TemporaryDirectory() as name:
        whole, part = Path(name, "whole"), Path(name, "part")
        asked = Judge(seed)
        with open_run(place(whole), llm=ScriptedLLM(reply), jobs=1, approve=asked) as session:
            finish(session.loop)
        records = read(session.folder / places.JOURNAL).records
        keep = 1 + int(cut * (len(records) - 2))
        before = Judge(seed)
        stopped = _stopped(place(part), keep, before)
        after = Judge(seed)
        with reopen_run(stopped, llm=ScriptedLLM(reply), approve=after) as again:
            finish(again.loop)
        assert [*before.seen, *after.seen] == asked.seen
        assert len(set(asked.seen)) == len(asked.seen)
        assert steps(stopped) == steps(session.folder)


class Killed(BaseException):
    """The process died."""


def _stopped(workflow: Path, keep: int, judge: Judge) -> Path:
    """The folder of a run that was killed once its journal had *keep* records and a step ended."""

    def watch(moment: Moment) -> None:
        if isinstance(moment, Leaving):
            return
        (run,) = places.in_home(places.home_of(workflow))
        if len(read(run / places.JOURNAL).records) >= keep:
            raise Killed

    llm = ScriptedLLM(reply)
    with (
        pytest.raises(Killed),
        open_run(workflow, llm=llm, jobs=1, approve=judge, observers=[watch]) as session,
    ):
        finish(session.loop)
    return session.folder


def test_a_refusals_reason_goes_back_to_the_model(tmp_path: Path) -> None:
    keys = ["y"] * 4 + ["n", "it must know mixed ones", "y"]
    llm = ScriptedLLM(reply)
    person = Person(keys)
    run = finetune(place(tmp_path), llm=llm, jobs=1, approve=Approver(person.talk))
    proposals = [r.text for r in llm.requests if r.purpose is Purpose.PROPOSAL]
    assert any("a person refused it: it must know mixed ones" in text for text in proposals)
    assert run.best is not None
    assert MIXED in run.best.candidate.text
    (refused,) = (r for r in run.rejections if r.code == "refused")
    assert refused.change == f"set sort.prompt to {PLAIN!r}"
    assert refused.digest


def test_a_draft_that_was_refused_is_not_shown_again(tmp_path: Path) -> None:
    person = Person(["n", ""] * 30)
    run = improved(tmp_path, person)
    digests = [r.digest for r in run.rejections if r.code == "refused"]
    assert len(set(digests)) == len(digests) > 2
    assert run.best is not None
    assert run.best.candidate.text == WORKFLOW
    assert {r.reason for r in run.rejections if r.code == "refused"} == {"a person refused it"}


def test_what_a_person_makes_of_a_draft_is_theirs(tmp_path: Path) -> None:
    person = Person(["e", *["y"] * 9], [OWN])
    run = improved(tmp_path, person)
    assert person.opened[0] != WORKFLOW
    trial = next(t for row in run.history for t in row.trials if t.strategy == "person")
    assert trial.accepted
    assert [(e.path, e.value) for e in trial.edits] == [(("states", "sort", "prompt"), MIXED)]
    assert run.output is not None
    assert run.output.read_text() == OWN
    (folder,) = places.in_home(tmp_path / "mood.agentmech")
    (own,) = (
        entry.outcome.draft
        for entry in load(folder).entries
        if isinstance(entry.outcome, Checked) and entry.outcome.draft
    )
    assert (own.attempt.strategy, own.text) == (Strategy.PERSON, OWN)
    assert own.why.startswith("edited by a person: ")


def test_the_policy_holds_for_a_person_too_and_says_what_would_grant_it(tmp_path: Path) -> None:
    beyond = OWN.replace("    save_as: mood", "    model: big:70b\n    save_as: mood")
    person = Person(["e", "", "y", "", "n", "q"], [beyond, "states: [", WORKFLOW, "x: 1"])
    improved(tmp_path, person)
    assert person.opened[1:] == [beyond, "states: [", WORKFLOW]
    assert "it takes --allow model:big:70b" in person.text
    assert "the draft changes nothing" in person.text
    assert "the text is no workflow — it needs 'states'" in person.text
    assert person.text.count("nothing against this change (") == 1


def test_with_a_grant_a_person_may_do_it(tmp_path: Path) -> None:
    beyond = OWN.replace("    save_as: mood", "    model: big:70b\n    save_as: mood")
    person = Person(["e", "a"], [beyond])
    run = improved(tmp_path, person, allow=("model:big:70b",))
    assert run.best is not None
    assert run.best.candidate.text == beyond


def test_an_editor_that_fails_or_changes_nothing_leaves_the_question_open(tmp_path: Path) -> None:
    failed = Problem("no_editor", "the editor 'x' did not do it", "set it")
    person = Person(["e", "q"], [failed])
    run = improved(tmp_path, person)
    assert "the editor 'x' did not do it — set it" in person.text
    assert run.ending is Ending.INTERRUPTED
    unchanged = Person(["e", "d", "?", "what", "q"], edits=None)
    improved(tmp_path / "b", unchanged)
    assert "Nothing was changed" in unchanged.text
    assert "description: Says whether" in unchanged.text  # far from the change
    assert unchanged.text.count("quit: keep the best so far") == 2


@pytest.mark.parametrize("keys", [["q"], [], ["n"], ["y", "q"]])
def test_who_quits_keeps_the_best_and_can_go_on(keys: list[str], tmp_path: Path) -> None:
    person = Person(keys)
    run = improved(tmp_path, person)
    assert run.ending is Ending.INTERRUPTED
    assert run.output is not None
    assert run.output.read_text() == WORKFLOW
    going_on = Person(["a"])
    approve = Approver(going_on.talk)
    with reopen_run(tmp_path / "mood.yaml", llm=ScriptedLLM(reply), approve=approve) as session:
        done = finish(session.loop)
    assert done.passed
    assert len(going_on.prompts) == 1


def test_all_holds_when_the_run_goes_on(tmp_path: Path) -> None:
    workflow = place(tmp_path)
    person = Person(["a"])
    approve = Approver(person.talk)
    with open_run(workflow, llm=ScriptedLLM(reply), jobs=1, approve=approve) as session:
        for _ in session.loop:
            if person.prompts:
                break
    with reopen_run(workflow, llm=ScriptedLLM(reply), approve=approve) as session:
        assert finish(session.loop).passed
    assert len(person.prompts) == 1


@pytest.mark.parametrize(
    ("approval", "asked"), [(Approval.NEVER, False), (Approval.RISKY, False), (None, True)]
)
def test_only_what_the_settings_want_is_asked(
    approval: Approval | None, asked: bool, tmp_path: Path
) -> None:
    person = Person(["a"])
    run = improved(tmp_path, person, approval=approval)
    assert bool(person.prompts) is asked
    assert run.passed


def test_a_run_asks_on_as_it_was_told_to_when_it_goes_on(tmp_path: Path) -> None:
    person = Person(["q"])
    improved(tmp_path, person, approval="always")
    (folder,) = places.in_home(tmp_path / "mood.agentmech")
    assert load(folder).settings.approval is Approval.ALWAYS
    again = Person(["a"])
    with reopen_run(folder, llm=ScriptedLLM(reply), approve=Approver(again.talk)) as session:
        finish(session.loop)
    assert len(again.prompts) == 1


def test_an_unsound_draft_from_whoever_approves_is_refused(tmp_path: Path) -> None:
    def careless(run: Run, draft: Draft) -> Decision:
        return Decision(draft=Draft(draft.attempt, (), "states: [", "no reason"))

    run = finetune(place(tmp_path), llm=ScriptedLLM(reply), jobs=1, approve=careless)
    assert run.best is not None
    assert run.best.candidate.text == WORKFLOW
    assert not any("states: [" in path.read_text() for path in tmp_path.glob("*.yaml"))
