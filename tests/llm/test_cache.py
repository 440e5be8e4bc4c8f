"""Replies kept for other runs: only those that would come out the same again."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tools_asked import tool_calls

from finetune_fsm.errors import LLMError, LLMErrorKind
from finetune_fsm.llm.base import Completion, Message, Request, Stop, Tool, ToolCall
from finetune_fsm.llm.cache import Cached, Store
from finetune_fsm.llm.scripted import Reply, ScriptedLLM

REQUEST = Request("tiny", (Message("user", "hi"),), {"temperature": 0, "seed": 1})


class Weighty(ScriptedLLM):
    """A scripted model that tells its weights from others."""

    weights = "w1"

    def fingerprint(self, model: str, *, stop: Stop | None = None) -> str:
        return f"{model}-{self.weights}" if self.weights else ""


def asked(store: Store, request: Request, *, weights: str = "w1", reply: object = "hello") -> int:
    """Return how many calls it took to answer *request*."""
    llm = Weighty([reply] if isinstance(reply, Reply) else lambda _: reply)
    llm.weights = weights
    Cached(llm, store).complete(request)
    return len(llm.requests)


@given(st.text(min_size=1), st.integers(0, 9), st.integers(0, 9))
def test_another_run_gets_the_same_reply_without_a_call(
    tmp_path_factory: pytest.TempPathFactory, text: str, read: int, written: int
) -> None:
    store = Store(tmp_path_factory.mktemp("c"))
    first = Cached(Weighty(lambda _: Completion(text, read, written)), store).complete(REQUEST)
    llm, pieces = Weighty([]), []
    again = Cached(llm, store).complete(REQUEST, on_text=pieces.append)
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    assert again == replace(first, seconds=0.0, cached=True)
    assert pieces == [text]
    assert not llm.requests


@given(st.lists(tool_calls(), min_size=1, max_size=3).map(tuple), st.sampled_from(("", "I ask")))
def test_calls_of_tools_are_kept_like_words(
    tmp_path_factory: pytest.TempPathFactory, calls: tuple[ToolCall, ...], text: str
) -> None:
    store = Store(tmp_path_factory.mktemp("c"))
    request = replace(REQUEST, tools=(Tool("add", "Adds"),))
    first = Cached(Weighty(lambda _: Completion(text, tool_calls=calls)), store).complete(request)
    llm = Weighty([])
    again = Cached(llm, store).complete(request)
    assert again == replace(first, seconds=0.0, cached=True)
    assert again.tool_calls == calls
    assert not llm.requests


@pytest.mark.parametrize(
    "other",
    [
        {"model": "big"},
        {"tools": (Tool("add", "Adds"),)},
        {"messages": (Message("user", "ho"),)},
        {"messages": (Message("user", "hi", (b"picture",)),)},
        {"options": {"temperature": 0, "seed": 2}},
        {"schema": {"type": "object"}},
        {"draw": 1},
    ],
)
def test_another_question_is_asked(tmp_path: Path, other: dict[str, object]) -> None:
    store = Store(tmp_path)
    assert asked(store, REQUEST) == 1
    assert asked(store, replace(REQUEST, **other)) == 1
    assert asked(store, REQUEST) == 0
    assert asked(store, replace(REQUEST, label="elsewhere")) == 0


def test_other_weights_are_asked_again_and_unknown_ones_always(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert [asked(store, REQUEST, weights=w) for w in ("w1", "w2", "w1", "", "")] == [1, 1, 0, 1, 1]


@pytest.mark.parametrize("options", [{}, {"temperature": 0.5}, {"temperature": None}])
def test_what_may_come_out_otherwise_is_never_kept(
    tmp_path: Path, options: dict[str, object]
) -> None:
    store = Store(tmp_path)
    assert [asked(store, replace(REQUEST, options=options)) for _ in range(2)] == [1, 1]
    assert store.size().files == 0


@pytest.mark.parametrize("reply", [Completion(""), Completion("half", cut=True)])
def test_empty_and_cut_replies_are_never_kept(tmp_path: Path, reply: Completion) -> None:
    store = Store(tmp_path)
    assert [asked(store, REQUEST, reply=reply) for _ in range(2)] == [1, 1]


def test_errors_are_never_kept(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(LLMError):
        asked(store, REQUEST, reply=Reply(error=LLMErrorKind.SERVER))
    assert asked(store, REQUEST) == 1


@given(st.binary(max_size=60), st.booleans())
def test_a_damaged_file_is_as_if_it_were_not_there(
    tmp_path_factory: pytest.TempPathFactory, garbage: bytes, cut: bool
) -> None:
    store = Store(tmp_path_factory.mktemp("c"))
    asked(store, REQUEST)
    [path] = store.root.glob("??/*.json")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(garbage)] if cut else garbage)
    assert asked(store, REQUEST) == 1
    assert asked(store, REQUEST) == 0
    path.write_bytes(whole.replace(b'"hi"', b'"ho"'))
    assert asked(store, REQUEST) == 1
    for calls in (b"3", b"[3]", b'[{"name":3}]', b'[{"name":"a","arguments":[]}]', b'[{"who":1}]'):
        path.write_bytes(whole[:-1] + b',"tool_calls":' + calls + b"}")
        assert asked(store, REQUEST) == 1


def test_a_folder_that_cannot_be_written_is_no_reason_to_stop(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store = Store(tmp_path / "file")
    assert [asked(store, REQUEST) for _ in range(2)] == [1, 1]
    assert store.size().files == 0
    assert store.clear().files == 0


def test_what_was_written_longest_ago_goes_first(tmp_path: Path) -> None:
    store = Store(tmp_path, limit=900)
    for number in range(5):
        asked(store, replace(REQUEST, model=str(number)))
    paths = sorted(tmp_path.glob("??/*.json"), key=lambda path: path.stat().st_mtime_ns)
    for age, path in enumerate(reversed(paths)):
        os.utime(path, (time.time() - age, time.time() - age))
    gone = store.trim()
    assert 0 < gone.files < 5
    assert store.size().bytes <= 900
    assert paths[-1].exists()
    assert not paths[0].exists()
    assert store.clear().files == 5 - gone.files
    assert store.size().files == 0


def test_what_is_kept_is_for_its_owner_alone(tmp_path: Path) -> None:
    store = Store(tmp_path / "calls")
    asked(store, REQUEST)
    assert store.root.stat().st_mode & 0o777 == 0o700
