"""What moves on a terminal: it comes and goes, and leaves nothing behind."""

from __future__ import annotations

import io
import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from commandline import GOOD_SCRIPT, Agentmech
from hypothesis import given
from hypothesis import strategies as st

from finetune_fsm.cli.console import Console
from finetune_fsm.cli.signals import Job
from finetune_fsm.cli.status import StatusLine, watched
from finetune_fsm.llm.base import Message, Request, Stop
from finetune_fsm.llm.watch import Watch
from finetune_fsm.observers.lines import Line, Tone
from finetune_fsm.observers.progress import Standing
from finetune_fsm.reports.columns import width_of

PATIENCE = 60.0  # seconds after which a test gives up

VARIABLES = ("NO_COLOR", "FORCE_COLOR", "CI", "TERM", "COLUMNS", "GITHUB_ACTIONS")


class Tty(io.TextIOWrapper):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def console_on(
    patch: pytest.MonkeyPatch, *, tty: bool = True, encoding: str = "utf-8", **environment: str
) -> tuple[Console, io.BytesIO]:
    """A console whose streams go to the same place, as on a screen."""
    for name in VARIABLES:
        patch.delenv(name, raising=False)
    for name, value in ({"TERM": "xterm", "COLUMNS": "60"} | environment).items():
        patch.setenv(name, value)
    raw = io.BytesIO()
    kind = Tty if tty else io.TextIOWrapper
    for name in ("stdout", "stderr"):
        patch.setattr(sys, name, kind(raw, encoding, write_through=True))
    return Console(), raw


def displayed(written: str) -> list[str]:
    """What a terminal shows that was sent *written*: a small one, of endless width."""
    rows, column = [""], 0
    for token in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|[^\x1b]", written):
        if token == "\n":
            rows.append("")
            column = 0
        elif token == "\r":
            column = 0
        elif token == "\x1b[2K":
            rows[-1] = " " * len(rows[-1])
        elif token == "\x1b[K":
            rows[-1] = rows[-1][:column]
        elif not token.startswith("\x1b"):
            rows[-1] = rows[-1][:column].ljust(column) + token + rows[-1][column + 1 :]
            column += 1
    return [row.rstrip() for row in rows]


acts = st.lists(
    st.tuples(
        st.sampled_from(["line", "piece", "moving", "raw"]),
        st.booleans(),
        st.text("ab 日\n", max_size=12),
    ),
    max_size=12,
)


@given(acts)
def test_what_moved_leaves_no_trace_among_what_was_written(
    acts: list[tuple[str, bool, str]],
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        console, raw = console_on(patch)
        wanted = ""
        for what, on_err, text in acts:
            screen = console.err if on_err else console.out
            if what == "moving":
                screen.moving(lambda _, text=text: text.replace("\n", ""))
            elif what == "line":
                screen.line(Line(text, Tone.GOOD))
                wanted += f"{text}\n"
            elif what == "piece":
                screen.piece(text)
                screen.settle()
                wanted += text
            else:
                screen.raw(text)
                wanted += text
        console.settle()
        shown = displayed(raw.getvalue().decode())
    assert shown == [row.rstrip() for row in wanted.split("\n")]


@given(st.text("a日 é", max_size=80), st.integers(20, 90), st.sampled_from(["utf-8", "ascii"]))
def test_a_moving_line_never_reaches_the_edge(text: str, width: int, encoding: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        console, raw = console_on(patch, encoding=encoding, COLUMNS=str(width), NO_COLOR="1")
        console.err.moving(lambda room: (text * 3)[:room])
        shown = raw.getvalue().decode(encoding)
    assert "\n" not in shown
    if encoding == "utf-8":
        assert all(width_of(row) < width for row in displayed(shown))


def test_nothing_moves_where_a_line_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    console, raw = console_on(monkeypatch)
    console.out.piece("Your name? > \n> ")
    before = raw.getvalue()
    console.err.moving(lambda _: "news")
    assert raw.getvalue() == before
    console.out.line()
    console.err.moving(lambda _: "news")
    assert b"news" in raw.getvalue()


def under_way() -> Watch:
    watch = Watch()
    watch.begin(Request("gemma", (Message("user", "Hi"),)), "here")
    return watch


def soon(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


def test_the_line_is_there_while_something_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    console, raw = console_on(monkeypatch)
    watch = Watch()
    line = StatusLine(console, watch, Standing("RUNNING", 1, 5), stop=Stop(), every=0.01)
    call = watch.begin(Request("gemma", (Message("user", "Hi"),)), "here")
    soon(lambda: b"RUNNING 1/5 \xc2\xb7 waiting for gemma" in raw.getvalue())
    watch.end(call)
    soon(lambda: displayed(raw.getvalue().decode()) == [""])
    line.close()
    line.close()
    console.out.line("done")
    assert displayed(raw.getvalue().decode()) == ["done", ""]
    assert b"\x1b[?25" not in raw.getvalue()  # the cursor was never hidden


@pytest.mark.parametrize(
    ("tty", "environment"),
    [(False, {}), (True, {"CI": "true"}), (True, {"TERM": "dumb"}), (False, {"FORCE_COLOR": "1"})],
)
def test_where_nothing_can_move_a_line_tells_now_and_then(
    tty: bool, environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    console, raw = console_on(monkeypatch, tty=tty, **environment)
    watch, standing = under_way(), Standing("RUNNING", 1, 5)
    line = StatusLine(console, watch, standing, stop=Stop(), every=0.01, heartbeat=0.3)
    soon(lambda: raw.getvalue().count(b"\n") >= 2)
    line.close()
    shown = re.sub(r"\x1b\[[0-9;]*m", "", raw.getvalue().decode())
    assert "\r" not in shown
    assert shown.startswith("… RUNNING 1/5 · waiting for gemma\n")
    assert ("\x1b" in raw.getvalue().decode()) == (
        "FORCE_COLOR" in environment or environment == {"CI": "true"}
    )


def test_nothing_is_told_while_nothing_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    console, raw = console_on(monkeypatch, tty=False)
    line = StatusLine(console, Watch(), Standing("X"), stop=Stop(), every=0.01, heartbeat=0.0)
    time.sleep(0.2)
    line.close()
    assert raw.getvalue() == b""


def test_a_quiet_command_has_no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    console, _ = console_on(monkeypatch)
    console.quiet = True
    assert watched(console, Job(), Standing()) is None


def test_a_reader_that_left_ends_the_line_quietly(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    console, _ = console_on(monkeypatch, tty=False)
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", encoding="utf-8") as stream:
        monkeypatch.setattr(console.err, "_stream", stream)
        line = StatusLine(
            console, under_way(), Standing("X"), stop=Stop(), every=0.01, heartbeat=0.0
        )
        soon(lambda: not line._thread.is_alive())
        line.close()
        with pytest.raises(BrokenPipeError):
            stream.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), writer)
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("tty", "environment", "choice", "coloured"),
    [
        (True, {}, "auto", True),
        (True, {}, "never", False),
        (True, {"FORCE_COLOR": "1"}, "never", False),
        (False, {}, "always", True),
        (False, {"NO_COLOR": "1"}, "always", True),
        (False, {"TERM": "dumb"}, "always", True),
        (False, {"NO_COLOR": "1", "FORCE_COLOR": "1"}, "auto", True),
        (True, {"NO_COLOR": "1"}, "auto", False),
        (False, {}, "auto", False),
    ],
)
def test_the_option_goes_before_the_variables_and_these_before_the_terminal(
    tty: bool,
    environment: Mapping[str, str],
    choice: str,
    coloured: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    console, raw = console_on(monkeypatch, tty=tty, **environment)
    console.paint(choice)
    console.out.line(Line("news", Tone.GOOD))
    assert (b"\x1b[32mnews" in raw.getvalue()) == coloured


def test_commands_take_the_option(agentmech: Agentmech, greeter: Path) -> None:
    given_options = ("test", greeter, "--llm", f"script:{greeter.parent}/good.yaml")
    assert "\x1b[" not in agentmech(*given_options).out
    assert "\x1b[32m" in agentmech(*given_options, "--color", "always").out
    assert agentmech(*given_options, "--color", "pink").code == 2


SLOW = GOOD_SCRIPT.replace("{purpose: state,", "{purpose: state, seconds: 1.5,")


@pytest.mark.parametrize(
    ("options", "environment", "moves"),
    [((), {}, True), (("-q",), {}, False), ((), {"CI": "true"}, False)],
)
def test_on_a_real_terminal_the_command_says_what_it_waits_for(
    options: tuple[str, ...], environment: Mapping[str, str], moves: bool, greeter: Path
) -> None:
    (greeter.parent / "slow.yaml").write_text(SLOW)
    kept = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    master, slave = pty.openpty()
    command = ("test", "greeter.yaml", "--llm", "script:slow.yaml", "-j", "1", *options)
    with subprocess.Popen(
        [sys.executable, "-m", "finetune_fsm", *command],
        cwd=greeter.parent,
        env=kept | {"TERM": "xterm", "PYTHONIOENCODING": "utf-8"} | environment,
        stdin=slave,
        stdout=slave,
        stderr=slave,
    ) as process:
        os.close(slave)
        shown = _all_of(master)
        assert process.wait(PATIENCE) == 0, shown
    os.close(master)
    assert ("waiting for m" in shown) == moves
    assert ("scenario 1/2" in shown) == moves
    assert ("\x1b[2K" in shown) == moves
    assert "2 of 2 passed" in shown
    assert "waiting" not in "".join(displayed(shown.replace("\r\n", "\n")))


def _all_of(master: int) -> str:
    data, end = b"", time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if select.select([master], [], [], 0.1)[0]:
            try:
                part = os.read(master, 65_536)
            except OSError:  # the last one has closed it
                break
            data += part
    return data.decode("utf-8", "replace")
