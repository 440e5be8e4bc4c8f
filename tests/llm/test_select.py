from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import wire
from hypothesis import given
from hypothesis import strategies as st
from llm import completions
from llm.completions import chat
from llm.conformance import ask

from finetune_fsm.errors import (
    InvalidDocument,
    LLMError,
    LLMErrorKind,
    MissingExtra,
    UsageError,
)
from finetune_fsm.llm.host import normalise_host
from finetune_fsm.llm.llamacpp import LlamaCppLLM
from finetune_fsm.llm.ollama import OllamaLLM
from finetune_fsm.llm.openai import OpenAILLM
from finetune_fsm.llm.pool import Pool
from finetune_fsm.llm.select import EMBEDDED_NOTE, choose
from finetune_fsm.llm.transport import shown_url
from finetune_fsm.llm.weights import QWEN

NOBODY = "http://127.0.0.1:9"
"""Where nothing answers: the discard port."""


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of weights, and the engine's package installed."""
    folder, packages = tmp_path / "models", tmp_path / "packages"
    folder.mkdir()
    packages.mkdir()
    (packages / "xllamacpp.py").write_text("raise AssertionError('nobody loads it here')")
    monkeypatch.syspath_prepend(str(packages))
    monkeypatch.setenv("FINETUNE_FSM_MODELS", str(folder))
    return folder


def test_a_server_that_was_named_is_used_and_nobody_asks_whether_it_is_there() -> None:
    by_flag = choose(url=NOBODY, environ={"OLLAMA_HOST": "http://other"}, usual="http://usual")
    by_variable = choose(environ={"OLLAMA_HOST": "127.0.0.1:9"}, usual="http://usual")
    for chosen in (by_flag, by_variable):
        assert isinstance(chosen.llm, OllamaLLM)
        assert NOBODY in chosen.llm.name
        assert chosen.notes == ()


def test_without_a_name_ollama_is_taken_where_it_usually_is(models: Path) -> None:
    (models / QWEN.name).write_bytes(b"GGUF")
    with wire.ollama() as server:
        chosen = choose(usual=server.url, environ={"OLLAMA_HOST": " "})
        assert isinstance(chosen.llm, OllamaLLM)
        assert chosen.llm.complete(ask("hi")).text == "Hello"
    assert chosen.notes == ()


def test_without_ollama_the_embedded_engine_is_taken_and_one_line_says_so(models: Path) -> None:
    (models / QWEN.name).write_bytes(b"GGUF")
    chosen = choose(usual=NOBODY)
    assert isinstance(chosen.llm, LlamaCppLLM)
    (note,) = chosen.notes
    assert EMBEDDED_NOTE in note
    assert NOBODY in note
    assert QWEN.name in note


@pytest.mark.parametrize("have", ["weights", "engine", "nothing"])
def test_with_nothing_at_all_both_remedies_are_named(
    models: Path, monkeypatch: pytest.MonkeyPatch, have: str
) -> None:
    if have != "engine":
        monkeypatch.setitem(sys.modules, "xllamacpp", None)
    if have == "weights":
        (models / QWEN.name).write_bytes(b"GGUF")
    with pytest.raises(LLMError) as caught:
        choose(usual=NOBODY)
    assert caught.value.kind is LLMErrorKind.UNREACHABLE
    for remedy in ("ollama serve", "pip install 'finetune-fsm[embedded]'", "agentmech pull"):
        assert remedy in str(caught.value)


def test_a_spec_names_each_provider(models: Path, tmp_path: Path) -> None:
    script = tmp_path / "replies.yaml"
    script.write_text("{format: 1, replies: [{reply: scripted}]}")
    weights = models / "own.gguf"
    weights.write_bytes(b"GGUF")
    assert "http://h:11434" in choose(spec="ollama:h").llm.name
    assert "localhost:11434" in choose(spec="ollama").llm.name
    assert choose(spec=f"script:{script}").llm.complete(ask("hi")).text == "scripted"
    for spec in ("llamacpp:own", "llamacpp:own.gguf", f"llamacpp:{weights}"):
        chosen = choose(spec=spec)
        assert chosen.llm.name == "the embedded engine with own.gguf"
        assert chosen.notes == (EMBEDDED_NOTE,)
    with completions.server(lambda _: chat("yes")) as server:
        chosen = choose(spec=f"openai:{server.url}")
        assert isinstance(chosen.llm, OpenAILLM)
        assert chosen.llm.complete(ask("hi")).text == "yes"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("openai", "openai:URL"),
        ("script:", "script:FILE"),
        ("openai:ftp://x", "no address"),
        ("ollama:h:0", "no address"),
        ("lamacpp", "llamacpp"),
        ("gpt-9", "one of"),
        ("", "one of"),
    ],
)
def test_a_spec_that_makes_no_sense_is_a_usage_error(spec: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        choose(spec=spec)


@pytest.mark.parametrize("url", ["h", ["h"], ["h", "g"]])
def test_two_names_are_one_too_many(url: str | list[str]) -> None:
    with pytest.raises(UsageError, match="one of them"):
        choose(url=url, spec="ollama")


hosts = st.from_regex(r"[a-z]{1,8}(\.[a-z]{1,3})?", fullmatch=True)
paths = st.text("abc,@:/%-", max_size=6).map(lambda text: f"/{text}" if text else "")
addresses = st.builds(
    lambda scheme, user, host, port, path: f"{scheme}://{user}{host}:{port}{path}",
    st.sampled_from(["http", "https"]),
    st.sampled_from(["", "me:s3cret@", "me:s3,cret@"]),
    hosts,
    st.integers(1, 65535),
    paths,
)


def place(url: str) -> str:
    return shown_url(normalise_host(url)).lower()


@given(st.lists(addresses, min_size=1, max_size=4, unique_by=place))
def test_the_words_that_name_servers_choose_the_same_again(urls: list[str]) -> None:
    chosen = choose(url=urls)
    assert isinstance(chosen.llm, Pool if len(urls) > 1 else OllamaLLM)
    again = choose(spec=chosen.spec)
    assert again.spec == chosen.spec
    assert again.llm.name.replace("%2C", ",") == chosen.llm.name
    assert "cret" not in chosen.spec + chosen.llm.name


def test_several_servers_are_one_model_whose_parts_are_asked_in_turn() -> None:
    with wire.ollama() as a, wire.ollama() as b:
        for chosen in (
            choose(url=[a.url, b.url], environ={"OLLAMA_HOST": "http://other"}),
            choose(spec=f"ollama:{a.url},{b.url}"),
        ):
            assert chosen.spec == f"ollama:{a.url},{b.url}"
            assert chosen.llm.name == f"Ollama at {a.url} and {b.url}"
            for _ in range(4):
                assert chosen.llm.complete(ask("hi")).text == "Hello"
        assert [len(server.asked("/api/chat")) for server in (a, b)] == [4, 4]


def test_several_servers_of_the_other_protocol_are_one_model_as_well() -> None:
    with completions.server(lambda _: chat("a")) as a, completions.server(lambda _: chat("b")) as b:
        chosen = choose(spec=f"openai:{a.url},{b.url}")
        assert chosen.spec == f"openai:{a.url}/v1,{b.url}/v1"
        assert {chosen.llm.complete(ask("hi")).text for _ in range(2)} == {"a", "b"}


@pytest.mark.parametrize(
    "urls",
    [
        ["h", "g", "h"],
        ["h", "http://h:11434"],
        ["http://H:1/", "http://h:1"],
        ["http://me:s3cret@h:1", "http://h:1"],
        ["0.0.0.0", ":11434"],
    ],
)
def test_a_server_named_twice_is_refused_however_it_is_written(urls: list[str]) -> None:
    with pytest.raises(UsageError, match="named twice") as caught:
        choose(url=urls)
    assert "s3cret" not in str(caught.value)
    with pytest.raises(UsageError, match="named twice"):
        choose(spec="openai:h:1,http://H:1/v1/")


@pytest.mark.parametrize(
    "spec", ["ollama:a,", "openai:,a", "ollama:a,,b", "ollama:http://me:s3,cret@h", "openai:a,u@b"]
)
def test_a_comma_that_parts_no_addresses_is_refused_and_shows_no_secret(spec: str) -> None:
    with pytest.raises(UsageError, match="%2C") as caught:
        choose(spec=spec)
    assert "cret" not in str(caught.value)


def test_a_script_that_is_none_and_weights_that_are_not_there_are_said() -> None:
    with pytest.raises(InvalidDocument):
        choose(spec="script:/no/such/file")
    for spec in ("llamacpp", "llamacpp:/no/such/file"):
        with pytest.raises(LLMError, match="agentmech pull") as caught:
            choose(spec=spec)
        assert caught.value.kind is LLMErrorKind.MISSING_MODEL


def test_the_embedded_engine_without_its_package_names_the_extra(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (models / QWEN.name).write_bytes(b"GGUF")
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(MissingExtra, match="embedded"):
        choose(spec="llamacpp")


def test_choosing_imports_nothing_heavy() -> None:
    code = (
        "import sys; from finetune_fsm.llm.select import choose; choose(spec='openai:h'); "
        f"choose(url='h'); choose(url={NOBODY!r}); "
        "heavy = {'httpx', 'ollama', 'xllamacpp', 'loguru', 'asyncio', 'yaml'} & {*sys.modules}; "
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
