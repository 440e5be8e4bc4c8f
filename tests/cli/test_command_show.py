"""``agentmech show``: what a run did and what it took, while it goes on and afterwards."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from commandline import GREETER, Agentmech
from rich.cells import cell_len

from finetune_fsm.runs import places

SCRIPT = """\
format: 1
replies:
  - {purpose: state, when: "called (?P<who>[A-Z][a-z]+) by name", reply: "Hello {{who}}!"}
  - {purpose: state, reply: "Hello you!"}
  - purpose: analysis
    when: called
    reply: {analysis: "All is well.", suggestions: []}
  - purpose: analysis
    reply: {analysis: "No name.", suggestions: [{state: greet, change: "Use the name."}]}
  - purpose: proposal
    reply: {problem: "The name is not used.", new_prompt: "Greet the person called NAME by name"}
""".replace("NAME", "{{name}}")

FINETUNE = ("finetune", "greeter.yaml", "--llm", "script:script.yaml", "--no-cache")


@pytest.fixture
def run(greeter: Path) -> Path:
    """The folder in which the run is about to be made."""
    (greeter.parent / "script.yaml").write_text(SCRIPT)
    return greeter.parent


def test_a_table_says_what_each_iteration_passed_and_took(agentmech: Agentmech, run: Path) -> None:
    assert agentmech(*FINETUNE, "-q").code == 0
    lines = agentmech("show").out.splitlines()
    head = next(n for n, line in enumerate(lines) if line.startswith("  iter "))
    heads = "iter train 95 % held out 95 % calls tokens seconds"
    assert lines[head].split() == heads.split()
    first, second, rest = (line.split() for line in lines[head + 1 : head + 4])
    assert (first[:2], second[:2], rest[:2]) == (["1", "0/2"], ["2", "2/2"], ["rest", "2/2"])
    assert lines[head + 4] == "  rest: since the last test"
    calls = sum(int(row[-3]) for row in (first, second, rest))
    assert f"  LLM calls: {calls} (" in lines[-1]
    assert any("kept (rewrite)" in line for line in lines)


def test_metrics_are_tables_of_iterations_strategies_and_states(
    agentmech: Agentmech, run: Path
) -> None:
    assert agentmech(*FINETUNE, "-q").code == 0
    done = agentmech("show", "greeter.yaml", "--metrics")
    assert (done.code, done.err) == (0, "")
    titles = [line for line in done.out.splitlines() if line[:1].strip()]
    assert titles[0].startswith("Run greeter.agentmech/")
    assert titles[1:] == [
        "Iterations: what the best passes after each",
        "Candidates",
        "Drafts by strategy",
        "Drafts and answers refused",
        "Spent, by iteration and state of the loop",
        "States of the workflow, in all rollouts",
    ]
    assert re.search(r"(?m)^  rewrite +2 +2 +1 +1 +1 +2 ", done.out)
    visits = dict(re.findall(r"(?m)^  (ask|greet) +(\d+) +0 ", done.out))
    assert visits["ask"] == visits["greet"]
    assert "Greet the person called {{name}} by name" in done.out


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_tables_fit_eighty_columns_and_hold_no_control(
    encoding: str, agentmech: Agentmech, run: Path
) -> None:
    name = "begrüßung" * 5
    text = GREETER.replace("greet\n", f'"{name}"\n').replace("  greet:", f'  "{name}":')
    (run / "greeter.yaml").write_text(text)
    assert agentmech(*FINETUNE, "-q").code == 0
    done = agentmech("show", "--metrics", encoding=encoding)
    assert done.code == 0
    assert not re.search(r"[\x00-\x08\x0b-\x1f]", done.out)
    if encoding == "utf-8":
        assert max(cell_len(line) for line in done.out.splitlines()[1:]) <= 80
        assert "begrüßung" in done.out


def test_every_document_holds_the_same_metrics(agentmech: Agentmech, run: Path) -> None:
    made = agentmech(*FINETUNE, "--json").document
    shown = agentmech("show", "--json").document
    assert made["metrics"] == shown["metrics"]
    metrics = made["metrics"]
    assert metrics["llm_calls"] == made["llm_calls"]
    assert metrics["tokens"] == made["tokens"]
    assert [row["iteration"] for row in metrics["iterations"]] == [1, 2, 3]
    assert [row["tested"] for row in metrics["iterations"]] == [True, True, False]
    for row, told in zip(metrics["iterations"], made["iterations"], strict=False):
        assert row["llm_calls"] == told["llm_calls"]
        assert len(row["candidates"]) == len(told["candidates"])
    (rewrite,) = (row for row in metrics["strategies"] if row["strategy"] == "rewrite")
    assert (rewrite["tried"], rewrite["accepted"], rewrite["llm_calls"]) == (1, 1, 2)


def test_a_resumed_run_tells_of_all_its_sessions(agentmech: Agentmech, run: Path) -> None:
    whole = agentmech(*FINETUNE, "--json").document["metrics"]
    (folder,) = places.in_home(run / "greeter.agentmech")
    journal = folder / places.JOURNAL
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[: len(lines) // 2]))
    part = agentmech("show", "--json").document["metrics"]
    assert 0 < part["llm_calls"] < whole["llm_calls"]
    assert not part["iterations"][-1]["tested"]
    assert "  rest " in agentmech("show").out
    resumed = agentmech("resume", "--json", "--no-cache").document["metrics"]
    assert timeless(resumed) == timeless(whole)
    assert agentmech("show", "--json").document["metrics"] == resumed


def timeless(metrics: object) -> str:
    return re.sub(r'"seconds": [\d.e-]+', "", json.dumps(metrics))


def test_replies_kept_from_another_run_are_counted_apart(agentmech: Agentmech, run: Path) -> None:
    command = FINETUNE[:-1]
    first = agentmech(*command, "--json").document["metrics"]
    second = agentmech(*command, "--json").document["metrics"]
    together = first["llm_calls"] + first["cached"]
    assert second["llm_calls"] + second["cached"] == together


def test_story_and_metrics_are_two_things(agentmech: Agentmech, run: Path) -> None:
    done = agentmech("show", "--story", "--metrics")
    assert done.code == 2
    assert "say one of them" in done.err


def test_every_change_is_a_diff_with_its_reason_and_its_verdict(
    agentmech: Agentmech, run: Path
) -> None:
    assert agentmech(*FINETUNE, "-q").code == 0
    lines = agentmech("show", "--diff").out.splitlines()
    assert lines[2] == "Iteration 2"
    verdict = "it fixes 'Greets Alice' and 'Greets Bob' and breaks nothing"
    assert f"2: rewrite, kept: {verdict}" in lines
    assert "  The name is not used." in lines
    assert '    -    prompt: "Greet {{name}}"' in lines
    assert '    +    prompt: "Greet the person called {{name}} by name"' in lines
    changes = agentmech("show", "--diff", "--json").document["changes"]
    kept = [change for change in changes if change["fate"] == "kept"]
    assert [(change["label"], change["strategy"]) for change in kept] == [("2", "rewrite")]
    assert "+    prompt: " in kept[0]["diff"]


def test_every_refusal_is_told_with_its_reasons(agentmech: Agentmech, run: Path) -> None:
    script = SCRIPT.replace("the person called {{name}} by name", "{{nobody}} called {{name}}")
    (run / "script.yaml").write_text(script)
    assert agentmech(*FINETUNE, "-q").code == 1
    out = agentmech("show", "--diff").out
    assert "rewrite, refused" in out
    assert "  Not usable: " in out
    assert "    +    prompt: " in out
    assert "kept" not in out


def test_a_run_that_changed_nothing_says_so(agentmech: Agentmech, greeter: Path) -> None:
    assert agentmech("finetune", "greeter.yaml", "--llm", "script:good.yaml", "-q").code == 0
    assert "Nothing was changed, and nothing was refused" in agentmech("show", "--diff").out
    assert "Pass rate" not in agentmech("show").out


def test_pass_rates_are_bars_in_any_encoding(agentmech: Agentmech, run: Path) -> None:
    assert agentmech(*FINETUNE, "-q").code == 0
    assert "  Pass rate: train ▁█ 0 → 100 %\n" in agentmech("show").out
    assert "  Pass rate: train _# 0 -> 100 %\n" in agentmech("show", encoding="ascii").out


def test_it_shows_one_thing_at_a_time(agentmech: Agentmech, run: Path) -> None:
    done = agentmech("show", "--diff", "--story")
    assert done.code == 2
    assert "say one of them" in done.err
