"""Calls made by the workers of a real Dask cluster: a scheduler and two workers, as processes."""

from __future__ import annotations

import re
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import wire
from cluster import THREADS, Running, cluster, free_port
from llm import conformance
from llm.conformance import Factory, Model, ask
from wire import Act, chat, refusal

from finetune_fsm.codec import plain
from finetune_fsm.errors import (
    FATAL,
    BudgetSpent,
    Cancelled,
    LLMError,
    LLMErrorKind,
    UsageError,
)
from finetune_fsm.llm.base import LLM, Message, Request, Stop
from finetune_fsm.llm.dask_cluster import Cluster
from finetune_fsm.llm.dask_llm import DaskLLM
from finetune_fsm.llm.meter import Budget, Meter, Metered
from finetune_fsm.llm.ollama import OllamaLLM
from finetune_fsm.scenarios.evaluate import run_suite
from finetune_fsm.scenarios.model import Assertion, AssertionType, Scenario, Suite
from finetune_fsm.workflow.model import State, StateKind, Workflow

pytestmark = pytest.mark.cluster

Answer = Callable[[wire.Call], Iterable[Act]]


def echo(call: wire.Call) -> Iterable[Act]:
    return chat(call.json["messages"][-1]["content"])


def slowly(seconds: float) -> Answer:
    """Echo after so many seconds."""

    def answer(call: wire.Call) -> Iterator[Act]:
        yield seconds
        yield from echo(call)

    return answer


@dataclass
class Machine:
    """What one worker has on its machine: a server whose answers a test chooses."""

    answer: Answer = echo
    models: dict[str, int] = field(default_factory=lambda: {"tiny": 4096})
    digests: dict[str, str] = field(default_factory=dict)
    server: wire.Server = field(init=False)

    def __post_init__(self) -> None:
        self.server = wire.ollama(
            lambda call: self.answer(call),  # noqa: PLW0108  # looked up for each call
            models=self.models,
            digests=self.digests,
        )

    @property
    def env(self) -> dict[str, str]:
        return {"OLLAMA_HOST": self.server.url, "AGENTMECH_TIMEOUT": "30"}

    @property
    def asked(self) -> list[wire.Call]:
        return self.server.asked("/api/chat")


@dataclass
class Site:
    """A cluster, its machines, and the way there for the length of a test."""

    running: Running
    machines: tuple[Machine, ...]

    def llm(self, **more: object) -> DaskLLM:
        return DaskLLM(Cluster("127.0.0.1", self.running.port), sleep=lambda _: None, **more)

    @property
    def asked(self) -> int:
        return sum(len(machine.asked) for machine in self.machines)


@contextmanager
def opened(site: Site, **more: object) -> Iterator[DaskLLM]:
    llm = site.llm(**more)
    try:
        yield llm
    finally:
        llm.close()


@contextmanager
def built(count: int) -> Iterator[Site]:
    with ExitStack() as stack:
        machines = tuple(Machine() for _ in range(count))
        for machine in machines:
            stack.enter_context(machine.server)
        running = stack.enter_context(cluster(*(machine.env for machine in machines)))
        yield Site(running, machines)


@pytest.fixture(scope="module")
def shared() -> Iterator[Site]:
    with built(2) as there:
        yield there


@pytest.fixture
def site(shared: Site) -> Iterator[Site]:
    """Two workers that stay alive, with servers as new."""
    for machine in shared.machines:
        machine.server.calls.clear()
    yield shared
    for machine in shared.machines:
        machine.answer = echo
        machine.digests.clear()
        machine.models.clear()
        machine.models["tiny"] = 4096


@pytest.fixture
def own() -> Iterator[Site]:
    """Two workers of the test's own, to be killed."""
    with built(2) as there:
        yield there


@pytest.fixture
def bare() -> Iterator[Site]:
    """A scheduler without workers, and a machine for one."""
    machine = Machine()
    with machine.server, cluster() as running:
        yield Site(running, (machine,))


def until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.01)


@pytest.mark.parametrize("check", conformance.CHECKS, ids=lambda check: check.__name__)
def test_a_cluster_keeps_the_promises_of_a_model(
    check: Callable[[Factory], None], site: Site
) -> None:
    @contextmanager
    def make(model: Model) -> Iterator[LLM]:
        def answer(call: wire.Call) -> Iterable[Act]:
            said = model(call.json["messages"][-1]["content"])
            if said.error is LLMErrorKind.MISSING_MODEL:
                return refusal(404, "model 'tiny' not found")
            parts = [said.text[n : n + 3] for n in range(0, len(said.text), 3)]
            return chat(*parts, reason="length" if said.cut else "stop")

        for machine in site.machines:
            machine.answer = answer
        with opened(site) as llm:
            yield llm

    check(make)


ASK = State("ask", StateKind.INPUT, ("states", "ask"), prompt="Who?", save_as="name", next="say")
SAY = State("say", StateKind.PROMPT, ("states", "say"), prompt="<{{name}}>", save_as="reply")
GREETER = Workflow("Greeter", "ask", {"ask": ASK, "say": SAY}, Path(), {}, "", default_model="tiny")


def suite(count: int) -> Suite:
    """Scenarios that pass, fail and come to an error by turns."""

    def scenario(number: int) -> Scenario:
        value = f"<{number}>" if number % 3 else "?"
        check = Assertion(AssertionType.CONTAINS, value, "reply")
        return Scenario(f"number {number}", (check,), {"ask": str(number)})

    return Suite("x.yaml", tuple(scenario(number) for number in range(count)))


def sometimes(call: wire.Call) -> Iterable[Act]:
    """Echo, but refuse the fifth."""
    if call.json["messages"][-1]["content"] == "<5>":
        return refusal(400, "the fifth is too much")
    return echo(call)


def timeless(value: object) -> object:
    """A report as plain data, without the times in it, and without the ports of servers."""
    if isinstance(value, str):
        return re.sub(r"127\.0\.0\.1:\d+", "server", value)
    if isinstance(value, dict):
        return {key: timeless(v) for key, v in value.items() if key not in ("seconds", "started")}
    return [timeless(item) for item in value] if isinstance(value, list | tuple) else value


def here(tests: Suite) -> object:
    """The report of *tests*, run without a cluster."""
    with wire.ollama(sometimes) as server:
        llm = OllamaLLM(server.url)
        report = run_suite(GREETER, tests, llm, jobs=4)
        llm.close()
    return timeless(plain(report))


def test_a_suite_run_here_and_on_a_cluster_has_the_same_report(site: Site) -> None:
    for machine in site.machines:
        machine.answer = sometimes
    with opened(site) as llm:
        report = timeless(plain(run_suite(GREETER, suite(12), llm)))
    assert report == here(suite(12))
    assert site.asked == 12
    assert all(machine.asked for machine in site.machines)


def test_pictures_and_options_reach_the_server_of_a_worker_as_they_are(site: Site) -> None:
    picture = bytes(range(256))
    message = Message("user", "what is it?", (picture,))
    with opened(site) as llm:
        llm.complete(Request("tiny", (message,), {"seed": 7, "top_k": 3}, {"type": "object"}))
    (sent,) = (call.json for machine in site.machines for call in machine.asked)
    with wire.ollama() as alone:
        local = OllamaLLM(alone.url)
        local.complete(Request("tiny", (message,), {"seed": 7, "top_k": 3}, {"type": "object"}))
        local.close()
    assert sent == alone.asked("/api/chat")[0].json


def test_a_stop_is_heard_at_once_and_frees_the_server(site: Site) -> None:
    for machine in site.machines:
        machine.answer = slowly(60)
    stop = Stop()
    with opened(site) as llm, ThreadPoolExecutor() as pool:
        call = pool.submit(llm.complete, ask("hello"), stop=stop)
        until(lambda: site.asked == 1)
        started = time.monotonic()
        stop.ask()
        assert isinstance(call.exception(60), Cancelled)
        assert time.monotonic() - started < 5  # 0.1 s on a machine that is not busy
        (sent,) = (call for machine in site.machines for call in machine.asked)
        assert sent.gone.wait(30)


def test_closing_ends_calls_of_other_threads_and_frees_the_servers(site: Site) -> None:
    for machine in site.machines:
        machine.answer = slowly(60)
    with opened(site) as llm, ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(llm.complete, ask(str(number))) for number in range(4)]
        until(lambda: site.asked == 4)
        llm.close()
        assert all(isinstance(call.exception(60), Cancelled) for call in calls)
        assert all(call.gone.wait(30) for machine in site.machines for call in machine.asked)
        with pytest.raises(Cancelled):
            llm.complete(ask("later"))
    assert not any(thread.name == "dask-client" for thread in threading.enumerate())


def test_its_slots_are_the_threads_of_all_workers_and_each_is_used(site: Site) -> None:
    for machine in site.machines:
        machine.answer = slowly(60)
    stop = Stop()
    with opened(site) as llm, ThreadPoolExecutor(2 * THREADS) as pool:
        assert llm.slots == 2 * THREADS
        for number in range(llm.slots):
            pool.submit(llm.complete, ask(str(number)), stop=stop)
        until(lambda: site.asked == llm.slots)
        assert [len(machine.asked) for machine in site.machines] == [THREADS, THREADS]
        stop.ask()


def test_a_budget_is_exact_though_workers_could_send_a_request_again(site: Site) -> None:
    for machine in site.machines:
        machine.answer = lambda _: refusal(503, "busy")
    with opened(site) as inner:
        llm = Metered(inner, Meter(Budget(calls=2)))
        with pytest.raises(BudgetSpent):
            llm.complete(ask("hello"))
        assert site.asked == 2


def test_a_call_is_put_another_way_when_a_server_wants_that_and_is_counted_twice(
    site: Site,
) -> None:
    def answer(call: wire.Call) -> Iterable[Act]:
        if "think" in call.json:
            return refusal(400, '"tiny" does not support thinking')
        return echo(call)

    for machine in site.machines:
        machine.models["dull"] = 4096
        machine.answer = answer
    with opened(site) as inner:
        completion = Metered(inner, Meter()).complete(ask("hi", model="dull", schema={}))
    assert (completion.text, completion.retries, site.asked) == ("hi", 1, 2)


def test_a_worker_whose_server_breaks_leaves_its_calls_to_the_others(site: Site) -> None:
    site.machines[0].answer = lambda _: refusal(500, "out of memory")
    with opened(site) as inner, ThreadPoolExecutor(8) as pool:
        llm = Metered(inner, Meter())
        replies = list(pool.map(lambda n: llm.complete(ask(str(n))), range(20)))
    assert [reply.text for reply in replies] == [str(n) for n in range(20)]
    assert sum(reply.retries for reply in replies) == len(site.machines[0].asked) <= 20 - 8
    assert len(site.machines[1].asked) == 20


def test_an_error_that_breaks_a_run_says_on_which_worker_and_others_do_not(site: Site) -> None:
    for machine in site.machines:
        machine.answer = lambda _: refusal(403, "go away")
    with opened(site) as llm:
        with pytest.raises(LLMError, match=r"go away \(Dask worker tcp://127") as caught:
            llm.complete(ask("hello"))
        assert caught.value.kind is LLMErrorKind.DENIED
        for machine in site.machines:
            machine.answer = lambda _: refusal(400, "no such option")
        with pytest.raises(LLMError) as caught:
            llm.complete(ask("hello"))
        assert caught.value.kind not in FATAL
        assert "worker" not in str(caught.value)


def test_models_are_those_that_all_workers_have(site: Site) -> None:
    site.machines[0].models["only here"] = 4096
    with opened(site) as llm:
        assert llm.models() == ("tiny",)


def test_the_weights_of_a_model_are_told_when_all_agree(site: Site) -> None:
    for machine in site.machines:
        machine.models["big:latest"] = machine.models["big:8b"] = 4096
        machine.digests["big:latest"] = "abc"
    with opened(site) as llm:
        assert llm.fingerprint("big") == "abc"
        assert llm.fingerprint("big:8b") == ""


def test_workers_with_other_weights_of_a_model_are_refused(site: Site) -> None:
    for machine, digest in zip(site.machines, ("aaa", "bbb"), strict=True):
        machine.models["big:latest"] = 4096
        machine.digests["big:latest"] = digest
    with opened(site) as llm, pytest.raises(UsageError, match="'big' has other weights on tcp:"):
        llm.fingerprint("big")
    with opened(site) as llm, ThreadPoolExecutor(2) as pool:
        for machine in site.machines:
            machine.answer = slowly(0.3)
        calls = [pool.submit(llm.complete, ask(text, model="big")) for text in "ab"]
        errors = [call.exception(60) for call in calls]
    assert [type(error) for error in errors if error] == [UsageError]


def test_what_the_workers_ask_can_be_named_and_what_is_wrong_with_it_is_told(
    site: Site, tmp_path: Path
) -> None:
    script = tmp_path / "script.yaml"
    script.write_text("format: 1\nreplies: [{reply: from the script}]\n")
    with opened(site, spec=f"script:{script}") as llm:
        assert llm.complete(ask("hello")).text == "from the script"
        assert llm.fingerprint("tiny") == ""
        assert llm.models() == ("scripted",)
    with opened(site, spec=f"script:{tmp_path}/none.yaml") as llm:
        with pytest.raises(LLMError, match=r"none\.yaml.*\(Dask worker") as caught:
            llm.complete(ask("hello"))
        assert caught.value.kind in FATAL
    assert site.asked == 0


def test_a_scheduler_that_is_not_there_is_told_soon_with_what_to_do() -> None:
    port = free_port()
    llm = DaskLLM(Cluster("127.0.0.1", port), sleep=lambda _: None)
    started = time.monotonic()
    for question in (llm.models, lambda: llm.slots, lambda: llm.complete(ask("hello"))):
        with pytest.raises(LLMError, match=f"no Dask scheduler answers at 127.0.0.1:{port}") as e:
            question()
        assert e.value.kind is LLMErrorKind.UNREACHABLE
        assert "dask scheduler" in e.value.hint
    assert time.monotonic() - started < 20  # nobody is waited for
    llm.close()


def test_a_server_that_is_no_scheduler_is_given_up_in_time() -> None:
    with wire.Server({}) as server:
        port = int(server.url.rpartition(":")[2])
        llm = DaskLLM(Cluster("127.0.0.1", port, timeout=0.5), sleep=lambda _: None)
        with pytest.raises(LLMError, match="no Dask scheduler answers"):
            llm.complete(ask("hello"))
        llm.close()


def test_a_worker_killed_within_thirty_calls_costs_those_that_it_had(own: Site) -> None:
    for machine in own.machines:
        machine.answer = slowly(0.1)
    with opened(own) as inner, ThreadPoolExecutor(2 * THREADS) as pool:
        meter = Meter()
        llm = Metered(inner, meter)
        calls = [pool.submit(llm.complete, ask(str(n))) for n in range(30)]
        until(lambda: len(own.machines[0].asked) > THREADS)
        own.running.workers[0].kill()
        replies = [call.result(60) for call in calls]
    assert [reply.text for reply in replies] == [str(n) for n in range(30)]
    lost = own.asked - 30
    assert 0 <= lost <= THREADS
    assert lost <= sum(reply.retries for reply in replies) <= THREADS


def test_when_the_scheduler_is_killed_every_call_ends_soon_with_an_error_that_stops_a_run(
    own: Site,
) -> None:
    for machine in own.machines:
        machine.answer = slowly(60)
    with opened(own, patience=0.2) as llm, ThreadPoolExecutor(2 * THREADS) as pool:
        calls = [pool.submit(llm.complete, ask(str(n))) for n in range(2 * THREADS)]
        until(lambda: own.asked == 2 * THREADS)
        own.running.scheduler.kill()
        started = time.monotonic()
        errors = [call.exception(60) for call in calls]
        assert time.monotonic() - started < 30  # 3 s on a machine that is not busy
        assert all(isinstance(e, LLMError) and e.kind in FATAL for e in errors), errors
        own.running.start_scheduler()
        own.running.wait_for(0)
        with pytest.raises(LLMError, match=r"no workers.*dask worker tcp://127"):
            llm.complete(ask("hello"))
        for machine in own.machines:
            machine.answer = echo
            own.running.start_worker(machine.env)
        own.running.wait_for(2)
        assert llm.complete(ask("hello")).text == "hello"  # the same one goes on


def test_a_scheduler_that_hangs_is_given_up_in_time(bare: Site) -> None:
    bare.machines[0].answer = slowly(60)
    bare.running.start_worker(bare.machines[0].env)
    bare.running.wait_for(1)
    llm = DaskLLM(Cluster("127.0.0.1", bare.running.port, timeout=0.5), sleep=lambda _: None)
    with ThreadPoolExecutor() as pool:
        call = pool.submit(llm.complete, ask("hello"))
        until(lambda: bare.asked == 1)
        bare.running.scheduler.send(signal.SIGSTOP)
        assert isinstance(call.exception(60), LLMError)
        bare.running.scheduler.send(signal.SIGCONT)
    llm.close()


def test_when_all_workers_are_gone_a_new_one_is_waited_for(bare: Site) -> None:
    bare.machines[0].answer = slowly(60)
    first = bare.running.start_worker(bare.machines[0].env)
    bare.running.wait_for(1)
    with opened(bare, patience=60) as llm, ThreadPoolExecutor() as pool:
        call = pool.submit(llm.complete, ask("hello"))
        until(lambda: bare.asked == 1)
        first.kill()
        bare.machines[0].answer = echo
        bare.running.start_worker(bare.machines[0].env)
        assert call.result(60).text == "hello"
    assert bare.asked == 2


def test_a_worker_started_anew_at_the_same_address_sends_nothing_again_unasked(bare: Site) -> None:
    """Dask sees a worker that it knows, and runs there once more what was lost."""
    machine, running = bare.machines[0], bare.running
    machine.answer = slowly(60)
    port = ("--worker-port", str(free_port()))
    first = running.start_worker(machine.env, *port)
    running.wait_for(1)
    with opened(bare) as inner, ThreadPoolExecutor() as pool:
        llm = Metered(inner, Meter(Budget(calls=1)))
        call = pool.submit(llm.complete, ask("hello"))
        until(lambda: bare.asked == 1)
        first.kill()
        running.start_worker(machine.env, *port)
        assert isinstance(call.exception(60), BudgetSpent)
        running.wait_for(1)
    assert bare.asked == 1


MINE = """\
import importlib.metadata as m
m.version = lambda name, real=m.version: {} if name == 'finetune-fsm' else real(name)
"""
HIDDEN = "sys.modules['finetune_fsm'] = None"
OLD, NONE = MINE.format("'0.0.1'"), MINE.format("real('no-such-package')") + HIDDEN


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        (OLD, r"has finetune-fsm 0\.0\.1, and this is"),
        (NONE, "PackageNotFoundError: .*install the same"),
    ],
)
def test_a_worker_with_another_version_or_none_is_told_and_lives_on(
    bare: Site, odd: str, said: str
) -> None:
    bare.running.start_worker(bare.machines[0].env, prelude=odd)
    bare.running.wait_for(1)
    with opened(bare) as llm:
        for question in (llm.models, lambda: llm.complete(ask("hello"))):
            with pytest.raises(UsageError, match=said):
                question()
    assert bare.asked == 0


def test_a_scheduler_without_the_package_is_told(bare: Site) -> None:
    bare.running.stop()
    bare.running.start_scheduler(prelude=HIDDEN)
    bare.running.start_worker(bare.machines[0].env)
    bare.running.wait_for(1)
    with opened(bare) as llm, pytest.raises(UsageError, match="install the same finetune-fsm"):
        llm.complete(ask("hello"))
