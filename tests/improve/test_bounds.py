"""How much a draft may ask for."""

from __future__ import annotations

from pathlib import Path

import pytest
from policies import codes, problems, swapped

from finetune_fsm.improve import bounds

TEXT = """\
name: W
start_state: ask
states:
  ask: {type: input, prompt: "Which?", save_as: review, next: sort}
  sort: {type: prompt, prompt: "Sort PAD{{review}}", save_as: mood, next: end}
"""


def padded(length: int, before: int = 0) -> list[str]:
    """What is said of a prompt of so many characters that had so many *before*."""
    bare = len("Sort {{review}}")
    old = swapped(TEXT, "PAD", "x" * (before - bare if before else 0))
    return codes(old, swapped(TEXT, "PAD", "x" * (length - bare)))


def test_a_text_may_grow_by_some_or_threefold_and_never_beyond_the_limit() -> None:
    assert (bounds.GROWTH, bounds.ROOM, bounds.TEXT_LIMIT) == (3.0, 1_500, 64_000)
    assert padded(15 + 1_500) == []
    assert padded(15 + 1_501) == ["overgrown"]
    assert padded(3_000, before=1_000) == []
    assert padded(3_001, before=1_000) == ["overgrown"]
    assert padded(2_100, before=600) == []
    assert padded(2_101, before=600) == ["overgrown"]
    assert padded(64_000, before=50_000) == []
    assert padded(64_001, before=50_000) == ["overgrown"]
    assert padded(70_000, before=69_999) == ["overgrown"]
    assert padded(69_000, before=70_000) == []


def test_the_refusal_says_how_long_it_may_be() -> None:
    old = swapped(TEXT, "PAD", "")
    (found,) = problems(old, swapped(TEXT, "PAD", "x" * 2_000))
    assert found.message == "sort.prompt would have 2015 characters, 1515 are allowed"
    assert found.path == ("states", "sort", "prompt")
    assert found.hint


def test_every_text_is_measured() -> None:
    long = "y" * 1_501
    old = swapped(TEXT, "PAD", "")
    routes = (
        f"next_options: [{{state: ask, description: x}}, {{state: end, description: {long[1:]}}}]"
    )
    for pair in (
        ("save_as: review", f"save_as: review, default_value: {long}"),
        ("save_as: mood, next: end", f"save_as: mood, {routes}"),
    ):
        assert codes(old, swapped(old, *pair)) == ["overgrown"]
    fewer = swapped(old, "save_as: mood, next: end", f"save_as: mood, {routes}")
    more = swapped(fewer, "[{state: ask", "[{state: sort, description: z}, {state: ask")
    assert codes(fewer, more) == []  # a list is as long as all its texts


def test_a_prompt_that_moves_in_from_its_file_grows_from_there(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("x" * 5_000 + "{{review}}")
    filed = swapped(TEXT, '"Sort PAD{{review}}"', "p.txt").replace("prompt: p", "prompt_file: p")
    assert codes(filed, swapped(TEXT, "PAD", "x" * 15_000), folder=tmp_path) == []
    assert codes(filed, swapped(TEXT, "PAD", "x" * 15_100), folder=tmp_path) == ["overgrown"]


def stepped(count: int) -> str:
    head = "name: W\nstart_state: a\nstates:\n  b: {type: prompt, prompt: y, next: end}\n"
    steps = "      - {prompt: x}\n" * count
    return f"{head}  a:\n    type: prompt\n    next: b\n    steps:\n{steps}"


def test_states_are_bounded_with_their_steps() -> None:
    assert bounds.STATES == 500
    assert codes(stepped(2), stepped(499), "structure") == []
    found = problems(stepped(2), stepped(500), "structure")
    assert [(p.code, p.path) for p in found] == [("too_many_states", ("states",))]
    assert found[0].message == "the workflow would have 501 states, 500 are allowed"
    assert found[0].hint


def test_an_original_with_more_states_keeps_them() -> None:
    more = "  more: {type: prompt, prompt: y, next: end}\n"
    large = swapped(stepped(500), "prompt: y, next: end", "prompt: y, next: more") + more
    assert codes(large, swapped(large, "prompt: y, next: more", "prompt: z, next: more")) == []


OPTIONS = """\
name: W
start_state: a
states:
  a: {type: prompt, prompt: A, options: {OLD}, next: end}
"""


def optioned(new: str, old: str = "") -> list[str]:
    return codes(OPTIONS.replace("OLD", old), OPTIONS.replace("OLD", new))


@pytest.mark.parametrize(
    ("option", "allowed"),
    [
        ("num_predict: 1", True),
        ("num_predict: 8192", True),
        ("num_predict: 8193", False),
        ("num_predict: 9000.0", False),
        ("num_predict: 0", False),
        ("num_predict: -1", False),
        ("num_predict: -2", False),
        ("top_k: 0", True),
        ("top_k: 1000", True),
        ("top_k: 1001", False),
        ("seed: 0", True),
        ("seed: 2147483647", True),
        ("seed: 2147483648", False),
        ("seed: -1", False),
        ("temperature: 2", True),
        ("top_p: 1", True),
        ("stop: x", True),
        ("stop: ''", False),
        ("stop: ['']", False),
        ("stop: [x, '']", False),
        ("stop: []", True),
        ('stop: ["\\n"]', True),
        (f"stop: [{'x' * 100}]", True),
        (f"stop: [{'x' * 101}]", False),
        (f"stop: {['x'] * 8}", True),
        (f"stop: {['x'] * 9}", False),
    ],
)
def test_options_have_a_range(option: str, allowed: bool) -> None:
    assert optioned(option) == ([] if allowed else ["odd_option"])
    assert optioned(option, option) == []  # what the author wrote may stay
    assert optioned(f"{option}, {'seed' if 'top_k' in option else 'top_k'}: 1", option) == []


def test_the_refusal_says_which_range() -> None:
    (found,) = problems(OPTIONS.replace("OLD", ""), OPTIONS.replace("OLD", "seed: -1"))
    assert found.message == "'a' would run with seed -1, allowed is 0 to 2147483647"
    assert found.path == ("states", "a", "options", "seed")
    (found,) = problems(OPTIONS.replace("OLD", ""), OPTIONS.replace("OLD", "stop: ''"))
    assert found.message == "'a' would run with stop texts beyond 8 of 1 to 100 characters"


def test_a_limit_of_tokens_can_change_and_not_go() -> None:
    assert optioned("num_predict: 60", "num_predict: 50") == []
    assert optioned("", "num_predict: 50") == ["odd_option"]
    assert optioned("temperature: 0", "num_predict: 50") == ["odd_option"]
    assert optioned("", "temperature: 0") == []
    (found,) = problems(OPTIONS.replace("OLD", "num_predict: 5"), OPTIONS.replace("OLD", ""))
    assert found.message == "'a' would have replies without a limit"
    assert found.path == ("states", "a", "options", "num_predict")
    assert found.hint == "keep num_predict"


def test_an_inherited_limit_can_not_go_either() -> None:
    old = (
        "name: W\nstart_state: a\nstates:\n  a:\n    type: prompt\n    options: {num_predict: 9}\n"
        "    steps:\n      - {prompt: A}\n      - {prompt: B}\n"
    )
    assert codes(old, swapped(old, "{prompt: B}", "{prompt: B, options: {seed: 1}}")) == [
        "odd_option"
    ]


def test_a_new_state_has_the_same_ranges() -> None:
    old = OPTIONS.replace("OLD", "num_predict: 9")
    new = swapped(old, "next: end", "next: b") + "  b: {type: prompt, prompt: B, next: end}\n"
    assert codes(old, new, "structure") == []
    odd = swapped(new, "prompt: B", "prompt: B, options: {seed: -1}")
    assert codes(old, odd, "structure") == ["odd_option"]


def test_a_run_that_could_end_can_still() -> None:
    old = swapped(TEXT, "PAD", "")
    circle = swapped(old, "next: end", "next: ask")
    found = problems(old, circle)
    assert [(p.code, p.path) for p in found] == [
        ("endless", ("states", "ask")),
        ("endless", ("states", "sort")),
    ]
    assert found[0].message == "a run could go round for ever at 'ask'"
    assert found[0].hint
    assert codes(old, swapped(old, "next: end", "on_error: ask, next: end")) == ["endless"]
    assert codes(circle, swapped(circle, "Which?", "Which one?")) == []


@pytest.mark.parametrize(
    "odd", ["\\u202e", "\\u200b", "\\x1b", "\\x07", "\\ufeff", "\\U000e0041", "\\r"]
)
def test_a_text_brings_in_no_character_that_cannot_be_seen(odd: str) -> None:
    old = swapped(TEXT, "PAD", "")
    new = swapped(TEXT, "PAD", odd)
    (found,) = problems(old, new)
    assert found.code == "hidden_text"
    assert found.path == ("states", "sort", "prompt")
    assert found.message.startswith("sort.prompt holds characters that cannot be seen: \\")
    assert found.message.isprintable()
    assert found.hint
    used = ("Which?", f"Which?{odd}")  # what the author uses may be used
    assert codes(swapped(old, *used), swapped(new, *used)) == []


def test_line_ends_and_tabs_are_seen(tmp_path: Path) -> None:
    old = swapped(TEXT, "PAD", "")
    assert codes(old, swapped(TEXT, "PAD", "a\\r\\nb\\n\\tc é 心 🎈")) == []
    (tmp_path / "p.txt").write_text("a\u200cb {{review}}", "utf-8")
    filed = swapped(old, 'prompt: "Sort {{review}}"', "prompt_file: p.txt")
    assert codes(filed, swapped(TEXT, "PAD", "a\\u200cb"), folder=tmp_path) == []


def test_only_five_of_the_hidden_characters_are_shown() -> None:
    old = swapped(TEXT, "PAD", "")
    (found,) = problems(old, swapped(TEXT, "PAD", "\\x01\\x02\\x03\\x04\\x05\\x06"))
    assert found.message.endswith(": \\x01\\x02\\x03\\x04\\x05")
