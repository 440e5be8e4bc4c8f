"""Tool servers in processes: what they answer, and all the ways in which they go wrong."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from finetune_fsm.errors import Cancelled, ToolError
from finetune_fsm.llm.base import Stop
from finetune_fsm.tools.launch import Launch, launch_of
from finetune_fsm.tools.model import Place, Specification
from finetune_fsm.tools.processes import McpServer
from finetune_fsm.tools.results import LIMIT
from finetune_fsm.tools.source import Processes

SERVERS = Path(__file__).parent / "servers"

Start = Callable[..., McpServer]


def specification(file: str, *args: str, env: dict[str, str] | None = None) -> Specification:
    command = {"command": sys.executable, "args": [str(SERVERS / file), *args], "env": env or {}}
    return Specification("test", command, SERVERS)


def launch(file: str, *args: str, seconds: float = 10, env: dict[str, str] | None = None) -> Launch:
    made = launch_of(specification(file, *args, env=env))
    return replace(made, start_seconds=seconds, call_seconds=seconds)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[McpServer] = []

    def begin(file: str, *args: str, **settings: object) -> McpServer:
        server = McpServer.start(launch(file, *args, **settings), tmp_path)
        started.append(server)
        return server

    yield begin
    for server in started:
        server.close()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state != "Z"


def pids(mark: Path) -> list[int]:
    return [int(number) for number in re.findall(r"pid (\d+)", mark.read_text("utf-8"))]


def gone(mark: Path, seconds: float = 6) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not any(alive(pid) for pid in pids(mark)):
            return True
        time.sleep(0.05)
    return False


def test_a_server_made_with_the_official_library_lists_its_tools_and_answers(start: Start) -> None:
    server = start("notes.py", seconds=60)
    assert [offer.tool.name for offer in server.offers][:2] == ["add_note", "list_notes"]
    assert server.offers[0].tool.description == "Keep a note."
    assert server.offers[0].tool.parameters["required"] == ["text"]
    assert [offer.repeatable for offer in server.offers[:2]] == [False, True]
    assert server.call("add_note", {"text": "milk"}).text == "kept as number 1"
    assert server.call("list_notes", {}).text == "milk"
    assert server.call("fail", {"why": "x"}).failed
    assert server.call("no_such_tool", {}).failed
    assert server.call("list_notes", {}).text == "milk"  # it lives on


def test_a_server_gets_its_own_variables_and_none_of_our_secrets(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-ours")
    server = start("notes.py", seconds=60, env={"NOTES_TOKEN": "theirs"})
    assert server.call("variable", {"name": "OPENAI_API_KEY"}).text == "not set"
    assert server.call("variable", {"name": "NOTES_TOKEN"}).text == "theirs"
    assert server.call("variable", {"name": "PATH"}).text != "not set"


@pytest.mark.parametrize(
    ("mode", "message"),
    [
        ("dies", "it ended.*out of luck"),
        ("endless garbage", "no message of the protocol"),
        ("floods", "messages that nobody asked for"),
        ("long line", "more than 8 MB"),
        ("wrong version", "it ended"),
    ],
)
def test_a_server_that_breaks_during_a_call_is_an_error_and_never_a_wait(
    start: Start, mode: str, message: str
) -> None:
    server = start("unruly.py", mode)
    with pytest.raises(ToolError, match=message):
        server.call("act", {})
    with pytest.raises(ToolError):  # and stays broken, without a wait
        server.call("act", {})


def test_an_answer_of_the_wrong_shape_is_an_error(start: Start) -> None:
    with pytest.raises(ToolError, match="answered with nonsense"):
        start("unruly.py", "wrong shape").call("act", {})


def test_a_server_that_hangs_in_a_call_is_ended(start: Start, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    server = start("unruly.py", "hangs", str(mark), seconds=0.6)
    with pytest.raises(ToolError, match=r"not answered after 0\.6 seconds"):
        server.call("act", {})
    assert gone(mark)


@pytest.mark.parametrize(
    ("mode", "message"),
    [
        ("dies at start", "ended with code 4: no such database"),
        ("says nothing", "not listed its tools"),
    ],
)
def test_a_server_that_does_not_start_says_why_in_time(
    tmp_path: Path, mode: str, message: str
) -> None:
    mark = tmp_path / "mark"
    with pytest.raises(ToolError, match=message):
        McpServer.start(launch("unruly.py", mode, str(mark), seconds=1), tmp_path)
    assert gone(mark)


def test_what_is_no_server_at_all_is_told(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="no program 'no-such-program'"):
        launch_of(Specification("x", {"command": "no-such-program"}, tmp_path))
    (tmp_path / "not-executable").write_text("x", "utf-8")
    made = Launch("x", (str(tmp_path / "not-executable"),), {"PATH": "/usr/bin"}, tmp_path)
    with pytest.raises(ToolError, match="Permission denied"):
        McpServer.start(made, tmp_path)


@pytest.mark.parametrize(
    ("mode", "text"),
    [
        ("garbage", "all is well"),
        ("greets", "greets did it"),
        ("error", "not today"),
        ("pictures", "here\n[a picture of the form image/png, 3 bytes, left out]"),
        ("escapes", r"\x1b]52;c;eA==\x07red\u202e"),
    ],
)
def test_odd_answers_become_plain_text(start: Start, mode: str, text: str) -> None:
    found = start("unruly.py", mode).call("act", {})
    assert (found.text, found.failed) == (text, mode == "error")


@pytest.mark.parametrize("mode", ["huge", "many parts"])
def test_a_huge_result_is_cut_to_what_a_model_can_read(start: Start, mode: str) -> None:
    found = start("unruly.py", mode).call("act", {})
    assert len(found.text) < LIMIT + 100


@pytest.mark.parametrize("mode", ["stubborn", "family", "deaf"])
def test_no_process_of_a_server_is_left_when_it_is_closed(
    start: Start, tmp_path: Path, mode: str
) -> None:
    mark = tmp_path / "mark"
    server = start("unruly.py", mode, str(mark))
    assert all(alive(pid) for pid in pids(mark))
    server.close()
    assert gone(mark, seconds=1)


def test_a_stop_during_a_call_ends_the_wait_and_the_server(start: Start, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    server = start("unruly.py", "hangs", str(mark))
    stop = Stop()
    stop.ask()
    with pytest.raises(Cancelled):
        server.call("act", {}, stop=stop)
    assert gone(mark)


OWNER = """
import sys, time
from pathlib import Path
sys.path[:0] = sys.argv[3:]
from finetune_fsm.tools.launch import Launch
from finetune_fsm.tools.processes import McpServer
server, mark = sys.argv[1:3]
made = Launch("x", (sys.executable, server, "stubborn", mark), {}, Path("/"))
held = McpServer.start(made, Path("/"))
print("ready", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_process_of_a_server_outlives_ours_however_that_ends(
    tmp_path: Path, how: signal.Signals
) -> None:
    mark = tmp_path / "mark"
    command = [sys.executable, "-c", OWNER, str(SERVERS / "unruly.py"), str(mark), *sys.path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"ready\n"
        owner.send_signal(how)
        owner.wait(10)
        assert gone(mark)


def test_a_server_that_changes_under_its_name_is_refused(tmp_path: Path) -> None:
    from finetune_fsm.errors import SourceChanged

    code = tmp_path / "server.py"
    code.write_text((SERVERS / "unruly.py").read_text("utf-8"), "utf-8")
    command = {"command": sys.executable, "args": ["server.py", "fine"]}
    source, place = Processes(), Place(tmp_path)
    source.open(Specification("s", command, tmp_path), place).close()
    source.open(Specification("s", command, tmp_path), place).close()
    code.write_text("import os; os._exit(0)", "utf-8")
    with pytest.raises(SourceChanged, match="tool server 's' is not what it was"):
        source.open(Specification("s", command, tmp_path), place)


def test_a_server_that_failed_twice_is_not_waited_for_again(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    wanted = specification("unruly.py", "dies at start", str(mark))
    source = Processes()
    for _ in range(4):
        with pytest.raises(ToolError, match="no such database"):
            source.open(wanted, Place(tmp_path))
    assert len(pids(mark)) == 2
