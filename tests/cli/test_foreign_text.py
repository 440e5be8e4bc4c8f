"""Whatever a model, a server, a file or a name says: nothing of it steers a reader or a runner.

One property, from the command line to the bytes on the streams and in the log, for every command
that shows foreign text and every place that such text comes from.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from commandline import GREETER, GREETER_TESTS, Agentmech, Done
from hypothesis import given, settings
from hypothesis import strategies as st
from wire import Act, Call, Server, chat, ollama, refusal

from finetune_fsm.cli.problems import excerpt
from finetune_fsm.sinks import look_again

KEY = "sk-0123456789-abcdef"
UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
SIGNS = (
    "\x1b[2J",
    "\x1b]52;c;aGk=\x07",
    "\x9b31m",
    "\u202eevil",
    "\ud800",
    "[/INST] [bold]x[/bold] [/closed]",
    "{} {0} {x} {{name}} %s",
    "\n::error::x",
    "::stop-commands::x",
    "##[error]x",
    "<script>alert(1)</script>",
    "]]>",
    "=cmd()",
    "\r",
    "\r\n",
    f"key {KEY}",
    "http://me:hunter2@host/",
)
foreign = st.lists(st.sampled_from(SIGNS) | st.text(max_size=8), min_size=1, max_size=4).map(
    "".join
)
utf8 = foreign.map(lambda text: text.encode("utf-8", "replace").decode())


class Model:
    """A server whose model says one thing, or which refuses with it."""

    def __init__(self) -> None:
        self.says = ""
        self.refuses = False

    def answer(self, call: Call) -> Iterator[Act]:
        del call
        return refusal(400, self.says) if self.refuses else chat(*self.says)


@pytest.fixture(scope="module")
def model() -> Model:
    return Model()


@pytest.fixture(scope="module")
def server(model: Model) -> Iterator[Server]:
    with ollama(model.answer, models={"m": 4096, "gemma3:4b": 4096}) as running:
        yield running


@pytest.fixture(autouse=True)
def _on_a_runner(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("MY_API_KEY", KEY)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    yield
    look_again()


def commands_in(output: str) -> Sequence[str]:
    """The commands that GitHub's runner finds in *output*."""
    found: list[str] = []
    stopped = ""
    for line in output.split("\n"):
        bare = line.lstrip()
        if stopped:
            stopped = "" if bare == f"::{stopped}::" else stopped
        elif bare.startswith("::stop-commands::"):
            stopped = bare.removeprefix("::stop-commands::")
        elif bare.startswith("::") or "##[" in line:
            found.append(bare)
    return found


def harmless(*texts: str, marks: int = 0) -> None:
    for text in texts:
        assert not UNSAFE.search(text)
        assert KEY not in text
        assert "hunter2" not in text
        assert "Traceback" not in text
        found = commands_in(text)
        assert all(line.startswith("::error title=") for line in found)
        assert len(found) <= marks


def checked(done: Done, *, marks: int = 0, codes: Sequence[int] = (0, 1)) -> Done:
    assert done.code in codes, done.err
    harmless(done.out, done.err, marks=marks)
    return done


@pytest.mark.parametrize("refuses", [False, True])
@given(said=foreign)
@settings(max_examples=12)
def test_replies_and_refusals_of_a_server(
    refuses: bool, said: str, model: Model, server: Server, agentmech: Agentmech, greeter: Path
) -> None:
    model.says, model.refuses = said, refuses
    log = greeter.with_name("run.log")
    log.unlink(missing_ok=True)
    arguments = ("run", "greeter.yaml", "-u", server.url, "--input", f"ask={KEY}")
    checked(agentmech(*arguments, "-vv", "--log-file", log))
    harmless(log.read_text("utf-8"))
    found = checked(agentmech(*arguments, "--json")).document
    if found["status"] == "completed":
        assert found["variables"]["name"] == "***"


@given(said=foreign)
@settings(max_examples=6)
def test_a_session_of_finetune(
    said: str, model: Model, server: Server, agentmech: Agentmech, greeter: Path
) -> None:
    model.says, model.refuses = said, False
    assert greeter.exists()
    done = agentmech("finetune", "greeter.yaml", "-u", server.url, "-i", "2")
    checked(done)


@given(said=utf8)
@settings(max_examples=8)
def test_a_session_of_finetune_in_which_the_analysis_says_anything(
    said: str, agentmech: Agentmech, greeter: Path
) -> None:
    analysis = {"analysis": said, "suggestions": [{"state": said, "change": said}]}
    proposal = {"problem": said, "new_prompt": f"{said} {{{{name}}}}"}
    script(
        greeter.with_name("odd.yaml"),
        {"purpose": "state", "reply": said},
        {"purpose": "analysis", "reply": analysis},
        {"purpose": "proposal", "reply": proposal},
    )
    done = agentmech("finetune", "greeter.yaml", "--llm", "script:odd.yaml", "-i", "2")
    checked(done)


def script(path: Path, *replies: Mapping[str, object]) -> None:
    text = json.dumps({"format": 1, "replies": replies}, ensure_ascii=False)
    path.write_text(_as_yaml(text), "utf-8")


def _as_yaml(text: str) -> str:
    """JSON as YAML reads it: what must not stand there as it is, escaped in YAML's way."""
    return "".join(
        character if character.isprintable() else f"\\U{ord(character):08x}" for character in text
    )


@given(name=utf8, said=foreign)
@settings(max_examples=8)
def test_reports_of_scenarios_and_files_called_anything(
    name: str, said: str, model: Model, server: Server, agentmech: Agentmech, tmp_path: Path
) -> None:
    model.says, model.refuses = said, False
    visible = "".join(c for c in name if c.isprintable()).strip() or "x"
    file = "".join(c for c in name.replace("hunter2", "") if c not in "/\0")[:40].strip()
    workflow = tmp_path / f"w{file}.yaml"
    workflow.write_text(GREETER)
    tests = GREETER_TESTS.replace("Greets Bob", json.dumps(visible, ensure_ascii=False))
    tests = tests.replace("greeter.yaml", _as_yaml(json.dumps(workflow.name, ensure_ascii=False)))
    (tmp_path / "t.test.yaml").write_text(tests, "utf-8")

    def report(form: str, marks: int = 0) -> Done:
        done = agentmech("test", "t.test.yaml", "-u", server.url, "-f", form)
        return checked(done, marks=marks)

    if report("text").code == 0:
        return
    report("github", marks=2)
    report("markdown")
    assert len(report("json").document["tests"]) == 2
    assert len(list(ET.fromstring(report("junit").out).iter("testcase"))) == 2
    rows = list(csv.reader(io.StringIO(report("csv").out), strict=True))
    assert [len(row) for row in rows] == [14, 14, 14]


@given(content=utf8, key=utf8)
@settings(max_examples=12)
def test_files_that_say_anything(
    content: str, key: str, agentmech: Agentmech, tmp_path: Path
) -> None:
    quoted = _as_yaml(json.dumps(key, ensure_ascii=False))
    (tmp_path / "raw.yaml").write_text(content, "utf-8")
    (tmp_path / "keys.yaml").write_text(f"{GREETER}    {quoted}: 1\n", "utf-8")
    (tmp_path / "next.yaml").write_text(f"{GREETER}    next: {quoted}\n", "utf-8")
    for name in ("raw.yaml", "keys.yaml", "next.yaml", key.replace("\0", "") or "x"):
        checked(agentmech("validate", "--", name), codes=(0, 2))
        done = agentmech("validate", "--json", "--", name)
        checked(done, codes=(0, 2))
        assert isinstance(done.document, dict)
    checked(agentmech("graph", "next.yaml"), codes=(0, 2))


@given(word=utf8)
@settings(max_examples=10)
def test_command_lines_that_say_anything(word: str, agentmech: Agentmech, greeter: Path) -> None:
    word = word.replace("\0", "")
    assert greeter.exists()
    bad = (
        (f"x{word}",),
        ("run", "greeter.yaml", f"--x{word}"),
        ("run", "greeter.yaml", "--llm", f"x{word}"),
        ("run", "greeter.yaml", "--llm", "script:good.yaml", "--input", f"x{word}=a"),
        ("test", "greeter.yaml", "-o", f"x{word}/y"),
        ("list-models", "-u", f"http://me:{word}@ x"),
    )
    for arguments in bad:
        checked(agentmech(*arguments), codes=(2, 3))


@pytest.mark.parametrize("column", range(1, 260, 3))
def test_a_caret_in_the_middle_of_a_secret_does_not_show_its_half(column: int) -> None:
    look_again()
    line = f"{'a' * 90} {KEY} {'b' * 60} http://me:hunter2@host/ {KEY}"
    shown, caret = excerpt(line, 1, column)
    assert "hunt" not in shown
    assert not any(KEY[at : at + 5] in shown for at in range(len(KEY) - 4))
    assert caret.endswith("^")


def test_the_last_words_of_a_process_that_is_ended_on_the_spot(tmp_path: Path) -> None:
    folder = tmp_path / "a\x1b[2J\n::error::\u202eb"
    folder.mkdir()
    (folder / "greeter.yaml").write_text(GREETER)
    (folder / "greeter.test.yaml").write_text(GREETER_TESTS)
    slow = tmp_path / "slow.yaml"
    slow.write_text("format: 1\nreplies:\n  - {reply: Hello, seconds: 60}\n")
    command = [sys.executable, "-m", "finetune_fsm", "finetune", str(folder / "greeter.yaml")]
    with subprocess.Popen(
        [*command, "--llm", f"script:{slow}"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        watchdog = threading.Timer(30, process.kill)
        watchdog.start()
        assert process.stdout is not None
        assert process.stderr is not None
        while b"Running workflow" not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        while b"again stops now" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        told = process.stderr.read().decode()
        watchdog.cancel()
    assert process.returncode == 130
    assert "to go on: agentmech resume" in told
    harmless(told)
