from __future__ import annotations

import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from llm import conformance
from llm.conformance import Factory, Model, ask
from strategies import plain_data

from finetune_fsm.errors import (
    Cancelled,
    InvalidDocument,
    LLMError,
    LLMErrorKind,
    ScriptExhausted,
)
from finetune_fsm.llm.base import LLM, Completion, Purpose, Request, Stop
from finetune_fsm.llm.script_file import read
from finetune_fsm.llm.script_text import Refused, parsed
from finetune_fsm.llm.scripted import Reply, ScriptedLLM, load_script
from finetune_fsm.workflow.text import dump


@contextmanager
def scripted(model: Model) -> Iterator[LLM]:
    def answer(request: Request) -> Completion:
        said = model(request.messages[-1].content)
        if said.error:
            raise LLMError(said.error, "refused")
        return Completion(said.text, cut=said.cut)

    yield ScriptedLLM(answer)


@pytest.mark.parametrize("check", conformance.CHECKS, ids=lambda check: check.__name__)
def test_a_script_keeps_the_promises_of_a_model(check: Callable[[Factory], None]) -> None:
    check(scripted)


@given(st.lists(st.text(max_size=20), min_size=1, max_size=6))
def test_plain_texts_answer_once_each_in_order_and_then_the_script_is_exhausted(
    texts: list[str],
) -> None:
    llm = ScriptedLLM(texts)
    assert [llm.complete(ask("?")).text for _ in texts] == texts
    with pytest.raises(ScriptExhausted):
        llm.complete(ask("?"))
    assert len(llm.requests) == len(texts) + 1


@given(st.text(max_size=30))
def test_a_reply_takes_named_groups_to_the_letter(text: str) -> None:
    llm = ScriptedLLM([Reply("<{{said}}|{{unknown}}>", when=(r"Say: (?P<said>.*)\Z",))])
    assert llm.complete(ask(f"Say: {text}")).text == f"<{text}|{{{{unknown}}}}>"


@given(
    st.lists(st.sampled_from(list(Purpose)), max_size=8),
    st.permutations([Reply(str(purpose), purpose=purpose) for purpose in Purpose]),
)
def test_a_rule_for_a_purpose_answers_no_other(purposes: list[Purpose], rules: list[Reply]) -> None:
    llm = ScriptedLLM(rules)
    replies = [llm.complete(ask("?", purpose=purpose)).text for purpose in purposes]
    assert replies == [str(purpose) for purpose in purposes]


def test_all_patterns_of_a_rule_must_be_found_and_the_first_rule_that_fits_wins() -> None:
    llm = ScriptedLLM([Reply("both", when=("a", "b")), Reply("one", when=("a",)), Reply("none")])
    assert [llm.complete(ask(text)).text for text in ("b\na", "a", "c")] == ["both", "one", "none"]


def test_a_rule_that_answers_once_is_used_up() -> None:
    llm = ScriptedLLM([Reply("first", once=True), Reply("then")])
    assert [llm.complete(ask("?")).text for _ in range(3)] == ["first", "then", "then"]


@pytest.mark.parametrize("kind", list(LLMErrorKind))
def test_a_rule_can_be_an_error_of_any_kind(kind: LLMErrorKind) -> None:
    with pytest.raises(LLMError) as caught:
        ScriptedLLM([Reply(error=kind)]).complete(ask("?"))
    assert caught.value.kind is kind


def test_an_exhausted_script_says_where_and_for_what() -> None:
    with pytest.raises(ScriptExhausted, match=r"'judge' at 'greet' — .*Is it good\?"):
        ScriptedLLM([]).complete(ask("Is it good?", purpose=Purpose.JUDGE, label="greet"))


def test_a_stop_while_the_script_waits_is_noticed() -> None:
    stop = Stop()

    def answer(_: Request) -> str:
        stop.ask()
        return "too late"

    with pytest.raises(Cancelled):
        ScriptedLLM(answer).complete(ask("?"), stop=stop)


def test_a_script_file_says_what_the_rules_say(tmp_path: Path) -> None:
    path = tmp_path / "replies.yaml"
    path.write_text(
        "format: 1\n"
        "replies:\n"
        '  - {when: "name: (?P<name>\\\\w+)", purpose: state, reply: "Hi {{name}}"}\n'
        "  - {purpose: proposal, reply: {edits: []}, cut: true}\n"
        "  - {error: busy, once: true}\n",
        "utf-8",
    )
    llm = load_script(path)
    assert llm.complete(ask("name: Ann")).text == "Hi Ann"
    proposal = llm.complete(ask("?", purpose=Purpose.PROPOSAL))
    assert (proposal.text, proposal.cut) == ('{"edits": []}', True)
    with pytest.raises(LLMError) as caught:
        llm.complete(ask("?"))
    assert caught.value.kind is LLMErrorKind.BUSY


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "format: 1"),
        ("format: 2\nreplies: [{}]", "format: 1"),
        ("format: 1\nreplies: []", "at least one rule"),
        ("format: 1\nreplies: [x]", "must be a mapping"),
        ("format: 1\nreplies: [{when: '('}]", "unterminated"),
        ("format: 1\nreplies: [{tpye: x}]", "tpye"),
        ("format: 1\nreplies: [{purpose: x}]", "'x' is no purpose — one of: state, route"),
        ("format: 1\nreplies: [{error: bussy}]", "did you mean 'busy'?"),
        ("format: 1\nreply: [{}]", "unknown key 'reply'"),
        ("format: 1\nreplies:\n- {once: 'no'}", ":3:10: error: no usable script: 'once' must be"),
        ("format: 1\nreplies: [{cut: 1}]", "'cut' must be true or false"),
        ("format: 1\nreplies: [{seconds: 1000000000}]", "from 0 to 3600"),
        ("format: 1\nreplies: [{seconds: -1}]", "from 0 to 3600"),
        ("format: 1\nreplies: [{seconds: .inf}]", "from 0 to 3600"),
        ("format: 1\nreplies: [{when: 5}]", "a pattern or a list of patterns"),
        ("format: 1\nreplies: [{when: [a, [b]]}]", "a pattern or a list of patterns"),
        (f"format: 1\nreplies: [{{when: '{'(' * 1500}'}}]", "not a pattern"),
        (f"format: 1\nreplies: [{{when: '{'a' * 2001}'}}]", "more than 2000"),
        ("format: 1\nreplies: [{when: 'a{99999999999}'}]", "not a pattern"),
        ("format: 1\nreplies: [{reply: &a x}, {reply: *a}]", "no anchors"),
        ("format: 1\nreplies: [{reply: *a}]", "no anchors"),
        ("format: 1\nreplies: [{reply: !!binary aGk=}]", "no tags"),
        ("format: 1\nreplies: [{reply: {{x}}}]", "a key must be plain text"),
        ("format: 1\nreplies: [{reply: a, reply: b}]", "'reply' is there twice"),
        ("format: 1\nreplies: [{}]\n---\nformat: 1\n", ":3:1: error: no usable script: a second"),
        ("format: 1\nreplies: " + "[" * 100_000, "more than 32"),
        ("format: 1\nreplies: [{reply: " + "[" * 900 + "]" * 900 + "}]", "more than 32"),
        ("format: 1\nreplies: [" + "{}," * 60_000 + "]", "more than 25000"),
        ("#" * 1_000_001, "larger than 1000000 bytes"),
        ("format: [", "expected"),
        ("\x00", "control characters"),
    ],
)
def test_a_file_that_is_no_script_is_refused_with_the_reason(
    tmp_path: Path, text: str, words: str
) -> None:
    path = tmp_path / "replies.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(InvalidDocument, match=re.escape(words)) as caught:
        load_script(path)
    assert caught.value.problems[0].file == str(path)


def test_plain_values_are_what_json_says_and_everything_else_is_text(tmp_path: Path) -> None:
    path = tmp_path / "replies.yaml"
    path.write_text(
        "format: 1\nreplies:\n"
        "  - reply: {a: 1, b: -1.5, c: true, d: null, e: no, f: 2024-01-01, g: .nan, h: '1', i: }\n"
        "    seconds: 0.5\n    when: '[[a]'\n"
    )
    (rule,) = read(path)
    assert rule.reply == (
        '{"a": 1, "b": -1.5, "c": true, "d": null, "e": "no", "f": "2024-01-01", "g": ".nan", '
        '"h": "1", "i": null}'
    )
    assert (rule.seconds, rule.when) == (0.5, ("[[a]",))


def test_pairs_of_surrogates_are_joined_as_in_json_and_halves_stay(tmp_path: Path) -> None:
    path = tmp_path / "replies.yaml"
    path.write_text(json.dumps({"format": 1, "replies": [{"reply": "🎈 \ud800 é"}]}))
    assert read(path) == (Reply("🎈 \ud800 é"),)


def test_bytes_that_are_no_text_are_refused_with_their_place(tmp_path: Path) -> None:
    path = tmp_path / "replies.yaml"
    path.write_bytes(b"format: 1\nreplies: [{reply: \xff}]")
    with pytest.raises(InvalidDocument, match=":2:19: error: no usable script: it is not UTF-8"):
        load_script(path)


@pytest.mark.parametrize("name", ["/dev/zero", ".", "a\0b"])
def test_what_is_no_file_is_no_script(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidDocument, match="no usable script"):
        load_script(tmp_path / name)


def test_a_pipe_is_no_script_and_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidDocument, match="no regular file"):
        load_script(tmp_path / "pipe")


@given(st.text() | plain_data().map(dump))
@settings(max_examples=100)
@example("replies: [{{}}]")
@example("- ? a")
def test_any_text_is_a_script_or_is_refused(text: str) -> None:
    with suppress(Refused):
        parsed(text)


def test_a_stop_ends_the_wait_before_a_reply() -> None:
    stop = Stop()
    threading.Timer(0.1, stop.ask).start()
    started = time.monotonic()
    with pytest.raises(Cancelled):
        ScriptedLLM([Reply("x", seconds=30)]).complete(ask("?"), stop=stop)
    assert time.monotonic() - started < 5


def test_a_script_file_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidDocument, match="No such file"):
        load_script(tmp_path / "nowhere.yaml")
