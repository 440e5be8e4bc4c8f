"""Ctrl+C and its kin, on real processes: an answer at once, the best kept, no orphan."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import pytest

from finetune_fsm.cli.signals import Job, supervised
from finetune_fsm.errors import Cancelled, ExitCode, LLMError, LLMErrorKind

SLOW = """\
format: 1
replies:
  - {purpose: state, reply: "Hello you!", once: true}
  - {purpose: state, reply: "Hello you!", once: true}
  - purpose: analysis
    reply: {analysis: "No name.", suggestions: [{state: greet, change: "Use the name."}]}
  - purpose: proposal
    reply: {problem: "No name.", new_prompt: "Greet the person called {{{{name}}}} by name"}
  - {purpose: state, reply: "Hello Alice and Bob!", seconds: SECONDS}
""".replace("{{{{name}}}}", "{{name}}")

PATIENCE = 30.0  # seconds after which a test gives up; never how long it takes


@contextmanager
def agentmech(*arguments: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "finetune_fsm", *arguments]
    pipe = subprocess.PIPE
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True
    ) as process:
        watchdog = threading.Timer(PATIENCE, process.kill)
        watchdog.start()
        try:
            yield process
        finally:
            watchdog.cancel()
            process.kill()


def wait_for(text: str, stream: IO[str] | None, times: int = 1) -> None:
    """Read until *text* came so often."""
    assert stream is not None
    for line in stream:
        times -= text in line
        if times == 0:
            return
    pytest.fail(f"{text!r} never came")


@pytest.fixture
def slow(greeter: Path) -> Path:
    """The greeter, with a script whose second round of rollouts takes very long."""
    (greeter.parent / "slow.yaml").write_text(SLOW.replace("SECONDS", "20"))
    return greeter.parent


FINETUNE = ("finetune", "greeter.yaml", "--llm", "script:slow.yaml")


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
)
def test_one_signal_ends_the_run_with_the_best_so_far(
    number: signal.Signals, code: int, slow: Path
) -> None:
    with agentmech(*FINETUNE, folder=slow) as process:
        wait_for("Running workflow...", process.stdout, times=2)
        process.send_signal(number)
        out, err = process.communicate()
    assert process.returncode == code
    assert "finishing this step; Ctrl+C again stops now" in err
    assert "Traceback" not in err
    assert "Finetune interrupted. Best workflow so far saved to: " in out
    assert (slow / "greeter.finetuned.yaml").read_text() == (slow / "greeter.yaml").read_text()


def test_the_answer_to_ctrl_c_comes_at_once(slow: Path) -> None:
    with agentmech(*FINETUNE, folder=slow) as process:
        wait_for("Running workflow...", process.stdout, times=2)
        sent = time.monotonic()
        process.send_signal(signal.SIGINT)
        wait_for("finishing this step", process.stderr)
        answered = time.monotonic() - sent
    assert answered < 1.0  # 0.1 s on a machine that has nothing else to do


def test_two_signals_end_the_process_now(slow: Path) -> None:
    with agentmech(*FINETUNE, folder=slow) as process:
        wait_for("Running workflow...", process.stdout, times=2)
        process.send_signal(signal.SIGINT)
        wait_for("finishing this step", process.stderr)
        sent = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.wait()
        ended = time.monotonic() - sent
    assert process.returncode == 130
    assert ended < 1.5  # 0.5 s on a machine that has nothing else to do


def test_an_interrupted_run_is_a_document_too(slow: Path) -> None:
    with agentmech(*FINETUNE, "--json", folder=slow) as process:
        wait_for("Running workflow...", process.stderr, times=2)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate()
    assert process.returncode == 130
    document = json.loads(out)
    assert document["status"] == "interrupted"
    assert document["best"] == {"iteration": 1, "pass_rate": 0.0}
    assert document["output"] == "greeter.finetuned.yaml"


def test_ctrl_c_does_not_wait_for_an_answer_that_a_person_owes(slow: Path) -> None:
    with agentmech("run", "greeter.yaml", "--llm", "script:slow.yaml", "--json", folder=slow) as p:
        wait_for("Your name?", p.stderr)
        p.send_signal(signal.SIGINT)
        assert p.stdout is not None
        out = p.stdout.read()
        p.wait()
    assert p.returncode == 130
    assert json.loads(out)["status"] == "stopped"


MISSED = """
import os, signal, threading
from finetune_fsm.cli.signals import supervised

def asked():
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # the wait below is not woken
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    return os.read(os.pipe()[0], 1)

elsewhere = threading.Thread(target=threading.Event().wait, daemon=True)  # gets the signal
elsewhere.start()
raise SystemExit(supervised(lambda job: job.in_front(asked)))
"""


def test_a_signal_that_woke_nobody_still_ends_a_question() -> None:
    with subprocess.Popen([sys.executable, "-c", MISSED]) as process:
        try:
            assert process.wait(PATIENCE) == 130
        finally:
            process.kill()


def test_a_reader_that_goes_away_in_a_session_leaves_the_best_on_disk(slow: Path) -> None:
    (slow / "slow.yaml").write_text(SLOW.replace("SECONDS", "0"))
    with agentmech(*FINETUNE, folder=slow) as process:
        wait_for("📊 ITERATION 2/5", process.stdout)
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
        process.wait()
    # The pipe holds some lines; all of them may be written before the reader is missed.
    assert process.returncode in (0, 141)
    assert (slow / "greeter.finetuned.yaml").exists()


HELD = """
import sys, time
from pathlib import Path
from finetune_fsm.cli import signals
from finetune_fsm.errors import ExitCode

class Engine:
    def close(self):
        Path("closed").touch()
        time.sleep(float(sys.argv[2]))
        Path("let-go").touch()

def work(job):
    job.hold(Engine())
    job.farewell = "farewell"
    print("working", flush=True)
    time.sleep(60)
    return ExitCode.OK

signals.GRACE = float(sys.argv[1])
sys.exit(signals.supervised(work))
"""


@contextmanager
def stubborn(
    folder: Path, grace: float, closing: float, *, stderr: int | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A process whose work looks at no flag and holds something."""
    command = [sys.executable, "-c", HELD, str(grace), str(closing)]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=stderr, text=True
    ) as process:
        wait_for("working", process.stdout)
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("closing", [0.0, 60.0])
def test_the_second_signal_closes_the_engine_and_does_not_wait_for_it(
    closing: float, tmp_path: Path
) -> None:
    with stubborn(tmp_path, 10.0, closing) as process:
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130
    assert (tmp_path / "closed").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_work_that_does_not_hear_is_ended_after_its_grace(
    number: signal.Signals, code: int, tmp_path: Path
) -> None:
    with stubborn(tmp_path, 0.5, 0.0) as process:
        process.send_signal(number)
        assert process.wait(PATIENCE) == code
    assert (tmp_path / "closed").exists()


def test_a_hangup_that_the_shell_passes_on_a_second_time_does_not_end_the_work_now(
    tmp_path: Path,
) -> None:
    with stubborn(tmp_path, 1.5, 0.0) as process:
        started = time.monotonic()
        for _ in range(3):
            process.send_signal(signal.SIGHUP)
            time.sleep(0.1)
        assert process.wait(PATIENCE) == 129
        assert time.monotonic() - started > 1.2


def test_a_hangup_after_ctrl_c_sets_the_deadline_that_ctrl_c_has_not(tmp_path: Path) -> None:
    with stubborn(tmp_path, 0.5, 0.0) as process:
        process.send_signal(signal.SIGINT)
        time.sleep(0.8)
        assert process.poll() is None
        process.send_signal(signal.SIGHUP)
        assert process.wait(PATIENCE) == 130


@pytest.mark.parametrize("closing", [0.15, 60.0])
def test_whoever_keeps_the_keys_pressed_neither_holds_up_the_end_nor_cuts_it_short(
    closing: float, tmp_path: Path
) -> None:
    with stubborn(tmp_path, 10.0, closing) as process:
        started = time.monotonic()
        while process.poll() is None and time.monotonic() - started < PATIENCE:
            process.send_signal(signal.SIGINT)
            time.sleep(0.03)
        assert process.wait(PATIENCE) == 130
        assert time.monotonic() - started < 1.5  # 0.4 s on a machine that has nothing else to do
    assert (tmp_path / "let-go").exists() == (closing < 1)


def test_words_that_nobody_takes_do_not_hold_up_the_end(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, b"x" * 4096)
    os.set_blocking(writer, True)
    with stubborn(tmp_path, 10.0, 0.0, stderr=writer) as process:
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130
    os.close(reader)
    os.close(writer)


SLOW_IMPORT = "import sys, time; print('importing', file=sys.stderr, flush=True); time.sleep(30)"
SLOW_END = f"import atexit; atexit.register(lambda: exec({SLOW_IMPORT!r}))"


@pytest.mark.parametrize(("module", "text"), [("click", SLOW_IMPORT), ("usercustomize", SLOW_END)])
def test_ctrl_c_before_and_after_the_work_is_quiet(module: str, text: str, tmp_path: Path) -> None:
    (tmp_path / f"{module}.py").write_text(text)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    program = "import site, runpy; site.execusercustomize(); runpy.run_module('finetune_fsm')"
    program = program.replace("('finetune_fsm')", "('finetune_fsm', run_name='__main__')")
    command = [sys.executable, "-c", program, "--version"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        wait_for("importing", process.stderr)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (130, "")


class Held:
    """Counts how often it was closed."""

    closed = 0

    def close(self) -> None:
        self.closed += 1


def test_what_a_job_holds_is_closed_once_whatever_happens() -> None:
    held = Held()

    def work(job: Job) -> ExitCode:
        job.hold(held)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        supervised(work)
    assert held.closed == 1


@pytest.mark.parametrize("code", [ExitCode.INTERRUPTED, ExitCode.TERMINATED, ExitCode.HANGUP])
@pytest.mark.parametrize(
    "error", [None, Cancelled(), LLMError(LLMErrorKind.SERVER, "cut off"), BrokenPipeError()]
)
def test_an_interruption_is_never_a_success_nor_a_failure(
    code: ExitCode, error: Exception | None
) -> None:
    def work(job: Job) -> ExitCode:
        job.interrupt(code)
        if error:
            raise error
        return ExitCode.OK

    assert supervised(work) is code


def in_a_thread(action: Callable[[], object]) -> object:
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(action()))
    thread.start()
    thread.join(PATIENCE)
    return found[0]


def test_the_handlers_are_put_back_and_other_threads_set_none() -> None:
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    during: list[object] = []

    def work(job: Job) -> ExitCode:
        del job
        during.append(signal.getsignal(signal.SIGINT))
        return ExitCode.FAILED

    assert supervised(work) is ExitCode.FAILED
    assert in_a_thread(lambda: supervised(work)) is ExitCode.FAILED
    assert during[0] is not before[0]
    assert during[1] is before[0]
    after = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    assert after == before
