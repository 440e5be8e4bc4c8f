"""Rows 48 to 50: torn, damaged, mixed and foreign journals, by the command line."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from commandline import Agentmech, Done
from faults.test_disk import FINETUNE, RESUME, files, fresh, home, spoken
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune_fsm import __version__
from finetune_fsm.runs import places
from finetune_fsm.runs.records import FORMAT
from finetune_fsm.storage.journal import JournalError, parsed

Change = Callable[[list[bytes]], list[bytes]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return fresh(tmp_path)


@pytest.fixture
def journal(agentmech: Agentmech, folder: Path) -> Path:
    """That of a run which came to its end; cut, it is that of one which did not."""
    assert agentmech(*FINETUNE).code == 0
    (run,) = places.in_home(home(folder))
    return run / places.JOURNAL


def changed(journal: Path, change: Change) -> bytes:
    lines = change(journal.read_bytes().splitlines(keepends=True))
    journal.write_bytes(b"".join(lines))
    return journal.read_bytes()


def line(record: dict[str, object]) -> bytes:
    """A line with a checksum that fits, whatever it says."""
    rest = json.dumps(record, sort_keys=True, separators=(",", ":"))[1:].encode() + b"\n"
    return b'{"crc":"%08x",' % zlib.crc32(rest) + rest


@pytest.mark.parametrize("missing", [1, 2, 40])
def test_row_48_a_torn_last_line_is_cut_off_noted_and_gone_on_from(
    missing: int, agentmech: Agentmech, folder: Path, journal: Path
) -> None:
    wanted, left = spoken(agentmech("show", "--json")), files(folder)
    torn = changed(journal, lambda lines: [*lines[:12], lines[12][:-missing]])
    shown = agentmech("show", "greeter.yaml")
    assert shown.code == 0
    assert "to go on: agentmech resume " in shown.err
    assert "stopped in " in agentmech("runs").out
    assert journal.read_bytes() == torn  # who only looks changes nothing
    done = agentmech(*RESUME)
    assert done.code == 0
    assert f"{len(torn.splitlines()[12])} bytes of an unfinished record were cut off" in done.err
    assert "cut off the journal" in agentmech("show").out
    again = spoken(agentmech("show", "--json"))
    skipped = ("notes", "sessions")
    assert {k: v for k, v in again.items() if k not in skipped} == {
        k: v for k, v in wanted.items() if k not in skipped
    }
    assert files(folder) == left


def flipped(number: int) -> Change:
    def change(lines: list[bytes]) -> list[bytes]:
        hurt = bytearray(lines[number - 1])
        hurt[len(hurt) // 2] ^= 4
        return [*lines[: number - 1], bytes(hurt), *lines[number:]]

    return change


def without(number: int) -> Change:
    return lambda lines: lines[: number - 1] + lines[number:]


def by_two(lines: list[bytes]) -> list[bytes]:
    """Two processes that both wrote line 8."""
    return [*lines[:8], lines[7], *lines[8:]]


def swapped(lines: list[bytes]) -> list[bytes]:
    return [*lines[:5], lines[6], lines[5], *lines[7:]]


DAMAGES = [
    pytest.param(flipped(1), 1, id="first line flipped"),
    pytest.param(flipped(7), 7, id="line flipped"),
    pytest.param(without(1), 1, id="first line missing"),
    pytest.param(without(9), 9, id="line missing"),
    pytest.param(by_two, 9, id="two writers"),
    pytest.param(swapped, 6, id="lines swapped"),
    pytest.param(lambda lines: [*lines[:4], b"\n", *lines[4:]], 5, id="blank line"),
    pytest.param(lambda lines: [*lines[:4], b"\0" * 512 + b"\n", *lines[4:]], 5, id="zeros"),
]


@pytest.mark.parametrize(("damage", "number"), DAMAGES)
def test_row_49_a_damaged_journal_is_refused_by_line_and_left_as_it_is(
    damage: Change, number: int, agentmech: Agentmech, folder: Path, journal: Path
) -> None:
    left = files(folder)
    hurt = changed(journal, damage)
    for arguments in (RESUME, ("show", "greeter.yaml")):
        done = agentmech(*arguments)
        assert done.code == 6
        assert f"{places.JOURNAL}:{number}: the journal is damaged here" in done.err
        assert "agentmech runs repair" in done.err
        assert "Traceback" not in done.err
    listed = agentmech("runs", "--json").document["runs"]
    assert [run["status"] for run in listed] == ["unreadable"]
    assert f":{number}:" in listed[0]["what"]
    assert journal.read_bytes() == hurt
    assert files(folder) == left


def test_row_49_repairing_copies_what_is_sound_and_the_copy_goes_on(
    agentmech: Agentmech, folder: Path, journal: Path
) -> None:
    left = files(folder)
    hurt = changed(journal, flipped(14))
    done = agentmech("runs", "repair", str(journal.parent))
    assert done.code == 0
    copy = journal.parent.with_name(f"{journal.parent.name}-repaired1")
    assert f"copied to greeter.agentmech/{copy.name}" in done.out
    assert (copy / places.JOURNAL).read_bytes() == b"".join(hurt.splitlines(keepends=True)[:13])
    assert journal.read_bytes() == hurt
    went_on = agentmech("resume", str(copy), "--no-cache", "--json")
    assert went_on.code == 0
    assert files(folder) == left
    second = agentmech("runs", "repair", str(journal.parent))
    assert f"{journal.parent.name}-repaired2" in second.out


def test_row_49_a_journal_with_nothing_sound_cannot_be_repaired(
    agentmech: Agentmech, folder: Path, journal: Path
) -> None:
    changed(journal, flipped(1))
    done = agentmech("runs", "repair", str(journal.parent))
    assert done.code == 6
    assert "not even the first line is sound" in done.err
    assert places.in_home(home(folder)) == [journal.parent]


@pytest.mark.parametrize("written", [0, FORMAT + 1, 17, None, "two", -1])
def test_row_50_a_journal_of_another_format_is_refused_with_both_versions(
    written: object, agentmech: Agentmech, folder: Path, journal: Path
) -> None:
    first = json.loads(journal.read_bytes().splitlines()[0])
    del first["crc"]
    first["data"] |= {"format": written, "version": "7.8.9", "unknown": "to us"}
    foreign = changed(journal, lambda lines: [line(first), *lines[1:]])
    for arguments in (RESUME, ("show", "greeter.yaml")):
        done = agentmech(*arguments)
        assert done.code == 6
        assert f"has format {written}, written by 7.8.9" in done.err
        assert f"reads format {FORMAT}" in done.err
    assert "7.8.9" in agentmech("runs").out
    assert journal.read_bytes() == foreign


def test_row_50_a_later_version_of_the_same_format_is_read(
    agentmech: Agentmech, folder: Path, journal: Path
) -> None:
    first = json.loads(journal.read_bytes().splitlines()[0])
    assert first["data"]["version"] == __version__
    del first["crc"]
    first["data"]["version"] = "7.8.9"
    changed(journal, lambda lines: [line(first), *lines[1:12]])
    assert agentmech(*RESUME).code == 0


def test_row_50_a_record_of_a_kind_from_the_future_is_named(
    agentmech: Agentmech, folder: Path, journal: Path
) -> None:
    strange = line({"seq": 9, "kind": "dream", "data": {}, "at": 1.0})
    changed(journal, lambda lines: [*lines[:8], strange])
    done = agentmech(*RESUME)
    assert done.code == 6
    assert "9" in done.err
    assert "dream" in done.err


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a real journal."""
    from commandline import GREETER, GREETER_TESTS
    from faults.test_disk import SCRIPT

    from finetune_fsm.api import finetune
    from finetune_fsm.llm.scripted import load_script

    folder = tmp_path_factory.mktemp("sound")
    for name, text in (
        ("greeter.yaml", GREETER),
        ("greeter.test.yaml", GREETER_TESTS),
        ("script.yaml", SCRIPT),
    ):
        (folder / name).write_text(text)
    finetune(folder / "greeter.yaml", llm=load_script(folder / "script.yaml"))
    (run,) = places.in_home(home(folder))
    return (run / places.JOURNAL).read_bytes()


@settings(max_examples=150)
@given(st.data())
def test_row_48_and_49_any_cut_is_a_prefix_and_any_flip_a_refusal(
    sound: bytes, data: st.DataObject
) -> None:
    whole = parsed(sound).records
    cut = data.draw(st.integers(0, len(sound)))
    assert parsed(sound[:cut]).records == whole[: sound[:cut].count(b"\n")]
    place = data.draw(st.integers(0, len(sound) - 1))
    hurt = bytearray(sound)
    hurt[place] ^= 1 << data.draw(st.integers(0, 7))
    last = sound.rstrip(b"\n").rfind(b"\n")
    if place > last:
        assert parsed(bytes(hurt)).records == whole[:-1]
    else:
        with pytest.raises(JournalError, match="damaged here"):
            parsed(bytes(hurt))


def test_two_commands_on_a_damaged_run_say_the_same(
    agentmech: Agentmech, folder: Path, journal: Path
) -> None:
    changed(journal, flipped(3))

    def last(done: Done) -> str:
        return done.err.strip().rpartition("error: ")[2]

    assert last(agentmech(*RESUME)) == last(agentmech("show", "greeter.yaml"))
