"""``-u`` given more than once: the servers share the work, and a run knows them again."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
import wire
from commandline import Agentmech
from wire import Act, chat

from finetune_fsm.runs.history import load
from finetune_fsm.runs.places import find


def greet(call: wire.Call) -> Iterable[Act]:
    prompt = call.json["messages"][-1]["content"]
    return chat(f"Hello {prompt.removeprefix('Greet ')[:40]}!")


def asked(server: wire.Server) -> int:
    return len(server.asked("/api/chat"))


@pytest.mark.parametrize(
    "command", [("test", "greeter.yaml"), ("compare", "greeter.yaml", "greeter.yaml")]
)
def test_servers_share_the_scenarios(
    command: tuple[str, ...], agentmech: Agentmech, greeter: Path
) -> None:
    models = {"m": 4096}
    with wire.ollama(greet, models=models) as a, wire.ollama(greet, models=models) as b:
        done = agentmech(*command, "-u", a.url, "-u", b.url)
        assert done.code == 0, done.err
        assert (asked(a), asked(b)) == (1, 1)


def test_a_server_that_is_not_there_leaves_its_work_to_the_other_and_is_told_once(
    agentmech: Agentmech, greeter: Path
) -> None:
    with wire.ollama(greet, models={"m": 4096}) as server:
        done = agentmech("test", "greeter.yaml", "-u", "http://127.0.0.1:9", "-u", server.url)
        assert done.code == 0, done.err
        assert asked(server) == 2


def test_a_server_named_twice_is_refused(agentmech: Agentmech, greeter: Path) -> None:
    done = agentmech("run", "greeter.yaml", "-u", "localhost", "-u", "http://localhost:11434")
    assert (done.code, done.out) == (2, "")
    assert "named twice" in done.err


def test_servers_with_other_weights_of_a_model_are_refused_before_any_question(
    agentmech: Agentmech, greeter: Path
) -> None:
    models = {"m:latest": 4096}
    with (
        wire.ollama(greet, models=models, digests={"m:latest": "aaaa"}) as a,
        wire.ollama(greet, models=models, digests={"m:latest": "bbbb"}) as b,
    ):
        done = agentmech("finetune", "greeter.yaml", "-u", a.url, "-u", b.url, "-m", "m")
        assert done.code == 2
        assert asked(a) + asked(b) == 0
    for told in ("'m'", a.url, b.url, "aaaa", "bbbb", "weights"):
        assert told in done.err


def test_a_run_is_resumed_with_all_the_servers_it_began_with(
    agentmech: Agentmech, greeter: Path
) -> None:
    models = {"m": 4096}
    with wire.ollama(greet, models=models) as a, wire.ollama(greet, models=models) as b:
        command = ("finetune", "greeter.yaml", "-u", a.url, "-u", b.url, "-m", "m")
        agentmech(*command, "--max-calls", "1")
        assert load(find(None)).beginning.llm == f"ollama:{a.url},{b.url}"
        before = asked(a), asked(b)
        done = agentmech("resume", "--max-calls", "100")
        assert done.code == 0, done.err
        assert sum(before) == 1
        assert min(asked(a), asked(b)) >= 1
