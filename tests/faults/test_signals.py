"""Rows 41 to 44 of the fault matrix: Ctrl+C and its kin, at the real command, in a real terminal.

A few places of a run, once each; ``make signals`` measures all of them, many times. The limits on
time here are those of a machine that does other things besides.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Timer

import pytest
import wire
from commandline import GOOD_SCRIPT
from faults.interruptions import (
    BY_NAME,
    MESSAGE,
    RESUME,
    Act,
    Place,
    Reference,
    finetune,
    hang_up,
    press,
    reference,
    sending,
    trial,
)
from faults.oracle import Oracle, oracle_server, put_greeter
from faults.terminal import AGENTMECH, CTRL_C, PATIENCE, descendants, gone_within, terminal

from finetune_fsm.errors import Cancelled
from finetune_fsm.llm.base import LLM, Stop
from finetune_fsm.llm.ollama import OllamaLLM
from finetune_fsm.llm.openai import OpenAILLM
from finetune_fsm.scenarios import patterns
from finetune_fsm.scenarios.patterns import Found

CTRL_D = b"\x04"

Expected = Callable[[Place], Reference]


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Expected:
    """What comes of a run that nobody stops at a place; made once for all that run alike."""
    made: dict[tuple[bool, bool], Reference] = {}

    def find(place: Place) -> Reference:
        kind = (place.tests, place.slow_pattern)
        if kind not in made:
            made[kind] = reference(place, tmp_path_factory.mktemp("calm"))
        return made[kind]

    return find


@pytest.mark.parametrize("name", ["PREPARING, weights", "RUNNING, retry wait", "FINISHING"])
def test_row_41_one_ctrl_c_is_answered_at_once_and_loses_nothing(
    name: str, expected: Expected, tmp_path: Path
) -> None:
    place = BY_NAME[name]
    outcome = trial(place, tmp_path, expected(place))
    assert outcome.wrong == []
    assert outcome.answered < 1.0
    assert outcome.ended < 5.0


@pytest.mark.parametrize("name", ["SAVING", "RUNNING, streaming"])
def test_row_42_two_ctrl_c_end_the_process_and_lose_nothing(
    name: str, expected: Expected, tmp_path: Path
) -> None:
    place = BY_NAME[name]
    outcome = trial(place, tmp_path, expected(place), acts=(press, press))
    assert outcome.wrong == []
    assert outcome.ended < 1.5


@pytest.mark.parametrize(
    ("name", "act", "code"),
    [
        ("ANALYZING", sending(signal.SIGTERM), 143),
        ("RUNNING, streaming", hang_up, 129),
    ],
)
def test_row_43_the_end_that_a_system_asks_for_loses_nothing(
    name: str, act: Act, code: int, expected: Expected, tmp_path: Path
) -> None:
    place = BY_NAME[name]
    outcome = trial(place, tmp_path, expected(place), acts=(act,), code=code)
    assert outcome.wrong == []
    assert outcome.ended < 5.0


def shell(command: str, server: wire.Server) -> tuple[str, ...]:
    """A shell that runs *command*, in which RUN stands for a run, and notes its exit code."""
    run = shlex.join((*AGENTMECH, *finetune(server)))
    return ("/bin/sh", "-c", command.replace("RUN", f"{run} 2>err.txt; echo $? >code.txt"))


def test_row_43_who_ignores_hangups_is_not_stopped_by_one_nor_by_a_lost_terminal(
    tmp_path: Path,
) -> None:
    oracle = Oracle(seconds=1.0)
    oracle.be_slow("state", "first", after=1)  # the progress bar has a thread that writes, too
    put_greeter(tmp_path)
    with (
        oracle_server(oracle) as server,
        terminal(*shell("trap '' HUP; RUN", server), folder=tmp_path) as screen,
    ):
        assert oracle.reached.wait(PATIENCE)
        screen.hang_up()
        screen.wait()
    assert (tmp_path / "code.txt").read_text() == "0\n"
    assert (tmp_path / "err.txt").read_text() == ""
    assert "by name" in (tmp_path / "greeter.finetuned.yaml").read_text()


def test_row_41_ctrl_c_that_ends_the_reader_too_is_an_interruption_and_not_a_broken_pipe(
    tmp_path: Path,
) -> None:
    oracle = Oracle()
    oracle.be_slow("analysis", "first")
    put_greeter(tmp_path)
    trap = "trap : INT;"  # the shell outlives Ctrl+C; what it starts does not
    with (
        oracle_server(oracle) as server,
        terminal(*shell(f"{trap} {{ {trap} RUN; }} | cat", server), folder=tmp_path) as screen,
    ):
        assert oracle.reached.wait(PATIENCE)
        screen.type(CTRL_C)
        screen.wait()
    assert (tmp_path / "code.txt").read_text() == "130\n"
    told = (tmp_path / "err.txt").read_text()
    assert MESSAGE in told
    assert RESUME in told
    assert "Traceback" not in told
    assert (tmp_path / "greeter.finetuned.yaml").exists()


def test_row_44_ctrl_c_at_a_question_is_answered_at_once(tmp_path: Path) -> None:
    put_greeter(tmp_path)
    (tmp_path / "good.yaml").write_text(GOOD_SCRIPT)
    command = (*AGENTMECH, "run", "greeter.yaml", "--llm", "script:good.yaml")
    with terminal(*command, folder=tmp_path) as screen:
        screen.wait_for("[nobody] > ")
        pressed = screen.type(CTRL_C)
        assert screen.wait_for(MESSAGE) - pressed < 1.0
        code, ended = screen.wait()
    assert code == 130
    assert ended - pressed < 3.0
    assert "Hello" not in screen.text
    assert "Traceback" not in screen.text


@pytest.mark.parametrize(("default", "code"), [("    default_value: nobody\n", 0), ("", 1)])
def test_row_44_the_end_of_input_is_an_answer_only_where_there_is_a_default(
    default: str, code: int, tmp_path: Path
) -> None:
    put_greeter(tmp_path)
    workflow = tmp_path / "greeter.yaml"
    workflow.write_text(workflow.read_text().replace("    default_value: nobody\n", default))
    (tmp_path / "good.yaml").write_text(GOOD_SCRIPT)
    command = (*AGENTMECH, "run", "greeter.yaml", "--llm", "script:good.yaml")
    with terminal(*command, folder=tmp_path) as screen:
        screen.wait_for("> ")
        screen.type(CTRL_D)
        ended, _ = screen.wait()
    assert ended == code
    assert ("Hello nobody!" in screen.text) == (code == 0)
    assert "Traceback" not in screen.text


ENGINE = Path(__file__).with_name("engine")


@pytest.mark.parametrize(
    ("weights", "how", "code"),
    [
        ("loads", "kill", -signal.SIGKILL),
        ("loads", "twice", 130),
        ("answers", "kill", -signal.SIGKILL),
        ("answers", "twice", 130),
    ],
)
def test_no_engine_is_left_two_seconds_after_any_end(
    weights: str, how: str, code: int, tmp_path: Path
) -> None:
    put_greeter(tmp_path)
    (tmp_path / f"{weights}.gguf").write_bytes(b"GGUF and more")
    command = ("run", "greeter.yaml", "--input", "ask=Eve", "--llm", f"llamacpp:{weights}.gguf")
    path = os.pathsep.join([str(ENGINE), os.environ.get("PYTHONPATH", "")])
    with terminal(
        *AGENTMECH, *command, folder=tmp_path, environment={"PYTHONPATH": path}
    ) as screen:
        screen.wait_for("→ greet")
        engine = _engine_of(screen.process.pid, answers=weights == "answers", screen=screen)
        match how:
            case "kill":
                screen.process.kill()
            case _:
                screen.type(CTRL_C)
                screen.wait_for(MESSAGE)
                screen.type(CTRL_C)
        ended, _ = screen.wait()
        assert gone_within({engine}, 2.0) == set()
    assert ended == code
    assert "Traceback" not in screen.text


def _engine_of(pid: int, *, answers: bool, screen: object) -> int:
    """The engine's process, once it is as far as it will come."""
    end = time.monotonic() + PATIENCE
    while not (found := descendants(pid)) and time.monotonic() < end:
        time.sleep(0.02)
    (engine,) = found
    if answers:
        screen.wait_for("Hello")
    else:
        while _cpu_ticks(engine) < 30 and time.monotonic() < end:  # past its imports: it loads
            time.sleep(0.02)
    return engine


def _cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


SEARCHER = """
import sys, time
from finetune_fsm.scenarios import patterns
patterns.search("(a)", "a")
print(patterns._the_searcher._process._child.pid, flush=True)
patterns.search("(a+)+$", "a" * 60 + "!")
time.sleep(60)
"""


def test_no_search_goes_on_two_seconds_after_its_process_was_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", SEARCHER], stdout=subprocess.PIPE) as process:
        worker = int(process.stdout.readline())
        time.sleep(0.3)
        process.kill()
    assert gone_within({worker}, 2.5) == set()


PATIENT = """
import sys
from finetune_fsm.llm.base import Message, Request
from finetune_fsm.llm.deadlines import Timeouts
from finetune_fsm.llm.ollama import OllamaLLM
llm = OllamaLLM(sys.argv[1], timeouts=Timeouts(2.0, 2.0, 3.0))
print(llm.complete(Request("tiny", (Message("user", "hi"),))).text)
"""


def test_a_process_that_is_stopped_for_a_while_finds_nothing_late() -> None:
    def answer(call: wire.Call) -> list[wire.Act]:
        waits = [(0.5, wire.piece(text)) for text in ("a", "b", "c")]
        return wire.chunked([part for pair in waits for part in pair] + [wire.final()])

    with (
        wire.ollama(answer) as server,
        subprocess.Popen(
            [sys.executable, "-c", PATIENT, server.url], stdout=subprocess.PIPE, text=True
        ) as process,
    ):
        end = time.monotonic() + PATIENCE
        while not server.asked("/api/chat") and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.2)
        process.send_signal(signal.SIGSTOP)
        time.sleep(3.5)
        process.send_signal(signal.SIGCONT)
        out, _ = process.communicate(timeout=PATIENCE)
        assert out == "abc\n"
        assert len(server.asked("/api/chat")) == 1


def test_a_search_whose_processes_were_frozen_together_is_answered() -> None:
    assert patterns.search("(b)", "b") == Found("b")
    worker = patterns._the_searcher._process._child
    freezer = "import os,signal,sys,time; p=list(map(int,sys.argv[1:])); time.sleep(.3)\n"
    freezer += "for s,t in ((19,1.6),(18,0)):\n for n in p: os.kill(n,s)\n time.sleep(t)"
    # A search takes some hundredths of a second; the freeze of both in the middle takes longer than
    # a search may.
    frozen = subprocess.Popen([sys.executable, "-c", freezer, str(os.getpid()), str(worker.pid)])
    started = time.monotonic()
    answers = {
        type(patterns.search("(a+)+$", "a" * 18 + "!")).__name__
        for _ in iter(lambda: time.monotonic() - started < 2.4, False)
    }
    frozen.wait(PATIENCE)
    patterns.close()
    assert answers == {"NotFound"}


@pytest.mark.parametrize("provider", [OllamaLLM, OpenAILLM])
def test_a_stop_ends_the_question_for_weights(provider: Callable[[str], LLM]) -> None:
    def late(_: wire.Call) -> list[wire.Act]:
        return [30.0]

    paths = ("/api/tags", "/models", "/v1/models")
    routes = {("GET", path): late for path in paths}
    stop = Stop()
    with wire.Server(routes) as server:
        llm = provider(server.url)
        Timer(0.3, stop.ask).start()
        started = time.monotonic()
        with pytest.raises(Cancelled):
            llm.fingerprint("m", stop=stop)
        assert time.monotonic() - started < 5
        llm.close()
