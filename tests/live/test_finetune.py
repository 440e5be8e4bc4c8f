"""The main job with a real model: through Ollama's wire protocol, and through the embedded engine.

What must hold whatever the model says is asserted of every run. That the demo's workflow gets
better is asserted too: the seed is fixed, one call is made at a time, and the engine reuses no
prefix for test runs, so the same weights give the same texts.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from live.ollama_front import front

from finetune_fsm.errors import JournalError
from finetune_fsm.improve.policy import violations
from finetune_fsm.llm.llamacpp import LlamaCppLLM
from finetune_fsm.runs.places import JOURNAL, home_of, in_home
from finetune_fsm.scenarios.load import load_suite
from finetune_fsm.storage.journal import read
from finetune_fsm.workflow.load import load

EXAMPLES = Path(__file__).parents[2] / "examples"

pytestmark = [pytest.mark.live, pytest.mark.timeout(1800)]


def agentmech(*arguments: str, weights: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "finetune_fsm", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=1700,
        env={**os.environ, "FINETUNE_FSM_MODELS": str(weights.parent)},
    )


@pytest.fixture
def gemma_url(embedded: LlamaCppLLM) -> Iterator[str]:
    """A server with a model under the name that the example asks for."""
    with front(embedded, ("gemma3:4b",)) as url:
        yield url


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    folder = tmp_path / "demo"
    shutil.copytree(EXAMPLES / "ticket-triage", folder)
    return folder / "ticket-triage.yaml"


def test_the_demo_gets_better_through_ollamas_protocol(
    demo: Path, gemma_url: str, weights: Path
) -> None:
    before = demo.read_text("utf-8")
    ended = agentmech("finetune", str(demo), "-u", gemma_url, "-i", "3", "--json", weights=weights)
    assert ended.returncode in (0, 1), ended.stderr
    document = json.loads(ended.stdout)

    # Whatever the model said:
    assert demo.read_text("utf-8") == before
    output = demo.with_name("ticket-triage.finetuned.yaml")
    assert Path(document["output"]) == output
    original, written = load(demo), load(output, strict=True)
    suite = load_suite(demo.with_name("ticket-triage.test.yaml"))
    assert violations(original, written, suite) == ()
    assert "# One word is wanted here" in output.read_text("utf-8")
    rows = document["iterations"]
    assert [row["iteration"] for row in rows] == list(range(1, len(rows) + 1))
    best = 0
    for row in rows:
        assert row["accepted"] <= (row["passed"] >= best)
        best = max(best, row["passed"] if row["accepted"] else 0)
    assert document["best"]["pass_rate"] == best / len(suite.scenarios)
    assert document["llm_calls"] < 100

    # With these weights:
    assert rows[0]["passed"] < best
    again = agentmech("test", str(output), "-u", gemma_url, "--format", "json", weights=weights)
    assert json.loads(again.stdout)["summary"]["passed"] == best


def test_a_workflow_runs_on_the_embedded_engine_and_says_so_once(
    tmp_path: Path, weights: Path
) -> None:
    shutil.copytree(EXAMPLES / "ticket-triage", tmp_path / "t")
    ended = agentmech(
        "run",
        str(tmp_path / "t" / "ticket-triage.yaml"),
        "--llm",
        f"llamacpp:{weights}",
        "--input",
        "read_message=My invoice shows the wrong name.",
        "--json",
        weights=weights,
    )
    assert ended.returncode == 0, ended.stderr
    document = json.loads(ended.stdout)
    assert document["status"] == "completed"
    assert document["visited"] == ["read_message", "classify", "first_reply", "end"]
    assert document["variables"]["reply"].strip()
    assert document["llm_calls"] == 2
    assert ended.stderr.count("answers for every model name") == 1


def test_a_killed_run_goes_on_and_asks_the_model_nothing_twice(demo: Path, weights: Path) -> None:
    arguments = ("finetune", str(demo), "--llm", "llamacpp", "--no-cache")
    process = subprocess.Popen(
        [sys.executable, "-m", "finetune_fsm", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "FINETUNE_FSM_MODELS": str(weights.parent)},
    )
    end = time.monotonic() + 600
    while len(calls := journaled(demo)) < 6 and time.monotonic() < end:
        assert process.poll() is None
        time.sleep(0.2)
    engines = engines_of(process.pid)
    process.kill()
    process.wait()
    assert engines
    while any(Path(f"/proc/{pid}").exists() for pid in engines) and time.monotonic() < end:
        time.sleep(0.1)
    resumed = agentmech(
        "resume", str(demo), "--no-cache", "--max-calls", "12", "--json", weights=weights
    )
    assert json.loads(resumed.stdout)["llm_calls"] == 12, resumed.stderr
    after = journaled(demo)
    assert after[: len(calls)] == calls
    assert len(after) == len(set(after)) == 12


def journaled(demo: Path) -> list[str]:
    """The keys of the calls in the newest run's journal."""
    homes = in_home(home_of(demo))
    try:
        records = read(homes[-1] / JOURNAL).records if homes else ()
    except JournalError:  # read while it was being written
        return []
    return [str(record.data["key"]) for record in records if record.kind == "call"]


def engines_of(pid: int) -> list[int]:
    """Processes whose parent is *pid*."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
        if parent == pid:
            found.append(int(stat.parent.name))
    return found
