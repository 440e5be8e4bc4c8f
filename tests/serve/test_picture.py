"""The loop's drawing says what the loop's table says."""

from __future__ import annotations

from itertools import combinations

import pytest
from serving import Page

from finetune_fsm.loop.table import LoopState
from finetune_fsm.serve.picture import HEIGHT, PLACES, WAYS, WIDTH, drawn, loop_picture


def test_every_way_of_the_table_is_drawn_and_no_other() -> None:
    assert set(WAYS) == drawn()


def test_every_state_has_a_place_of_its_own_on_the_drawing() -> None:
    assert set(PLACES) == set(LoopState)
    for (x, y), (other_x, other_y) in combinations(PLACES.values(), 2):
        assert abs(x - other_x) >= 120 or abs(y - other_y) >= 40
    assert all(54 <= x <= WIDTH - 54 and 16 <= y <= HEIGHT - 12 for x, y in PLACES.values())


@pytest.mark.parametrize("state", LoopState)
def test_the_present_state_alone_is_marked_and_said(state: LoopState) -> None:
    page = Page.of(loop_picture(state))
    marked = [a for _, a in page.elements if "present" in (a.get("class") or "").split()]
    assert len(marked) == 1
    svg = next(attributes for tag, attributes in page.elements if tag == "svg")
    assert f"stands in {state}" in (svg["aria-label"] or "")
    assert f'<g class="state present"><rect x="{PLACES[state][0] - 54}"' in loop_picture(state)
