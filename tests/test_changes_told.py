"""Changes as a session tells them: whole, safe, and with the changed words standing out."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_fsm.cli.console import Console, Screen
from finetune_fsm.improve.model import Attempt, Draft, Strategy
from finetune_fsm.observers.changes import LONGEST, diff_lines, drafted
from finetune_fsm.observers.lines import Line, Tone
from finetune_fsm.reports.columns import width_of
from finetune_fsm.sinks import clean, look_again
from finetune_fsm.workflow.edits import Edit, EditOp

HOSTILE = st.text(max_size=60) | st.sampled_from(
    ["\x1b[2J", "\x1b]52;c;aGk=\x07", "[/INST]", "\u202e", "\x9b31m", "\r\n", "\x00", "::error::x"]
)
CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]")

OLD = "states:\n  sort:\n    prompt: What do you think of it? {{review}}\n    save_as: mood\n"
NEW = OLD.replace("think of it?", "think of it? Answer good or bad.")


@given(HOSTILE, HOSTILE)
def test_any_texts_become_harmless_lines_that_hold_all_that_changed(old: str, new: str) -> None:
    lines = list(diff_lines(old, new))
    assert not any(CONTROL.search(line.text) for line in lines)
    before, after = clean(old).split("\n"), clean(new).split("\n")
    told = {tone: [ln.text[1:] for ln in lines if ln.tone is tone] for tone in Tone}
    assert sorted(set(before) - set(after)) == sorted(set(told[Tone.REMOVED]) - set(after))
    assert sorted(set(after) - set(before)) == sorted(set(told[Tone.ADDED]) - set(before))


@given(HOSTILE, HOSTILE)
def test_marks_stand_inside_their_line_behind_its_sign(old: str, new: str) -> None:
    for line in diff_lines(f"kept words here {old}", f"kept words here {new}", indent="  "):
        assert all(3 <= start < end <= len(line.text) for start, end in line.marks)


def test_the_words_that_changed_are_the_marked_ones() -> None:
    lines = list(diff_lines(OLD, NEW, indent="  "))
    assert [line.text for line in lines] == [
        "  @@ -1,4 +1,4 @@",
        "   states:",
        "     sort:",
        "  -    prompt: What do you think of it? {{review}}",
        "  +    prompt: What do you think of it? Answer good or bad. {{review}}",
        "       save_as: mood",
    ]
    marked = [line.text[start:end] for line in lines for start, end in line.marks]
    assert marked == ["Answer good or bad. "]


def test_a_secret_is_hidden_even_where_a_change_goes_through_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key = "sk-0123456789-abcdef"
    monkeypatch.setenv("MY_API_KEY", key)
    Console()  # a command looks at its environment
    lines = list(diff_lines(f"say {key} now", f"say {key} and {key[:-6]}x then"))
    assert [line.text for line in lines[1:]] == [
        "-say *** now",
        f"+say *** and {key[:-6]}x then",
    ]


def test_a_draft_is_told_with_its_reason_and_its_scenarios() -> None:
    edit = Edit(EditOp.SET, ("states", "sort", "prompt"), "x", "because of this")
    names = tuple(f"S{n}" for n in range(6))
    draft = Draft(Attempt(Strategy.REWRITE, 0), (edit,), NEW, "it says too little", names)
    told = [line.text for line in drafted(draft, OLD)]
    assert told[:3] == [
        "  it says too little",
        "  Meant for: 'S0', 'S1', 'S2', 'S3' and 2 more",
        "  - set sort.prompt: because of this",
    ]
    assert told[3:] == [line.text for line in diff_lines(OLD, NEW, indent="    ")]


def test_of_a_long_diff_the_rest_is_counted() -> None:
    lines = list(diff_lines("", "\n".join(map(str, range(LONGEST + 10)))))
    assert len(lines) == LONGEST + 1
    assert lines[-1].text == "… 12 more lines of the diff"


class Tty(io.TextIOWrapper):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def shown(line: Line, monkeypatch: pytest.MonkeyPatch, **environment: str) -> str:
    for name in ("NO_COLOR", "FORCE_COLOR", "CI", "TERM", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ({"TERM": "xterm"} | environment).items():
        monkeypatch.setenv(name, value)
    raw = io.BytesIO()
    stream = Tty(raw, "utf-8", write_through=True)
    Screen(stream).line(line)
    return raw.getvalue().decode()


def test_marked_words_stand_out_where_colours_do(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line("+ two three", Tone.ADDED, ((2, 5),))
    assert (
        shown(line, monkeypatch) == "\x1b[32m+ \x1b[0m\x1b[7;32mtwo\x1b[0m\x1b[32m three\x1b[0m\n"
    )
    assert shown(line, monkeypatch, NO_COLOR="1") == "+ two three\n"


def test_marks_are_dropped_where_the_stream_changes_the_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    line = Line("+ \x1b two", Tone.ADDED, ((4, 7),))
    assert "\x1b[7" not in shown(line, monkeypatch)


word = st.text("ab日本 ", min_size=1, max_size=8).filter(str.strip)
words = st.lists(word, min_size=12, max_size=40)


@given(words.map(" ".join), st.integers(40, 90))
def test_a_line_that_hangs_is_folded_at_words_and_fits_the_terminal(text: str, width: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        folded = shown(Line(f"  + {text}", hang=6), patch, COLUMNS=str(width), NO_COLOR="1")
        whole = shown(Line(f"  + {text}", hang=6), patch, COLUMNS="30", NO_COLOR="1")
        in_ci = shown(Line(f"  + {text}", hang=6), patch, COLUMNS=str(width), CI="true")
    rows = folded.rstrip("\n").split("\n")
    assert all(width_of(row.rstrip()) <= width for row in rows)
    assert all(row.startswith("      ") for row in rows[1:])
    assert "".join(folded.split()) == "".join(f"+ {text}".split())
    assert whole.split("\n")[1:] == [""]
    assert in_ci.split("\n")[1:] == [""]


@pytest.fixture(autouse=True)
def _look_again_afterwards() -> Iterator[None]:
    yield
    look_again()
