"""``list-models`` and ``pull``: what can answer, and how it gets here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest
import wire
from commandline import Agentmech
from hypothesis import given
from hypothesis import strategies as st

from finetune_fsm.cli.console import Console
from finetune_fsm.cli.pull import _meter, fetched
from finetune_fsm.cli.signals import Job
from finetune_fsm.errors import Cancelled, ExitCode
from finetune_fsm.llm.base import Stop
from finetune_fsm.llm.weights import FOLDER_VARIABLE, QWEN, Weights


def test_the_models_are_the_result_and_their_home_is_not(
    agentmech: Agentmech, greeter: Path
) -> None:
    assert greeter.exists()
    done = agentmech("list-models", "--llm", "script:good.yaml")
    assert (done.code, done.out) == (0, "scripted\n")
    assert "a script has 1 model:" in done.err
    document = agentmech("list-models", "--llm", "script:good.yaml", "--json").document
    assert document == {"llm": "a script", "models": ["scripted"]}


def test_a_server_that_is_not_there_is_an_error_of_the_world(agentmech: Agentmech) -> None:
    done = agentmech("list-models", "-u", "http://127.0.0.1:9", "--json")
    assert done.code == 3
    assert done.document["error"]["exit_code"] == 3
    assert "127.0.0.1:9" in done.err


def test_of_several_servers_all_models_are_listed_and_who_has_what_not_all_have(
    agentmech: Agentmech,
) -> None:
    both, one = {"tiny": 4096, "huge": 4096}, {"tiny": 4096}
    with wire.ollama(models=both) as a, wire.ollama(models=one) as b:
        servers = ("-u", a.url, "-u", b.url)
        done = agentmech("list-models", *servers)
        document = agentmech("list-models", *servers, "--json").document
    assert (done.code, done.out) == (0, "huge\ntiny\n")
    assert f"Ollama at {a.url} and {b.url} have 2 models:" in done.err
    assert done.err.count("only") == 1
    assert f"only Ollama at {a.url}\n" in done.err
    assert document == {
        "llm": f"Ollama at {a.url} and {b.url}",
        "models": ["huge", "tiny"],
        "servers": [
            {"llm": f"Ollama at {a.url}", "models": ["huge", "tiny"]},
            {"llm": f"Ollama at {b.url}", "models": ["tiny"]},
        ],
    }


def test_of_several_servers_one_that_is_not_there_is_told_and_all_are_an_error(
    agentmech: Agentmech,
) -> None:
    dead, gone = "http://127.0.0.1:9", "http://127.0.0.1:1"
    with wire.ollama() as server:
        done = agentmech("list-models", "-u", dead, "-u", server.url)
        servers = agentmech("list-models", "-u", dead, "-u", server.url, "--json").document
    assert (done.code, done.out) == (0, "tiny\n")
    assert f"warning: cannot reach Ollama at {dead}" in done.err
    assert "only" not in done.err
    assert dead in servers["servers"][0]["error"]
    done = agentmech("list-models", "-u", dead, "-u", gone)
    assert (done.code, done.out) == (3, "")
    assert dead in done.err
    assert gone in done.err


@pytest.mark.parametrize("url", ["http://", "ftp://x", "http://h:99999", "http://u:secret@h:0"])
def test_an_address_that_makes_no_sense_is_refused_and_shows_no_secret(
    url: str, agentmech: Agentmech
) -> None:
    done = agentmech("list-models", "-u", url)
    assert (done.code, done.out) == (2, "")
    assert "secret" not in done.err
    assert "an address looks like" in done.err


def test_a_pull_that_cannot_write_says_where(
    agentmech: Agentmech, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "file" / "models"))
    done = agentmech("pull")
    assert done.code == 3
    assert "cannot write" in done.err
    assert str(tmp_path / "file") in done.err


class Shelf:
    """A source that has everything."""

    name = "a shelf"

    def fill(self, file: BinaryIO, weights: Weights, progress: Callable[[int, int], None]) -> None:
        file.write(b"x" * weights.size)
        progress(weights.size, weights.size)


@pytest.mark.parametrize("json_wanted", [False, True])
def test_what_was_pulled_is_named_for_people_and_programs(
    json_wanted: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    small = Weights("small.gguf", 5, hashlib.sha256(b"xxxxx").hexdigest())
    assert fetched(Console(json=json_wanted), Job(), small, (Shelf(),)) is ExitCode.OK
    out, err = capsys.readouterr()
    path = str(tmp_path / "small.gguf")
    assert Path(path).read_bytes() == b"xxxxx"
    assert "100 %" in err
    if json_wanted:
        assert json.loads(out) == {"path": path, "bytes": 5, "sha256": small.sha256}
    else:
        assert out == f"{path}\n"


@given(st.lists(st.integers(0, QWEN.size), max_size=40).map(sorted))
def test_where_nobody_watches_a_line_comes_every_ten_percent(steps: list[int]) -> None:
    lines: list[str] = []
    console = Console()
    console.err.line = lines.append  # type: ignore[method-assign, assignment]
    show = _meter(console, "weights", Stop())
    for done in steps:
        show(done, QWEN.size)
    assert len(lines) == len({10 * done // QWEN.size for done in steps})


def test_a_stop_breaks_a_pull_off() -> None:
    stop = Stop()
    stop.ask()
    with pytest.raises(Cancelled):
        _meter(Console(), "weights", stop)(1, 2)
