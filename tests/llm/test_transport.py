from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from finetune_fsm.errors import LLMError, LLMErrorKind
from finetune_fsm.llm.transport import (
    LINE_LIMIT,
    error_text,
    is_loopback,
    kind_of,
    lines,
    parsed,
    retry_after,
    shown_url,
    whole,
)
from finetune_fsm.sinks import one_line

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(st.dictionaries(st.text(), values, max_size=3), max_size=5), st.data())
def test_objects_come_back_wherever_the_bytes_are_cut(
    objects: list[dict[str, object]], data: st.DataObject
) -> None:
    end = data.draw(st.sampled_from([b"\n", b"\r\n", b"\n\n", b"\n \r\n"]))
    start = data.draw(st.sampled_from([b"", b"\xef\xbb\xbf", b"\n"]))
    text = start + b"".join(json.dumps(o, ensure_ascii=False).encode() + end for o in objects)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    chunks = [text[a:b] for a, b in pairwise([0, *cuts, len(text)])]
    assert [parsed(line, "x") for line in lines(chunks)] == objects


@given(st.binary())
@example(b"a\n\xef\xbb\xbfb\n")
def test_no_bytes_are_lost_but_blank_lines(text: bytes) -> None:
    assume(not text.startswith(b"\xef\xbb\xbf"))
    found = list(lines(text[n : n + 1] for n in range(len(text))))
    whole_lines = [part + b"\n" for part in text.split(b"\n")[:-1]] + [text.split(b"\n")[-1]]
    assert found == [line for line in whole_lines if line.strip()]


@given(st.binary(max_size=60))
@example(b"[" * 100_000)
@example(b'{"a": ' + b"9" * 5000 + b"}")
@example(b'{"a": NaN}')
def test_any_bytes_are_an_object_or_an_error_of_protocol(line: bytes) -> None:
    try:
        found = parsed(line, "x")
    except LLMError as error:
        found = error.kind
    assert found is LLMErrorKind.PROTOCOL or isinstance(found, dict)


def test_a_line_and_an_answer_without_end_are_refused() -> None:
    endless = (b"x" * 1_000_000 for _ in range(LINE_LIMIT // 1_000_000 + 2))
    with pytest.raises(LLMError, match="a line of the answer is longer"):
        list(lines(endless))
    endless = (b"x\n" * 500_000 for _ in range(LINE_LIMIT // 1_000_000 + 2))
    with pytest.raises(LLMError, match="the answer is longer"):
        whole(endless)


@given(st.text(min_size=1, max_size=60))
def test_the_words_of_a_refusal_are_found_in_every_form(words: str) -> None:
    shown = error_text(json.dumps({"error": words}))
    assert shown == error_text(json.dumps({"error": {"message": words, "code": 3}}))
    assert shown == error_text(json.dumps({"message": words}))
    assert shown == one_line(words, limit=500)


@given(st.binary(max_size=40))
def test_any_refusal_has_words_that_can_be_shown(body: bytes) -> None:
    shown = error_text(body.decode("utf-8", "replace"))
    assert "\n" not in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, "the input length exceeds the context length", LLMErrorKind.CONTEXT_OVERFLOW),
        (500, "input exceeds context length: exceed_context_size", LLMErrorKind.CONTEXT_OVERFLOW),
        (400, "This model's maximum context length is 8192", LLMErrorKind.CONTEXT_OVERFLOW),
        (400, 'option "num_gpu" must be of type integer', LLMErrorKind.BAD_REQUEST),
        (401, "unauthorized", LLMErrorKind.DENIED),
        (403, "forbidden", LLMErrorKind.DENIED),
        (407, "proxy", LLMErrorKind.DENIED),
        (404, "model 'x' not found", LLMErrorKind.MISSING_MODEL),
        (404, "404 page not found", LLMErrorKind.PROTOCOL),
        (429, "slow down", LLMErrorKind.BUSY),
        (503, "server busy", LLMErrorKind.BUSY),
        (500, "model requires more system memory", LLMErrorKind.SERVER),
        (502, "<html><body>Bad Gateway", LLMErrorKind.PROTOCOL),
        (302, "", LLMErrorKind.PROTOCOL),
    ],
)
def test_a_refusal_has_its_kind(status: int, body: str, kind: LLMErrorKind) -> None:
    assert kind_of(status, body) is kind


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("7", 7.0),
        ("1.5", 1.5),
        ("-3", 0.0),
        ("nan", None),
        ("inf", None),
        ("soon", None),
        ("Thu, 01 Jan 1970 00:02:00 GMT", 20.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("Thu, 99 Jan 1970 00:00:00 GMT", None),
    ],
)
def test_a_wait_is_read_as_seconds_or_as_a_date(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, now=100.0) == seconds


@given(st.text(max_size=20))
def test_any_wait_is_seconds_or_nothing(value: str) -> None:
    seconds = retry_after(value)
    assert seconds is None or seconds >= 0


def test_a_url_is_shown_without_its_password() -> None:
    assert shown_url("https://ann:se@cret@host:1/x") == "https://host:1/x"


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://localhost:1", True),
        ("http://127.0.0.9", True),
        ("http://[::1]:1", True),
        ("http://user:x@localhost./", True),
        ("http://api.localhost", True),
        ("http://localhost.example.com", False),
        ("http://10.0.0.1", False),
        ("http://example.com/localhost", False),
    ],
)
def test_this_machine_is_told_from_others(url: str, *, here: bool) -> None:
    assert is_loopback(url) is here
