"""``agentmech test`` on some of the scenarios, and again when a file changes."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest
from commandline import Agentmech
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune_fsm.cli.console import Console
from finetune_fsm.cli.selecting import Choice, failed_before, remember
from finetune_fsm.cli.signals import Job
from finetune_fsm.cli.test import Subject, _chosen, _watch, subject_of
from finetune_fsm.cli.watching import again_when_changed, files_behind
from finetune_fsm.errors import Cancelled, ExitCode, LLMError, LLMErrorKind
from finetune_fsm.execution.rollout import Rollout, RunStatus
from finetune_fsm.llm.base import Stop
from finetune_fsm.scenarios.model import (
    Assertion,
    AssertionType,
    Scenario,
    ScenarioResult,
    SuiteReport,
    Verdict,
)
from finetune_fsm.workflow.load import load

GOOD = ("--llm", "script:good.yaml")
BAD = ("--llm", "script:bad.yaml")


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (("-k", "alice"), ["Greets Alice"]),
        (("-k", "not alice"), ["Greets Bob"]),
        (("-k", "greets alice or bob"), ["Greets Alice", "Greets Bob"]),
        (("--first", "1"), ["Greets Alice"]),
        (("--first", "1", "-k", "bob"), ["Greets Bob"]),
        (("--failed",), ["Greets Alice", "Greets Bob"]),
    ],
)
def test_only_what_is_asked_for_is_run(
    arguments: tuple[str, ...], names: list[str], agentmech: Agentmech, greeter: Path
) -> None:
    assert greeter.exists()
    done = agentmech("test", "greeter.yaml", *GOOD, "--json", *arguments)
    assert done.code == 0
    assert [test["name"] for test in done.document["tests"]] == names


def test_what_failed_is_run_again_until_it_passes(agentmech: Agentmech, greeter: Path) -> None:
    assert greeter.exists()
    agentmech("test", "greeter.yaml", *GOOD)
    agentmech("test", "greeter.yaml", *BAD, "-k", "bob")
    again = agentmech("test", "greeter.test.yaml", *BAD, "--failed", "--json")
    assert [test["name"] for test in again.document["tests"]] == ["Greets Bob"]
    assert agentmech("test", "greeter.yaml", *GOOD, "--failed").code == 0
    none = agentmech("test", "greeter.yaml", *GOOD, "--failed")
    assert none.code == ExitCode.NO_SCENARIO
    assert "no scenario failed" in none.err
    assert [p.name for p in greeter.parent.iterdir() if "agentmech" in p.name] == []


def test_nothing_chosen_and_nonsense_have_codes_of_their_own(
    agentmech: Agentmech, greeter: Path
) -> None:
    assert greeter.exists()
    none = agentmech("test", "greeter.yaml", *GOOD, "-k", "carol")
    assert (none.code, none.out) == (ExitCode.NO_SCENARIO, "")
    assert "no scenario of greeter.test.yaml has a name like 'carol'" in none.err
    assert agentmech("test", "greeter.yaml", *GOOD, "-k", "(alice").code == ExitCode.BAD_INPUT
    assert agentmech("test", "greeter.yaml", *GOOD, "--first", "0").code == ExitCode.BAD_INPUT
    both = agentmech("test", "greeter.yaml", *GOOD, "--watch", "--json")
    assert both.code == ExitCode.BAD_INPUT


def test_marks_for_github_stand_at_the_chosen_scenario(agentmech: Agentmech, greeter: Path) -> None:
    assert greeter.exists()
    done = agentmech("test", "greeter.yaml", *BAD, "-f", "github", "-k", "bob")
    assert "line=7" in done.out


names = st.sampled_from("abcd")


@given(st.lists(st.dictionaries(names, st.booleans(), min_size=1), max_size=4))
@settings(max_examples=40)
def test_what_failed_is_what_failed_when_it_was_last_run(runs: list[dict[str, bool]]) -> None:
    path = Path(f"{time.monotonic_ns()}.test.yaml")
    assert failed_before(path) is None
    last: dict[str, bool] = {}
    for run in runs:
        remember(path, "abc", SuiteReport(tuple(_result(*item) for item in run.items())))
        last |= run
        failed = {name for name, passed in last.items() if not passed and name != "d"}
        assert failed_before(path) == failed


def _result(name: str, passed: bool) -> ScenarioResult:
    check = Assertion(AssertionType.STATE_REACHED, "end")
    verdict = Verdict.PASSED if passed else Verdict.FAILED
    return ScenarioResult(Scenario(name, (check,)), Rollout(RunStatus.COMPLETED), verdict)


def test_a_record_that_cannot_be_read_is_none(agentmech: Agentmech, greeter: Path) -> None:
    agentmech("test", "greeter.yaml", *BAD)
    [record] = Path(os.environ["XDG_CACHE_HOME"]).rglob("tests/*.json")
    for text in ("", "[]", '{"format": 9, "failed": []}', '{"format": 1, "failed": 5}'):
        record.write_text(text)
        assert failed_before(greeter.with_name("greeter.test.yaml")) is None


def test_a_change_of_any_file_runs_again_and_a_stop_ends_it(tmp_path: Path) -> None:
    one, other, late = (tmp_path / name for name in ("one", "other", "late"))
    one.write_text("1")
    other.write_text("1")
    changes = [
        lambda: one.write_text("longer"),
        other.unlink,
        lambda: other.write_text("back again"),
        lambda: late.write_text("new"),
    ]
    stop, runs = Stop(), []

    def change() -> None:
        # as late as during the run, and as late as after it
        changes[len(runs) - 1]()

    def run() -> None:
        runs.append(len(runs))
        if len(runs) > len(changes):
            stop.ask()
        elif len(runs) % 2:
            change()
        else:
            threading.Timer(0.05, change).start()

    with pytest.raises(Cancelled):
        again_when_changed(run, lambda: (one, other, late), stop, pause=0.02)
    assert len(runs) == len(changes) + 1


def test_watching_outlives_mistakes_and_servers_that_are_gone(
    greeter: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(greeter.parent)
    console, job = Console(), Job()
    tests = greeter.with_name("greeter.test.yaml")
    good = tests.read_text()
    seen: list[int] = []

    def find() -> Subject:
        return _chosen(subject_of(console, "greeter.yaml", None), Choice())

    def once(_: Job, subject: Subject) -> ExitCode:
        seen.append(len(subject.suite.scenarios))
        if len(seen) == 1:
            tests.write_text("test_scenarios: 5")
            threading.Timer(1.5, tests.write_text, (good + "\n",)).start()
            raise LLMError(LLMErrorKind.UNREACHABLE, "nobody is there")
        job.stop.ask()
        return ExitCode.OK

    with pytest.raises(Cancelled):
        _watch(console, job, find(), find, once)
    assert seen == [2, 2]
    told = capsys.readouterr().err
    assert "nobody is there" in told
    assert "must be a list" in told
    assert "waiting for a change" in told


def test_all_that_a_workflow_reads_is_watched(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("Say hello")
    (tmp_path / "v.txt").write_text("x")
    (tmp_path / "q.txt").write_text("Say bye")
    (tmp_path / "child.yaml").write_text(
        "name: C\nstart_state: a\nstates: {a: {type: prompt, prompt_file: q.txt}}\n"
    )
    (tmp_path / "w.yaml").write_text(
        "name: W\nstart_state: a\nvariables: {v: {file: v.txt}}\nstates:\n"
        "  a: {type: prompt, prompt_file: p.txt, files: [d.txt, '{{v}}.txt'], next: b}\n"
        "  b: {type: workflow_ref, workflow_ref: child.yaml}\n"
    )
    found = files_behind(load(tmp_path / "w.yaml"))
    assert {path.name for path in found} == {"p.txt", "v.txt", "d.txt", "child.yaml", "q.txt"}
