"""Diffs: they lead from one text to the other, and mark what differs and nothing else."""

from __future__ import annotations

import difflib
import re
import time
from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from finetune_fsm.reports.differences import DiffKind, DiffLine, differences, unified

WORDS = (
    "name",
    "the",
    "a",
    "{{message}}",
    "  ",
    " ",
    ", ",
    ":",
    "'",
    "-",
    "+",
    "日本",
    "\t",
    "\r",
    "é",
    "@@",
)

lines = st.lists(st.sampled_from(WORDS), max_size=6).map("".join)
texts = st.lists(lines, max_size=12).map("\n".join) | st.text(max_size=30)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[str, str]:
    """Two texts, related more often than not."""
    old = draw(texts)
    if draw(st.booleans()):
        return old, draw(texts)
    rows = old.split("\n")
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(rows)))
        rows[at : at + draw(st.integers(0, 2))] = draw(st.lists(lines, max_size=2))
    return old, "\n".join(rows)


def applied(old: str, diff: Sequence[DiffLine]) -> str:
    """What *diff* makes of *old*: an applier of its own, by line numbers alone."""
    gone = {line.old for line in diff if line.kind is DiffKind.REMOVED}
    rows = [text for n, text in enumerate(old.split("\n"), 1) if n not in gone]
    for line in diff:
        if line.kind is DiffKind.ADDED:
            rows.insert(line.new - 1, line.text)
    return "\n".join(rows)


contexts = st.integers(0, 4)


@given(pairs(), contexts)
@example(("a\n", "a"), 2)
@example(("", "\n"), 0)
def test_applying_the_diff_to_the_old_text_gives_the_new_one(
    pair: tuple[str, str], context: int
) -> None:
    old, new = pair
    assert applied(old, differences(old, new, context=context)) == new


@given(pairs(), contexts)
def test_lines_carry_their_numbers_and_stand_as_in_the_texts(
    pair: tuple[str, str], context: int
) -> None:
    before, after = (text.split("\n") for text in pair)
    last = (0, 0)
    for line in differences(*pair, context=context):
        if line.old:
            assert before[line.old - 1] == line.text
        if line.new:
            assert after[line.new - 1] == line.text
        in_texts = (line.kind is not DiffKind.ADDED, line.kind is not DiffKind.REMOVED)
        if line.kind is not DiffKind.PLACE:
            assert (bool(line.old), bool(line.new)) == in_texts
            assert line.old > last[0] or line.new > last[1]
            last = (line.old or last[0], line.new or last[1])


@given(texts, contexts)
def test_equal_texts_have_no_differences(text: str, context: int) -> None:
    assert differences(text, text, context=context) == ()


def blocks(diff: Sequence[DiffLine]) -> list[list[DiffLine]]:
    """The changes: neighbouring lines that are removed or added."""
    found: list[list[DiffLine]] = [[]]
    for line in diff:
        if line.kind in (DiffKind.REMOVED, DiffKind.ADDED):
            found[-1].append(line)
        elif found[-1]:
            found.append([])
    return [block for block in found if block]


def unmarked(block: Sequence[DiffLine], kind: DiffKind) -> str:
    return "".join(
        piece for line in block if line.kind is kind for piece, marked in line.pieces if not marked
    )


@given(pairs())
@example(("say a, b", "say c, d"))
def test_without_what_is_marked_old_and_new_read_the_same(pair: tuple[str, str]) -> None:
    for block in blocks(differences(*pair)):
        assert unmarked(block, DiffKind.REMOVED) == unmarked(block, DiffKind.ADDED)


@given(pairs())
def test_marks_stand_in_order_inside_their_line_and_apart(pair: tuple[str, str]) -> None:
    for line in differences(*pair):
        assert "".join(piece for piece, _ in line.pieces) == line.text
        ends = [0, *(end for _, end in line.marks)]
        for number, ((start, end), last) in enumerate(zip(line.marks, ends, strict=False)):
            assert start < end <= len(line.text)
            assert start > last or (number == 0 and start == 0)
        if line.kind in (DiffKind.SAME, DiffKind.PLACE):
            assert line.marks == ()


word = st.text("abcdefg", min_size=3, max_size=8)


@given(st.lists(word, min_size=5, max_size=9, unique=True), st.data())
def test_a_word_put_into_a_line_is_the_only_one_marked(
    words: list[str], data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(words) - 1))
    first, *rest = words
    old, new = " ".join(rest), " ".join((*rest[:at], first, *rest[at:]))
    _, minus, plus = differences(old, new)
    assert minus.marks == ()
    assert [piece.strip() for piece, marked in plus.pieces if marked] == [first]
    assert plus.partly


def test_the_words_that_changed_are_marked_over_several_lines() -> None:
    old = 'prompt: "What is it about?"\nnext: end\n'
    new = 'prompt: "What is it about? Answer with one word:\n  billing or account"\nnext: end\n'
    shown = differences(old, new)
    assert list(unified(shown)) == [
        "@@ -1,2 +1,3 @@",
        '-prompt: "What is it about?"',
        '+prompt: "What is it about? Answer with one word:',
        '+  billing or account"',
        " next: end",
    ]
    marked = [piece for line in shown for piece, is_marked in line.pieces if is_marked]
    assert marked == [" Answer with one word:", "  billing or account"]


def test_passages_that_have_little_in_common_are_marked_whole() -> None:
    _, minus, plus = differences("say what you think of it", "a of answer: billing, technical")
    assert (minus.marks, plus.marks) == (((0, 24),), ((0, 31),))
    assert not minus.partly
    assert not plus.partly


HEADER = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")


@given(pairs(), contexts)
def test_headers_say_where_their_lines_begin_and_how_many_they_are(
    pair: tuple[str, str], context: int
) -> None:
    hunks: list[tuple[str, list[DiffLine]]] = []
    for line in differences(*pair, context=context):
        if line.kind is DiffKind.PLACE:
            hunks.append((line.text, []))
        else:
            hunks[-1][1].append(line)
    for header, hunk in hunks:
        match = HEADER.fullmatch(header)
        assert match
        old, removed, new, added = (1 if group is None else int(group) for group in match.groups())
        before, after = (
            [n for n in side if n] for side in zip(*((r.old, r.new) for r in hunk), strict=True)
        )
        assert (removed, added) == (len(before), len(after))
        assert before[:1] in ([], [old])
        assert after[:1] in ([], [new])


@pytest.mark.parametrize("context", [0, 1, 3])
def test_the_text_is_that_of_a_unified_diff(context: int) -> None:
    old = [f"line {n}" for n in range(30)]
    new = [*old[:3], "new", *old[5:9], "one more", *old[9:20], *old[21:], "last"]
    ours = list(unified(differences("\n".join(old), "\n".join(new), context=context)))
    assert ours == list(difflib.unified_diff(old, new, lineterm="", n=context))[2:]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a\nb\n" * 10_000, "b\na\na\n" * 7_000),
        ("a b " * 50_000, "b a a " * 50_000),
    ],
)
def test_no_text_takes_long(old: str, new: str) -> None:
    began = time.process_time()
    assert applied(old, differences(old, new)) == new
    assert time.process_time() - began < 10
