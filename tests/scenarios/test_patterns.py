"""A search always ends, whatever the pattern, and leaves nothing behind."""

from __future__ import annotations

import multiprocessing
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune_fsm.scenarios import patterns
from finetune_fsm.scenarios.pattern_worker import MEMORY
from finetune_fsm.scenarios.patterns import Found, NotFound, Unanswered, search

SLOW = [
    (r"(a+)+$", "a" * 40 + "!"),
    (r"(a|a)*$", "a" * 40 + "!"),
    (r"(a|aa)+$", "a" * 60 + "!"),
    (r"(.*a){25}$", "a" * 45 + "!"),
    (r"([a-zA-Z]+)*$", "a" * 40 + "!"),
    (r"^(\w+\s?)*$", "word " * 12 + "!"),
    (r"(x+x+)+y", "x" * 45),
    (r"(?:a?){40}a{40}", "a" * 39),
    (r"^(([a-z])+.)+[A-Z]([a-z])+$", "a" * 60),
    (r"(\d+)*\d*!", "1" * 40),
    (r"(a*)*\1b", "a" * 40),
]


@pytest.fixture(scope="module", autouse=True)
def _warm() -> Iterator[None]:
    assert search("(a)", "a") == Found("a")
    yield
    patterns.close()


@pytest.mark.parametrize(("pattern", "text"), SLOW)
def test_a_search_without_end_is_given_up_and_the_next_one_is_answered(
    pattern: str, text: str
) -> None:
    started = time.monotonic()
    answer = search(pattern, text)
    assert time.monotonic() - started < 1.5
    if isinstance(answer, Unanswered):
        assert answer.reason == "pattern took longer than 1 s"
    assert search("b.d", "abcd") == Found("bcd")


def test_the_classic_one_gets_neither_pass_nor_fail() -> None:
    assert search(*SLOW[0]) == Unanswered("pattern took longer than 1 s")


@given(st.text(max_size=40), st.text(max_size=60), st.booleans())
@settings(max_examples=60)
def test_any_pattern_on_any_text_gets_an_answer(
    pattern: str, text: str, case_sensitive: bool
) -> None:
    assert isinstance(
        search(pattern, text, case_sensitive=case_sensitive), Found | NotFound | Unanswered
    )


def test_threads_get_each_its_own_answer() -> None:
    def ask(number: int) -> bool:
        return search(f"^<{number}>+$", f"<{number}>") == Found(f"<{number}>")

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(200)))


def test_a_found_text_is_cut_and_a_long_text_is_not_searched() -> None:
    assert search("a+", "a" * 5000) == Found("a" * 200)
    assert search("a", "a" * 5000) == Found("a")
    assert isinstance(search("b", "a" * 100_001), Unanswered)
    assert search("[b]", "é" * 100_000) == NotFound()


def test_letter_case_counts_only_when_it_shall() -> None:
    assert search("YES", "oh yes") == NotFound()
    assert search("YES", "oh yes", case_sensitive=False) == Found("yes")


def test_a_bad_pattern_is_no_answer_and_a_problem_with_a_hint() -> None:
    assert search("(", "(") == Unanswered("a '(' is never closed")
    problem = patterns.pattern_problem("(")
    assert problem
    assert problem.code == "bad_pattern"
    assert problem.hint
    assert patterns.pattern_problem("(a+)+$") is None


def test_a_process_that_was_killed_is_replaced_unseen() -> None:
    search("(a)", "a")
    process = patterns._the_searcher._process
    assert process
    process._child.kill()
    process._child.wait()
    assert search("(a)", "bab") == Found("a")


def test_the_process_may_use_a_bounded_amount_of_memory_and_asks_nothing_of_ours() -> None:
    search("(a)", "a")
    process = patterns._the_searcher._process
    assert process
    about = Path(f"/proc/{process._child.pid}")
    assert re.search(rf"Max address space\s+{MEMORY}\s", (about / "limits").read_text())
    assert "jsonschema" not in (about / "maps").read_text()


@pytest.mark.parametrize("how", ["write", "read"])
def test_a_process_that_breaks_off_twice_is_no_answer(how: str, tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    last = "sys.stdin.readline()" if how == "read" else ""
    broken.write_text(f"import sys\nprint('ready', flush=True)\n{last}\n")
    searcher = patterns._Searcher(program=broken)
    assert searcher.ask("[]") == Unanswered("the process that searches patterns died twice")


def test_a_forked_child_searches_in_a_process_of_its_own() -> None:
    def searched() -> tuple[object, int]:
        answer = search("(b)", "b")
        process = patterns._the_searcher._process
        return answer, process._child.pid if process else 0

    ours = searched()
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    with patterns._the_searcher._lock:  # another thread may hold it just then
        child = context.Process(target=lambda: there.send(searched()), daemon=True)
        child.start()
    answered = here.poll(10)
    theirs = here.recv() if answered else (None, 0)
    child.kill()
    child.join()
    assert theirs[0] == Found("b")
    assert theirs[1] != ours[1]
    assert searched() == ours


PROGRAM = """
import os, sys, threading, time
from finetune_fsm.scenarios import patterns
patterns.search("(a)", "a")
print(patterns._the_searcher._process._child.pid, flush=True)
if sys.argv[1] == "busy":
    patterns.SECONDS = 60
    threading.Thread(target=patterns.search, args=("(a+)+$", "a" * 60 + "!"), daemon=True).start()
    time.sleep(0.3)
    os._exit(0)
if sys.argv[1] == "idle":
    os._exit(0)
"""


@pytest.mark.parametrize("how", ["busy", "idle", "proper"])
def test_no_process_is_left_however_we_end(how: str) -> None:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, timeout=30, check=True
    )
    pid = int(run.stdout)
    deadline = time.monotonic() + 10
    while _alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _alive(pid)
    assert run.stderr == ""


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # An orphan's corpse waits for init to collect it, which some containers never do.
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:  # noqa: PTH123
        return stat.read().rpartition(")")[2].split()[0] != "Z"
