"""``--executor dask://HOST:PORT``: a command's calls are made by the workers of a cluster."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import wire
from cluster import Running, cluster
from commandline import Agentmech
from faults.interruptions import question, results
from faults.oracle import Oracle, oracle_server, put_greeter
from wire import Act, chat

from finetune_fsm.runs.history import load
from finetune_fsm.runs.places import find

pytestmark = pytest.mark.cluster


def greet(call: wire.Call) -> Iterable[Act]:
    prompt = call.json["messages"][-1]["content"]
    return chat(f"Hello {prompt.removeprefix('Greet ')[:40]}!")


Site = tuple[Running, tuple[wire.Server, ...]]


@pytest.fixture(scope="module")
def shared() -> Iterator[Site]:
    with (
        wire.ollama(greet, models={"m": 4096}) as a,
        wire.ollama(greet, models={"m": 4096}) as b,
        cluster({"OLLAMA_HOST": a.url}, {"OLLAMA_HOST": b.url}) as running,
    ):
        yield running, (a, b)


@pytest.fixture
def site(shared: Site) -> Site:
    for server in shared[1]:
        server.calls.clear()
    return shared


def asked(servers: Iterable[wire.Server]) -> int:
    return sum(len(server.asked("/api/chat")) for server in servers)


@pytest.mark.parametrize(
    ("command", "calls"),
    [
        (("run", "greeter.yaml", "--input", "ask=Eve"), 1),
        (("test", "greeter.yaml"), 2),
        (("compare", "greeter.yaml", "greeter.yaml"), 2),
        (("lint", "greeter.yaml"), 2),
        (("list-models",), 0),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_every_command_that_asks_a_model_can_have_it_asked_by_workers(
    command: tuple[str, ...], calls: int, agentmech: Agentmech, greeter: Path, site: Site
) -> None:
    running, servers = site
    done = agentmech(*command, "--executor", running.executor)
    assert done.code == 0, done.err
    assert asked(servers) == calls


def test_a_url_given_with_it_is_the_one_that_workers_ask(
    agentmech: Agentmech, greeter: Path, site: Site
) -> None:
    running, servers = site
    with wire.ollama(greet, models={"m": 4096}) as other:
        done = agentmech("test", "greeter.yaml", "--executor", running.executor, "-u", other.url)
        assert done.code == 0, done.err
        assert (asked(servers), asked([other])) == (0, 2)


def test_nobody_at_the_address_is_told_in_a_line(agentmech: Agentmech, greeter: Path) -> None:
    done = agentmech("test", "greeter.yaml", "--executor", "dask://127.0.0.1:9")
    assert done.code == 3
    assert "no Dask scheduler answers at 127.0.0.1:9: Connection refused" in done.err
    assert "Traceback" not in done.err


@contextmanager
def oracles() -> Iterator[tuple[Running, tuple[Oracle, ...], tuple[wire.Server, ...]]]:
    with ExitStack() as stack:
        minds = (Oracle(), Oracle())
        servers = tuple(stack.enter_context(oracle_server(mind)) for mind in minds)
        running = stack.enter_context(cluster(*({"OLLAMA_HOST": s.url} for s in servers)))
        yield running, minds, servers


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "finetune_fsm", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_a_run_whose_scheduler_is_killed_is_resumed_and_comes_to_the_same(tmp_path: Path) -> None:
    calm, torn = tmp_path / "calm", tmp_path / "torn"
    with oracles() as (running, minds, servers):
        command = ("finetune", "greeter.yaml", "--executor", running.executor, "-i", "2")
        for folder in (calm, torn):
            put_greeter(folder)
        assert start(calm, *command).wait(60) == 0
        undisturbed = Counter(question(c) for s in servers for c in s.asked("/api/chat"))

        for server, mind in zip(servers, minds, strict=True):
            server.calls.clear()
            mind.be_slow("proposal", "first")
        process = start(torn, *command)
        while not any(mind.reached.wait(0.1) for mind in minds):
            assert process.poll() is None
        running.scheduler.kill()
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 3, said
        assert "agentmech resume" in said
        assert "Traceback" not in said

        history = load(find(torn / "greeter.yaml"))
        assert history.beginning.llm == f"dask:127.0.0.1:{running.port}"
        kept = len(history.calls)
        assert kept
        before = asked(servers)
        running.start_scheduler()
        for server, mind in zip(servers, minds, strict=True):
            mind.hurry()
            running.start_worker({"OLLAMA_HOST": server.url})
        running.wait_for(2)
        process = start(torn, "resume")
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 0, said
        assert results(torn) == results(calm)
        everything = Counter(question(c) for s in servers for c in s.asked("/api/chat"))
        assert undisturbed.total() == kept + asked(servers) - before  # no answer asked for again
        assert not undisturbed - everything
