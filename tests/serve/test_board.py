"""Questions: asked once, answered once, by who was asked."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune_fsm.errors import Cancelled
from finetune_fsm.llm.base import Stop
from finetune_fsm.serve.board import QUESTION, Board
from finetune_fsm.serve.markup import Markup
from finetune_fsm.serve.views import Growing, Part, Rows


def shown(board: Board) -> str:
    return next(p.content for p in board.view() if isinstance(p, Part) and p.name == QUESTION)


def asked(board: Board, stop: Stop | None = None) -> tuple[threading.Thread, list[object]]:
    """Ask in a thread, and wait for the question to stand on the board."""
    heard: list[object] = []

    def ask() -> None:
        try:
            heard.append(board.ask(lambda n: Markup(f"Question {n}"), stop or Stop()))
        except Cancelled as end:
            heard.append(end)

    before = shown(board)
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    end = time.monotonic() + 5
    while shown(board) == before and time.monotonic() < end:
        time.sleep(0.001)
    return thread, heard


@settings(max_examples=20)
@given(st.lists(st.integers(0, 4), max_size=6), st.integers(1, 3))
def test_only_the_number_of_the_open_question_answers_it(tries: list[int], times: int) -> None:
    board = Board(Part(QUESTION, Markup("")))
    assert not board.answer(0, {})
    for number in range(1, times + 1):
        thread, heard = asked(board)
        taken = [board.answer(tried, {"answer": str(tried)}) for tried in (*tries, number)]
        thread.join(5)
        assert taken.index(True) == [*tries, number].index(number)
        assert sum(taken) == 1
        assert heard == [{"answer": str(number)}]
        assert shown(board) == ""


def test_a_stop_ends_the_waiting_and_takes_the_question_away() -> None:
    board, stop = Board(Part(QUESTION, Markup(""))), Stop()
    thread, heard = asked(board, stop)
    stop.ask()
    thread.join(5)
    assert isinstance(heard[0], Cancelled)
    assert shown(board) == ""
    assert not board.answer(1, {})


def test_an_empty_answer_is_an_answer() -> None:
    board = Board(Part(QUESTION, Markup("")))
    thread, heard = asked(board)
    nothing: Mapping[str, str] = {}
    assert board.answer(1, nothing)
    thread.join(5)
    assert heard == [{}]


@pytest.mark.parametrize("name", ["rows", "text"])
def test_what_is_added_comes_behind_what_is_there(name: str) -> None:
    board = Board(Rows("rows", ()), Growing("text", ""))
    for piece in ("a", "b"):
        board.add("rows", Markup(piece))
        board.write("text", piece)
    rows, text = board.view()
    assert isinstance(rows, Rows)
    assert rows.rows == ("a", "b")
    assert isinstance(text, Growing)
    assert text.text == "ab"
    board.wipe("text")
    assert board.view()[1] == Growing("text", "")
