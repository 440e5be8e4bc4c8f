"""Statements about the table that hold without running anything."""

from __future__ import annotations

from collections import defaultdict

import pytest

from finetune_fsm.loop.handlers import HANDLERS
from finetune_fsm.loop.outcomes import OUTCOMES, Interrupted
from finetune_fsm.loop.table import RULES, LoopState, Rule, mermaid, sound

WORKING = [state for state in LoopState if state is not LoopState.DONE]


def groups() -> dict[tuple[LoopState, str], list[Rule]]:
    found: dict[tuple[LoopState, str], list[Rule]] = defaultdict(list)
    for rule in RULES:
        found[rule.source, rule.event].append(rule)
    return found


def test_every_group_ends_with_an_unguarded_rule_so_the_table_is_total() -> None:
    for group in groups().values():
        assert group[-1].when is None
        assert all(rule.when is not None for rule in group[:-1])


def test_every_working_state_has_one_handler_and_one_event_of_its_own() -> None:
    assert set(HANDLERS) == set(WORKING)
    for state in WORKING:
        events = {rule.event for rule in RULES if rule.source is state}
        assert len(events - {Interrupted.event}) == 1


def test_every_state_but_the_last_two_can_be_interrupted() -> None:
    for state in WORKING:
        interrupted = [r for r in RULES if r.source is state and r.event == Interrupted.event]
        assert len(interrupted) == (state is not LoopState.FINISHING)
        assert all(rule.target is LoopState.FINISHING for rule in interrupted)


def test_every_event_is_an_outcomes() -> None:
    assert {rule.event for rule in RULES} == set(OUTCOMES)


def test_the_only_way_back_into_saving_is_through_the_gate() -> None:
    into = [rule for rule in RULES if rule.target is LoopState.SAVING]
    assert [(r.source, r.when) for r in into] == [
        (LoopState.PREPARING, None),
        (LoopState.CHECKING, sound),
    ]


@pytest.mark.parametrize("state", list(LoopState))
def test_every_state_reaches_the_end(state: LoopState) -> None:
    seen, frontier = {state}, [state]
    while frontier:
        here = frontier.pop()
        for rule in RULES:
            if rule.source is here and rule.target not in seen:
                seen.add(rule.target)
                frontier.append(rule.target)
    assert LoopState.DONE in seen


def test_the_drawing_shows_every_rule_but_interruptions() -> None:
    drawn = mermaid().splitlines()
    shown = [rule for rule in RULES if rule.event != Interrupted.event]
    assert len(drawn) == len(shown) + 3
    for rule in shown:
        assert any(f"{rule.source} --> {rule.target}: {rule.event}" in line for line in drawn)
