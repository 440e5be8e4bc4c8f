from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from finetune_fsm.sinks import clean, one_line, slug

DANGEROUS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
ANY = st.text(st.characters(codec=None, exclude_categories=()))


@given(ANY)
def test_clean_text_steers_no_screen_and_can_be_written(text: str) -> None:
    shown = clean(text)
    assert not DANGEROUS.search(shown)
    shown.encode("utf-8")


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126) | st.sampled_from("\n\tä日🎉")))
def test_harmless_text_stays_as_it_is_and_cleaning_twice_changes_nothing(text: str) -> None:
    assert clean(text) == text
    assert clean(clean(text)) == clean(text)


@given(ANY, st.integers(1, 50))
def test_a_line_is_one_line_and_no_longer_than_allowed(text: str, limit: int) -> None:
    line = one_line(text, limit=limit)
    assert len(line) <= limit
    assert "\n" not in line


@given(ANY)
def test_a_slug_is_a_safe_file_name(text: str) -> None:
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,48}[a-z0-9])?", slug(text))


def test_a_cut_is_said() -> None:
    assert clean("x" * 30, limit=10) == "x" * 10 + "… 20 more characters"
    assert clean("\x1b[2J\u202e\r\n") == "\\x1b[2J\\u202e\n"
