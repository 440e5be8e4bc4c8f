"""What is sent: whoever joins when, and whatever was sent before, ends with the same page."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_fsm.serve.markup import Markup
from finetune_fsm.serve.views import Changes, Growing, Part, Rows, View, event, growing

markups = st.text("ab<>", max_size=3).map(Markup)
views = st.tuples(
    st.builds(Part, st.just("p"), markups),
    st.builds(Rows, st.just("r"), st.lists(markups, max_size=4).map(tuple)),
    st.builds(Growing, st.just("t"), st.text("ab", max_size=4)),
)


class Reader:
    """A page as the script keeps it."""

    def __init__(self) -> None:
        self.parts: dict[str, str] = {}
        self.rows: dict[str, list[str]] = {}
        self.texts: dict[str, str] = {}

    def take(self, told: str) -> None:
        head, body = told.split("\n", 1)
        data = json.loads(body.removeprefix("data: "))
        match head.removeprefix("event: "):
            case "part":
                self.parts[data["name"]] = data["html"]
            case "rows":
                rows = self.rows.setdefault(data["name"], [])
                rows[data["from"] :] = data["html"]
            case "text":
                before = self.texts.get(data["name"], "") if data["more"] else ""
                self.texts[data["name"]] = before + data["text"]

    def shows(self, view: View) -> bool:
        part, rows, text = view
        assert isinstance(part, Part)
        assert isinstance(rows, Rows)
        assert isinstance(text, Growing)
        return (
            self.parts["p"] == part.content
            and tuple(self.rows["r"]) == rows.rows
            and self.texts["t"] == growing(text.text)
        )


@given(st.lists(views, min_size=1, max_size=8), st.integers(0, 7))
def test_a_reader_who_joins_at_any_time_ends_with_the_last_view(
    looks: Sequence[View], joined: int
) -> None:
    reader, changes = Reader(), Changes()
    for view in looks[min(joined, len(looks) - 1) :]:
        for told in changes.since(view):
            reader.take(told)
    assert reader.shows(looks[-1])


@given(views)
def test_what_has_not_changed_is_not_sent_again(view: View) -> None:
    changes = Changes()
    list(changes.since(view))
    assert not list(changes.since(view))


@given(st.text(max_size=40), st.lists(st.integers(0, 39), max_size=5))
def test_a_text_that_grows_is_whole_in_the_end(text: str, cuts: list[int]) -> None:
    reader, changes = Reader(), Changes()
    for cut in (*sorted(cuts), len(text)):
        for told in changes.since((Growing("t", text[:cut]),)):
            reader.take(told)
    assert reader.texts["t"] == growing(text)


def test_a_secret_is_not_shown_while_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    from finetune_fsm.sinks import look_again

    monkeypatch.setenv("MY_API_KEY", "abcdefgh12345678")
    look_again()
    try:
        for end in range(1, 17):
            assert growing(f"It is {'abcdefgh12345678'[:end]}")[6:] in ("", "***")
        whole = growing("It is abcdefgh12345678, and this is what follows it.")
        assert whole.startswith("It is ***, and this")
    finally:
        monkeypatch.delenv("MY_API_KEY")
        look_again()


@given(st.text())
def test_an_event_is_one_event_whatever_it_holds(text: str) -> None:
    told = event("part", {"html": text})
    assert told.isascii()
    assert told.count("\n") == 3
    assert told.endswith("\n\n")
