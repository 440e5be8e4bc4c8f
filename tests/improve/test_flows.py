"""What may stand in a path: a draft brings nothing new into one."""

from __future__ import annotations

from pathlib import Path

import pytest
from policies import codes, problems, swapped, workflow

from finetune_fsm.improve.flows import path_flows, set_by_children

TEXT = """\
name: Pages
start_state: pick
variables: {spare: x}
states:
  pick: {type: input, prompt: "Page?", save_as: page, default_value: hotel, next: ask}
  ask: {type: input, prompt: "Review?", save_as: review, next: read}
  read: {type: prompt, prompt: "Sum {{review}}", files: ["{{page}}.txt"], save_as: sum, next: say}
  say: {type: prompt, prompt: "Say {{sum}}", next: route}
  route:
    type: prompt
    prompt: "More of {{sum}}?"
    next_options:
      - {state: read, description: they want more}
      - {state: end, description: they are done}
"""


def flows(text: str, folder: Path | None = None) -> set[tuple[str, str, str, tuple[str, str]]]:
    return set(path_flows(workflow(text, folder)))


def sources(text: str, folder: Path | None = None) -> set[tuple[str, str]]:
    return {source for _, _, _, source in flows(text, folder)}


def test_all_that_can_come_into_a_path_is_found() -> None:
    assert flows(TEXT) == {
        ("file", "{{page}}.txt", "page", ("answer", "pick")),
        ("file", "{{page}}.txt", "page", ("default", "hotel")),
    }


MORE = """More of {{sum}}?"
"""
ATTACKS = {
    "a reply is saved under the name": (
        ('{{sum}}", next: route', '{{sum}}", save_as: page, next: route'),
        "reply",
    ),
    "a choice fails after saving": (
        (MORE, MORE + "    save_as: page\n    on_error: read\n"),
        "reply",
    ),
    "another answer is saved under it": (("save_as: review", "save_as: page"), "answer"),
    "the default is another page": (
        ("default_value: hotel", "default_value: secret"),
        "default",
    ),
    "the default inserts what is set": (
        ("default_value: hotel", "default_value: '{{review}}'"),
        "default",
    ),
    "the question is passed round": (("start_state: pick", "start_state: ask"), "start"),
}


@pytest.mark.parametrize(("pair", "kind"), ATTACKS.values(), ids=ATTACKS)
def test_what_a_draft_brings_into_a_path_is_refused(pair: tuple[str, str], kind: str) -> None:
    new = swapped(TEXT, *pair)
    assert kind in {source[0] for source in sources(new) - sources(TEXT)}
    refused = codes(TEXT, new)
    assert "path_flow" in refused or refused[0] == "closed_place"


def test_the_refusal_says_what_could_become_what() -> None:
    (found,) = problems(TEXT, swapped(TEXT, *ATTACKS["a reply is saved under the name"][0]))
    assert (
        found.message
        == "{{page}} in the path of the file '{{page}}.txt' could become the reply of 'say'"
    )
    assert found.hint


@pytest.mark.parametrize(
    "pair",
    [
        ("Sum {{review}}", "Sum up {{review}} in a line"),
        ("default_value: hotel, ", ""),
        ("next: route", "save_as: said, next: route"),
        ("state: read, description: they", "state: ask, description: they"),
    ],
)
def test_what_brings_nothing_new_into_a_path_is_no_matter(pair: tuple[str, str]) -> None:
    assert "path_flow" not in codes(TEXT, swapped(TEXT, *pair))


LINE = """\
name: Line
start_state: a
variables: {page: hotel, word: w}
states:
  a: {type: prompt, prompt: A, files: ["{{page}}.txt"], next: b}
  b: {type: prompt, prompt: B, save_as: page, next: c}
  c: {type: prompt, prompt: "C {{page}}", next: end}
"""


def test_a_way_back_brings_a_later_reply_into_an_earlier_path() -> None:
    assert sources(LINE) == {("start", "'hotel'")}
    back = swapped(
        LINE,
        '{{page}}", next: end',
        '{{page}}", next_options: [{state: a, description: x}, {state: end, description: y}]',
    )
    assert sources(back) == {("start", "'hotel'"), ("reply", "b")}
    assert codes(LINE, back) == ["path_flow"]


def test_what_is_always_overwritten_on_the_way_does_not_arrive() -> None:
    read = swapped(LINE, 'prompt: A, files: ["{{page}}.txt"]', "prompt: A, save_as: page")
    read = swapped(read, 'prompt: "C {{page}}"', 'prompt: "C {{page}}", files: ["{{page}}"]')
    assert sources(read) == {("reply", "b")}
    round_it = swapped(read, "save_as: page, next: b", "save_as: page, next: c")
    round_it = swapped(round_it, '{{page}}"]', '{{page}}"], on_error: b')
    assert sources(round_it) == {("reply", "a"), ("reply", "b")}
    failing = swapped(
        read, "prompt: B, save_as: page, next: c", "prompt: B, save_as: page, on_error: c, next: c"
    )
    assert sources(failing) == {("reply", "a"), ("reply", "b")}


def test_a_state_that_no_run_reaches_brings_nothing() -> None:
    dead = LINE + "  z: {type: prompt, prompt: Z, save_as: page, next: a}\n"
    assert sources(dead) == {("start", "'hotel'")}
    dead = LINE + "  z: {type: prompt, prompt: Z, files: ['{{word}}'], next: a}\n"
    assert {name for _, _, name, _ in flows(dead)} == {"page"}


def test_the_text_of_an_error_is_a_source() -> None:
    odd = swapped(LINE, "{{page}}.txt", "{{error}}.txt")
    assert sources(odd) == {("start", "None")}
    after = swapped(
        odd, "prompt: B, save_as: page, next: c", "prompt: B, save_as: page, on_error: a, next: c"
    )
    assert sources(after) == {("start", "None"), ("error", "")}
    assert "path_flow" in codes(odd, after)
    kept = swapped(LINE, "save_as: page, next: c", "save_as: page, on_error: a, next: c")
    assert sources(kept) == {("start", "'hotel'")}  # a state that fails has saved nothing


def test_an_error_replaces_what_was_there_and_success_leaves_it() -> None:
    later = swapped(
        LINE, 'files: ["{{page}}.txt"], ', "", "next: end", "files: ['{{error}}'], next: end"
    )
    assert sources(later) == {("start", "None")}
    failing = swapped(later, "save_as: page, next: c", "save_as: page, next: end, on_error: c")
    assert sources(failing) == {("error", "")}


def test_a_reply_is_saved_though_the_choice_after_it_fails() -> None:
    choice = """\
name: Choice
start_state: a
variables: {page: hotel}
states:
  a:
    type: prompt
    prompt: A
    save_as: page
    next_options: [{state: b, description: x}, {state: end, description: y}]
    on_error: c
  b: {type: prompt, prompt: "B {{page}}", next: end}
  c: {type: prompt, prompt: C, files: ["{{page}}"], next: end}
"""
    assert sources(choice) == {("start", "'hotel'"), ("reply", "a")}


def test_a_circle_on_the_way_is_walked_once() -> None:
    circle = """\
name: Circle
start_state: a
variables: {page: hotel}
states:
  a: {type: prompt, prompt: A, next: b}
  b:
    type: prompt
    prompt: B
    next_options: [{state: a, description: x}, {state: c, description: y}]
  c: {type: prompt, prompt: C, files: ["{{page}}"], next: end}
"""
    assert sources(circle) == {("start", "'hotel'")}


def test_a_default_hands_on_what_another_default_was_given() -> None:
    chain = """\
name: Chain
start_state: a
variables: {deep: hotel}
states:
  a: {type: input, prompt: A, save_as: one, default_value: "{{deep}}", next: b}
  b: {type: input, prompt: B, save_as: two, default_value: "x{{one}}", next: c}
  c: {type: prompt, prompt: "C", files: ["{{two}}"], next: end}
"""
    assert sources(chain) == {
        ("answer", "b"),
        ("default", "x{{one}}"),
        ("answer", "a"),
        ("default", "{{deep}}"),
        ("start", "'hotel'"),
    }
    plain = swapped(chain, ', default_value: "x{{one}}"', "")
    assert sources(plain) == {("answer", "b")}


def test_the_value_at_the_start_counts_and_not_its_name_alone(tmp_path: Path) -> None:
    other = swapped(LINE, "page: hotel", "page: secret")
    assert sources(other) == {("start", "'secret'")}
    (tmp_path / "v.txt").write_text("secret")
    granted = swapped(LINE, "page: hotel", "page: {file: v.txt}")
    assert codes(LINE, granted, "file:v.txt", folder=tmp_path) == ["path_flow"]
    unread = swapped(LINE, "word: w", "word: {file: v.txt}")
    assert codes(LINE, unread, "file:v.txt", folder=tmp_path) == []


CHILDREN = {
    "child.yaml": """\
name: Child
start_state: a
variables: {mine: x}
states:
  a: {type: input, prompt: A, save_as: kept, default_value: "{{given}}", next: b}
  b: {type: prompt, prompt: B, files: ["{{kept}}.txt"], save_as: found, next: c}
  c: {type: workflow_ref, workflow_ref: grandchild.yaml, next: d}
  d: {type: input, prompt: D, save_as: told, default_value: "{{harmless}}", next: end}
""",
    "grandchild.yaml": """\
name: Grandchild
start_state: a
states:
  a: {type: prompt, prompt: A, files: ["{{deep}}.txt"], save_as: last, next: end}
""",
    "harmless.yaml": """\
name: Harmless
start_state: a
states:
  a: {type: prompt, prompt: "{{given}}", save_as: page, next: end}
""",
}

PARENT = """\
name: Parent
start_state: ask
states:
  ask: {type: input, prompt: "?", save_as: given, next: write}
  write: {type: prompt, prompt: "Write {{given}}", save_as: text, next: child}
  child: {type: workflow_ref, workflow_ref: child.yaml, next: after}
  after: {type: prompt, prompt: "{{text}}", next: end}
"""


@pytest.fixture
def family(tmp_path: Path) -> Path:
    for name, text in CHILDREN.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_the_paths_of_children_count(family: Path) -> None:
    named = {(kind, path, name) for kind, path, name, _ in flows(PARENT, family)}
    assert named == {("workflow", "child.yaml", name) for name in ("given", "kept", "deep")}
    assert {s for _, _, n, s in flows(PARENT, family) if n == "given"} == {("answer", "ask")}
    assert {s for _, _, n, s in flows(PARENT, family) if n == "deep"} == {("start", "None")}


@pytest.mark.parametrize("name", ["kept", "deep", "given"])
def test_a_reply_cannot_be_slipped_into_the_path_of_a_child(family: Path, name: str) -> None:
    new = swapped(PARENT, "save_as: text", f"save_as: {name}").replace(
        "{{text}}", f"{{{{{name}}}}}"
    )
    assert "path_flow" in codes(PARENT, new, folder=family)


@pytest.mark.parametrize("name", ["found", "other"])
def test_other_names_are_free(family: Path, name: str) -> None:
    new = swapped(PARENT, "save_as: text", f"save_as: {name}").replace(
        "{{text}}", f"{{{{{name}}}}}"
    )
    assert codes(PARENT, new, folder=family) == ["lost_placeholder"]


def test_a_child_that_is_granted_may_open_what_it_opens(family: Path) -> None:
    before = swapped(PARENT, "child.yaml", "harmless.yaml")
    assert codes(before, PARENT, "workflow:child.yaml", folder=family) == []
    assert "closed_place" in codes(before, PARENT, folder=family)


def test_what_a_child_sets_comes_back_into_the_path_of_its_caller(family: Path) -> None:
    before = swapped(
        PARENT,
        "child.yaml",
        "harmless.yaml",
        'type: prompt, prompt: "{{text}}"',
        "type: prompt, files: ['{{page}}'], prompt: \"{{text}}\"",
    )
    assert sources(before, family) == {("start", "None"), ("child", "harmless.yaml")}
    first = swapped(before, "next: child}", "next: after}")
    assert sources(first, family) == {("start", "None")}
    failing = swapped(first, "next: after}\n  after", "next: end, on_error: after}\n  after")
    failing = swapped(failing, "next: after}\n  child", "next: child}\n  child")
    assert sources(failing, family) == {("start", "None")}  # a child that fails hands nothing back


def test_a_child_brings_back_only_what_it_sets(family: Path) -> None:
    text = swapped(
        PARENT,
        "child.yaml",
        "harmless.yaml",
        'prompt: "{{text}}"',
        "prompt: x, files: ['{{given}}']",
    )
    assert sources(text, family) == {("answer", "ask")}


def test_a_way_from_a_child_to_a_path_is_a_flow(family: Path) -> None:
    before = swapped(PARENT, "child.yaml", "harmless.yaml", "next: child}", "next: after}")
    before = swapped(
        before, 'prompt: "{{text}}", next: end', "prompt: x, files: ['{{page}}'], next: child"
    )
    before = swapped(
        before, "workflow_ref: harmless.yaml, next: after", "workflow_ref: harmless.yaml, next: end"
    )
    routes = "next_options: [{state: child, description: x}, {state: after, description: y}]"
    after = swapped(before, "save_as: text, next: after", f"save_as: text, {routes}")
    after = swapped(after, "harmless.yaml, next: end", "harmless.yaml, on_error: after")
    assert "path_flow" not in codes(before, after, folder=family)
    after = swapped(after, "harmless.yaml, on_error: after", "harmless.yaml, next: after")
    after = swapped(after, "files: ['{{page}}'], next: child", "files: ['{{page}}'], next: end")
    (found,) = [p for p in problems(before, after, folder=family) if p.code == "path_flow"]
    assert found.message.endswith("could become the workflow 'harmless.yaml'")


def test_what_children_may_bring_back_is_told(family: Path) -> None:
    assert set_by_children(workflow(PARENT, family)) == {
        *("mine", "kept", "found", "told", "last", "error", "error_state")
    }
    assert set_by_children(workflow(LINE)) == frozenset()


def test_a_child_that_is_gone_or_goes_in_a_circle_is_no_endless_search(family: Path) -> None:
    parent = workflow(PARENT, family)
    (family / "grandchild.yaml").write_text(CHILDREN["child.yaml"].replace("grandchild", "child"))
    assert {name for _, _, name, _ in path_flows(parent)} == set()
    (family / "child.yaml").unlink()
    assert path_flows(parent) == frozenset()
