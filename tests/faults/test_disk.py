"""Rows 34 to 38: full, failing, read-only and missing disks, at every single operation."""

from __future__ import annotations

import errno
import fcntl
import functools
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commandline import GREETER, GREETER_TESTS, Agentmech, Done
from crash.disk import JOURNAL, Disk, Fail, Operation, Perform, Plan, note_in

from finetune_fsm.runs import places
from finetune_fsm.runs.history import load
from finetune_fsm.storage.journal import read

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

FINETUNE = ("finetune", "greeter.yaml", "--llm", "script:script.yaml", "--no-cache", "--json")
RESUME = ("resume", "greeter.yaml", "--no-cache", "--json")

LIMIT = 200  # operations of a run at most; a loop that goes on beyond is a bug

Files = dict[str, bytes]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return fresh(tmp_path)


def fresh(folder: Path) -> Path:
    """The workflow, its tests and its script, and nothing else."""
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    (folder / "greeter.yaml").write_text(GREETER)
    (folder / "greeter.test.yaml").write_text(GREETER_TESTS)
    (folder / "script.yaml").write_text(SCRIPT)
    return folder


def files(folder: Path) -> Files:
    """What lies beside the workflow; runs are compared by what they say."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def home(folder: Path) -> Path:
    return folder / "greeter.agentmech"


def under(agentmech: Agentmech, folder: Path, plan: Plan, *arguments: object) -> Done:
    with Disk(folder, plan).watched():
        return agentmech(*arguments)


def spoken(done: Done) -> dict[str, Any]:
    """The document of a run without its name and what holds a time."""
    return without(done.document, "seconds", "run")


def without(value: Any, *skipped: str) -> Any:  # any JSON
    """*value* without the fields of these names, at any depth."""
    if isinstance(value, dict):
        return {k: without(v, *skipped) for k, v in value.items() if k not in skipped}
    return [without(item, *skipped) for item in value] if isinstance(value, list) else value


def check_the_stop(done: Done, folder: Path, hit: Operation) -> None:
    """It ended with a message that names the place; what is on the disk is whole."""
    assert done.code == 3, (hit, done.err)
    assert "agentmech: error: cannot " in done.err
    named = (Path(hit.path).name, folder.name, home(folder).name)
    assert any(name in done.err.rpartition("error:")[2] for name in named), (hit, done.err)
    assert "Traceback" not in done.err
    assert (folder / "greeter.yaml").read_text() == GREETER
    for run in places.in_home(home(folder)):
        assert read(run / JOURNAL).torn == 0, hit


def ended(agentmech: Agentmech, folder: Path) -> Done:
    """Go on with what is there, now that nothing fails any more."""
    runs = places.in_home(home(folder))
    begun = bool(runs) and bool(read(runs[-1] / JOURNAL).records)
    done = agentmech(*(RESUME if begun else FINETUNE))
    keys = [call.key for _, call in load(places.in_home(home(folder))[-1]).calls]
    assert len(keys) == len(set(keys))  # what was written down was not asked again
    return done


def check_the_end(done: Done, calm: Done) -> None:
    """It is that of a calm run, but for a call whose reply could not be written down."""
    more = done.document["llm_calls"] - calm.document["llm_calls"]
    assert more in (0, 1)
    counts = ("llm_calls", "tokens") if more else ()
    assert without(spoken(done), *counts) == without(spoken(calm), *counts)
    found, wanted = done.document["metrics"], calm.document["metrics"]
    assert found["llm_calls"] == wanted["llm_calls"]  # one that was made again was lost
    assert found["lost"]["llm_calls"] == more


def sweep(
    agentmech: Agentmech,
    folder: Path,
    fail: Callable[[int], Fail],
    *,
    every: int = 1,
    after: Callable[[Done, Operation], None] = lambda done, hit: None,
) -> int:
    """Fail the n-th operation, for every n there is, and go on; return how many there were."""
    calm = agentmech(*FINETUNE)
    assert calm.code == 0
    left = files(folder)
    for number in range(1, LIMIT, every):
        hits: list[Operation] = []
        done = under(agentmech, fresh(folder), fail(number).on(hits), *FINETUNE)
        if not hits:
            assert (spoken(done), files(folder)) == (spoken(calm), left)
            return number - 1
        check_the_stop(done, folder, hits[0])
        after(done, hits[0])
        again = ended(agentmech, folder)
        if "is finished (" not in again.out:
            check_the_end(again, calm)
        assert files(folder) == left, hits
    pytest.fail("the operations have no end")


WRITES = ("write", "open", "mkdir", "ftruncate", "replace")


@pytest.mark.parametrize("lasting", [True, False])
def test_row_34_a_full_disk_stops_the_run_and_loses_nothing(
    lasting: bool, agentmech: Agentmech, folder: Path
) -> None:
    count = sweep(
        agentmech,
        folder,
        lambda n: Fail(n, errno.ENOSPC, ("write", "open"), lasting=lasting),
        every=2 if lasting else 3,
    )
    assert count > 30


def test_row_34_a_record_that_cannot_be_taken_back_is_a_torn_tail(
    agentmech: Agentmech, folder: Path
) -> None:
    full: list[Operation] = []

    def plan(operation: Operation, perform: Perform) -> int:
        if full and operation.verb in ("write", "ftruncate"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if operation.number > 20 and operation.kind == "journal write":
            full.append(operation)
            return perform(operation.data[:100])
        return perform(operation.data)

    done = under(agentmech, folder, plan, *FINETUNE)
    assert done.code == 3
    run = places.in_home(home(folder))[-1]
    assert read(run / JOURNAL).torn == 100
    again = agentmech(*RESUME)
    assert again.code == 0
    assert "bytes of an unfinished record were cut off the journal" in again.err


def test_row_35_a_system_that_takes_little_at_a_time_gets_everything(
    agentmech: Agentmech, folder: Path
) -> None:
    def plan(operation: Operation, perform: Perform) -> int:
        return perform(operation.data[: 1 + len(operation.data) // 3])

    calm = agentmech(*FINETUNE)
    wanted, left = spoken(calm), files(folder)
    short = under(agentmech, fresh(folder), plan, *FINETUNE)
    assert (short.code, spoken(short), files(folder)) == (0, wanted, left)


def test_row_35_an_interrupted_write_is_told_and_resumable(
    agentmech: Agentmech, folder: Path
) -> None:
    assert sweep(agentmech, folder, lambda n: Fail(n, errno.EINTR, ("write",)), every=4) > 20


def test_row_36_after_a_failed_sync_nothing_is_believed_and_nothing_written(
    agentmech: Agentmech, folder: Path
) -> None:
    written: list[Operation] = []

    class Watching(Fail):
        def on(self, hits: list[Operation]) -> Plan:
            plan = super().on(hits)
            written.clear()

            def look(operation: Operation, perform: Perform) -> int:
                if hits and operation.kind == "journal write":
                    written.append(operation)
                return plan(operation, perform)

            return look

    def after(done: Done, hit: Operation) -> None:
        assert "Input/output error" in done.err
        assert written == [] or not hit.path.endswith(JOURNAL)

    fail = functools.partial(Watching, error=errno.EIO, verbs=("fsync",))
    assert sweep(agentmech, folder, fail, every=2, after=after) > 30


def test_row_36_a_disk_whose_syncs_all_fail_stops_the_run(
    agentmech: Agentmech, folder: Path
) -> None:
    failing = functools.partial(Fail, error=errno.EIO, verbs=("fsync",), lasting=True)
    assert sweep(agentmech, folder, failing, every=7) > 30


def test_row_37_a_read_only_disk_is_told_before_the_first_call(
    agentmech: Agentmech, folder: Path
) -> None:
    before = files(folder)
    done = under(agentmech, folder, Fail(1, errno.EROFS, WRITES, lasting=True).on([]), *FINETUNE)
    assert done.code == 3
    assert "greeter.agentmech: Read-only file system" in done.err
    assert "Running workflow" not in done.err
    assert files(folder) == before
    assert not home(folder).exists()


def test_row_37_a_disk_that_becomes_read_only_stops_the_run(
    agentmech: Agentmech, folder: Path
) -> None:
    sweep(agentmech, folder, lambda n: Fail(n, errno.EROFS, WRITES, lasting=True), every=4)


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_row_37_a_disk_without_locks_is_told_before_the_first_call(
    code: int, agentmech: Agentmech, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(handle: int, what: int) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", unsupported)
        done = agentmech(*FINETUNE)
    assert done.code == 3
    assert "cannot lock " in done.err
    assert "use a local disk" in done.err
    assert places.in_home(home(folder)) == []
    assert agentmech(*FINETUNE).code == 0


@pytest.mark.parametrize("number", [20, 30, 40])
def test_row_37_a_run_whose_folder_is_deleted_stops(
    number: int, agentmech: Agentmech, folder: Path
) -> None:
    def plan(operation: Operation, perform: Perform) -> int:
        if operation.number == number:
            shutil.rmtree(home(folder))
        return perform(operation.data)

    done = under(agentmech, folder, plan, *FINETUNE)
    assert done.code == 3
    assert "journal.jsonl: No such file or directory" in done.err
    gone = agentmech(*RESUME)
    assert gone.code == 2
    assert "greeter.yaml has no run yet" in gone.out
    assert agentmech(*FINETUNE).code == 0


def test_row_37_runs_may_live_on_another_disk(
    agentmech: Agentmech, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    calm = agentmech(*FINETUNE)
    left = files(folder)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    home(fresh(folder)).symlink_to(elsewhere)
    assert spoken(agentmech(*FINETUNE)) == spoken(calm)
    assert files(folder) == left
    assert len(places.in_home(elsewhere)) == 1


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (".", "is a folder; name a file to write to"),
        ("greeter.yaml", "is the workflow itself, which is never overwritten"),
        ("link.yaml", "is the workflow itself, which is never overwritten"),
        ("script.yaml/deeper.yaml", "cannot write into"),
        ("shut/new.yaml", "cannot write into"),
        ("shut.yaml", "cannot write"),
    ],
)
def test_row_38_an_output_that_cannot_be_is_told_before_the_first_call(
    output: str, words: str, agentmech: Agentmech, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "link.yaml").symlink_to("greeter.yaml")
    (folder / "shut").mkdir()
    (folder / "shut.yaml").touch()
    real = os.access

    def access(path: str | Path, mode: int, **more: bool) -> bool:
        # What a read-only place says, also to a superuser, whom permissions do not bind.
        shut = Path(path).name.startswith("shut") and mode & os.W_OK
        return not shut and real(path, mode, **more)

    monkeypatch.setattr(os, "access", access)
    done = agentmech(*FINETUNE, "-o", output)
    assert done.code == 2
    assert words in done.document["error"]["message"]
    assert not home(folder).exists()
    assert "Running" not in done.err


def test_row_38_a_missing_folder_of_the_output_is_made(agentmech: Agentmech, folder: Path) -> None:
    done = agentmech(*FINETUNE, "-o", "new/deep/better.yaml")
    assert done.code == 0
    assert (folder / "new" / "deep" / "better.yaml").exists()


def test_the_plans_see_every_change_of_a_run(agentmech: Agentmech, folder: Path) -> None:
    # Otherwise the loops above would be shorter than the truth, and nobody would notice.
    done: list[Operation] = []
    under(agentmech, folder, note_in(done), *FINETUNE)
    (run,) = places.in_home(home(folder))
    data = b"".join(o.data for o in done if o.kind == "journal write")
    assert data == (run / JOURNAL).read_bytes()
    made = {o.target for o in done if o.verb == "replace"}
    expected = set(files(folder)) - {"greeter.yaml", "greeter.test.yaml", "script.yaml"}
    assert made == {*expected, "greeter.agentmech/.gitignore"}
    assert json.loads(data.splitlines()[0])["kind"] == "begin"
