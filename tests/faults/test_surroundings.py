"""Rows 51 to 54, 58 and 60 of the fault matrix: files, clocks, memory, homes, folders, networks."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import wire
from cli.test_command_finetune import BROKEN, REPAIRING
from commandline import GOOD_SCRIPT, GREETER
from faults.oracle import Oracle, oracle_server, put_greeter
from faults.terminal import AGENTMECH, PATIENCE

from finetune_fsm.api import finish, open_run, reopen_run
from finetune_fsm.llm.script_file import read as read_script
from finetune_fsm.llm.scripted import ScriptedLLM
from finetune_fsm.loop.machine import Leaving, Moment
from finetune_fsm.loop.table import LoopState
from finetune_fsm.runs import places
from finetune_fsm.runs.history import load
from finetune_fsm.storage.journal import read as read_journal

MEGABYTE = 1_000_000

WEIGHED = """
import pathlib, resource, subprocess, sys
code = subprocess.call(sys.argv[2:])
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
pathlib.Path(sys.argv[1]).write_text(str(peak))
sys.exit(code)
"""
"""Runs a command and writes down how much memory it held at most."""


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str


def agentmech(
    *arguments: str,
    folder: Path,
    environment: Mapping[str, str | None] | None = None,
    launcher: Sequence[str] = (),
) -> Done:
    """Run the real command; variables that are None are not set."""
    wanted = os.environ | (environment or {})
    with (
        (folder / ".out").open("w+b") as out,
        (folder / ".err").open("w+b") as err,
        subprocess.Popen(
            [*launcher, *AGENTMECH, *arguments],
            cwd=folder,
            env={name: value for name, value in wanted.items() if value is not None},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
        ) as process,
    ):
        end = time.monotonic() + PATIENCE
        while (ended := os.wait4(process.pid, os.WNOHANG))[0] == 0:
            if time.monotonic() > end:
                process.kill()
            time.sleep(0.01)
        process.returncode = os.waitstatus_to_exitcode(ended[1])
        texts = [Path(file.name).read_text("utf-8") for file in (out, err)]
    assert "Traceback" not in texts[1]
    assert "internal error" not in texts[1]
    return Done(process.returncode, *texts)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The greeter, its tests, and scripts that mend it, answer it, and break off."""
    put_greeter(tmp_path)
    scripts = {"repairing": REPAIRING, "good": GOOD_SCRIPT, "broken": BROKEN}
    for name, text in scripts.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


SCRIPTED = ("finetune", "greeter.yaml", "--llm", "script:repairing.yaml")


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("name", ["greeter.yaml", "greeter.test.yaml"])
def test_row_51_a_file_that_changes_during_a_run_stops_it_at_the_next_save(
    name: str, folder: Path
) -> None:
    file = folder / name
    before = sha256(file)
    oracle = Oracle(seconds=1.5)
    oracle.be_slow("proposal", "first")
    with oracle_server(oracle) as server:
        command = [*AGENTMECH, "finetune", "greeter.yaml", "-u", server.url]
        with subprocess.Popen(
            command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as process:
            assert oracle.reached.wait(PATIENCE)
            changed = file.read_text() + "# changed\n"
            file.write_text(changed)
            _, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 6
        for part in (name, before[:12], sha256(file)[:12], "--ignore-changes", "agentmech resume"):
            assert part in err
        assert (folder / "greeter.finetuned.yaml").read_text() == GREETER
        refused = agentmech("resume", "-u", server.url, folder=folder)
        assert (refused.code, before[:12] in refused.err) == (6, True)
        asked = len(server.asked("/api/chat"))
        resumed = agentmech("resume", "--ignore-changes", "-u", server.url, folder=folder)
        assert resumed.code == 0, resumed.err
        again = len(server.asked("/api/chat")) - asked
    assert 2 <= again <= 8  # the two scenarios with the new prompt, and what confirms them
    assert "by name" in (folder / "greeter.finetuned.yaml").read_text()
    assert file.read_text() == changed


JUMP = """
import datetime, time
real, began = time.time, time.monotonic()
def now():
    return real() - 86_400 * (time.monotonic() - began > {seconds})
class Jumping(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(now(), tz)
time.time, datetime.datetime = now, Jumping
"""


def customised(folder: Path, text: str) -> dict[str, str]:
    """An environment in which every interpreter runs *text* first."""
    where = folder / "customised"
    where.mkdir(exist_ok=True)
    (where / "sitecustomize.py").write_text(text)
    return {"PYTHONPATH": os.pathsep.join([str(where), os.environ.get("PYTHONPATH", "")])}


def test_row_52_a_clock_that_is_put_back_within_a_run_changes_no_duration_and_no_order(
    folder: Path,
) -> None:
    script = REPAIRING.replace('reply: "Hello you!"', 'reply: "Hello you!", seconds: 0.4')
    (folder / "repairing.yaml").write_text(script)
    jump = customised(folder, JUMP.format(seconds=0.9))
    started = time.monotonic()
    done = agentmech(*SCRIPTED, "--json", "-j", "1", folder=folder, environment=jump)
    took = time.monotonic() - started
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert 0.8 <= document["seconds"] <= took
    records = read_journal(folder / document["run"] / places.JOURNAL).records
    assert [record.seq for record in records] == list(range(1, len(records) + 1))
    times = [record.at for record in records]
    assert times == sorted(times)
    assert 0.8 <= times[-1] <= took


def test_row_52_the_newest_run_is_the_one_that_began_last_whatever_the_clock_said(
    folder: Path,
) -> None:
    command = ("finetune", "greeter.yaml", "--llm", "script:broken.yaml", "--json")
    first = agentmech(*command, folder=folder)
    back = customised(folder, JUMP.format(seconds=-1))
    second = agentmech(*command, folder=folder, environment=back)
    assert (first.code, second.code) == (3, 3)
    newest = json.loads(second.out)["run"]
    assert newest != json.loads(first.out)["run"]
    resumed = agentmech(
        "resume", "--llm", "script:repairing.yaml", "--json", folder=folder, environment=back
    )
    assert resumed.code == 0, resumed.err
    assert json.loads(resumed.out)["run"] == newest


def many_pieces() -> Iterator[wire.Act]:
    part = wire.piece("x" * 50_000)
    yield from wire.chunked([*[part] * 1000, wire.final()])


def one_line() -> Iterator[wire.Act]:
    start, _, end = wire.piece("MIDDLE").partition(b"MIDDLE")
    yield from wire.chunked([start, *[b"x" * 50_000] * 1000, end, wire.final()])


@pytest.mark.parametrize(
    ("answer", "tries", "said"),
    [
        (many_pieces, 1, "longer than 1,000,000 characters"),
        (one_line, 3, "longer than 8,000,000 bytes"),
    ],
)
def test_row_53_a_reply_of_50_megabytes_is_cut_and_never_held(
    answer: object, tries: int, said: str, folder: Path
) -> None:
    with wire.ollama(lambda _: answer(), models={"m": 8192}) as server:
        command = ("run", "greeter.yaml", "--json", "-u", server.url)
        # The peak of a process that was forked here would count what this one holds.
        launcher = (sys.executable, "-c", WEIGHED, str(folder / ".memory"))
        done = agentmech(*command, folder=folder, launcher=launcher)
        sent = server.asked("/api/chat")
        assert len(sent) == tries
        assert all(call.gone.wait(40) for call in sent)  # nobody took all of it
    assert done.code in (1, 3)
    assert said in json.loads(done.out)["error"]["message"]
    scale = 1 if sys.platform == "darwin" else 1024
    assert int((folder / ".memory").read_text()) * scale < 300 * MEGABYTE


class Broken:
    """An observer with a mistake in it."""

    def __call__(self, moment: Moment) -> None:
        if isinstance(moment, Leaving) and moment.state is LoopState.ANALYZING:
            raise ValueError("no such field")


def broken(moment: Moment) -> None:
    Broken()(moment)


@pytest.mark.parametrize(("observer", "name"), [(Broken(), "Broken"), (broken, "broken")])
def test_row_54_an_observer_that_fails_is_named_and_the_run_can_go_on(
    observer: object, name: str, folder: Path
) -> None:
    first, second = (ScriptedLLM(read_script(folder / "repairing.yaml")) for _ in range(2))
    with (
        pytest.raises(ValueError, match="no such field") as caught,
        open_run(folder / "greeter.yaml", llm=first, observers=[observer]) as session,
    ):
        finish(session.loop)
    assert caught.value.__notes__ == [f"raised by the observer {name} at Leaving ANALYZING"]
    history = load(session.folder)
    assert [entry.state for entry in history.entries] == [
        "PREPARING",
        "SAVING",
        "RUNNING",
        "TESTING",
    ]
    assert len(history.calls) == len(first.requests) == 3
    with reopen_run(session.folder, llm=second) as again:
        run = finish(again.loop)
    assert run.solved
    assert not {request.text for request in first.requests} & {r.text for r in second.requests}


@pytest.mark.parametrize("home", ["unset", "a file"])
def test_row_58_a_run_needs_no_home(home: str, folder: Path) -> None:
    weighty = page_with_digest()
    with oracle_server(Oracle(), tags=weighty) as server:  # so that replies are kept, or could be
        # Not where HOME is not set: that would be the home of whoever runs the tests.
        more = ("--no-cache",) if home == "unset" else ()
        done = agentmech(
            "finetune", "greeter.yaml", "-u", server.url, *more,
            folder=folder, environment=at_home(folder if home == "a file" else None),
        )  # fmt: skip
    assert done.code == 0, done.err
    assert "by name" in (folder / "greeter.finetuned.yaml").read_text()


def at_home(folder: Path | None) -> Mapping[str, str | None]:
    """An environment whose HOME is no folder: a file in *folder*, or not set at all."""
    return {"HOME": str(folder / "greeter.yaml") if folder else None, "XDG_CACHE_HOME": None}


def page_with_digest() -> wire.Route:
    listed = [{"name": name, "digest": name * 3} for name in ("m:latest", "gemma3:4b")]
    return lambda _: wire.page(200, json.dumps({"models": listed}))


def test_row_58_a_home_that_is_a_file_is_told_where_something_has_to_be_kept(folder: Path) -> None:
    command = ("run", "greeter.yaml", "--llm", "script:good.yaml")
    done = agentmech(*command, folder=folder, environment=at_home(folder))
    assert done.code == 3
    assert re.fullmatch(r"agentmech: error: cannot make .*greeter\.yaml.*: Not a dir.*\n", done.err)


def test_row_58_a_folder_that_is_gone_matters_only_to_what_is_looked_for_in_it(
    folder: Path,
) -> None:
    gone = "import os, sys; os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone')"
    launcher = (sys.executable, "-c", f"{gone}; os.execv(sys.argv[1], sys.argv[1:])")
    whole, script = str(folder / "greeter.yaml"), f"script:{folder / 'repairing.yaml'}"
    for code, said, command in (
        (0, "", ("finetune", whole, "--llm", script)),
        (0, "Ended because", ("show", whole)),
        (0, "valid", ("validate", whole)),
        (2, "greeter.yaml: error: the file does not exist", ("validate", "greeter.yaml")),
        (2, "no run here", ("resume",)),
        (3, "the present folder was removed", ("finetune", whole, "-o", "x.yaml", "--llm", script)),
    ):
        done = agentmech(*command, folder=folder, launcher=launcher)
        assert (done.code, said in done.out + done.err) == (code, True), done
        assert len(done.err.splitlines()) <= 1
    assert "by name" in (folder / "greeter.finetuned.yaml").read_text()


PLAIN = (sys.executable, str(Path(__file__).with_name("plain.py")))


def test_row_58_an_umask_that_takes_our_own_rights_is_told_and_leaves_nothing(
    folder: Path,
) -> None:
    before = {path.name for path in folder.iterdir()} | {".out", ".err"}
    done = agentmech(*SCRIPTED, folder=folder, launcher=(*PLAIN, "777"))
    assert done.code == 3
    assert "the umask of this process takes our own rights away" in done.err
    assert {path.name for path in folder.iterdir()} == before
    assert agentmech(*SCRIPTED, folder=folder, launcher=(*PLAIN, "077")).code == 0


@pytest.mark.parametrize(
    ("closed", "more", "code", "said"),
    [
        (".", (), 2, "cannot write into"),
        (".", ("-o", "open/best.yaml"), 3, r"cannot write .*greeter\.agentmech: Permission"),
        ("greeter.agentmech", (), 3, r"cannot write .*greeter\.agentmech/.*: Permission"),
    ],
)
def test_row_58_a_folder_that_cannot_be_written_is_told_before_any_call(
    closed: str, more: tuple[str, ...], code: int, said: str, folder: Path
) -> None:
    for name in ("open", "greeter.agentmech") if closed != "." else ("open",):
        (folder / name).mkdir()
    for name in (".out", ".err"):
        (folder / name).touch()
    (folder / closed).chmod(0o500)
    try:
        with oracle_server(Oracle()) as server:
            command = ("finetune", "greeter.yaml", "-u", server.url, *more)
            done = agentmech(*command, folder=folder, launcher=(*PLAIN, "022"))
            assert server.asked("/api/chat") == []
    finally:
        (folder / closed).chmod(0o700)
    assert done.code == code
    assert re.search(said, done.err)
    assert len(done.err.splitlines()) == 1


NO_SOCKETS = """
import sys
def refuse(event, arguments):
    if event.startswith("socket.") and event != "socket.gethostname":
        with open({file!r}, "a") as file:
            file.write(event + "\\n")
        raise PermissionError(1, "no network here")
sys.addaudithook(refuse)
"""


def test_row_60_without_a_network_every_command_works_and_none_tries_to_reach_it(
    folder: Path,
) -> None:
    tried = folder / "tried.txt"
    blocked = customised(folder, NO_SOCKETS.format(file=str(tried)))
    script = ("--llm", "script:repairing.yaml")
    for code, command in (
        (0, ("validate", "greeter.yaml", "greeter.test.yaml")),
        (0, ("graph", "greeter.yaml")),
        (0, ("run", "greeter.yaml", "--llm", "script:good.yaml", "--input", "ask=Bo")),
        (1, ("test", "greeter.test.yaml", *script)),
        (1, ("finetune", "greeter.yaml", *script, "--max-calls", "3")),
        (0, ("runs",)),
        (0, ("show",)),
        (0, ("resume", "--max-calls", "30")),
        (0, ("runs", "repair", "greeter.yaml")),
        (0, ("list-models", *script)),
        (0, ("cache", "ls")),
    ):
        done = agentmech(*command, folder=folder, environment=blocked)
        assert done.code == code, (command, done)
        assert not tried.exists(), (command, tried.read_text())
    assert "by name" in (folder / "greeter.finetuned.yaml").read_text()


def test_row_60_a_command_that_needs_the_network_says_so(folder: Path) -> None:
    tried = folder / "tried.txt"
    blocked = customised(folder, NO_SOCKETS.format(file=str(tried)))
    done = agentmech("list-models", "-u", "http://127.0.0.1:9", folder=folder, environment=blocked)
    assert (done.code, tried.exists()) == (3, True)
    assert len(done.err.splitlines()) == 1
