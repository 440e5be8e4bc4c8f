"""What a second machine brings, and what one costs that dies: workers of a Dask cluster.

    python bench/spread.py [--runs N] [--json FILE] [--docs FILE]

speed   64 scenarios of one prompt with ``agentmech test``: at one server without Dask, with one
        worker and its server, and with two workers, each with a server of its own. Every server
        works on four, so sixteen rounds are the least for one, and takes 100 ms for a reply, which
        is very little and shows what Dask costs, then 500 ms. The time counts from the first
        question that a server gets to the last answer.
killed  the same with two workers, of which one is killed with SIGKILL when a third of the questions
        is asked: the report must be the one without it, and the questions asked more than once no
        more than the dead worker had under way.

Scheduler and workers are processes of their own on this machine. Medians of N runs, after one that
is not counted.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from cluster import Process, Running, cluster
from crash.sweep import into_docs, machine
from speed import AGENTMECH, put
from wire import Act, Call, chat, ollama

SLOTS = 4
REPLIES = (0.1, 0.5)
"""Seconds of a reply; the first for what is killed, too."""

SCENARIOS = 64

WAYS = ("one server, no Dask", "one worker", "two workers")
GOAL = 1.8
"""How many times as fast as one worker two have to be, whatever a reply takes."""

Times = Mapping[str, Sequence[float]]
"""Makespans of each way, in seconds."""

_TIMES = {"duration", "timestamp"}  # keys of a report that hold times
_PATIENCE = 60.0  # seconds that a command may take


class SlowServer:
    """A model server that says the same to everyone, after a while, and to few at a time."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._turns = threading.BoundedSemaphore(SLOTS)
        self._ends: list[float] = []
        self._server = ollama(self._answer, models={"tiny": 32_768})

    @property
    def url(self) -> str:
        """Where it is."""
        return self._server.url

    @property
    def calls(self) -> Sequence[Call]:
        """The questions that it was asked, answered or not."""
        return self._server.asked("/api/chat")

    @property
    def ends(self) -> Sequence[float]:
        """When it had answered each, by the monotonic clock."""
        return tuple(self._ends)

    def forget(self) -> None:
        """Begin to count anew."""
        self._server.calls.clear()
        self._ends.clear()

    def _answer(self, _: Call) -> Iterator[Act]:
        with self._turns:
            yield self._seconds
        yield from chat("it is good")
        self._ends.append(time.monotonic())

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.__exit__(*error)


def makespan(servers: Sequence[SlowServer]) -> float:
    """Return the seconds from the first question that *servers* got to the last answer."""
    begins = [call.at for server in servers for call in server.calls]
    return max(end for server in servers for end in server.ends) - min(begins)


def verdicts(value: object) -> object:
    """Return a report without the times in it."""
    if isinstance(value, Mapping):
        return {key: verdicts(item) for key, item in value.items() if key not in _TIMES}
    return [verdicts(item) for item in value] if isinstance(value, list) else value


def reported(
    folder: Path, *options: str, meanwhile: Callable[[], None] | None = None
) -> Mapping[str, object]:
    """Run the scenarios in *folder*, do something *meanwhile*, and return the report."""
    command = (*AGENTMECH, "test", "notes.yaml", "--json", *options)
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=folder, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            if meanwhile:
                meanwhile()
            said, told = process.communicate(timeout=_PATIENCE)
        finally:
            process.kill()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{told}")
    report: Mapping[str, object] = json.loads(said)
    return report


@contextmanager
def site(count: int, seconds: float) -> Iterator[tuple[Running, tuple[SlowServer, ...]]]:
    """A cluster of *count* workers and their servers, which take so many *seconds* for a reply."""
    with ExitStack() as stack:
        servers = tuple(stack.enter_context(SlowServer(seconds)) for _ in range(count))
        environs = ({"OLLAMA_HOST": server.url} for server in servers)
        running = stack.enter_context(cluster(*environs, threads=SLOTS))
        try:
            yield running, servers
        except SystemExit:
            print(running.last_words(), file=sys.stderr)
            raise


def raced(runs: int, folder: Path, seconds: float) -> Times:
    """Return what came of each way, with replies that take so many *seconds*; they take turns."""
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    with (
        SlowServer(seconds) as alone,
        site(1, seconds) as (small, few),
        site(2, seconds) as (large, many),
    ):
        ways = (
            (("-u", alone.url, "-j", str(SLOTS)), (alone,)),
            (("--executor", small.executor), few),
            (("--executor", large.executor), many),
        )
        for number in range(runs + 1):
            for way, (options, servers) in zip(WAYS, ways, strict=True):
                for server in servers:
                    server.forget()
                reported(folder, *options)
                if number:  # in the first the workers load what they need
                    found[way].append(makespan(servers))
    return found


def killed(runs: int, folder: Path) -> Iterator[dict[str, object]]:
    """Yield what came of each run in which a worker was killed."""
    with site(2, REPLIES[0]) as (running, servers):
        calm = verdicts(reported(folder, "--executor", running.executor))
        for number in range(runs):
            for server in servers:
                server.forget()
            dead = running.workers[-2]

            def kill(dead: Process = dead) -> None:
                end = time.monotonic() + _PATIENCE
                while sum(len(s.calls) for s in servers) < SCENARIOS / 3:
                    if time.monotonic() > end:
                        raise SystemExit("nobody asks")
                    time.sleep(0.005)
                dead.kill()

            report = verdicts(reported(folder, "--executor", running.executor, meanwhile=kill))
            prompts = Counter(
                call.json["messages"][-1]["content"] for s in servers for call in s.calls
            )
            lost = prompts.total() - len(prompts)
            yield {
                "run": number + 1,
                "same_report": report == calm,
                "questions": len(prompts),
                "lost": lost,
                "seconds": round(makespan(servers), 3),
            }
            # The dead one's server gets a new worker, which comes last.
            server = servers[number % 2]
            running.start_worker({"OLLAMA_HOST": server.url}, threads=SLOTS)
            running.wait_for(2)


def ratio(times: Times) -> float:
    """Return how many times as fast as one worker two were."""
    return statistics.median(times[WAYS[1]]) / statistics.median(times[WAYS[2]])


def table(seconds: float, times: Times) -> str:
    """Return, in Markdown, what was found with replies that take so many *seconds*."""
    one = statistics.median(times[WAYS[1]])
    ideal = SCENARIOS / SLOTS * seconds
    setting = (
        f"{SCENARIOS} scenarios, {seconds * 1000:.0f} ms a reply, {SLOTS} at a time per server"
    )
    lines = [
        f"| {setting} | seconds | ideal | one worker ÷ it |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {way} | {statistics.median(found):.2f} ({min(found):.2f}-{max(found):.2f}) "
        f"| {ideal / (1 + (way == WAYS[2])):.2f} | {one / statistics.median(found):.2f} |"
        for way, found in times.items()
    ]
    return "\n".join(lines)


def told(deaths: Sequence[Mapping[str, object]]) -> str:
    """Return a sentence about the runs in which a worker was killed."""
    same = sum(1 for death in deaths if death["same_report"])
    lost = [int(str(death["lost"])) for death in deaths]
    return (
        f"A worker killed within the run, {len(deaths)} times: the same report {same} times; "
        f"questions asked again {min(lost)}-{max(lost)}, of {SLOTS} that it had under way at most."
    )


def main() -> int:
    """Measure, print the table, write the JSON; 1 when a goal is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5, help="of each way (5)")
    parser.add_argument("--json", type=Path, help="where the numbers go")
    parser.add_argument("--docs", type=Path, help="a file with marks to put the table between")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        put(folder, SCENARIOS, prompts=1)
        times = {seconds: raced(options.runs, folder, seconds) for seconds in REPLIES}
        deaths = tuple(killed(options.runs, folder))
    said = "\n\n".join([*(table(seconds, found) for seconds, found in times.items()), told(deaths)])
    print(said)
    if options.docs:
        into_docs(options.docs, "spread", f"{said}\n\n{machine()}.\n")
    ratios = {seconds: ratio(found) for seconds, found in times.items()}
    good = min(ratios.values()) >= GOAL and all(
        death["same_report"] and int(str(death["lost"])) <= SLOTS for death in deaths
    )
    if options.json:
        found = {"machine": machine(), "seconds": times, "ratios": ratios, "killed": deaths}
        options.json.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    for seconds, found in ratios.items():
        print(f"{seconds:g} s a reply: two workers are {found:.2f} x as fast as one (goal {GOAL})")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
