"""What a command costs before it does anything: CPU seconds of ``--help`` and of ``validate``.

    python bench/startup.py [--runs N] [--json FILE]

Each command is a process of its own; the CPU seconds (user and system) are the median of N runs,
taken in turns so that a busy moment of the machine hits all alike. The ratio is to a Python that
does nothing.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

STATES = 10

BUDGETS: Mapping[str, float] = {
    "--help": 0.10,
    "finetune --help": 0.10,
    "validate": 0.30,
}
"""CPU seconds that a command may take; ``--version`` pays for reading the packages' metadata."""


def workflow(states: int) -> str:
    """Return a valid workflow of so many states."""
    lines = ["name: Chain", "start_state: s0", "states:"]
    for number in range(states):
        following = f"s{number + 1}" if number + 1 < states else "end"
        lines += [
            f"  s{number}:",
            "    type: prompt",
            f'    prompt: "Say {number}"',
            "    options: {num_predict: 20}",
            f"    next: {following}",
        ]
    return "\n".join(lines) + "\n"


def programs(folder: Path) -> Mapping[str, Sequence[str]]:
    """Return the measured commands by name; the workflow they need is put into *folder*."""
    file = folder / "chain.yaml"
    file.write_text(workflow(STATES), "utf-8")
    agentmech = (sys.executable, "-m", "finetune_fsm")
    return {
        "bare": (sys.executable, "-c", "pass"),
        "--help": (*agentmech, "--help"),
        "--version": (*agentmech, "--version"),
        "finetune --help": (*agentmech, "finetune", "--help"),
        "validate": (*agentmech, "validate", str(file)),
    }


def cpu_seconds(command: Sequence[str]) -> float:
    """Return the CPU seconds of one run of *command*, which must succeed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def measured(runs: int) -> Mapping[str, float]:
    """Return the median CPU seconds by command."""
    with tempfile.TemporaryDirectory() as folder:
        commands = programs(Path(folder))
        for command in commands.values():  # byte code is written once
            cpu_seconds(command)
        taken: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(runs):
            for name, command in commands.items():
                taken[name].append(cpu_seconds(command))
    return {name: statistics.median(times) for name, times in taken.items()}


def rows(medians: Mapping[str, float]) -> list[dict[str, object]]:
    """Return one row per command: seconds, ratio to bare Python, budget, whether it is kept."""
    return [
        {
            "command": name,
            "cpu_seconds": round(seconds, 4),
            "ratio": round(seconds / medians["bare"], 2),
            "budget": BUDGETS.get(name),
            "kept": seconds <= BUDGETS.get(name, float("inf")),
        }
        for name, seconds in medians.items()
    ]


def table(found: Sequence[Mapping[str, object]]) -> str:
    """Return *found* as a table for people."""
    lines = [f"{'command':<18}{'CPU s':>8}{'x bare':>8}{'budget':>8}"]
    for row in found:
        mark = "" if row["kept"] else "  over"
        budget = row["budget"] if row["budget"] is not None else "-"
        lines.append(
            f"{row['command']:<18}{row['cpu_seconds']:>8.3f}{row['ratio']:>8.1f}{budget:>8}{mark}"
        )
    return "\n".join(lines)


def main() -> int:
    """Measure, print the table, write the JSON; 1 when a budget is not kept."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--json", type=Path, help="where the numbers go; printed without")
    options = parser.parse_args()
    found = rows(measured(options.runs))
    print(table(found))
    text = json.dumps(
        {"runs": options.runs, "python": sys.version.split()[0], "rows": found}, indent=2
    )
    if options.json:
        options.json.write_text(text + "\n", "utf-8")
    else:
        print(text)
    return 0 if all(row["kept"] for row in found) else 1


if __name__ == "__main__":
    sys.exit(main())
