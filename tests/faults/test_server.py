"""Rows 1 to 8, 17, 18, 23, 24 and 59 of the fault matrix: servers and engines that fail.

A test's number is its row. Each looks at what a person sees and finds: the exit code, the line on
standard error, what is on the disk, and that `resume` goes on and asks nothing again.
"""

from __future__ import annotations

import os
import re
import socket
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
import wire
from commandline import Agentmech
from faults.scene import (
    CHAT,
    FINETUNE,
    WORKFLOW,
    Calm,
    at,
    files,
    journal,
    kinds,
    none,
    since,
    unused_port,
    world,
)
from llm import completions
from wire import Act, Call, chunked, page, piece, refusal

GOES_ON = re.compile(r"^to go on: agentmech resume (\S+)$", re.MULTILINE)
START = {"pair.yaml", "pair.test.yaml"}


def resumed(agentmech: Agentmech, *at: str, calm: Calm, folder: Path) -> None:
    """Go on with the run, which then has to come to the end of the calm one."""
    done = agentmech("resume", *at)
    assert done.code == 0, done.err
    assert files(folder) == calm.files


# Row 1: the server is down at the start.


@pytest.mark.parametrize("provider", ["ollama", "openai"])
def test_row_01_a_server_that_is_down_at_the_start_is_told_at_once(
    provider: str, agentmech: Agentmech, pair: Path, calm: Calm
) -> None:
    port = unused_port()
    url = f"http://127.0.0.1:{port}"
    where = ("-u", url) if provider == "ollama" else ("--llm", f"openai:{url}/v1")
    began = time.monotonic()
    done = agentmech(*FINETUNE, *where)
    assert time.monotonic() - began < 12  # 5 on a machine with nothing else to do
    assert done.code == 3
    *_, first, last = done.err.splitlines()
    assert GOES_ON.fullmatch(first)
    assert last.startswith("agentmech: error: cannot reach ")
    assert url in last
    advice = "'ollama serve'" if provider == "ollama" else "is the server running?"
    assert advice in last
    assert files(pair).keys() == START
    assert kinds(journal(pair)) == ["begin", "step", "step"]  # interrupted, finished
    if provider == "ollama":
        with world(port=port) as story:
            resumed(agentmech, calm=calm, folder=pair)  # the run knows where the server is
        assert story.questions == calm.questions


def test_row_01_a_server_whose_machine_does_not_answer_is_told_within_five_seconds(
    agentmech: Agentmech, pair: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        waiting = []
        for _ in range(3):  # more than the queue holds: whoever comes now knocks in vain
            waiting.append(socket.socket())
            waiting[-1].setblocking(False)
            waiting[-1].connect_ex(("127.0.0.1", port))
        began = time.monotonic()
        done = agentmech(*FINETUNE, "-u", f"http://127.0.0.1:{port}")
        seconds = time.monotonic() - began
        for knocking in waiting:
            knocking.close()
    assert seconds < 12  # the same
    assert done.code == 3
    assert f"cannot reach Ollama at http://127.0.0.1:{port}: timed out" in done.err
    assert files(pair).keys() == START


def test_row_01_a_single_command_says_the_same(agentmech: Agentmech, pair: Path) -> None:
    url = f"http://127.0.0.1:{unused_port()}"
    done = agentmech("test", "pair.yaml", "-u", url, "-j", "1")
    assert done.code == 3
    assert done.err.count("; try ") == 2
    last = done.err.splitlines()[-1]
    assert f"cannot reach Ollama at {url}" in last
    assert "'ollama serve'" in last


# Row 2: the server goes down in the middle.


def test_row_02_a_server_that_dies_in_the_third_iteration_costs_nothing_done(
    agentmech: Agentmech, pair: Path, calm: Calm
) -> None:
    fatal = 14  # iteration 3 runs its second scenario

    def dies(number: int, call: Call) -> Iterable[Act] | None:
        if number == fatal:
            story.server.die()
        return None if number < fatal else []

    with world(dies) as story:
        done = agentmech(*FINETUNE, *story.at)
        port = int(story.server.url.rpartition(":")[2])
    assert done.code == 3
    assert "📊 ITERATION 3/8" in done.out
    assert "Finetune broke off. Best workflow so far saved to: " in done.out
    assert "LLM calls: 14 (130 tokens), 2 retries, " in done.out
    assert len(re.findall(r"^warning: .*; try [23] of 3 in ", done.err, re.MULTILINE)) == 2
    assert GOES_ON.search(done.err)
    assert "agentmech: error: cannot reach Ollama at " in done.err
    assert (pair / "pair.finetuned.yaml").read_text() == WORKFLOW
    with world(port=port) as later:
        resumed(agentmech, calm=calm, folder=pair)
    assert story.questions + later.questions == calm.questions  # none is asked again


# Row 3: the model is not there.


def test_row_03_a_model_that_is_not_installed_is_named_with_its_neighbours(
    agentmech: Agentmech, pair: Path
) -> None:
    with world(models={"tiny-2": 4096, "huge": 4096}) as story:
        absent = refusal(404, "model 'tiny' not found")
        story.fault = since(1, absent)
        done = agentmech(*FINETUNE, *story.at)
    assert done.code == 3
    assert story.asked == 1  # no second try
    last = done.err.splitlines()[-1]
    assert "has no model 'tiny'" in last
    assert last.endswith("'ollama pull tiny' installs it; installed: tiny-2")
    assert not (pair / "pair.finetuned.yaml").exists()


def test_row_03_a_model_that_is_installed_meanwhile_is_used(
    agentmech: Agentmech, pair: Path, calm: Calm
) -> None:
    with world(since(1, refusal(404, "model 'tiny' not found"))) as story:
        assert agentmech(*FINETUNE, *story.at).code == 3
        story.fault = none
        resumed(agentmech, calm=calm, folder=pair)


# Rows 4 to 7: the server fails and comes back, or does not, or is busy.


def test_row_04_two_failures_and_then_a_reply_change_nothing_but_the_count(
    agentmech: Agentmech, pair: Path, calm: Calm
) -> None:
    with world(at({3: refusal(500, "boom"), 4: refusal(500, "boom again")})) as story:
        done = agentmech(*FINETUNE, *story.at, "-j", "1", "--json")
    assert done.code == 0
    assert files(pair) == calm.files
    assert story.questions == calm.questions
    document = done.document
    assert (document["llm_calls"], document["retries"]) == (calm.questions.total(), 2)
    assert story.asked == calm.questions.total() + 2
    assert re.search(
        r"^warning: .* answered 500: boom; try 2 of 3 in 1\.[0-3] s$", done.err, re.MULTILINE
    )
    assert re.search(r"^warning: .* boom again; try 3 of 3 in 2\.[0-5] s$", done.err, re.MULTILINE)


def test_row_05_a_server_that_fails_for_ever_is_asked_three_times_and_no_work_is_lost(
    agentmech: Agentmech, pair: Path, calm: Calm
) -> None:
    with world(since(6, refusal(500, "boom"))) as story:
        done = agentmech(*FINETUNE, *story.at, "--json")
        assert done.code == 3
        assert story.asked == 5 + 3
        document = done.document
        assert document["status"] == "failed"
        assert (document["llm_calls"], document["retries"]) == (6, 2)
        assert document["best"] == {"iteration": 1, "pass_rate": 0.0}
        assert "answered 500: boom" in document["error"]
        assert done.err.splitlines()[-1].endswith("answered 500: boom")
        assert (pair / "pair.finetuned.yaml").read_text() == WORKFLOW
        story.fault = none
        resumed(agentmech, calm=calm, folder=pair)
    assert story.questions == calm.questions


@pytest.mark.parametrize("status", [503, 429], ids=["row_06", "row_07"])
def test_row_06_and_07_a_busy_server_is_waited_for_as_long_as_it_says(
    status: int, agentmech: Agentmech, pair: Path
) -> None:
    busy = refusal(status, "server busy, please try again", retry_after="1.6")
    with world(at({1: busy})) as story:
        done = agentmech("test", "pair.yaml", *story.at, "-j", "1")
        first, second = (call.at for call in story.server.asked(CHAT)[:2])
    assert done.code == 1
    assert second - first >= 1.6
    assert re.search(
        r"^warning: .* busy, please try again; try 2 of 3 in [12]\.\d s$", done.err, re.MULTILINE
    )


def test_row_06_a_wait_ends_with_the_time_that_the_run_has(
    agentmech: Agentmech, pair: Path, calm: Calm
) -> None:
    with world(since(6, refusal(503, "busy", retry_after="200"))) as story:
        began = time.monotonic()
        done = agentmech(*FINETUNE, *story.at, "--max-time", "2s")
        assert time.monotonic() - began < 10
        assert done.code == 1
        assert re.search(r"; try 2 of 3 in 2\d\d\.\d s$", done.err, re.MULTILINE)
        assert "Ended because: the time is over" in done.out
        assert (pair / "pair.finetuned.yaml").read_text() == WORKFLOW
        story.fault = none
        assert GOES_ON.search(done.err)
        done = agentmech("resume", "--max-time", "1h")
    assert (done.code, files(pair)) == (0, calm.files)
    assert story.questions == calm.questions


def test_row_06_a_server_that_asks_for_hours_is_not_waited_for(
    agentmech: Agentmech, pair: Path
) -> None:
    with world(since(1, refusal(503, "busy", retry_after="7200"))) as story:
        began = time.monotonic()
        done = agentmech(*FINETUNE, *story.at)
    assert time.monotonic() - began < 10
    assert (done.code, story.asked) == (3, 1)
    assert "answered 503: busy — ask less at a time" in done.err


# Row 8: the server wants a key.


@pytest.mark.parametrize("status", [401, 403])
def test_row_08_a_server_that_wants_a_key_is_told_by_the_variables_name(
    status: int, agentmech: Agentmech, pair: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "sk-very-secret-1234567890"
    monkeypatch.setenv("OPENAI_API_KEY", key)

    def denied(call: Call) -> Iterable[Act]:
        assert call.headers["authorization"] == f"Bearer {key}"
        return completions.refusal(status, f"Incorrect API key provided: {key}")

    with completions.server(denied) as server:
        done = agentmech(*FINETUNE, "--llm", f"openai:{server.url}/v1", "-v", "-j", "1")
        assert len(server.asked("/v1/chat/completions")) == 1
    assert done.code == 3
    assert f"answered {status}: Incorrect API key provided: ***" in done.err
    assert "the key in OPENAI_API_KEY is not accepted there" in done.err
    written = "".join(path.read_text() for path in pair.rglob("*") if path.is_file())
    assert key not in done.out + done.err + written


def test_row_08_ollama_behind_a_password_says_which_variable_helps(
    agentmech: Agentmech, pair: Path
) -> None:
    with world(tags=lambda _: page(401, "who are you?")) as story:
        address = story.server.url.replace("//", "//me:wrong-password@")
        done = agentmech(*FINETUNE, "-u", address)
    assert (done.code, story.asked) == (3, 0)
    assert "answered 401: who are you? — set OLLAMA_API_KEY, or put user:password@" in done.err
    assert files(pair).keys() == START
    written = "".join(path.read_text() for path in pair.rglob("*") if path.is_file())
    assert "wrong-password" not in done.out + done.err + written


# Rows 17 and 18: the server is silent, or far too slow.


def test_row_17_a_server_without_a_first_word_is_given_up_at_the_set_second(
    agentmech: Agentmech, pair: Path, calm: Calm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTMECH_TIMEOUT", "0.4")
    with world(since(6, [20.0])) as story:
        done = agentmech(*FINETUNE, *story.at, "-j", "1")
        tries = [call.at for call in story.server.asked(CHAT)[5:]]
        assert done.code == 3
        assert len(tries) == 3
        assert 1.4 <= tries[1] - tries[0] < 1.4 + 1
        assert 2.4 <= tries[2] - tries[1] < 2.4 + 1.5
        assert "sent nothing for 0.4 s — it may still be loading the model" in done.err
        assert "AGENTMECH_TIMEOUT" in done.err
        story.fault = none
        monkeypatch.delenv("AGENTMECH_TIMEOUT")
        resumed(agentmech, calm=calm, folder=pair)
    assert story.questions == calm.questions


@pytest.mark.parametrize("given", ["soon", "0", "-1", "nan", "inf", "86401", "5m"])
def test_row_17_a_time_that_is_none_is_refused(
    given: str, agentmech: Agentmech, pair: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTMECH_TIMEOUT", given)
    done = agentmech("test", "pair.yaml", "-u", "http://127.0.0.1:1")
    assert done.code == 2
    assert f"AGENTMECH_TIMEOUT is '{given}', which is no time" in done.err


def test_row_18_a_reply_that_drips_ends_at_the_limit_for_the_whole(
    agentmech: Agentmech, pair: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTMECH_TIMEOUT", "0.4")
    drips = [act for _ in range(200) for act in (piece("x"), 0.05)]  # never silent for long
    with world(since(1, chunked(drips))) as story:
        began = time.monotonic()
        done = agentmech("test", "pair.yaml", *story.at, "-j", "1")
        seconds = time.monotonic() - began
    assert (done.code, story.asked) == (3, 1)  # the next try would take as long
    assert 2.0 <= seconds < 2.0 + 8
    assert "was not complete after 2 s" in done.err


def test_row_18_a_line_that_drips_is_no_word(
    agentmech: Agentmech, pair: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTMECH_TIMEOUT", "0.4")
    drips = [act for byte in piece("x" * 200) for act in (bytes([byte]), 0.05)]
    with world(at({1: chunked(drips)})) as story:
        done = agentmech("test", "pair.yaml", *story.at, "-j", "1")
        first, second = (call.at for call in story.server.asked(CHAT)[:2])
    assert done.code == 1  # the second try was whole
    assert 1.4 <= second - first < 1.4 + 1
    assert "sent nothing for 0.4 s; try 2 of 3 in " in done.err


# Row 23: a redirect.


def test_row_23_a_redirect_to_another_host_is_refused(agentmech: Agentmech, pair: Path) -> None:
    with wire.ollama() as elsewhere:
        moved = page(307, "", location=f"{elsewhere.url}{CHAT}")
        with world(since(1, moved)) as story:
            done = agentmech("test", "pair.yaml", *story.at, "-j", "1")
        assert elsewhere.calls == []
    assert done.code == 3
    assert (
        f"redirects to {elsewhere.url}{CHAT} — prompts go only to the server you name" in done.err
    )


# Row 24: other weights under the same name.


def test_row_24_other_weights_of_the_same_name_are_told_and_the_cache_is_not_for_them(
    agentmech: Agentmech, pair: Path, calm: Calm
) -> None:
    models = {"tiny": 4096, "tiny:latest": 4096}  # Ollama lists the second and takes both
    digests = {"tiny:latest": "sha256:old"}
    with world(models=models, digests=digests) as story:
        assert agentmech(*FINETUNE, *story.at, "--max-calls", "7").code == 1
        same = agentmech("resume", "--max-calls", "8")
        assert "warning" not in same.err
        digests["tiny:latest"] = "sha256:new"
        done = agentmech("resume", "--max-calls", "100")
        assert (done.code, files(pair)) == (0, calm.files)
        words = "warning: the model 'tiny' is not the one that the run began with"
        assert words in done.err.splitlines()
        assert words.removeprefix("warning: ") in str(journal(pair)[-10:] + journal(pair))
        assert story.questions == calm.questions

        before = story.asked
        assert agentmech(*FINETUNE, *story.at).code == 0
        kept = story.asked - before
        # What the new weights answered is kept; what the old ones did is asked again.
        assert 0 < kept < 15
        assert agentmech(*FINETUNE, *story.at).code == 0
        assert story.asked == before + kept


# Row 59: the embedded engine.

LIBRARY = """
import os, sys, threading
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingMixIn, UnixStreamServer
from types import SimpleNamespace


def CommonParams():
    own = SimpleNamespace
    return own(model=own(), cpuparams=own(), cpuparams_batch=own())


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        sys.stderr.write("ggml.c:1234: GGML_ASSERT(n > 0) failed\\n")
        sys.stderr.flush()
        os.abort()


class Sockets(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True


class Server:
    def __init__(self, wanted):
        with open(os.path.dirname(__file__) + "/pids", "a") as pids:
            print(os.getpid(), file=pids)
        with open(wanted.model.path, "rb") as file:
            kind = file.read()[4:]
        if kind == b"torn":
            sys.stderr.write("E load: error loading model: tensor 7 is torn\\n")
            raise RuntimeError("Failed to init server")
        self.sockets = Sockets(wanted.hostnames[0], Handler)
        threading.Thread(target=self.sockets.serve_forever, daemon=True).start()
        self.listening_address = "unix://" + wanted.hostnames[0]
"""
"""Stands in for the native library in the engine's own process, which is the real one."""


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(
    ("kind", "words", "deaths"),
    [
        ("torn", r"cannot load .*weights\.gguf: tensor 7 is torn — the file may be torn", 0),
        ("dying", r"died \(SIGABRT\): ggml\.c:1234: GGML_ASSERT\(n > 0\) failed — perhaps", 2),
        ("", r"weights\.gguf is no GGUF file", 0),
    ],
)
def test_row_59_an_engine_that_dies_ends_the_run_with_its_last_words(
    kind: str,
    words: str,
    deaths: int,
    agentmech: Agentmech,
    pair: Path,
    calm: Calm,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    aside = tmp_path_factory.mktemp("library")
    (aside / "xllamacpp.py").write_text(LIBRARY)
    weights = aside / "weights.gguf"
    weights.write_bytes(f"GGUF{kind}".encode() if kind else b"<html>not found</html>")
    monkeypatch.setenv("PYTHONPATH", str(aside))  # for the engine's process
    monkeypatch.syspath_prepend(aside)
    sys.modules.pop("xllamacpp", None)
    done = agentmech(*FINETUNE, "--llm", f"llamacpp:{weights}")
    assert done.code == 3
    assert re.search(words, done.err.splitlines()[-1])
    assert done.err.count("; try ") == deaths
    assert GOES_ON.search(done.err)
    pids = (aside / "pids").read_text().split() if (aside / "pids").exists() else []
    assert len(pids) == (1 + deaths if kind else 0)
    assert not any(alive(int(pid)) for pid in pids)
    with world() as story:
        resumed(agentmech, *story.at, calm=calm, folder=pair)
    assert story.questions == calm.questions
