"""Bad workflow files, W1 to W71: what is in each, and what a person is told.

A file is called w.yaml; `prepare` makes what stands beside it.
"""

from __future__ import annotations

import os
from pathlib import Path

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

# Name, content, code, line (0: nothing to point at), words of message or hint.
ERRORS: list[tuple[str, str | bytes, str, int, str]] = [
    ("W1-empty", "", "empty_document", 1, "empty"),
    ("W2-only-a-comment", "# comment\n", "empty_document", 1, "empty"),
    ("W3-text", "hello\n", "schema_type", 1, "must be a mapping, not text"),
    ("W4-list", "- a\n", "schema_type", 1, "must be a mapping, not a list"),
    ("W5-null", "null\n", "empty_document", 1, "empty"),
    ("W6-two-documents", OK + "---\nname: y\n", "second_document", 7, "remove the '---'"),
    ("W7-tab", "name: x\nstates:\n\ta: 1\n", "bad_yaml", 3, "spaces"),
    ("W8-open-quote", 'name: "x\nstart_state: a\n', "bad_yaml", 1, "closing quote"),
    ("W9-fenced", "```yaml\n" + OK + "```\n", "bad_yaml", 1, "fence"),
    ("W10-trailing-fence", OK + "```\n", "bad_yaml", 7, "fence"),
    ("W11-UTF-16", OK.encode("utf-16"), "not_utf8", 0, "UTF-16"),
    ("W12-latin-1", b"name: x\ndescription: caf\xe9\n", "not_utf8", 2, "0xe9"),
    ("W13-NUL", OK + "# \0", "not_text", 0, "NUL"),
    ("W14-ESC", HEAD + "description: \x1b[31m\n" + STATE, "bad_character", 3, "U+001B"),
    ("W15-surrogate", 'name: "\\ud800"\n' + STATE, "bad_yaml", 1, "surrogate"),
    ("W18-alias-bomb", bomb(), "too_many_nodes", 5, "25000"),
    ("W19-merge-bomb", merge_bomb(), "too_many_nodes", 26, "25000"),
    ("W20-recursive-alias", "name: &x [*x]\n", "recursive_alias", 1, "part of"),
    ("W21-deep", "[" * 100_000, "too_deep", 1, "32"),
    ("W22-long-int", state("prompt: hi\noptions:\n  temperature: " + "9" * 5000),
     "schema_type", 8, "number, not text"),
    ("W23-nan", state("prompt: hi\noptions: {temperature: .nan}"), "schema_type", 7, "not text"),
    ("W23-inf", state("prompt: hi\noptions: {temperature: -.inf}"), "schema_type", 7, "not text"),
    ("W24-key-twice", "name: x\n" + OK, "duplicate_key", 2, "lines 1 and 2"),
    ("W25-state-twice", OK + "  a:\n    type: prompt\n", "duplicate_key", 7, "lines 4 and 7"),
    ("W27-python-tag", "name: !!python/object/apply:os.system [ls]\n", "tag", 1, "not allowed"),
    ("W28-!important", state("prompt: !important thing"), "tag", 6, "quotes"),
    ("W29-binary", state("prompt: !!binary aGk="), "tag", 6, "not allowed"),
    ("W30-braces", state("prompt: {{name}}"), "bad_key", 6, '"{{name}}"'),
    ("W30-braces-and-text", state("prompt: {{name}}, hi"), "bad_key", 6, '"{{name}}"'),
    ("W31-colon", state("prompt: Question: x"), "bad_yaml", 6, "quotes"),
    ("W33-star", state("prompt: *bold*"), "bad_yaml", 6, "quotes"),
    ("W33-alias", state("prompt: *bold"), "unknown_alias", 6, "quotes"),
    ("W34-two-megabytes", OK + "#" * 2_000_000, "too_large", 0, "1000000"),
    ("W35-no-states", HEAD, "missing_key", 1, "'states' is missing"),
    ("W36-states-{}", HEAD + "states: {}\n", "schema_minProperties", 3, "at least 1"),
    ("W37-states-[]", HEAD + "states: []\n", "schema_type", 3, "mapping, not a list"),
    ("W38-null-state", HEAD + "states:\n  a:\n", "schema_type", 4, "mapping, not empty"),
    ("W38-text-state", HEAD + "states:\n  a: hi\n", "schema_type", 4, "mapping, not text"),
    ("W39-no-start", "name: x\n" + STATE, "missing_key", 1, "'start_state' is missing"),
    ("W40-start-unknown", OK.replace("state: a", "state: A"), "unknown_target", 2,
     "did you mean 'a'?"),
    ("W42-end", OK + "  end:\n    type: prompt\n    prompt: x\n", "reserved_name", 7, "'end'"),
    ("W43-empty-name", OK + "  '':\n    type: prompt\n    prompt: x\n", "bad_name", 7, "''"),
    ("W43-../x", OK + "  ../x:\n    type: prompt\n    prompt: x\n", "bad_name", 7, "../x"),
    ("W43-300", OK + f"  {'n' * 300}: {{type: prompt, prompt: x}}\n", "bad_name", 7, "100"),
    ("W44-type", OK.replace("type: prompt", "type: promt"), "unknown_type", 5,
     "did you mean 'prompt'?"),
    ("W45-tpye", OK.replace("type: prompt", "tpye: prompt"), "missing_key", 4,
     "write 'type' instead of 'tpye'"),
    ("W46-next", state("prompt: hi\nnext: nowhere"), "unknown_target", 7, "'nowhere'"),
    ("W47-both-nexts", state("prompt: hi\nnext: end\nnext_options:\n"
     "- {state: a, description: b}\n- {state: end, description: c}"),
     "exclusive_keys", 8, "exclude each other"),
    ("W48-no-options", state("prompt: hi\nnext_options: []"), "schema_minItems", 7, "at least 2"),
    ("W48-no-description", state("prompt: hi\nnext_options:\n- {state: a}\n"
     "- {state: end, description: c}"), "missing_key", 8, "'description' is missing"),
    ("W52-all-three", state("prompt: hi\nprompt_file: x\nsteps: [{prompt: a}, {prompt: b}]"),
     "exclusive_keys", 7, "exclude each other"),
    ("W53-no-prompt", OK.replace("    prompt: hi\n", ""), "missing_key", 4, "'prompt' is missing"),
    ("W54-empty-prompt", state("prompt: ''"), "empty_text", 6, "must not be empty"),
    ("W54-blank-prompt", state("prompt: '  '"), "empty_text", 6, "must not be empty"),
    ("W57-built-in", state("prompt: hi\nsave_as: run_directory"), "reserved_name", 7, "another"),
    ("W57-space", state("prompt: hi\nsave_as: a b"), "schema_pattern", 7, "letters, digits"),
    ("W58-missing", state("prompt_file: none.md"), "missing_file", 6, "does not exist"),
    ("W58-near", state("prompt_file: promt.md"), "missing_file", 6, "did you mean 'prompt.md'?"),
    ("W58-folder", state("prompt_file: folder"), "not_a_file", 6, "is a folder"),
    ("W58-pipe", state("prompt_file: pipe"), "not_a_file", 6, "no regular file"),
    ("W58-device", state("prompt_file: /dev/zero"), "not_a_file", 6, "no regular file"),
    ("W58-huge", state("prompt_file: huge.md"), "too_large", 6, "larger than"),
    ("W58-binary", state("prompt_file: binary.md"), "not_text", 6, "NUL"),
    ("W58-NUL-in-name", state('prompt_file: "a\\0b"'), "unreadable_file", 6, "cannot be read"),
    ("W59-itself", HEAD + "states:\n  a:\n    type: workflow_ref\n    workflow_ref: w.yaml\n",
     "circular_ref", 6, "circle"),
    ("W59-two", HEAD + "states:\n  a:\n    type: workflow_ref\n    workflow_ref: back.yaml\n",
     "bad_ref", 6, "circle"),
    ("W59-missing", HEAD + "states:\n  a:\n    type: workflow_ref\n    workflow_ref: none.yaml\n",
     "missing_file", 6, "does not exist"),
    ("W60-on_error", state("prompt: hi\non_error: nowhere"), "unknown_target", 7, "'nowhere'"),
    ("W61-num_ctx", state('prompt: hi\noptions: {num_ctx: "big"}'), "schema_type", 7,
     "whole number, not text"),
    ("W61-hot", state("prompt: hi\noptions: {temperature: 99}"), "schema_maximum", 7, "<= 2"),
    ("W62-undefined", state("prompt: hi\nmcp_servers: [x]"), "unknown_server", 7, "'x'"),
    ("W62-no-command", OK + "mcp_servers:\n  x: {command: ''}\n", "empty_text", 8, "empty"),
    ("W62-args", OK + "mcp_servers:\n  x: {command: a, args: b}\n", "schema_type", 8, "a list"),
    ("W62-env",
     OK + "mcp_servers:\n  x: {command: a, env: {PORT: 80}}\n", "schema_type", 8, '"80"'),
    ("W63-top_k", OK + "rag:\n  k: {directory: d, top_k: 0}\n", "schema_minimum", 8, ">= 1"),
    ("W63-chunks", OK + "rag:\n  k: {directory: d, chunk_size: -5}\n", "schema_minimum", 8, ">= 1"),
    ("W63-directory", OK + "rag:\n  k: {top_k: 1}\n", "missing_key", 8, "'directory' is missing"),
    ("W65-number", OK + "variables:\n  version: 1.10\n", "schema_type", 8, "in quotes"),
    ("W67-long-prompt", state("prompt: " + "x" * 500_000), "too_large", 6, "200000"),
    ("W68-501-states", "name: x\nstart_state: s0\n" + MANY, "schema_maxProperties", 3, "500"),
    ("W69-no-model", state("prompt: hi\nmodel: ''"), "empty_text", 7, "empty"),
    ("W69-number", state("prompt: hi\nmodel: 5"), "schema_type", 7, "text, not a whole number"),
    ("W69-shell", state("prompt: hi\nmodel: a b;rm -rf"), "schema_pattern", 7, "one word"),
    ("W70-no-steps", state("steps: []"), "schema_minItems", 6, "at least 2"),
    ("W70-no-prompt", state("steps: [{prompt: a}, {save_as: b}]"), "missing_key", 6, "'prompt'"),
]  # fmt: skip

WARNINGS: list[tuple[str, str, str, int, str]] = [
    ("W32-cut", state("prompt: say #1 thing"), "cut_by_comment", 6, "#1 thing"),
    ("W41-start-end", OK.replace("state: a", "state: end"), "empty_run", 2, "ends before"),
    ("W43-a-b", OK + "  a b:\n    type: prompt\n    prompt: x\n", "unusual_name", 7, "'a b'"),
    ("W43-emoji", OK + "  🎈:\n    type: prompt\n    prompt: x\n", "unusual_name", 7, "🎈"),
    ("W49-loop", state("prompt: hi\nnext: a"), "no_way_to_end", 4, "'end'"),
    ("W51-circle", OK.replace("    prompt: hi\n", "    prompt: hi\n    next: b\n")
     + "  b: {type: transition, next: a}\n", "no_way_to_end", 4, "'a', 'b'"),
    ("W50-lost", OK + "  b:\n    type: prompt\n    prompt: x\n", "unreachable", 7, "'b'"),
    ("W48-same-target", state("prompt: hi\nnext_options:\n- {state: end, description: b}\n"
     "- {state: end, description: c}"), "duplicate_option", 7, "2 options"),
    ("W55-undefined", state("prompt: 'hi {{undefined}}'"), "unset_placeholder", 6, "undefined"),
    ("W56-spaces", state("prompt: 'hi {{ name }}'"), "odd_placeholder", 6, "{{ name }}"),
    ("W56-open", state("prompt: 'hi {{name'"), "odd_placeholder", 6, "{{name"),
    ("W56-empty", state("prompt: 'hi {{}}'"), "odd_placeholder", 6, "{{}}"),
    ("W56-nested", state("prompt: 'hi {{a{{b}}}}'"), "odd_placeholder", 6, "{{a"),
    ("W57-error", state("prompt: hi\nsave_as: error"), "reserved_name", 7, "error"),
    ("W57-dash", state("prompt: hi\nsave_as: my-name"), "unusual_name", 7, "my-name"),
    ("W60-itself", state("prompt: hi\non_error: a"), "self_fallback", 7, "one more try"),
    ("W61-endless", state("prompt: hi\noptions: {num_predict: -1}"), "unbounded_reply", 7, "1024"),
    ("W61-unknown", state("prompt: hi\noptions: {temprature: 1}"), "unknown_key", 7,
     "did you mean 'temperature'?"),
    ("W63-no-directory", OK + "rag:\n  k: {directory: d}\n", "missing_file", 8, "does not exist"),
    ("W65-version", OK + "version: 1.10\n", "unknown_key", 7, "'version'"),
    ("W71-on_enter", state("prompt: hi\non_enter: os.system"), "unknown_key", 7, "'on_enter'"),
]  # fmt: skip

ACCEPTED: list[tuple[str, str | bytes]] = [
    ("W16-BOM", b"\xef\xbb\xbf" + OK.encode()),
    ("W17-CRLF", OK.replace("\n", "\r\n")),
    ("W26-1-and-true", HEAD.replace(": a", ": '1'") + "states:\n"
     "  1: {type: transition, next: 'true'}\n  true: {type: transition, next: end}\n"),
    ("W64-no", state("prompt: hi\nsave_as: no")),
    ("W64-on", state("prompt: hi\nsave_as: on")),
    ("W66-date", OK.replace("hi", "'{{day}}'") + "variables:\n  day: 2024-01-01\n"),
]  # fmt: skip


def prepare(folder: Path) -> None:
    """Put into *folder* what the items refer to."""
    (folder / "folder").mkdir()
    os.mkfifo(folder / "pipe")
    (folder / "prompt.md").write_text("hi")
    (folder / "binary.md").write_bytes(b"\x7fELF\0\0")
    with (folder / "huge.md").open("wb") as stream:
        stream.truncate(50_000_000)
    (folder / "back.yaml").write_text(
        HEAD + "states:\n  a: {type: workflow_ref, workflow_ref: w.yaml}\n"
    )
