"""A document in pieces."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from finetune_fsm.knowledge.chunks import chunks_of, pieces

LINES = st.lists(st.text(st.sampled_from("ab \té.\u2028"), max_size=14), max_size=12)
DOCUMENTS = LINES.map("\n".join)
SIZES = st.integers(1, 20)


@given(DOCUMENTS, SIZES)
def test_the_pieces_of_a_text_are_the_text(text: str, size: int) -> None:
    found = list(pieces(text, size))
    assert "".join(found) == text
    assert all(0 < len(piece) <= size for piece in found)


@given(DOCUMENTS, SIZES)
@example("aaaa bbbb\ncc", 6)
def test_a_line_that_fits_is_never_cut(text: str, size: int) -> None:
    ends = {0}
    for line in text.splitlines(keepends=True):
        ends.add(max(ends) + len(line))
    position = 0
    for piece in pieces(text, size):
        position += len(piece)
        begun = max(end for end in ends if end <= position)
        line = text[begun : min((end for end in ends if end > position), default=begun)]
        assert position in ends or len(line) > size


@given(DOCUMENTS, SIZES)
def test_two_pieces_that_would_fit_together_are_one(text: str, size: int) -> None:
    found = list(pieces(text, size))
    lines = {line for line in text.splitlines(keepends=True) if len(line) <= size}
    for one, other in pairwise(found):
        first_line = other.splitlines(keepends=True)[0]
        if first_line in lines and one.endswith("\n"):
            assert len(one) + len(first_line) > size


@given(DOCUMENTS, SIZES)
def test_chunks_are_numbered_and_hold_every_word(text: str, size: int) -> None:
    found = chunks_of("a/b.md", text, size)
    assert [chunk.id for chunk in found] == [f"a/b.md_chunk_{n}" for n in range(len(found))]
    assert "".join("".join(chunk.text for chunk in found).split()) == "".join(text.split())
    assert all(chunk.text.strip() for chunk in found)


def test_a_long_line_is_split_after_a_space_where_there_is_one() -> None:
    assert list(pieces("one two three four", 8)) == ["one two ", "three ", "four"]
    assert list(pieces("x" * 10, 4)) == ["xxxx", "xxxx", "xx"]


def test_lines_are_gathered_and_blank_ends_left_out() -> None:
    text = "# Title\n\n  indented\nlast\n\n\n"
    assert [chunk.text for chunk in chunks_of("d", text, 21)] == ["# Title\n\n  indented", "last"]
    assert chunks_of("d", " \n\n\t\n", 5) == ()
