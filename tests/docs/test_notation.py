"""What the pages' own notation means: what has to be the same, and what may vary."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from pages import Block, Page, agrees, blocks, commands, plain

WORDS = st.text(st.sampled_from("abcxyz .,:'()[]*+\\|"), min_size=1, max_size=12)
DOTLESS = st.text(st.sampled_from("abcxyz ,:'()[]*+\\|"), max_size=12)
LINES = st.lists(WORDS, min_size=1, max_size=6)


@given(LINES)
def test_output_agrees_with_itself(lines: list[str]) -> None:
    text = "\n".join(lines)
    assert agrees(text, text)


@given(LINES, LINES)
@example(["a"], ["a", "b"])
@example(["a", "b"], ["b"])
def test_nothing_else_agrees_without_dots(shown: list[str], printed: list[str]) -> None:
    one, other = "\n".join(shown), "\n".join(printed)
    assume("..." not in one)
    assert agrees(one, other) == (plain(one) == plain(other))


@given(LINES, LINES, LINES)
def test_a_line_of_dots_stands_for_any_lines_and_for_no_others(
    before: list[str], between: list[str], after: list[str]
) -> None:
    assume(plain("\n".join([*before, *between, *after])))
    shown = "\n".join(["first", *before, "...", *after, "last"])
    assert agrees(shown, "\n".join(["first", *before, *between, *after, "last"]))
    assert not agrees(shown, "\n".join(["other", *before, *between, *after, "last"]))
    assert not agrees(shown, "\n".join(["first", *before, *between, *after, "other"]))


@given(DOTLESS, WORDS, DOTLESS)
def test_dots_in_a_line_stand_for_text_of_that_line(one: str, hidden: str, other: str) -> None:
    shown = f"<{one}...{other}>"
    assert agrees(shown, f"<{one}{hidden}{other}>")
    assert not agrees(shown, f"<{one}\n{other}>")
    assert not agrees(shown, f"{one}{hidden}{other}>")


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("3 passed, 11 ms", "3 passed, 1.2 s"),
        ("x.agentmech/20260517-120000-0123", "x.agentmech/20991231-235959-ffff"),
        ("Started: 2026-05-17T12:00:00+00:00", "Started: 2026-11-01T01:02:03+00:00"),
        ("http://127.0.0.1:8000/?key=x", "http://127.0.0.1:43210/?key=abcdef"),
        ("row  1  0.25", "row  1  13.00"),
    ],
)
def test_times_names_and_addresses_vary_and_the_words_around_them_do_not(
    shown: str, printed: str
) -> None:
    assert agrees(shown, printed)
    assert not agrees(f"{shown} more", printed)
    assert not agrees(shown.replace(shown[0], "?", 1), printed)


@given(LINES, LINES)
def test_commands_and_their_output_are_told_apart(one: list[str], other: list[str]) -> None:
    assume(not any(line.startswith("$ ") for line in (*one, *other)))
    text = "\n".join(["$ first \\", "  and more", *one, "$ second", *other])
    assert list(commands(text)) == [
        ("first \\\n  and more", "\n".join(one)),
        ("second", "\n".join(other)),
    ]


PAGE = """\
Words.

<!-- exit: 1 -->
```console
$ agentmech test
no
```

1. A list

    ```yaml title="a/b.yaml"
    one:
      two
    ```

<!-- some comment -->
```text
$ nothing
```
"""


def test_blocks_know_their_line_their_mark_and_their_title() -> None:
    assert list(blocks(PAGE)) == [
        Block(4, "console", "", "exit: 1", "$ agentmech test\nno\n"),
        Block(11, "yaml", "a/b.yaml", "", "one:\n  two\n"),
        Block(17, "text", "", "", "$ nothing\n"),
    ]


@pytest.fixture
def page(tmp_path: Path) -> Page:
    (tmp_path / "page").mkdir()
    return Page(tmp_path / "page")


def block(text: str, language: str = "console", mark: str = "", title: str = "") -> Block:
    return Block(1, language, title, mark, text)


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ("$ agentmech validate no.yaml\n", ""),
        ("$ agentmech schema workflow\n", "exit: 1"),
        ("$ agentmech cache ls --json\nsomething else\n", ""),
        ("$ false\n", ""),
        ("$ echo one\ntwo\n", ""),
        ("$ echo one | cat\none\n$ echo two; exit 3\ntwo\n", ""),
        ("$ cat\nwaits\n", "typed: words"),
    ],
)
def test_what_does_not_hold_fails(page: Page, text: str, mark: str) -> None:
    with pytest.raises((AssertionError, StopIteration)):
        page.run(block(text, mark=mark))


def test_a_page_goes_on_in_the_folder_and_with_the_files_that_it_made(page: Page) -> None:
    page.run(block("one: 1\n", "yaml", title="new/a.yaml"))
    page.run(block("$ cd new\n$ cat a.yaml\none: 1\n$ pwd\n/home/you/new\n"))
    page.run(block("mkdir -p deeper && cd deeper\n", "bash"))
    page.run(block("$ pwd\n/home/you/new/deeper\n"))
    page.run(block("x = open('../a.yaml').read()\n", "python"))
    page.run(block("assert x == 'one: 1\\n'\n", "python"))


def test_our_command_is_the_same_in_this_process_and_in_a_shell(page: Page) -> None:
    shown = "$ agentmech validate no.yaml\nno.yaml: error: ... does not exist ...\n...\n"
    page.run(block(shown, mark="exit: 2"))
    page.run(block(shown.replace("no.yaml\n", "no.yaml | cat; exit 2\n", 1), mark="exit: 2"))


def test_a_person_types_in_a_terminal(page: Page) -> None:
    text = "$ read -p 'Name? ' name; echo Hello $name\nName? Ann\nHello Ann\n"
    page.run(
        block(
            text.replace("$ read", '$ bash -c "read').replace("$name\n", '\\$name"\n', 1),
            mark="typed: Ann",
        )
    )
    with pytest.raises(AssertionError):
        page.run(block("$ bash -c 'echo on; exec sleep 60'\nother\n", mark="ends after: on"))
