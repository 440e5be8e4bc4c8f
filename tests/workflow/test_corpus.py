"""Every way we know to write a bad workflow file, and what a person is told."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from finetune_fsm.errors import Problem, Severity
from finetune_fsm.workflow.load import check_file

HEAD = "name: x\nstart_state: a\n"
STATE = "states:\n  a:\n    type: prompt\n    prompt: hi\n"
OK = HEAD + STATE


def state(fields: str) -> str:
    """A workflow whose state `a` has these lines too, from line 6 on."""
    return OK.replace("    prompt: hi\n", "") + "".join(f"    {f}\n" for f in fields.split("\n"))


def bomb() -> str:
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9)]
    return "\n".join(lines) + "\n" + OK


def merge_bomb() -> str:
    lines = ["a0: &a0 {k: v}"]
    lines += [f"a{i}: &a{i}\n  <<: [*a{i - 1}, *a{i - 1}]" for i in range(1, 26)]
    return "\n".join(lines) + "\n" + OK


MANY = "states:\n" + "".join(f"  s{i}: {{type: transition, next: end}}\n" for i in range(501))

# number in the corpus, text, code, line, words of message or hint; line 0: nothing to point at
ERRORS: list[tuple[str, str | bytes, str, int, str]] = [
    ("1 empty", "", "empty_document", 1, "empty"),
    ("2 only a comment", "# comment\n", "empty_document", 1, "empty"),
    ("3 text", "hello\n", "schema_type", 1, "must be a mapping, not text"),
    ("4 list", "- a\n", "schema_type", 1, "must be a mapping, not a list"),
    ("5 null", "null\n", "empty_document", 1, "empty"),
    ("6 two documents", OK + "---\nname: y\n", "second_document", 7, "remove the '---'"),
    ("7 tab", "name: x\nstates:\n\ta: 1\n", "bad_yaml", 3, "spaces"),
    ("8 open quote", 'name: "x\nstart_state: a\n', "bad_yaml", 1, "closing quote"),
    ("9 fenced", "```yaml\n" + OK + "```\n", "bad_yaml", 1, "fence"),
    ("10 trailing fence", OK + "```\n", "bad_yaml", 7, "fence"),
    ("11 UTF-16", OK.encode("utf-16"), "not_utf8", 0, "UTF-16"),
    ("12 latin-1", b"name: x\ndescription: caf\xe9\n", "not_utf8", 2, "0xe9"),
    ("13 NUL", OK + "# \0", "not_text", 0, "NUL"),
    ("14 ESC", HEAD + "description: \x1b[31m\n" + STATE, "bad_character", 3, "U+001B"),
    ("15 surrogate", 'name: "\\ud800"\n' + STATE, "bad_yaml", 1, "surrogate"),
    ("18 alias bomb", bomb(), "too_many_nodes", 5, "25000"),
    ("19 merge bomb", merge_bomb(), "too_many_nodes", 26, "25000"),
    ("20 recursive alias", "name: &x [*x]\n", "recursive_alias", 1, "part of"),
    ("21 deep", "[" * 100_000, "too_deep", 1, "32"),
    ("22 long int", state("prompt: hi\noptions:\n  temperature: " + "9" * 5000),
     "schema_type", 8, "number, not text"),
    ("23 nan", state("prompt: hi\noptions: {temperature: .nan}"), "schema_type", 7, "not text"),
    ("23 inf", state("prompt: hi\noptions: {temperature: -.inf}"), "schema_type", 7, "not text"),
    ("24 key twice", "name: x\n" + OK, "duplicate_key", 2, "lines 1 and 2"),
    ("25 state twice", OK + "  a:\n    type: prompt\n", "duplicate_key", 7, "lines 4 and 7"),
    ("27 python tag", "name: !!python/object/apply:os.system [ls]\n", "tag", 1, "not allowed"),
    ("28 !important", state("prompt: !important thing"), "tag", 6, "quotes"),
    ("29 binary", state("prompt: !!binary aGk="), "tag", 6, "not allowed"),
    ("30 braces", state("prompt: {{name}}"), "bad_key", 6, '"{{name}}"'),
    ("30 braces and text", state("prompt: {{name}}, hi"), "bad_key", 6, '"{{name}}"'),
    ("31 colon", state("prompt: Question: x"), "bad_yaml", 6, "quotes"),
    ("33 star", state("prompt: *bold*"), "bad_yaml", 6, "quotes"),
    ("33 alias", state("prompt: *bold"), "unknown_alias", 6, "quotes"),
    ("34 two megabytes", OK + "#" * 2_000_000, "too_large", 0, "1000000"),
    ("35 no states", HEAD, "missing_key", 1, "'states' is missing"),
    ("36 states {}", HEAD + "states: {}\n", "schema_minProperties", 3, "at least 1"),
    ("37 states []", HEAD + "states: []\n", "schema_type", 3, "mapping, not a list"),
    ("38 null state", HEAD + "states:\n  a:\n", "schema_type", 4, "mapping, not empty"),
    ("38 text state", HEAD + "states:\n  a: hi\n", "schema_type", 4, "mapping, not text"),
    ("39 no start", "name: x\n" + STATE, "missing_key", 1, "'start_state' is missing"),
    ("40 start unknown", OK.replace("state: a", "state: A"), "unknown_target", 2,
     "did you mean 'a'?"),
    ("42 end", OK + "  end:\n    type: prompt\n    prompt: x\n", "reserved_name", 7, "'end'"),
    ("43 empty name", OK + "  '':\n    type: prompt\n    prompt: x\n", "bad_name", 7, "''"),
    ("43 ../x", OK + "  ../x:\n    type: prompt\n    prompt: x\n", "bad_name", 7, "../x"),
    ("43 300", OK + f"  {'n' * 300}: {{type: prompt, prompt: x}}\n", "bad_name", 7, "100"),
    ("44 type", OK.replace("type: prompt", "type: promt"), "unknown_type", 5,
     "did you mean 'prompt'?"),
    ("45 tpye", OK.replace("type: prompt", "tpye: prompt"), "missing_key", 4,
     "write 'type' instead of 'tpye'"),
    ("46 next", state("prompt: hi\nnext: nowhere"), "unknown_target", 7, "'nowhere'"),
    ("47 both nexts", state("prompt: hi\nnext: end\nnext_options:\n"
     "- {state: a, description: b}\n- {state: end, description: c}"),
     "exclusive_keys", 8, "exclude each other"),
    ("48 no options", state("prompt: hi\nnext_options: []"), "schema_minItems", 7, "at least 2"),
    ("48 no description", state("prompt: hi\nnext_options:\n- {state: a}\n"
     "- {state: end, description: c}"), "missing_key", 8, "'description' is missing"),
    ("52 all three", state("prompt: hi\nprompt_file: x\nsteps: [{prompt: a}, {prompt: b}]"),
     "exclusive_keys", 7, "exclude each other"),
    ("53 no prompt", OK.replace("    prompt: hi\n", ""), "missing_key", 4, "'prompt' is missing"),
    ("54 empty prompt", state("prompt: ''"), "empty_text", 6, "must not be empty"),
    ("54 blank prompt", state("prompt: '  '"), "empty_text", 6, "must not be empty"),
    ("57 built-in", state("prompt: hi\nsave_as: run_directory"), "reserved_name", 7, "another"),
    ("57 space", state("prompt: hi\nsave_as: a b"), "schema_pattern", 7, "letters, digits"),
    ("58 missing", state("prompt_file: none.md"), "missing_file", 6, "does not exist"),
    ("58 near", state("prompt_file: promt.md"), "missing_file", 6, "did you mean 'prompt.md'?"),
    ("58 folder", state("prompt_file: folder"), "not_a_file", 6, "is a folder"),
    ("58 pipe", state("prompt_file: pipe"), "not_a_file", 6, "no regular file"),
    ("58 device", state("prompt_file: /dev/zero"), "not_a_file", 6, "no regular file"),
    ("58 huge", state("prompt_file: huge.md"), "too_large", 6, "larger than"),
    ("58 binary", state("prompt_file: binary.md"), "not_text", 6, "NUL"),
    ("58 NUL in name", state('prompt_file: "a\\0b"'), "unreadable_file", 6, "cannot be read"),
    ("59 itself", HEAD + "states:\n  a:\n    type: workflow_ref\n    workflow_ref: w.yaml\n",
     "circular_ref", 6, "circle"),
    ("59 two", HEAD + "states:\n  a:\n    type: workflow_ref\n    workflow_ref: back.yaml\n",
     "bad_ref", 6, "circle"),
    ("59 missing", HEAD + "states:\n  a:\n    type: workflow_ref\n    workflow_ref: none.yaml\n",
     "missing_file", 6, "does not exist"),
    ("60 on_error", state("prompt: hi\non_error: nowhere"), "unknown_target", 7, "'nowhere'"),
    ("61 num_ctx", state('prompt: hi\noptions: {num_ctx: "big"}'), "schema_type", 7,
     "whole number, not text"),
    ("61 hot", state("prompt: hi\noptions: {temperature: 99}"), "schema_maximum", 7, "<= 2"),
    ("62 undefined", state("prompt: hi\nmcp_servers: [x]"), "unknown_server", 7, "'x'"),
    ("62 no command", OK + "mcp_servers:\n  x: {command: ''}\n", "empty_text", 8, "empty"),
    ("62 args", OK + "mcp_servers:\n  x: {command: a, args: b}\n", "schema_type", 8, "a list"),
    ("62 env", OK + "mcp_servers:\n  x: {command: a, env: {PORT: 80}}\n", "schema_type", 8, '"80"'),
    ("63 top_k", OK + "rag:\n  k: {directory: d, top_k: 0}\n", "schema_minimum", 8, ">= 1"),
    ("63 chunks", OK + "rag:\n  k: {directory: d, chunk_size: -5}\n", "schema_minimum", 8, ">= 1"),
    ("63 directory", OK + "rag:\n  k: {top_k: 1}\n", "missing_key", 8, "'directory' is missing"),
    ("65 number", OK + "variables:\n  version: 1.10\n", "schema_type", 8, "in quotes"),
    ("67 long prompt", state("prompt: " + "x" * 500_000), "too_large", 6, "200000"),
    ("68 501 states", "name: x\nstart_state: s0\n" + MANY, "schema_maxProperties", 3, "500"),
    ("69 no model", state("prompt: hi\nmodel: ''"), "empty_text", 7, "empty"),
    ("69 number", state("prompt: hi\nmodel: 5"), "schema_type", 7, "text, not a whole number"),
    ("69 shell", state("prompt: hi\nmodel: a b;rm -rf"), "schema_pattern", 7, "one word"),
    ("70 no steps", state("steps: []"), "schema_minItems", 6, "at least 2"),
    ("70 no prompt", state("steps: [{prompt: a}, {save_as: b}]"), "missing_key", 6, "'prompt'"),
]  # fmt: skip

WARNINGS: list[tuple[str, str, str, int, str]] = [
    ("32 cut", state("prompt: say #1 thing"), "cut_by_comment", 6, "#1 thing"),
    ("41 start end", OK.replace("state: a", "state: end"), "empty_run", 2, "ends before"),
    ("43 a b", OK + "  a b:\n    type: prompt\n    prompt: x\n", "unusual_name", 7, "'a b'"),
    ("43 emoji", OK + "  🎈:\n    type: prompt\n    prompt: x\n", "unusual_name", 7, "🎈"),
    ("49 loop", state("prompt: hi\nnext: a"), "no_way_to_end", 4, "'end'"),
    ("50 lost", OK + "  b:\n    type: prompt\n    prompt: x\n", "unreachable", 7, "'b'"),
    ("48 same target", state("prompt: hi\nnext_options:\n- {state: end, description: b}\n"
     "- {state: end, description: c}"), "duplicate_option", 7, "2 options"),
    ("55 undefined", state("prompt: 'hi {{undefined}}'"), "unset_placeholder", 6, "undefined"),
    ("56 spaces", state("prompt: 'hi {{ name }}'"), "odd_placeholder", 6, "{{ name }}"),
    ("56 open", state("prompt: 'hi {{name'"), "odd_placeholder", 6, "{{name"),
    ("56 empty", state("prompt: 'hi {{}}'"), "odd_placeholder", 6, "{{}}"),
    ("56 nested", state("prompt: 'hi {{a{{b}}}}'"), "odd_placeholder", 6, "{{a"),
    ("57 error", state("prompt: hi\nsave_as: error"), "reserved_name", 7, "error"),
    ("57 dash", state("prompt: hi\nsave_as: my-name"), "unusual_name", 7, "my-name"),
    ("60 itself", state("prompt: hi\non_error: a"), "self_fallback", 7, "one more try"),
    ("61 endless", state("prompt: hi\noptions: {num_predict: -1}"), "unbounded_reply", 7, "1024"),
    ("61 unknown", state("prompt: hi\noptions: {temprature: 1}"), "unknown_key", 7,
     "did you mean 'temperature'?"),
    ("65 version", OK + "version: 1.10\n", "unknown_key", 7, "'version'"),
    ("71 on_enter", state("prompt: hi\non_enter: os.system"), "unknown_key", 7, "'on_enter'"),
]  # fmt: skip

ACCEPTED: list[tuple[str, str | bytes]] = [
    ("16 BOM", b"\xef\xbb\xbf" + OK.encode()),
    ("17 CRLF", OK.replace("\n", "\r\n")),
    ("26 1 and true", HEAD.replace(": a", ": '1'") + "states:\n"
     "  1: {type: transition, next: 'true'}\n  true: {type: transition, next: end}\n"),
    ("64 no", state("prompt: hi\nsave_as: no")),
    ("64 on", state("prompt: hi\nsave_as: on")),
    ("66 date", OK.replace("hi", "'{{day}}'") + "variables:\n  day: 2024-01-01\n"),
]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "prompt.md").write_text("hi")
    (tmp_path / "binary.md").write_bytes(b"\x7fELF\0\0")
    with (tmp_path / "huge.md").open("wb") as stream:
        stream.truncate(50_000_000)
    (tmp_path / "back.yaml").write_text(
        HEAD + "states:\n  a: {type: workflow_ref, workflow_ref: w.yaml}\n"
    )
    return tmp_path


def checked(folder: Path, content: str | bytes) -> tuple[tuple[Problem, ...], bool]:
    path = folder / "w.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    started = time.process_time()
    found = check_file(path)
    assert time.process_time() - started < 1
    return found.problems, found.workflow is not None


@pytest.mark.parametrize(("content", "code", "line", "words"), [
    pytest.param(*row[1:], id=row[0]) for row in ERRORS
])  # fmt: skip
def test_a_bad_file_is_an_error_with_its_place_and_a_way_out(
    folder: Path, content: str | bytes, code: str, line: int, words: str
) -> None:
    problems, usable = checked(folder, content)
    assert not usable
    found = [p for p in problems if p.code == code and p.severity is Severity.ERROR]
    assert found, problems
    first = found[0]
    assert words in f"{first.message} {first.hint}"
    assert first.line == line
    assert (first.column > 0) == (line > 0)
    assert first.file == str(folder / "w.yaml")


@pytest.mark.parametrize(("content", "code", "line", "words"), [
    pytest.param(*row[1:], id=row[0]) for row in WARNINGS
])  # fmt: skip
def test_an_odd_file_works_with_a_warning(
    folder: Path, content: str, code: str, line: int, words: str
) -> None:
    problems, usable = checked(folder, content)
    assert usable, problems
    found = [p for p in problems if p.code == code]
    assert found, problems
    assert found[0].severity is Severity.WARNING
    assert words in f"{found[0].message} {found[0].hint}"
    assert found[0].line == line


@pytest.mark.parametrize("content", [pytest.param(row[1], id=row[0]) for row in ACCEPTED])
def test_an_unusual_file_is_simply_accepted(folder: Path, content: str | bytes) -> None:
    assert checked(folder, content) == ((), True)


def test_strict_turns_unknown_keys_and_endless_replies_into_errors(tmp_path: Path) -> None:
    path = tmp_path / "w.yaml"
    path.write_text(state("prompt: hi\non_enter: os.system\noptions: {num_predict: -1}"))
    found = check_file(path, strict=True)
    assert found.workflow is None
    assert [(p.code, p.severity) for p in found.problems] == [
        ("unknown_key", Severity.ERROR),
        ("unbounded_reply", Severity.ERROR),
    ]


def test_everything_is_told_at_once_from_top_to_bottom(tmp_path: Path) -> None:
    path = tmp_path / "w.yaml"
    path.write_text(
        "name: 5\nstart_state: begin\nstates:\n  a:\n    type: promt\n  b:\n    type: input\n"
        "    next: aa\n    mcp_servers: [x]\n"
    )
    found = [(p.line, p.code) for p in check_file(path).problems]
    assert found == [
        (1, "schema_type"),
        (2, "unknown_target"),
        (5, "unknown_type"),
        (6, "missing_key"),
        (8, "unknown_target"),
        (9, "unknown_server"),
        (9, "unknown_key"),
    ]
