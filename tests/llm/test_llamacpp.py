"""The embedded engine's life: started late, restarted a few times, never left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from llm import completions, conformance
from llm.conformance import Factory, Model

from finetune_fsm.errors import Cancelled, LLMError, LLMErrorKind
from finetune_fsm.llm.base import LLM, Message, Request, Stop
from finetune_fsm.llm.deadlines import Timeouts
from finetune_fsm.llm.engine import Engine, Settings
from finetune_fsm.llm.llamacpp import RESTARTS, TEXT_CTX, LlamaCppLLM
from finetune_fsm.llm.weights import named

FAKE = (sys.executable, "-S", "-E", str(Path(__file__).with_name("fake_engine.py")))


def ask(text: str, **fields: object) -> Request:
    return Request("any", (Message("user", text),), **fields)


def weights(folder: Path, name: str = "tiny") -> Path:
    path = folder / f"{name}.gguf"
    path.write_bytes(b"GGUF and more")
    return path


@contextmanager
def engine(path: Path, **settings: object) -> Iterator[LlamaCppLLM]:
    llm = LlamaCppLLM(path, command=FAKE, sleep=lambda _: None, **settings)
    try:
        yield llm
    finally:
        llm.close()


RELAY = "import sys; sys.stdin.readline(); print(sys.argv[1], flush=True); sys.stdin.read()"
"""A child that serves nothing itself and names another address, as on systems without sockets."""


@contextmanager
def relayed(model: Model) -> Iterator[LLM]:
    with completions.server(completions.by(model)) as server, TemporaryDirectory() as folder:
        answer = json.dumps({"address": server.url})
        command = (sys.executable, "-S", "-E", "-c", RELAY, answer)
        llm = LlamaCppLLM(weights(Path(folder)), command=command, sleep=lambda _: None)
        yield llm
        llm.close()


@pytest.mark.parametrize("check", conformance.CHECKS, ids=lambda check: check.__name__)
def test_the_embedded_engine_keeps_the_promises_of_a_model(
    check: Callable[[Factory], None],
) -> None:
    check(relayed)


def gone(pid: int) -> bool:
    """Whether no process *pid* is left within five seconds; a zombie counts as gone."""
    for _ in range(100):
        shown = subprocess.run(
            ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
        if shown.stdout.strip()[:1] in ("", "Z"):
            return True
        time.sleep(0.05)
    return False


def test_the_engine_starts_at_the_first_call_and_stays(tmp_path: Path) -> None:
    with engine(weights(tmp_path)) as llm:
        assert llm.models() == ("tiny",)
        assert "tiny.gguf" in llm.name
        assert llm.slots == 1
        pieces: list[str] = []
        first = llm.complete(ask("pid"), on_text=pieces.append)
        assert "".join(pieces) == first.text
        assert (first.prompt_tokens, first.completion_tokens, first.cut) == (3, 2, False)
        assert llm.complete(ask("pid")).text == first.text
    assert gone(int(first.text))


def test_a_request_reaches_the_engine_with_what_llama_cpp_knows(tmp_path: Path) -> None:
    options = {"top_k": 3, "num_predict": 7, "num_ctx": 9, "stop": "x", "seed": 1}
    schema = {"type": "object"}
    with engine(weights(tmp_path)) as llm:
        request = ask("body", options=options, schema=schema, reuse_prefix=True)
        body = json.loads(llm.complete(request).text)
    assert body["cache_prompt"] is True
    assert (body["top_k"], body["max_tokens"], body["stop"]) == (3, 7, ["x"])
    assert body["response_format"]["json_schema"]["schema"] == schema
    assert "num_ctx" not in body


def test_the_socket_and_the_key_are_private(tmp_path: Path) -> None:
    with engine(weights(tmp_path)) as llm:
        pid = int(llm.complete(ask("pid")).text)
        running = llm._chat.running
        assert running._folder.stat().st_mode & 0o777 == 0o700
        said = Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()
        assert running.key.encode() not in said
        assert os.getsid(pid) == pid
        folder = running._folder
    assert not folder.exists()


def test_a_long_path_of_temporary_files_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    with engine(weights(tmp_path)) as llm:
        assert llm.complete(ask("say hi")).text == "hi"
    assert not list(deep.iterdir())


def test_an_engine_that_dies_is_started_again_three_times_and_then_given_up(
    tmp_path: Path,
) -> None:
    with engine(weights(tmp_path)) as llm:
        pids = set()
        for _ in range(RESTARTS + 1):
            pid = int(llm.complete(ask("pid")).text)
            pids.add(pid)
            os.kill(pid, signal.SIGKILL)
            assert gone(pid)
        assert len(pids) == RESTARTS + 1
        with pytest.raises(LLMError, match="SIGKILL") as caught:
            llm.complete(ask("pid"))
        assert "started again too often" in str(caught.value)


def test_a_death_within_a_call_is_told_with_the_last_words(tmp_path: Path) -> None:
    with engine(weights(tmp_path)) as llm:
        with pytest.raises(LLMError) as caught:
            llm.complete(ask("die"))
        assert caught.value.kind is LLMErrorKind.SERVER
        assert "SIGABRT" in str(caught.value)
        assert "out of memory" in str(caught.value)
        assert llm._chat.starts == 3  # once for each try
        assert llm.complete(ask("say again")).text == "again"


@pytest.mark.parametrize(
    ("start", "kind", "said"),
    [
        ("refuse", LLMErrorKind.MISSING_MODEL, "tensor 7 is torn"),
        ("crash", LLMErrorKind.SERVER, r"SIGABRT\): GGML_ASSERT \\x1b\[31mfailed"),
        ("babble", LLMErrorKind.SERVER, r"died \(code 0\)"),
    ],
)
def test_an_engine_that_cannot_start_says_why(
    tmp_path: Path, start: str, kind: LLMErrorKind, said: str
) -> None:
    with engine(weights(tmp_path, start)) as llm:
        for _ in range(2):
            with pytest.raises(LLMError, match=said) as caught:
                llm.complete(ask("say hi"))
            assert caught.value.kind is kind
        assert llm._chat.starts <= RESTARTS + 1


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: None, r"no weights at .*agentmech pull"),
        (lambda path: path.mkdir(), "no weights at"),
        (lambda path: path.write_bytes(b""), "no GGUF file"),
        (lambda path: path.write_bytes(b"PK\x03\x04"), "no GGUF file"),
    ],
)
def test_what_cannot_be_weights_is_refused_before_a_process_starts(
    tmp_path: Path, make: Callable[[Path], None], said: str
) -> None:
    path = tmp_path / "x.gguf"
    make(path)
    with engine(path) as llm:
        with pytest.raises(LLMError, match=said) as caught:
            llm.complete(ask("say hi"))
        assert caught.value.kind is LLMErrorKind.MISSING_MODEL
        assert llm._chat.starts == 0


def test_an_engine_that_loads_for_ever_is_killed(tmp_path: Path) -> None:
    settings = Settings(weights(tmp_path, "sleep"), 512, 1, 1)
    with pytest.raises(LLMError, match=r"not ready after 0\.3 s"):
        Engine.start(settings, command=FAKE, seconds=0.3)


@pytest.mark.parametrize(("name", "text"), [("sleep", "say hi"), ("tiny", "hang")])
def test_a_stop_ends_loading_and_computing_at_once(tmp_path: Path, name: str, text: str) -> None:
    stop = Stop()
    timer = threading.Timer(0.5, stop.ask)
    with engine(weights(tmp_path, name)) as llm:
        timer.start()
        started = time.monotonic()
        with pytest.raises(Cancelled):
            llm.complete(ask(text), stop=stop)
        assert time.monotonic() - started < 4
        readers = [t for t in threading.enumerate() if t.name == "llm-reader"]
        for reader in readers:  # the connection was cut, so that the engine notices
            reader.join(4)
            assert not reader.is_alive()


@pytest.mark.parametrize(("name", "text"), [("sleep", "say hi"), ("tiny", "hang")])
def test_closing_ends_a_call_of_another_thread_and_starts_nothing_again(
    tmp_path: Path, name: str, text: str
) -> None:
    with engine(weights(tmp_path, name)) as llm, ThreadPoolExecutor() as pool:
        call = pool.submit(llm.complete, ask(text))
        time.sleep(0.5)
        llm.close()
        assert isinstance(call.exception(5), Cancelled)
        assert llm._chat.starts == 1


def test_vectors_come_from_a_process_of_their_own(tmp_path: Path) -> None:
    path = weights(tmp_path)
    with engine(path, slots=2) as llm:
        assert llm.embed("any", ()) == ()
        assert llm._chat.starts == 0
        (first, second) = llm.embed("any", ["a", "bc"])
        assert [first[4], second[4]] == [1, 2]
        pid, n_ctx, length, pooling = map(int, first[:4])
        assert (n_ctx, length, pooling) == (TEXT_CTX, len(str(path)), len("mean"))
        assert llm.embed("another", ["a"])[0][0] == pid
        replying = int(llm.complete(ask("pid")).text)
        assert llm._chat.starts == 1
    assert pid != replying
    assert gone(pid)
    assert gone(replying)


def test_weights_called_like_the_embedding_model_make_its_vectors_their_own_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINETUNE_FSM_MODELS", str(tmp_path / "models"))
    (tmp_path / "models").mkdir()
    own = weights(tmp_path / "models", "nomic-embed-text")
    with engine(weights(tmp_path)) as llm:
        ((pid, _, length, pooling, _),) = llm.embed("nomic-embed-text", ["a"])
        assert (length, pooling) == (len(str(own)), len("own"))
        ((another, _, length, pooling, _),) = llm.embed("embeddinggemma", ["a"])
        assert (length, pooling) == (len(str(llm.path)), len("mean"))
        assert another != pid
    assert gone(int(pid))
    assert gone(int(another))


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "/etc/passwd", "a/b", "nomic\0", "x" * 300, "models"]
)
def test_a_name_out_of_a_workflow_leads_to_no_other_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("FINETUNE_FSM_MODELS", str(tmp_path / "models"))
    (tmp_path / "models" / "models").mkdir(parents=True)
    weights(tmp_path, "x")
    assert named(name) is None
    assert named("x") is None
    weights(tmp_path / "models", "x")
    assert named("x") == named("x.gguf") == tmp_path / "models" / "x.gguf"


def test_a_process_that_dies_over_a_text_is_started_again_and_then_given_up(tmp_path: Path) -> None:
    with engine(weights(tmp_path)) as llm:
        first = llm.embed("any", ["a"])[0][0]
        with pytest.raises(LLMError, match="the embedded engine died"):
            llm.embed("any", ["die"])
        assert llm.embed("any", ["a"])[0][0] != first
        assert llm._chat.starts == 0


def test_after_closing_nothing_starts(tmp_path: Path) -> None:
    llm = LlamaCppLLM(weights(tmp_path), command=FAKE)
    llm.close()
    llm.close()
    with pytest.raises(Cancelled):
        llm.complete(ask("say hi"))
    with pytest.raises(Cancelled):
        llm.embed("any", ["a"])


def test_one_slot_serves_one_call_at_a_time_and_a_waiting_one_can_be_stopped(
    tmp_path: Path,
) -> None:
    stop = Stop()
    # While a call waits for its turn its time to the first token does not run.
    timeouts = Timeouts(first_token=1.0, idle=5.0, total=10.0)
    with engine(weights(tmp_path), timeouts=timeouts) as llm, ThreadPoolExecutor(8) as pool:
        slow = pool.submit(llm.complete, ask("slow 1.5"))
        time.sleep(0.3)
        waiting = pool.submit(llm.complete, ask("say later"))
        stopped = pool.submit(llm.complete, ask("say never"), stop=stop)
        stop.ask()
        assert isinstance(stopped.exception(5), Cancelled)
        assert not slow.done()
        assert waiting.result(5).text == "later"
        assert slow.result(5).text == "slow 1.5"


def test_many_threads_share_one_engine(tmp_path: Path) -> None:
    with engine(weights(tmp_path), slots=4) as llm, ThreadPoolExecutor(8) as pool:
        texts = list(pool.map(lambda n: llm.complete(ask(f"say {n}")).text, range(24)))
        assert texts == [str(n) for n in range(24)]
        assert llm._chat.starts == 1


def test_a_prompt_that_is_too_long_is_no_death(tmp_path: Path) -> None:
    with engine(weights(tmp_path)) as llm:
        with pytest.raises(LLMError) as caught:
            llm.complete(ask("long"))
        assert caught.value.kind is LLMErrorKind.CONTEXT_OVERFLOW
        assert llm._chat.starts == 1


PARENT = """
import sys, time, os
from finetune_fsm.llm.base import LLM, Message, Request
from finetune_fsm.llm.llamacpp import LlamaCppLLM
llm = LlamaCppLLM(sys.argv[1], command=sys.argv[3:])
print(llm.complete(Request("", (Message("user", "pid"),))).text, flush=True)
end = sys.argv[2]
if end == "exit":
    sys.exit(0)
if end == "raise":
    raise RuntimeError
if end == "_exit":
    os._exit(0)
time.sleep(60)
"""


@pytest.mark.parametrize("end", ["exit", "raise", "_exit", "SIGKILL", "SIGTERM", "SIGINT"])
def test_no_engine_is_left_behind_however_the_parent_ends(tmp_path: Path, end: str) -> None:
    command = [sys.executable, "-c", PARENT, str(weights(tmp_path)), end, *FAKE]
    with TemporaryDirectory(dir="/tmp") as scratch:  # a short path, so that it is really used
        pid = run_until_the_end(command, os.environ | {"TMPDIR": scratch}, end)
        assert gone(pid)
        assert not list(Path(scratch).iterdir())


def run_until_the_end(command: list[str], environ: dict[str, str], end: str) -> int:
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environ
    ) as parent:
        try:
            pid = int(parent.stdout.readline())
            if end.startswith("SIG"):
                parent.send_signal(getattr(signal, end))
            parent.wait(20)
        finally:
            parent.kill()
    return pid


def test_an_engine_nobody_holds_any_more_ends(tmp_path: Path) -> None:
    running = Engine.start(Settings(weights(tmp_path), 512, 1, 1), command=FAKE)
    pid = running.pid
    del running
    assert gone(pid)
