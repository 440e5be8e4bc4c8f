"""How much of the time is ours: a model's is what it is, and everything else should cost nothing.

    python bench/speed.py [--runs N] [--only NAME,...] [--json FILE] [--docs FILE]

keeping busy  50 scenarios of one prompt at a server that takes 100 ms for a reply and works on
              eight: the time from its first question to its last answer, against the ideal
volume        2,500, 5,000 and 10,000 scenarios of two prompts with a model that answers at once:
              processor time a call, and the most memory, of ``agentmech test`` as a whole; the
              same over HTTP with 2,000 scenarios, where the client library's share shows
finetune      a finetune of five iterations or until it is done, 100 ms a call: which share of its
              time no question was at work, from its beginning and after start-up, and whether a
              question was asked twice

All are the command itself, in a process of its own; "after start-up" begins with the first
question that the server gets. Medians of N runs.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from latency import Seen, SlowModel

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from crash import guests
from crash.sweep import into_docs, machine

AGENTMECH = (sys.executable, "-m", "finetune_fsm")
SECONDS, SLOTS = 0.1, 8
SCENARIOS = 50
SIZES = (2_500, 5_000, 10_000)
OVER_HTTP = 2_000

BUDGETS: Mapping[str, float] = {
    "makespan ÷ ideal, 50 scenarios, 8 at a time": 1.15,
    "CPU a call, 10,000 scenarios x 2 prompts, ms": 1.0,
    "most memory, 10,000 scenarios x 2 prompts, MB": 200.0,
    "finetune: share of time with no question at work": 0.05,
    "the same after start-up": 0.05,
    "finetune: questions asked more than once": 0.0,
}
"""What must not be exceeded."""

WORKFLOW = """\
name: Notes
description: Says something about a thing.
default_model: tiny
start_state: ask
states:
  ask: {{type: input, prompt: "Which thing?", save_as: thing, next: first}}
  first:
    type: prompt
    prompt: "Say what kind of thing this is: {{{{thing}}}}"
    options: {{num_predict: 60}}
    save_as: kind
    next: {after}
  second:
    type: prompt
    prompt: "Write a line about {{{{thing}}}}, which is {{{{kind}}}}"
    options: {{num_predict: 60}}
    save_as: line
    next: end
"""

SCENARIO = """\
  - name: Thing {0}
    inputs:
      - {{state: ask, value: number {0}}}
    assertions:
      - {{type: contains, target: kind, value: good}}
"""

SCRIPT = "format: 1\nreplies:\n  - reply: it is good\n"


@dataclass(frozen=True, slots=True)
class Row:
    """One measure.

    Attributes:
        name: What was measured; a key of `BUDGETS` when there is a limit.
        values: One per run.
    """

    name: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The value in the middle."""
        return statistics.median(self.values)

    @property
    def kept(self) -> bool:
        """Whether it is within its limit, if there is one."""
        return self.median <= BUDGETS.get(self.name, float("inf"))


def put(folder: Path, scenarios: int, *, prompts: int) -> Path:
    """Put a workflow of so many prompts and its tests into *folder*; return its path."""
    path = folder / "notes.yaml"
    path.write_text(WORKFLOW.format(after="second" if prompts == 2 else "end"), "utf-8")
    tests = "".join(map(SCENARIO.format, range(scenarios)))
    head = "workflow: notes.yaml\ntest_scenarios:\n"
    (folder / "notes.test.yaml").write_text(head + tests, "utf-8")
    (folder / "script.yaml").write_text(SCRIPT, "utf-8")
    return path


@dataclass(frozen=True, slots=True)
class Cost:
    """What a command took: seconds of processor time, and megabytes at most."""

    cpu: float
    memory: float
    output: str


def ran(folder: Path, *arguments: str, codes: Sequence[int] = (0,)) -> Cost:
    """Run ``agentmech`` in *folder* and return what it cost; it must end with one of *codes*."""
    inner = (
        "import resource, subprocess, sys\n"
        "done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE)\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "sys.stdout.buffer.write(done.stdout)\n"
        "print(used.ru_utime + used.ru_stime, used.ru_maxrss, done.returncode, file=sys.stderr)\n"
    )
    command = (sys.executable, "-c", inner, *AGENTMECH, *arguments)
    environ = {**os.environ, "HOME": str(folder)}
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env=environ, check=True
    )
    cpu, memory, code = done.stderr.strip().splitlines()[-1].split()
    if int(code) not in codes:
        raise SystemExit(f"agentmech {' '.join(arguments)} ended with {code}:\n{done.stderr}")
    return Cost(float(cpu), int(memory) / (1 if sys.platform == "darwin" else 1024), done.stdout)


def keeping_busy(runs: int) -> Iterator[Row]:
    """Measure the makespan of a suite, eight at a time and one after the other."""
    ideal = -(-SCENARIOS // SLOTS) * SECONDS
    for jobs, name in (
        (SLOTS, "makespan ÷ ideal, 50 scenarios, 8 at a time"),
        (1, "the same, one at a time, ÷ ideal for eight"),
    ):
        found = []
        for _ in range(runs if jobs > 1 else 1):
            seen = tested(jobs)
            assert len(seen.questions) == SCENARIOS
            found.append(seen.makespan / ideal)
        yield Row(name, tuple(found))


def tested(jobs: int) -> Seen:
    """Run the suite so many at a time, and return what the server saw."""
    with (
        tempfile.TemporaryDirectory() as name,
        SlowModel(seconds=SECONDS, slots=SLOTS, says=good) as model,
    ):
        path = put(Path(name), SCENARIOS, prompts=1)
        ran(Path(name), "test", path.name, "-u", model.url, "-j", str(jobs), "-q")
        return model.seen()


def good(text: str, warm: bool) -> str:  # noqa: ARG001  # a Reply
    """Say something that lets every scenario pass."""
    return "it is good"


def volume(runs: int) -> Iterator[Row]:
    """Measure processor time and memory of large suites."""
    times: dict[int, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for size in SIZES:
            path = put(folder, size, prompts=2)
            costs = [
                ran(folder, "test", path.name, "--llm", "script:script.yaml", "-q", "-o", "r.json")
                for _ in range(runs if size == SIZES[-1] else 1)
            ]
            times[size] = statistics.median(cost.cpu for cost in costs)
            each = tuple(1000 * cost.cpu / size / 2 for cost in costs)
            yield Row(f"CPU a call, {size:,} scenarios x 2 prompts, ms", each)
            most = tuple(cost.memory for cost in costs)
            yield Row(f"most memory, {size:,} scenarios x 2 prompts, MB", most)
        yield Row("growth of CPU from 2,500 to 10,000, ÷ 4", (times[10_000] / times[2_500] / 4,))
        path = put(folder, OVER_HTTP, prompts=2)
        with SlowModel(seconds=0.0, slots=SLOTS, says=good) as model:
            arguments = ("test", path.name, "-u", model.url, "-j", str(SLOTS), "-q", "-o", "r.json")
            cost = ran(folder, *arguments)
        yield Row(
            "CPU a call over HTTP, 2,000 scenarios x 2, ms", (1000 * cost.cpu / OVER_HTTP / 2,)
        )


def finetune(runs: int) -> Iterator[Row]:
    """Measure which share of a finetune no question was at work."""
    idle, settled, again, calls, iterations = [], [], [], [], []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as name, SlowModel(seconds=SECONDS, slots=1) as model:
            folder = Path(name)
            path = guests.write(folder)
            cost = ran(
                folder, "finetune", path.name, "-u", model.url, "-i", "5", "--json", "--no-cache"
            )
            seen = model.seen()
        document = json.loads(cost.output)
        idle.append(1 - seen.busy / document["seconds"])
        settled.append(1 - seen.busy / seen.makespan)
        again.append(float(len(seen.questions) - len(set(seen.questions))))
        calls.append(float(document["llm_calls"]))
        iterations.append(float(len(document["iterations"])))
        assert document["llm_calls"] == len(seen.questions)
    yield Row("finetune: share of time with no question at work", tuple(idle))
    yield Row("the same after start-up", tuple(settled))
    yield Row("finetune: questions asked more than once", tuple(again))
    yield Row("finetune: calls", tuple(calls))
    yield Row("finetune: iterations", tuple(iterations))


MEASURES: Mapping[str, Callable[[int], Iterator[Row]]] = {
    "keeping busy": keeping_busy,
    "volume": volume,
    "finetune": finetune,
}


def table(rows: Sequence[Row]) -> str:
    """Return *rows* as Markdown."""
    lines = ["| measure | median | least … most | limit |", "|---|---|---|---|"]
    for row in rows:
        limit = BUDGETS.get(row.name)
        told = "" if limit is None else f"{limit:g}{'' if row.kept else ' **exceeded**'}"
        span = f"{min(row.values):.3g} … {max(row.values):.3g}"
        lines.append(f"| {row.name} | {row.median:.3g} | {span} | {told} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", default=",".join(MEASURES))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--docs", type=Path)
    given = parser.parse_args(arguments)
    rows: list[Row] = []
    for name in given.only.split(","):
        for row in MEASURES[name](given.runs):
            rows.append(row)
            print(f"{row.name}: {row.median:.3g}", file=sys.stderr, flush=True)
    shown = table(rows)
    print(shown)
    if given.json:
        data = {"machine": machine(), "rows": {row.name: row.values for row in rows}}
        given.json.write_text(json.dumps(data, indent=1) + "\n")
    if given.docs:
        into_docs(given.docs, "speed", f"\nOn {machine()}, medians of {given.runs}:\n\n{shown}\n")
    return 0 if all(row.kept for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
