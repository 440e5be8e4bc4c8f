"""Where a draft may differ from the original."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from policies import codes, problems, swapped, workflow

from finetune_fsm.codec import canonical
from finetune_fsm.improve import places
from finetune_fsm.improve.capabilities import capabilities
from finetune_fsm.improve.grants import NOTHING
from finetune_fsm.improve.places import ABSENT, Change, changes, closed_places, texts_in

DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from(["a", "b"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(DOCUMENTS, DOCUMENTS)
def test_documents_differ_exactly_where_changes_say(old: object, new: object) -> None:
    found = list(changes(old, new))
    assert bool(found) == (canonical(old) != canonical(new))
    assert list(changes(old, old)) == []


@given(DOCUMENTS, DOCUMENTS)
def test_every_change_is_where_it_says(old: object, new: object) -> None:
    def at(document: object, path: tuple[str | int, ...]) -> object:
        for step in path:
            if isinstance(document, dict) and step not in document:
                return ABSENT
            if document is ABSENT:
                return ABSENT
            document = document[step]  # type: ignore[index]
        return document

    for change in changes(old, new):
        assert at(old, change.path) == change.old
        assert at(new, change.path) == change.new


def test_what_comes_or_goes_as_a_whole_is_told_by_its_leaves() -> None:
    assert list(changes({}, {"a": {"b": {"c": 1}, "d": {}}})) == [
        Change(("a", "b", "c"), ABSENT, 1),
        Change(("a", "d"), ABSENT, {}),
    ]
    assert list(changes({"a": {"b": 1}}, {})) == [Change(("a", "b"), 1, ABSENT)]
    assert list(changes({"a": [1, 2]}, {"a": [1, 3]})) == [Change(("a", 1), 2, 3)]
    assert list(changes({"a": [1]}, {"a": [1, 2]})) == [Change(("a",), [1], [1, 2])]
    assert list(changes({"a": 1}, {"a": 1.0})) == [Change(("a",), 1, 1.0)]
    assert list(changes({"a": 1}, {"a": {"b": 1}})) == [Change(("a",), 1, {"b": 1})]


def test_a_place_is_named_for_people() -> None:
    assert Change(("states", "sort", "steps", 0, "prompt"), 1, 2).where == "sort.steps.0.prompt"
    assert Change(("mcp_servers", "a\x1b"), 1, 2).where == "mcp_servers.a\\x1b"
    assert Change((), 1, 2).where == "the document"


def test_texts_are_found_at_any_depth() -> None:
    assert list(texts_in({"k": ["a", {"l": "b"}, 3], "m": None})) == ["a", "b"]


TEXT = """\
name: Mood
description: Says whether a review is good or bad.
start_state: ask
default_model: qwen2.5:1.5b
variables: {tone: calm, rules: {file: setup.cfg}}
mcp_servers: {disk: {command: ls, args: [-l], env: {A: b}}, net: {type: npx, package: fetch}}
rag: {faq: {directory: docs}}
states:
  ask: {type: input, prompt: "Which?", save_as: review, default_value: none, next: route}
  route:
    type: prompt
    prompt: "Where to with {{review}}, {{tone}}?"
    model: llama3.2:1b
    options: {temperature: 0, num_ctx: 4096}
    next_options:
      - {state: work, description: it is short}
      - {state: end, description: it is long}
  work:
    type: prompt
    files: [README.md]
    mcp_servers: [disk]
    steps:
      - {prompt: "Note {{review}}", save_as: notes}
      - {prompt: "Sort {{notes}}, {{rules}}", save_as: mood, options: {seed: 1}}
    on_error: end
    next: look
  look: {type: prompt, prompt: "Look {{mood}} up", use_rag: faq, next: "1"}
  "1": {type: prompt, prompt_file: setup.cfg, save_as: last, next: end}
"""

OPEN = [
    ("Which?", "Which one?"),
    ("save_as: review, default_value: none", "save_as: review, default_value: nobody"),
    (", default_value: none", ""),
    ("state: work, description: it is short", "state: work, description: it is brief"),
    ("{temperature: 0, num_ctx: 4096}", "{temperature: 0.2, top_p: 0.5, num_ctx: 4096}"),
    ("{temperature: 0, num_ctx: 4096}", "{num_ctx: 4096}"),
    ('"Note {{review}}"', '"Note all of {{review}}"'),
    ("save_as: mood, options: {seed: 1}", "save_as: mood"),
    ("save_as: mood, options: {seed: 1}", "save_as: mood, options: {}"),
    ("use_rag: faq, next", "use_rag: faq, options: {top_k: 3, num_predict: 9, stop: [x]}, next"),
    ("    on_error: end\n", ""),
    ('use_rag: faq, next: "1"', 'use_rag: faq, on_error: "1", next: "1"'),
    ("directory: docs", "directory: docs, top_k: 5, chunk_size: 500"),
    ("directory: docs", 'directory: docs, chunk_template: "{{number}}: {{chunk.text}}"'),
    ("directory: docs", 'directory: docs, context_template: "{{chunks}} {{prompt}}"'),
]


@pytest.mark.parametrize(("old", "new"), OPEN)
def test_prompts_ways_and_sampling_are_open(old: str, new: str) -> None:
    assert codes(TEXT, swapped(TEXT, old, new)) == []


CLOSED = [
    ("name: Mood", "name: Other"),
    ("name: Mood\ndescription: Says", "name: Mood\ndescription: Approves"),
    ("description: Says whether a review is good or bad.\n", ""),
    ("start_state: ask", "start_state: route"),
    ("qwen2.5:1.5b", "llama3.2:1b"),
    ("default_model: qwen2.5:1.5b\n", ""),
    ("tone: calm", "tone: harsh"),
    ("tone: calm", "tone: {value: calm}"),
    ("tone: calm, ", "tone: calm, more: x, "),
    ("rules: {file: setup.cfg}", "rules: {file: README.md}"),
    ("rules: {file: setup.cfg}", "rules: none"),
    ("command: ls", "command: sh"),
    ("args: [-l]", "args: [-r]"),
    ("args: [-l]", "args: [-l, /]"),
    ("env: {A: b}", "env: {A: b, LD_PRELOAD: x.so}"),
    ("package: fetch}", "package: other}"),
    ("package: fetch}}", "package: fetch}, x: {command: sh}}"),
    ("directory: docs", "directory: /"),
    ("directory: docs", "directory: docs, top_k: 21"),
    ("directory: docs", "directory: docs, chunk_size: 99"),
    ("directory: docs", "directory: docs, embeddings_file: x.json"),
    ("directory: docs", "directory: docs, model: qwen2.5:1.5b"),
    ("directory: docs", "directory: docs, storage_format: msgpack"),
    ("directory: docs", "directory: docs, chunk_template: nothing"),
    ("directory: docs", 'directory: docs, context_template: "only {{prompt}}"'),
    ("directory: docs}}", "directory: docs}, more: {directory: /}}"),
    ("states:\n", "on_error: end\nstates:\n"),
    ("    model: llama3.2:1b\n", ""),
    ("model: llama3.2:1b", "model: qwen2.5:1.5b"),
    ("num_ctx: 4096", "num_ctx: 9999"),
    (", num_ctx: 4096", ""),
    ("{temperature: 0, num_ctx: 4096}", "{temperature: 0, num_ctx: 4096, num_gpu: 9}"),
    ("files: [README.md]", "files: [setup.cfg]"),
    ("files: [README.md]", "files: [README.md, setup.cfg]"),
    ("files: [README.md]", "files: []"),
    ("    files: [README.md]\n", ""),
    ("mcp_servers: [disk]", "mcp_servers: [net]"),
    ("mcp_servers: [disk]", "mcp_servers: []"),
    ("    mcp_servers: [disk]\n", ""),
    ("use_rag: faq, next", "use_rag: faq, mcp_servers: [], next"),
    ("use_rag: faq, next", "use_rag: faq, files: [], next"),
    ("use_rag: faq, ", ""),
    ("use_rag: faq", "rag: {directory: docs}"),
    ("prompt_file: setup.cfg", "prompt_file: README.md"),
    ('{type: prompt, prompt: "Look {{mood}} up"', "{type: prompt, prompt_file: setup.cfg"),
    ("save_as: notes}\n", "save_as: notes, model: llama3.2:1b}\n"),
    ("save_as: notes}\n", "save_as: notes, options: {num_ctx: 1}}\n"),
    ("save_as: notes}\n", 'save_as: notes}\n      - {prompt: "Check {{notes}}"}\n'),
    ('  "1": {', '  new: {type: prompt, prompt: Hi, next: end}\n  "1": {'),
    ("type: input", "type: prompt"),
    ("default_value: none, next: route", "default_value: none, next: route, x: 1"),
]


@pytest.mark.parametrize(("old", "new"), CLOSED)
def test_all_other_places_are_closed(old: str, new: str) -> None:
    new = swapped(TEXT, old, new)
    if 'type: prompt, prompt: "Which' in new:
        new = new.replace("default_value: none, ", "")
    assert codes(TEXT, new)[:1] == ["closed_place"]


def test_a_whole_state_cannot_come_or_go() -> None:
    found = problems(TEXT, TEXT + "  new: {type: prompt, prompt: Hi, next: end}\n")
    assert [(p.path, p.message) for p in found] == [
        (("states", "new", "type"), "new.type may not be changed")
    ]
    assert found[0].hint


FILED = """\
name: W
start_state: ask
states:
  ask: {type: input, prompt: "?", save_as: review, next: a}
  a: {type: prompt, prompt_file: p.txt, next: b}
  b: {type: prompt, prompt: Hi, next: end}
"""


def test_a_prompt_may_move_in_from_its_file_and_not_out(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("Sort {{review}}.")
    moved = swapped(FILED, "prompt_file: p.txt", "prompt: 'Sort {{review}} well.'")
    assert codes(FILED, moved, folder=tmp_path) == []
    assert codes(moved, FILED, folder=tmp_path)[:1] == ["closed_place"]
    elsewhere = swapped(moved, "prompt: Hi", "prompt_file: p.txt")
    assert "closed_place" in codes(FILED, elsewhere, folder=tmp_path)


def test_an_option_in_a_step_does_not_hide_what_the_state_says() -> None:
    stepped = (
        "name: W\nstart_state: a\nstates:\n  a:\n    type: prompt\n    options: {num_ctx: 4096}\n"
        "    steps:\n      - {prompt: A}\n      - {prompt: B}\n"
    )
    shadowed = swapped(stepped, "{prompt: B}", "{prompt: B, options: {temperature: 0}}")
    found = problems(stepped, shadowed)
    assert [(p.code, p.path) for p in found] == [
        ("closed_place", ("states", "a", "steps", 1, "options", "num_ctx"))
    ]
    assert "num_ctx" in found[0].message
    assert found[0].hint == "keep num_ctx"


def test_a_step_among_new_ones_keeps_what_is_not_open() -> None:
    more = swapped(
        TEXT,
        "save_as: mood, options: {seed: 1}}\n",
        "save_as: mood, options: {seed: 1, num_ctx: 4096}}\n      - {prompt: Third}\n",
    )
    found = problems(TEXT, more, "structure")
    assert [(p.code, p.message) for p in found] == [
        ("closed_place", "'work_step_1' would run with another num_ctx")
    ]


def test_a_state_may_be_called_like_a_field() -> None:
    odd = (
        "name: W\nstart_state: model\nvariables: {file: x, model: y}\nstates:\n"
        "  model: {type: prompt, prompt: 'A {{file}} {{model}}', next: files}\n"
        "  files: {type: prompt, prompt: B, save_as: rag, next: steps}\n"
        "  steps: {type: prompt, prompt: '{{rag}}', next: options}\n"
        "  options: {type: prompt, prompt: D, next: end}\n"
    )
    for old, new in (("'A ", "'A! "), ("prompt: B", "prompt: B!"), ("prompt: D", "prompt: D!")):
        assert codes(odd, swapped(odd, old, new)) == []


ORIGINAL = workflow(TEXT)
WAYS = [{"state": "ask", "description": "x"}, {"state": "end", "description": "y"}]


def is_open(path: tuple[str | int, ...], old: object, new: object, *others: Change) -> bool:
    """Whether one change, which no valid draft need have, is let through."""
    changed = (Change(path, old, new), *others)
    found = closed_places(ORIGINAL, ORIGINAL, changed, NOTHING)
    return path not in {problem.path for problem in found}


FIELDS = (
    *("type", "prompt", "prompt_file", "steps", "save_as", "next", "next_options", "model"),
    *("options", "mcp_servers", "use_rag", "rag", "files", "default_value", "on_error"),
    *("workflow_ref", "name", "description", "num_ctx", "temperature", "base_url", "command", "x"),
)
SAMPLING = ("temperature", "top_p", "top_k", "num_predict", "seed", "stop")


@pytest.mark.parametrize("part", [("states", "ask"), ("states", "work", "steps", 1)])
def test_the_open_fields_of_a_state_and_of_a_step_are_these(part: tuple[str | int, ...]) -> None:
    opened = {field for field in FIELDS if is_open((*part, field), "a", "b")}
    assert opened == {"prompt", "next", "on_error", "save_as", "default_value", "options"}
    sampling = {f for f in (*FIELDS, *SAMPLING) if is_open((*part, "options", f), 1, 2)}
    assert sampling == set(SAMPLING)
    assert is_open((*part, "options", "stop", 0), "a", "b")
    assert not is_open((*part, "other", "stop"), "a", "b")
    ways = {f for f in FIELDS if is_open((*part, "next_options", 0, f), "a", "b")}
    assert ways == {"description"}
    assert is_open((*part, "next_options", 0, "state"), "a", "b")
    assert not is_open((*part, "next_options", 0), "a", "b")
    assert not is_open((*part, "next_options", 0, "state", "x"), "a", "b")
    assert not is_open((*part, "prompt", "x"), "a", "b")


def test_ways_come_and_go_as_a_list_of_ways() -> None:
    place = ("states", "ask", "next_options")
    assert is_open(place, ABSENT, WAYS)
    assert is_open(place, WAYS, ABSENT)
    assert is_open(place, WAYS, [*WAYS, {"state": "work"}])
    for odd in ({"state": "a", "command": "sh"}, "ask", ["state"], 3):
        assert not is_open(place, WAYS, [*WAYS, odd])
        assert not is_open(place, WAYS, [odd, odd])
        assert not is_open(place, WAYS, odd)


@pytest.mark.parametrize(
    "path",
    [
        (),
        ("states",),
        ("states", "ask"),
        ("prompt",),
        ("variables", "prompt"),
        ("variables", "a", "prompt"),
        ("mcp_servers", "disk", "prompt"),
        ("rag", "faq", "options", "seed"),
        ("states", "work", "steps"),
        ("states", "work", "steps", 0),
        ("steps", "ask", "prompt"),
    ],
)
def test_what_is_outside_of_a_state_is_closed_whatever_it_is_called(
    path: tuple[str | int, ...],
) -> None:
    assert not is_open(path, "a", "b")


def test_a_prompt_file_goes_only_when_its_prompt_comes_in() -> None:
    last = ("states", "1")
    comes = Change((*last, "prompt"), ABSENT, "x")
    assert is_open((*last, "prompt_file"), "a.txt", ABSENT, comes)
    assert not is_open((*last, "prompt_file"), "a.txt", ABSENT)
    assert not is_open((*last, "prompt_file"), "a.txt", "b.txt", comes)
    assert not is_open((*last, "model"), "a", ABSENT, comes)
    for other in (
        Change(("states", "ask", "prompt"), ABSENT, "x"),
        Change((*last, "save_as"), ABSENT, "x"),
        Change((*last, "prompt"), "y", "x"),
    ):
        assert not is_open((*last, "prompt_file"), "a.txt", ABSENT, other)


# ---- with grants ------------------------------------------------------------------------------

STATE = '  new: {type: prompt, prompt: "See {{review}}", save_as: seen, next: end}\n'


def with_state(state: str) -> str:
    return swapped(TEXT, "save_as: last, next: end", "save_as: last, next: new") + state


def test_structure_opens_states_and_steps() -> None:
    assert codes(TEXT, with_state(STATE), "structure") == []
    gone = TEXT[: TEXT.index('  "1":')].replace('next: "1"', "next: end")
    assert codes(TEXT, gone, "structure") == []
    assert codes(TEXT, gone)[:1] == ["closed_place"]
    more = swapped(
        TEXT, "save_as: notes}\n", 'save_as: notes}\n      - {prompt: "Check {{notes}}"}\n'
    )
    assert codes(TEXT, more, "structure") == []
    stepped = (
        'name: W\nstart_state: a\nstates:\n  a:\n    type: prompt\n    prompt: "A"\n    next: end\n'
    )
    parts = swapped(
        stepped, '    prompt: "A"\n', "    steps:\n      - {prompt: A}\n      - {prompt: B}\n"
    )
    assert codes(stepped, parts, "structure") == codes(parts, stepped, "structure") == []
    assert codes(stepped, parts)[:1] == codes(parts, stepped)[:1] == ["closed_place"]


START = ("start_state: ask", "start_state: route")


def test_structure_opens_where_a_run_begins() -> None:
    late = swapped(TEXT, "start_state: ask", "start_state: look").replace("use_rag: faq, ", "")
    old = swapped(TEXT, "use_rag: faq, ", "")
    assert codes(old, late)[:1] == ["closed_place"]
    assert "closed_place" not in codes(old, late, "structure")
    assert codes(late, old, "structure")[:1] == ["capability_gain"]  # files and tools of 'work'
    assert codes(TEXT, swapped(TEXT, "start_state: ask", "start_state: end"), "structure")[:1] == [
        "closed_place"
    ]


BEGUN = """\
name: W
start_state: tell
mcp_servers: {disk: {command: ls}}
states:
  hero: {type: input, prompt: "Whom?", save_as: hero, next: tell}
  tell: {type: prompt, prompt: "Tell of it", save_as: story, next: sure}
  sure: {type: input, prompt: "Sure?", save_as: really, next: act}
  act: {type: prompt, prompt: "Keep {{really}}", mcp_servers: [disk], next: end}
  round: {type: prompt, prompt: "Again", next: round}
"""


@pytest.mark.parametrize(
    ("start", "wanted"),
    [("hero", []), ("act", ["unasked"]), ("round", ["endless"])],
)
def test_a_run_that_begins_elsewhere_passes_all_other_checks(start: str, wanted: list[str]) -> None:
    new = swapped(BEGUN, "start_state: tell", f"start_state: {start}")
    assert codes(BEGUN, new) == ["closed_place"]
    assert [c for c in codes(BEGUN, new, "structure") if c != "lost_support"] == wanted


@pytest.mark.parametrize(("old", "new"), [pair for pair in CLOSED[:31] if pair != START])
def test_structure_opens_nothing_else(old: str, new: str) -> None:
    assert codes(TEXT, swapped(TEXT, old, new), "structure")[:1] == ["closed_place"]


def test_a_new_state_has_only_the_fields_of_a_state() -> None:
    odd = with_state(STATE.replace("next: end", "next: end, command: sh"))
    assert codes(TEXT, odd, "structure")[:1] == ["closed_place"]


@pytest.mark.parametrize(
    ("extra", "allowed"),
    [
        ("model: llama3.2:1b", []),
        ("model: llama3:70b", ["model:llama3:70b"]),
        ("files: [README.md, setup.cfg]", []),
        ("files: [Makefile]", ["file:Makefile"]),
        ("mcp_servers: [net]", ["tools:net"]),
        ("use_rag: faq", []),
        ("rag: {directory: docs}", []),
        ("options: {num_ctx: 4096, seed: 3}", []),
        ("options: {}", []),
        ("mcp_servers: []", []),
    ],
)
def test_a_new_state_may_name_what_the_original_names_or_what_is_granted(
    extra: str, allowed: list[str]
) -> None:
    new = with_state(STATE.replace("next: end", f"{extra}, next: end"))
    assert codes(TEXT, new, "structure", *allowed) == []
    if allowed:
        assert codes(TEXT, new, "structure") == ["capability_gain"]


NEW_STATES = [
    "{type: prompt, prompt_file: setup.cfg, save_as: seen, next: end}",
    "{type: prompt, steps: [{prompt: A, files: [README.md]}, {prompt: B}], next: end}",
    "{type: prompt, prompt: A, next_options: [{state: ask, description: x}, EXIT]}",
    "{type: input, prompt: A, default_value: none, save_as: seen, on_error: end, next: end}",
    "{type: transition, next: end}",
]


@pytest.mark.parametrize("state", NEW_STATES)
def test_a_new_state_may_be_of_any_kind(state: str) -> None:
    state = state.replace("EXIT", "{state: end, description: y}")
    draft = with_state(f"  new: {state}\n")
    assert codes(TEXT, draft, "structure") == []
    assert codes(TEXT, draft)[:1] == ["closed_place"]


GRANTED = [
    ("model:llama3:70b", "model: llama3.2:1b", "model: llama3:70b"),
    ("model:llama3:70b", "qwen2.5:1.5b", "llama3:70b"),
    ("model:llama3:70b", "save_as: notes}", "save_as: notes, model: llama3:70b}"),
    ("file:Makefile", "files: [README.md]", "files: [README.md, Makefile]"),
    ("file:Makefile", "files: [README.md]", "files: [Makefile, README.md]"),
    ("file:Makefile", "files: [README.md]", "files: [Makefile]"),
    ("file:Makefile", "use_rag: faq, next", "use_rag: faq, files: [Makefile], next"),
    ("file:Makefile", "prompt_file: setup.cfg", "prompt_file: Makefile"),
    ("file:Makefile", 'prompt: "Look {{mood}} up"', "prompt_file: Makefile"),
    ("file:Makefile", "rules: {file: setup.cfg}", "rules: {file: Makefile}"),
    ("file:Makefile", "tone: calm", "tone: {file: Makefile}"),
    ("file:Makefile", "tone: calm, ", "tone: calm, more: {file: Makefile}, "),
    ("tools:net", "mcp_servers: [disk]", "mcp_servers: [disk, net]"),
    ("tools:net", "mcp_servers: [disk]", "mcp_servers: [net]"),
    ("tools:net", "use_rag: faq, next", "use_rag: faq, mcp_servers: [net], next"),
    ("tools:disk", "use_rag: faq, next", "use_rag: faq, mcp_servers: [disk], next"),
]


@pytest.mark.parametrize(("grant", "old", "new"), GRANTED)
def test_a_grant_opens_one_thing(grant: str, old: str, new: str) -> None:
    draft = swapped(TEXT, old, new)
    kept = [code for code in codes(TEXT, draft, grant) if code != "lost_placeholder"]
    assert kept == []
    others = {"model:o", "file:o", "tools:o", "workflow:o", "structure"}
    assert codes(TEXT, draft, *others)[:1] == ["closed_place"]


@pytest.mark.parametrize(
    ("grant", "old", "new"),
    [
        ("model:llama3:70b", "    model: llama3.2:1b\n", ""),
        ("model:llama3:70b", "model: llama3.2:1b", "model: qwen2.5:1.5b"),
        ("file:Makefile", "files: [README.md]", "files: []"),
        ("file:Makefile", "files: [README.md]", "files: [Makefile, Makefile]"),
        ("file:Makefile", "files: [README.md]", "files: [README.md, README.md]"),
        ("file:Makefile", "files: [README.md]", "files: [README.md, Makefile, setup.cfg]"),
        ("file:Makefile", "use_rag: faq, next", "use_rag: faq, files: [], next"),
        ("file:Makefile", "tone: calm, ", ""),
        ("file:Makefile", "directory: docs", "directory: Makefile"),
        ("file:Makefile", "command: ls", "command: Makefile"),
        ("tools:net", "mcp_servers: [disk]", "mcp_servers: []"),
        ("tools:net", "use_rag: faq, next", "use_rag: faq, mcp_servers: [disk, net], next"),
        ("tools:net", "package: fetch}", "package: other}"),
        ("tools:disk", "args: [-l]", "args: [disk]"),
    ],
)
def test_a_grant_opens_nothing_beside(grant: str, old: str, new: str) -> None:
    draft = swapped(TEXT, old, new)
    if old == "tone: calm, ":
        draft = draft.replace(", {{tone}}", "")
    assert "closed_place" in codes(TEXT, draft, grant)


def test_a_child_may_be_exchanged_for_the_one_that_is_granted(tmp_path: Path) -> None:
    child = "name: C\nstart_state: a\nstates:\n  a: {type: prompt, prompt: A, next: end}\n"
    (tmp_path / "a.yaml").write_text(child)
    (tmp_path / "b.yaml").write_text(child)
    old = "name: W\nstart_state: a\nstates:\n  a: {type: workflow_ref, workflow_ref: a.yaml}\n"
    new = swapped(old, "workflow_ref: a.yaml", "workflow_ref: b.yaml")
    assert codes(old, new, "workflow:b.yaml", folder=tmp_path) == []
    assert codes(old, new, "workflow:c.yaml", "file:b.yaml", folder=tmp_path) == [
        "closed_place",
        "capability_gain",
    ]


KNOWLEDGE = st.fixed_dictionaries(
    {"directory": st.sampled_from(["docs", "other"])},
    optional={
        "model": st.sampled_from(["m", "n"]),
        "embeddings_file": st.sampled_from(["a.json", "b.json"]),
        "storage_format": st.sampled_from(["json", "msgpack"]),
        "top_k": st.integers(1, 30),
        "chunk_size": st.integers(1, 9000),
        "chunk_template": st.sampled_from(["{{chunk.text}}", "x"]),
        "context_template": st.sampled_from(["{{chunks}}", "x", "{{chunks}}" * 999]),
    },
)
SHOWN = {"top_k", "chunk_size", "chunk_template", "context_template"}


@given(KNOWLEDGE, KNOWLEDGE, st.booleans())
def test_a_draft_never_reads_other_documents_nor_keeps_them_elsewhere(
    old: dict[str, object], new: dict[str, object], inline: bool
) -> None:
    def wrapped(base: dict[str, object]) -> dict[str, object]:
        return {"states": {"s": {"rag": base}}} if inline else {"rag": {"faq": base}}

    if all(places.is_open(change) for change in changes(wrapped(old), wrapped(new))):
        assert {k: v for k, v in old.items() if k not in SHOWN} == {
            k: v for k, v in new.items() if k not in SHOWN
        }
        changed = {key: value for key, value in new.items() if old.get(key) != value}
        assert 1 <= changed.get("top_k", 1) <= 20
        assert 100 <= changed.get("chunk_size", 100) <= 8000
        assert "x" not in changed.values()
        assert capabilities(wrapped(old)) == capabilities(wrapped(new))
    elif {k for k in {*old, *new} if old.get(k) != new.get(k)} - SHOWN:
        assert capabilities(wrapped(old)) != capabilities(wrapped(new))
