"""Every draft of a run is told once, with what became of it, wherever the run stopped."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from steered import MIXED, WORKFLOW, Person, place, reply
from tales import tale

from finetune_fsm.api import finish, open_run
from finetune_fsm.improve.model import Draft
from finetune_fsm.llm.scripted import ScriptedLLM
from finetune_fsm.loop.outcomes import Checked, Modified, Tested
from finetune_fsm.loop.run import Run
from finetune_fsm.loop.toolbox import Decision
from finetune_fsm.observers.approver import Approver
from finetune_fsm.observers.changes import modified
from finetune_fsm.reports.differences import differences
from finetune_fsm.reports.measuring import Step, steps_of
from finetune_fsm.reports.modifications import Fate, diff_of, modifications, shape
from finetune_fsm.runs.history import load
from finetune_fsm.sinks import look_again

TALE = tale(lambda: "words", iterations=4, scenarios=2)
STEPS = tuple(steps_of(TALE.run, TALE.entries))
OWN = WORKFLOW.replace("What do you think of this review? {{review}}", MIXED)


def check(steps: tuple[Step, ...]) -> None:
    """Hold what is told of *steps* to what is in them."""
    outcomes = [step.entry.outcome for step in steps]
    made = [o.draft for o in outcomes if isinstance(o, Modified) and o.draft]
    edited = [o.draft for o in outcomes if isinstance(o, Checked) and o.draft]
    found = modifications(steps)
    told = [one.draft.text for one in found if one.draft]
    if not edited:
        assert Counter(told) == Counter(draft.text for draft in made)
    fates = Counter(one.fate for one in found)
    assert fates[Fate.REFUSED] == sum(isinstance(o, Checked) and bool(o.problems) for o in outcomes)
    tried = [t for o in outcomes if isinstance(o, Tested) for t in o.trials if t.comparison]
    assert fates[Fate.KEPT] == sum(t.accepted for t in tried)
    assert fates[Fate.LOST] == sum(not t.accepted for t in tried)
    for one in found:
        assert (one.fate is Fate.REFUSED) == bool(one.problems)
        assert bool(one.label) == (one.fate in (Fate.KEPT, Fate.LOST))
        if one.draft:
            assert shape(one)["diff"] == diff_of(one.parent, one.draft.text)
            assert differences(one.parent, one.draft.text)
        assert list(modified(one))


@settings(max_examples=40)
@given(st.integers(1, len(STEPS)))
def test_wherever_a_run_stands_each_draft_has_one_fate(length: int) -> None:
    check(STEPS[:length])


@pytest.mark.parametrize(
    ("keys", "edits"),
    [
        (["a"], []),
        (["n", "too long", "a"], []),
        (["e", "a"], [OWN]),
        (["e", "n", "so", "a"], [OWN]),
    ],
)
def test_what_a_person_refused_or_edited_is_told_as_they_left_it(
    tmp_path: Path, keys: list[str], edits: list[str]
) -> None:
    person = Person(keys, edits)
    approve = Approver(person.talk)
    llm = ScriptedLLM(reply)
    with open_run(place(tmp_path), llm=llm, jobs=1, approve=approve, approval="always") as session:
        finish(session.loop)
        history = load(session.folder)
    steps = tuple(steps_of(history.run, history.entries))
    check(steps)
    found = modifications(steps)
    said = [p.message for one in found for p in one.problems]
    assert any("too long" in reason for reason in said) == ("too long" in keys)
    assert any(one.strategy == "person" for one in found) == bool(edits)


def test_of_what_a_person_made_unusable_it_is_their_text_that_is_told(tmp_path: Path) -> None:
    def approve(run: Run, draft: Draft) -> Decision:
        own = replace(draft, text=draft.text.replace("next: end", "next: nowhere"))
        return Decision(draft=own) if not run.refused else Decision(rest=True)

    llm = ScriptedLLM(reply)
    with open_run(place(tmp_path), llm=llm, jobs=1, approve=approve, approval="always") as session:
        finish(session.loop)
        history = load(session.folder)
    found = modifications(tuple(steps_of(history.run, history.entries)))
    refused = [one.draft.text for one in found if one.draft and one.fate is Fate.REFUSED]
    assert any("nowhere" in text for text in refused)


def test_a_secret_is_in_no_diff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_TOKEN", "tok-0123456789")
    look_again()
    assert diff_of("a tok-0123456789\n", "b tok-0123456789\n").splitlines() == [
        "@@ -1 +1 @@",
        "-a ***",
        "+b ***",
    ]
