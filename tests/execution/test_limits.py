from __future__ import annotations

import time

import pytest

from finetune_fsm.errors import Cancelled
from finetune_fsm.execution.limits import Deadline
from finetune_fsm.llm.base import Stop


def test_a_deadline_passes_the_callers_stop_on() -> None:
    outer = Stop()
    deadline = Deadline(60, outer)
    deadline.check()
    assert not deadline.asked
    outer.ask()
    assert deadline.asked
    assert deadline.wanted
    assert not deadline.expired
    with pytest.raises(Cancelled):
        deadline.check()


def test_a_deadline_that_is_over_stops_but_nobody_wanted_it() -> None:
    deadline = Deadline(0)
    assert (deadline.asked, deadline.wanted, deadline.expired) == (True, False, True)
    with pytest.raises(Cancelled):
        deadline.check()


def test_it_can_be_asked_itself() -> None:
    deadline = Deadline(60)
    deadline.ask()
    assert (deadline.asked, deadline.wanted) == (True, True)


def test_time_in_which_a_person_thinks_does_not_count() -> None:
    deadline = Deadline(0.05)
    with deadline.paused():
        time.sleep(0.1)
    assert not deadline.expired
    time.sleep(0.1)
    assert deadline.expired
