"""`doctor`: what is there, what is not and what to do; and where each setting comes from."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest
from commandline import Agentmech, Done

from finetune_fsm.cli import checkup
from finetune_fsm.cli.checkup import Check, Level, answering, asked, folders
from finetune_fsm.cli.known import options_of
from finetune_fsm.errors import LLMError, LLMErrorKind
from finetune_fsm.llm.scripted import ScriptedLLM
from finetune_fsm.llm.weights import FOLDER_VARIABLE, QWEN

DEAD = "http://127.0.0.1:9"
GOOD = "script:good.yaml"


def setting(done: Done, key: str) -> tuple[object, str]:
    (found,) = [s for s in done.document["settings"] if s["key"] == key]
    return found["value"], found["source"]


def levels(done: Done, group: str) -> set[str]:
    return {check["level"] for check in done.document["checks"][group]}


def test_a_model_that_can_answer_is_enough(agentmech: Agentmech, greeter: Path) -> None:
    done = agentmech("doctor", "--llm", GOOD)
    assert (done.code, greeter.is_file()) == (0, True)
    for line in (
        "Packages",
        "  ok       python: 3.",
        "  ok       transitions: ",
        "Folders",
        "Settings",
    ):
        assert f"\n{line}" in f"\n{done.out}"
    assert f"  llm = {GOOD}  (command line)" in done.out
    assert "  max_iterations = 5  (default)" in done.out


def test_when_nothing_can_answer_that_is_exit_3_with_what_to_do(agentmech: Agentmech) -> None:
    done = agentmech("doctor", "-u", DEAD)
    assert done.code == 3
    assert f"  problem  server: Ollama at {DEAD} does not answer — start it" in done.out


@pytest.mark.parametrize("spec", ["script:missing.yaml", "nonsense", "llamacpp:no-such-weights"])
def test_a_model_that_cannot_be_had_is_a_problem_and_no_error(
    spec: str, agentmech: Agentmech
) -> None:
    done = agentmech("doctor", "--llm", spec, "--json")
    assert (done.code, done.document["able"]) == (3, False)
    assert "problem" in levels(done, "models")


def test_every_setting_has_its_source(
    agentmech: Agentmech, greeter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    greeter.with_name("agentmech.toml").write_text(f'llm = "{GOOD}"\n[finetune]\nmax_calls = 7\n')
    monkeypatch.setenv("AGENTMECH_SEED", "3")
    monkeypatch.setenv("AGENTMECH_NO_CACHE", "yes")
    done = agentmech("doctor", "--json")
    assert done.code == 0
    assert setting(done, "llm") == (GOOD, "agentmech.toml:1")
    assert setting(done, "max_calls") == (7, "agentmech.toml:3")
    assert setting(done, "seed") == ("3", "AGENTMECH_SEED")
    assert setting(done, "no_cache") == (True, "AGENTMECH_NO_CACHE")
    monkeypatch.delenv("AGENTMECH_NO_CACHE")
    assert setting(agentmech("doctor", "--json"), "no_cache") == (False, "default")
    assert setting(done, "model") == ("gemma3:4b", "default")
    assert {s["key"] for s in done.document["settings"]} == set(options_of("finetune"))


def test_wrong_settings_are_told_with_their_place_and_exit_2(
    agentmech: Agentmech, greeter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    greeter.with_name("agentmech.toml").write_text("jbos = 1\n")
    monkeypatch.setenv("AGENTMECH_MODLE", "x")
    done = agentmech("doctor", "--llm", GOOD)
    assert done.code == 2
    assert "agentmech.toml:1:1: error: unknown key 'jbos' — did you mean 'jobs'?" in done.out
    assert "nothing reads AGENTMECH_MODLE — did you mean 'AGENTMECH_MODEL'?" in done.out


def test_secrets_are_not_shown(agentmech: Agentmech, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-abcdefghijklmnop")
    monkeypatch.setenv("AGENTMECH_GOAL", "say sk-abcdefghijklmnop")
    for flags in ((), ("--json",)):
        out = agentmech("doctor", "-u", "http://user:hunter2@127.0.0.1:9", *flags).out
        assert "sk-abcdefghijklmnop" not in out
        assert "hunter2" not in out


def test_quiet_shows_only_what_is_wrong(agentmech: Agentmech) -> None:
    out = agentmech("doctor", "-q", "-u", DEAD).out
    assert "problem  server" in out
    assert "ok " not in out


def test_weights_are_there_whole_or_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    assert "pip install" in checkup.embedded(installed=False).advice
    assert checkup.embedded(installed=True).advice == "agentmech pull"
    path = tmp_path / QWEN.name
    path.write_bytes(b"GGUF")
    assert "has 4 bytes" in checkup.embedded(installed=True).found
    with path.open("r+b") as file:
        file.truncate(QWEN.size)  # a hole: nothing is written
    engine = checkup.embedded(installed=True)
    assert engine.level is Level.OK
    assert answering((), None, {}, engine=engine, seconds=5).able
    assert not answering((DEAD,), None, {}, engine=engine, seconds=5).able
    assert not answering((), None, {"OLLAMA_HOST": DEAD}, engine=engine, seconds=5).able


def test_a_folder_that_cannot_be_written_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    good, bad = folders([("a", tmp_path / "new" / "deep"), ("b", tmp_path / "file" / "x")])
    assert (good.level, bad.level) == (Level.OK, Level.PROBLEM)
    assert "GB free" in good.found
    assert bad.advice
    assert not (tmp_path / "new").exists()


class Slow(ScriptedLLM):
    """A server that takes connections and then says nothing for long."""

    def __init__(self, name: str) -> None:
        super().__init__([])
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    def models(self) -> tuple[str, ...]:
        time.sleep(20)
        raise LLMError(LLMErrorKind.UNREACHABLE, "too late", hint="")


def test_servers_that_take_connections_and_say_nothing_cost_the_limit_and_no_more() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        name = f"Ollama at http://127.0.0.1:{server.getsockname()[1]}"
        begun = time.monotonic()
        stocks = asked((Slow(name), Slow(name), Slow(name)), 0.6)
        assert time.monotonic() - begun < 10
    assert all(stock.error and "does not answer" in str(stock.error) for stock in stocks)


def test_a_check_is_one_line_whatever_a_server_is_called(agentmech: Agentmech) -> None:
    assert Check("a", Level.OK, "b").advice == ""
    done = agentmech("doctor", "--llm", "openai:http://127.0.0.1:9/\x1b[31m")
    assert done.code == 3
    assert "\x1b" not in done.out
