"""What reaches a stream: no control byte, whatever the text, the encoding and the terminal."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_fsm.cli.console import Console, Screen, document
from finetune_fsm.observers.lines import Line, Tone
from finetune_fsm.sinks import look_again

UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
ENCODINGS = ("utf-8", "ascii", "cp1252", "latin-1", "cp437", "utf-16")


class Tty(io.TextIOWrapper):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def written(encoding: str, text: str, tone: Tone = Tone.PLAIN) -> str:
    raw = io.BytesIO()
    screen = Screen(io.TextIOWrapper(raw, encoding, write_through=True))
    screen.line(Line(text, tone))
    screen.piece(text)
    screen.settle()
    return raw.getvalue().decode(encoding)


@given(st.text(), st.sampled_from(ENCODINGS))
def test_no_control_character_of_any_text_is_written(text: str, encoding: str) -> None:
    assert not UNSAFE.search(written(encoding, text).replace("\ufeff", ""))


@given(st.text(st.characters(codec="ascii", categories=("L", "N", "P", "Z"))))
def test_plain_text_is_written_as_it_is(text: str) -> None:
    assert written("utf-8", text) == f"{text}\n{text}"


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "cp437"])
def test_the_signs_of_the_session_have_stand_ins(encoding: str) -> None:
    shown = written(encoding, "📊 ITERATION 1/5 ════ ──── ✅ done ❌ no 💡 📋 → — …")
    assert "ITERATION 1/5" in shown
    assert "\\u" not in shown
    assert "\\U" not in shown


def test_utf_8_keeps_the_signs() -> None:
    assert written("utf-8", "📊 ═ ✅").splitlines()[0] == "📊 ═ ✅"


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(-1e9, 1e9) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)  # fmt: skip


@given(plain)
def test_a_document_is_pure_ascii_and_reads_back_equal(value: object) -> None:
    text = document(value)
    assert re.fullmatch(r"[\n -~]*", text)
    assert json.loads(text) == value


def on_terminal(monkeypatch: pytest.MonkeyPatch, **environment: str) -> Screen:
    for name in ("NO_COLOR", "FORCE_COLOR", "CI", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return Screen(Tty(io.BytesIO(), "utf-8", write_through=True))


def text_of(screen: Screen) -> str:
    return screen._stream.buffer.getvalue().decode()  # type: ignore[attr-defined]


def test_a_terminal_shows_colours_and_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = on_terminal(monkeypatch, TERM="xterm")
    assert (screen.interactive, screen.coloured) == (True, True)
    screen.progress("scenario", 1, 3)
    screen.line(Line("good [/INST] [bold]news", Tone.GOOD))
    screen.settle()
    shown = text_of(screen)
    assert "\x1b[32mgood [/INST] [bold]news" in shown
    assert "1/3" in shown


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [
        ({"TERM": "dumb"}, False),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
        ({"TERM": "xterm", "NO_COLOR": "1", "FORCE_COLOR": "1"}, True),
        ({"TERM": "xterm", "NO_COLOR": ""}, True),
    ],
)
def test_colours_follow_the_usual_variables(
    environment: dict[str, str], coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = on_terminal(monkeypatch, **environment)
    screen.line(Line("news", Tone.GOOD))
    assert screen.coloured == coloured
    assert ("\x1b[32m" in text_of(screen)) == coloured


@pytest.mark.parametrize("environment", [{"TERM": "dumb"}, {"TERM": "xterm", "CI": "true"}])
def test_nothing_moves_where_nobody_watches(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = on_terminal(monkeypatch, **environment)
    screen.progress("scenario", 1, 3)
    assert text_of(screen) == ""


@given(st.text(), st.sampled_from(Tone))
def test_on_a_terminal_the_text_itself_steers_nothing(text: str, tone: Tone) -> None:
    with pytest.MonkeyPatch.context() as patch:
        screen = on_terminal(patch, TERM="xterm")
        screen.line(Line(text, tone))
        ours = re.sub(r"\x1b\[[0-9;]*m", "", text_of(screen))
    assert not UNSAFE.search(ours)


def test_a_silenced_screen_writes_nothing() -> None:
    raw = io.BytesIO()
    screen = Screen(io.TextIOWrapper(raw, "utf-8", write_through=True))
    screen.silence()
    screen.line("a")
    screen.piece("b")
    screen.raw("c")
    screen.progress("d", 1, 2)
    assert raw.getvalue() == b""


def test_colour_can_be_forced_into_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setitem(os.environ, "TERM", "xterm")
    assert "\x1b[31m" in written("utf-8", "bad", Tone.BAD)


KEY = "sk-0123456789-abcdef"


def in_pieces(text: str, size: int, encoding: str = "utf-8") -> str:
    raw = io.BytesIO()
    screen = Screen(io.TextIOWrapper(raw, encoding, write_through=True))
    for start in range(0, len(text), size):
        screen.piece(text[start : start + size])
    screen.settle()
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize("size", range(1, 30))
def test_a_secret_that_comes_in_pieces_is_not_shown(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_API_KEY", KEY)
    Console()  # a command looks at its environment
    text = f"the key is {KEY}, see http://user:pass@host/\nAuthorization: Bearer {KEY}.\n"
    assert in_pieces(text, size) == ("the key is ***, see http://***@host/\nAuthorization: ***\n")


def test_ordinary_words_are_shown_as_they_come() -> None:
    raw = io.BytesIO()
    screen = Screen(io.TextIOWrapper(raw, "utf-8", write_through=True))
    shown = []
    for piece in ("One ", "two ", "日本", "語。", "three", " four"):
        screen.piece(piece)
        shown.append(raw.getvalue().decode())
    assert shown == [
        "One ",
        "One two ",
        "One two 日本",
        "One two 日本語。",
        "One two 日本語。",  # a word may become the beginning of something
        "One two 日本語。three ",
    ]
    screen.line("end")
    assert raw.getvalue().decode() == "One two 日本語。three fourend\n"


@given(
    st.lists(st.text() | st.sampled_from(["\n", "::", "::error::x", " ", "##[", "##[error]x"])),
    st.booleans(),
)
def test_on_github_s_runner_no_text_becomes_a_command(pieces: list[str], lines: bool) -> None:
    raw = io.BytesIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GITHUB_ACTIONS", "true")
        screen = Screen(io.TextIOWrapper(raw, "utf-8", write_through=True))
        for piece in pieces:
            (screen.line if lines else screen.piece)(piece)
        screen.settle()
    shown = raw.getvalue().decode()
    assert not any(line.lstrip().startswith("::") for line in shown.split("\n"))
    assert "##[" not in shown


def test_a_document_shows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_KEY", KEY)
    console = Console(json=True)
    del console
    assert json.loads(document({"a": [KEY, f"x{KEY}"], KEY: 1})) == {"a": ["***", "x***"], "***": 1}


@pytest.fixture(autouse=True)
def _look_again_afterwards() -> Iterator[None]:
    yield
    look_again()
