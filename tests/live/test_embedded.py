"""The real engine: what the fake one cannot show."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from llm.conformance import ask

from finetune_fsm.errors import Cancelled, LLMError, LLMErrorKind
from finetune_fsm.llm.base import Stop
from finetune_fsm.llm.llamacpp import LlamaCppLLM

pytestmark = pytest.mark.live

FIXED = {"temperature": 0, "seed": 1}


def test_a_fixed_question_has_a_fixed_answer_whatever_came_between(embedded: LlamaCppLLM) -> None:
    question = ask("Name three colours, separated by commas.", options=FIXED | {"num_predict": 16})
    first = embedded.complete(question)
    embedded.complete(ask("Name three rivers, separated by commas.", reuse_prefix=True))
    assert embedded.complete(question).text == first.text
    assert first.completion_tokens > 0


def test_a_schema_holds(embedded: LlamaCppLLM) -> None:
    schema = {
        "type": "object",
        "properties": {"choice": {"enum": ["red", "green"]}, "sure": {"type": "boolean"}},
        "required": ["choice", "sure"],
        "additionalProperties": False,
    }
    reply = embedded.complete(ask("Which colour is grass?", options=FIXED, schema=schema))
    value = json.loads(reply.text)
    assert value["choice"] == "green"
    assert isinstance(value["sure"], bool)


def test_a_prefix_that_may_be_reused_is_not_read_twice(embedded: LlamaCppLLM) -> None:
    long = "\n".join(f"Line {n}: the quick brown fox." for n in range(60))
    few = FIXED | {"num_predict": 2}
    first = embedded.complete(ask(f"{long}\nWhich animal?", options=few, reuse_prefix=True))
    embedded.complete(ask("Say hi.", options=few))
    again = embedded.complete(ask(f"{long}\nWhat does it do?", options=few, reuse_prefix=True))
    assert again.seconds < first.seconds / 2


def test_limits_and_refusals_are_told(embedded: LlamaCppLLM) -> None:
    assert embedded.complete(ask("Count to 50.", options={"num_predict": 4})).cut
    with pytest.raises(LLMError) as caught:
        embedded.complete(ask("word " * 9000))
    assert caught.value.kind is LLMErrorKind.CONTEXT_OVERFLOW
    with pytest.raises(LLMError) as caught:
        embedded.complete(ask("x", schema={"type": "nonsense"}))
    assert caught.value.kind is LLMErrorKind.BAD_REQUEST
    assert embedded.complete(ask("a\ud800b \x00 say ok", options={"num_predict": 4})).text


def test_a_stop_is_quick_and_the_engine_serves_on(embedded: LlamaCppLLM) -> None:
    stop = Stop()
    threading.Timer(1, stop.ask).start()
    started = time.monotonic()
    with pytest.raises(Cancelled):
        embedded.complete(ask("Tell a long story."), stop=stop)
    assert time.monotonic() - started < 3
    assert embedded.complete(ask("Say hi.", options={"num_predict": 4})).text


def test_an_engine_that_is_killed_comes_back(embedded: LlamaCppLLM) -> None:
    embedded.complete(ask("Say hi.", options={"num_predict": 2}))
    os.kill(embedded._chat.running.pid, signal.SIGKILL)
    assert embedded.complete(ask("Say hi.", options={"num_predict": 2})).text


PARENT = """
import sys
from finetune_fsm.llm.base import Message, Request
from finetune_fsm.llm.llamacpp import LlamaCppLLM
llm = LlamaCppLLM(sys.argv[1])
while True:
    llm.complete(Request("", (Message("user", "Tell a long story."),)))
"""


@pytest.mark.parametrize("seconds", [0.5, 6.0])  # while it loads, and while it computes
def test_an_engine_whose_parent_is_killed_ends(weights: Path, seconds: float) -> None:
    with TemporaryDirectory(dir="/tmp") as scratch:
        environ = os.environ | {"TMPDIR": scratch}
        parent = subprocess.Popen([sys.executable, "-c", PARENT, str(weights)], env=environ)
        time.sleep(seconds)
        children = processes("--ppid", str(parent.pid))
        parent.kill()
        parent.wait(5)
        assert len(children) == 1
        end = time.monotonic() + 10
        while processes("-p", children[0]) and time.monotonic() < end:
            time.sleep(0.1)
        assert not processes("-p", children[0])
        left = list(Path(scratch).iterdir())
        # While it loads the system ends it, so that it cannot remove its folder (log and socket).
        assert left == [] or seconds < 1


def processes(*which: str) -> list[str]:
    listed = subprocess.run(
        ["ps", "-o", "pid=", *which], capture_output=True, text=True, check=False
    )
    return listed.stdout.split()


@pytest.mark.parametrize("size", [4, 3000, 100_000_000])
def test_torn_weights_are_told(weights: Path, tmp_path: Path, size: int) -> None:
    torn = tmp_path / "torn.gguf"
    with weights.open("rb") as source, torn.open("wb") as target:
        target.write(source.read(size))
    llm = LlamaCppLLM(torn)
    with pytest.raises(LLMError, match=r"cannot load .*torn\.gguf") as caught:
        llm.complete(ask("Say hi."))
    assert caught.value.kind is LLMErrorKind.MISSING_MODEL
    llm.close()
