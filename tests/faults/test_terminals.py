"""Poor terminals, poor encodings and readers that leave, on real processes.

The numbers are rows of the fault matrix: 45 a reader that goes away, 56 an encoding that cannot
say everything, 57 a terminal that can do little, or none.
"""

from __future__ import annotations

import os
import pty
import re
import select
import struct
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path

import pytest
from commandline import GOOD_SCRIPT, GREETER, GREETER_TESTS

PATIENCE = 30.0  # seconds after which a test gives up

REPLY = "Grüße 日本 🎈 \\u202e \\x1b[2J {{who}}!"

ENCODINGS: Mapping[str, Mapping[str, str]] = {
    "locale C": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "cp1252": {"PYTHONIOENCODING": "cp1252"},
}
NAMES = {"locale C": "ascii", "ascii": "ascii", "cp1252": "cp1252"}

COMMANDS: Sequence[tuple[tuple[str, ...], int]] = (
    (("run", "greeter.yaml", "--input", "ask=Ünal 中"), 0),
    (("run", "greeter.yaml", "--input", "ask=Al", "-vv"), 0),
    (("run", "greeter.yaml", "--input", "ask=Al", "--json"), 0),
    (("test", "greeter.yaml"), 1),
    (("test", "greeter.yaml", "-f", "json"), 1),
    (("test", "greeter.yaml", "-f", "junit"), 1),
    (("test", "greeter.yaml", "-f", "markdown"), 1),
    (("test", "greeter.yaml", "-f", "csv"), 1),
    (("test", "greeter.yaml", "-f", "github"), 1),
    (("validate", "greeter.yaml", "Größe 日本.yaml"), 2),
    (("graph", "greeter.yaml"), 0),
    (("finetune", "greeter.yaml", "-i", "1"), 1),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The greeter, whose model says what few encodings can."""
    (tmp_path / "greeter.yaml").write_text(GREETER.replace("Your name", "Wie heißt du — 名前"))
    tests = GREETER_TESTS.replace("Greets Bob", "Grüßt 中 🎈")
    tests = tests.replace("target: greeting, value: Bob", "target: greeting, value: Bö 中")
    (tmp_path / "greeter.test.yaml").write_text(tests)
    script = GOOD_SCRIPT.replace("Hello {{who}}!", REPLY).replace("Fine as it is.", "Gut — 良い。")
    (tmp_path / "good.yaml").write_text(script)
    (tmp_path / "Größe 日本.yaml").write_text("name: ←\n")
    return tmp_path


def arguments(given: Sequence[str]) -> list[str]:
    """The command line of *given*, with the scripted model where one is asked."""
    model = ("--llm", "script:good.yaml") if given[0] in ("run", "test", "finetune") else ()
    return [sys.executable, "-m", "finetune_fsm", *given, *model]


def environment(folder: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LC_")}
    for name in ("PYTHONIOENCODING", "NO_COLOR", "FORCE_COLOR", "CI", "TERM", "COLUMNS", "LINES"):
        kept.pop(name, None)
    return {**kept, "HOME": str(folder), **more}


def finished(given: Sequence[str], folder: Path, **more: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        arguments(given),
        cwd=folder,
        env=environment(folder, **more),
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=PATIENCE,
        check=False,
    )


@pytest.mark.parametrize(
    ("name", "given", "code"),
    [  # each command in one of them, two of them in two
        (name, *command)
        for name, command in zip(cycle(ENCODINGS), (*COMMANDS, COMMANDS[-1], COMMANDS[0]))
    ],
    ids=lambda value: str(value)[:40],
)
def test_row_56_an_encoding_that_cannot_say_all_costs_no_run(
    name: str, given: tuple[str, ...], code: int, folder: Path
) -> None:
    done = finished(given, folder, **ENCODINGS[name])
    assert done.returncode == code, done.stderr
    for stream in (done.stdout, done.stderr):
        text = stream.decode(NAMES[name])
        assert "Traceback" not in text
        assert "UnicodeEncodeError" not in text
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", text)


def test_row_56_what_the_encoding_has_not_is_written_as_an_escape(folder: Path) -> None:
    given = ("run", "greeter.yaml", "--input", "ask=Al")
    poor = finished(given, folder, PYTHONIOENCODING="ascii")
    assert poor.stdout == b"Gr\\xfc\\xdfe \\u65e5\\u672c \\U0001f388 \\u202e \\x1b[2J Al!\n"
    assert b"-> greet" in poor.stderr
    western = finished(given, folder, PYTHONIOENCODING="cp1252")
    assert western.stdout.startswith("Grüße \\u65e5".encode("cp1252"))


class Screen:
    """A pseudo-terminal of a given size, and what a process wrote on it."""

    def __init__(
        self, given: Sequence[str], folder: Path, size: tuple[int, int], term: str
    ) -> None:
        columns, rows = size
        master, slave = pty.openpty()
        fcntl_ioctl(slave, struct.pack("HHHH", rows, columns, 0, 0))
        variables = {"TERM": term} if term else {}
        with subprocess.Popen(
            arguments(given),
            cwd=folder,
            env=environment(folder, **variables),
            stdin=slave,
            stdout=slave,
            stderr=slave,
        ) as process:
            os.close(slave)
            self.text = _read_all(master, process)
            self.code = process.wait(PATIENCE)
        os.close(master)


def fcntl_ioctl(handle: int, size: bytes) -> None:
    """Give the terminal its size."""
    import fcntl
    import termios

    fcntl.ioctl(handle, termios.TIOCSWINSZ, size)


def _read_all(master: int, process: subprocess.Popen[bytes]) -> str:
    data = b""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if select.select([master], [], [], 0.1)[0]:
            try:
                part = os.read(master, 65_536)
            except OSError:  # the last one has closed it
                break
            data += part
        elif process.poll() is not None:
            break
    else:
        process.kill()
    return data.decode("utf-8", "replace").replace("\r\n", "\n")


SESSIONS: Sequence[tuple[tuple[str, ...], int, str]] = (
    (("finetune", "greeter.yaml", "-i", "1"), 1, "Total iterations: 1"),
    (("test", "greeter.yaml"), 1, "1 of 2 passed"),
    (("run", "greeter.yaml", "--input", "ask=Al"), 0, "Al!"),
)


@pytest.mark.parametrize(
    ("term", "size"),
    [
        ("dumb", (20, 24)),
        ("dumb", (80, 0)),
        ("", (20, 24)),
        ("xterm-256color", (20, 24)),
        ("xterm-256color", (80, 0)),
        ("xterm-256color", (0, 0)),
        ("xterm-256color", (1, 1)),
    ],
)
def test_row_57_a_small_or_dumb_terminal_shows_every_word(
    term: str, size: tuple[int, int], folder: Path
) -> None:
    for given, code, words in SESSIONS:
        shown = Screen(given, folder, size, term)
        assert shown.code == code, shown.text
        assert "Traceback" not in shown.text
        plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.text)
        # Lines are never folded by us: a terminal folds them, and a copy of them stays whole.
        assert words in plain
        assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", plain)
        if term == "dumb":
            assert "\x1b" not in shown.text


@pytest.mark.parametrize("more", [{"TERM": "dumb"}, {"TERM": "xterm", "COLUMNS": "20"}])
def test_row_57_without_a_terminal_nothing_moves_and_nothing_is_coloured(
    more: dict[str, str], folder: Path
) -> None:
    for given, code, words in SESSIONS:
        done = finished(given, folder, PYTHONIOENCODING="utf-8", **more)
        assert done.returncode == code
        assert words in done.stdout.decode()
        assert b"\x1b" not in done.stdout + done.stderr
        assert b"\r" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("given", "codes"),
    [
        (("finetune", "greeter.yaml", "-i", "1"), (1, 141)),
        (("test", "greeter.yaml", "-f", "json"), (1, 141)),
        (("test", "greeter.yaml"), (1, 141)),
        (("validate", *["greeter.yaml"] * 2, "--json"), (0, 141)),
    ],
)
def test_row_45_a_reader_that_takes_one_line_ends_the_rest_quietly(
    given: tuple[str, ...], codes: tuple[int, ...], folder: Path
) -> None:
    with subprocess.Popen(
        arguments(given),
        cwd=folder,
        env=environment(folder, PYTHONIOENCODING="utf-8"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        told = process.stderr.read().decode()
        process.wait(PATIENCE)
    # A pipe holds some text: what was written before the reader left may have been all.
    assert process.returncode in codes
    assert "Traceback" not in told
    assert "Exception" not in told
    assert "Broken" not in told


def test_row_45_a_reader_that_left_before_is_missed(folder: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    for given in (("validate", "greeter.yaml"), ("test", "greeter.yaml"), ("--help",)):
        done = subprocess.run(
            arguments(given),
            cwd=folder,
            env=environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=writer,
            stderr=subprocess.PIPE,
            timeout=PATIENCE,
            check=False,
        )
        assert (done.returncode, done.stderr) == (141, b"")
    os.close(writer)
