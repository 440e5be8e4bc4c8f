"""What ``--executor`` and ``--llm dask:…`` mean, and that nothing of it is lost on the way."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_fsm.errors import MissingExtra, UsageError
from finetune_fsm.llm.dask_llm import DaskLLM
from finetune_fsm.llm.dask_spec import asked_by_workers
from finetune_fsm.llm.select import choose
from finetune_fsm.sinks import clean

hosts = st.sampled_from(["gpu-1", "10.0.0.1", "gpu.example.org", "[fe80::1]", "LOCALHOST"])
ports = st.integers(1, 65535)
inner = st.sampled_from(
    [
        "",
        "ollama:http://gpu:11434",
        "ollama:http://a:1,http://b:2",
        "openai:http://gpu/v1",
        "llamacpp",
        "llamacpp:/models/q.gguf",
        "script:/data/replies.yaml",
        "script:C:/x.yaml",
    ]
)


@given(hosts, ports, inner)
def test_the_words_that_choose_a_cluster_choose_it_again(host: str, port: int, spec: str) -> None:
    first = choose(executor=f"dask://{host}:{port}", spec=spec or None)
    again = choose(spec=first.spec)
    assert isinstance(again.llm, DaskLLM)
    assert again.spec == first.spec == f"dask:{host.lower()}:{port}" + (f"/{spec}" if spec else "")
    assert again.llm.name == first.llm.name == f"Dask at {host.lower()}:{port}"
    assert again.llm._spec == first.llm._spec == spec


@given(hosts, ports, inner)
def test_another_cluster_can_be_told_to_ask_the_same(host: str, port: int, spec: str) -> None:
    first = choose(executor=f"dask://{host}:{port}", spec=spec or None)
    other = choose(executor="dask://elsewhere", spec=asked_by_workers(first.spec))
    assert isinstance(other.llm, DaskLLM)
    assert other.llm._spec == first.llm._spec == spec
    if spec:  # without a cluster nobody knows what workers could reach
        assert asked_by_workers(spec) is None


def test_the_usual_port_need_not_be_said() -> None:
    assert choose(executor="dask://gpu-1").spec == "dask:gpu-1:8786"
    assert choose(executor="DASK://gpu-1/").spec == "dask:gpu-1:8786"


def test_urls_with_it_are_what_the_workers_ask() -> None:
    chosen = choose(executor="dask://gpu", url=["localhost", "http://user:secret@b:1"])
    assert chosen.spec == "dask:gpu:8786/ollama:http://localhost:11434,http://b:1"
    assert "user:secret@b" in chosen.llm._spec


@pytest.mark.parametrize(
    ("executor", "said"),
    [
        ("tcp://gpu:8786", r"did you mean dask://gpu:8786\?"),
        ("gpu:8786", r"did you mean dask://gpu:8786\?"),
        ("dask://", "dask://HOST:PORT"),
        ("dask://gpu:0", "dask://HOST:PORT"),
        ("dask://gpu:99999", "dask://HOST:PORT"),
        ("dask://g u", "dask://HOST:PORT"),
        ("dask://gpu/ollama:http://x", r"did you mean dask://gpu\?"),
        ("", "dask://HOST:PORT"),
    ],
)
def test_what_is_no_address_of_a_scheduler_is_refused_with_what_would_be(
    executor: str, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        choose(executor=executor)


def test_a_password_in_an_address_is_refused_and_not_shown() -> None:
    with pytest.raises(UsageError) as caught:
        choose(executor="dask://user:secret@gpu:8786")
    assert "secret" not in str(caught.value)
    assert "dask://gpu:8786" in str(caught.value)


@given(st.text(max_size=30), st.booleans())
def test_any_text_is_an_address_or_refused(text: str, by_option: bool) -> None:
    try:
        chosen = choose(executor=text) if by_option else choose(spec=f"dask:{text}")
    except UsageError as error:
        said = str(error)
    else:
        assert isinstance(chosen.llm, DaskLLM)
        said = chosen.llm.name
    assert said == clean(said)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("dask:other:1", "both name a scheduler"),
        ("openai", "openai:URL"),
        ("script:", "script:FILE"),
        ("olama:x", "ollama"),
        ("ollama:http://a:1,", "one comma"),
    ],
)
def test_what_workers_cannot_ask_is_refused_here(spec: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        choose(executor="dask://gpu", spec=spec)


def test_workers_spread_nothing_on_and_a_cluster_needs_an_address() -> None:
    with pytest.raises(UsageError, match="cannot spread"):
        choose(spec="dask:gpu:1/dask:other:2")
    with pytest.raises(UsageError, match="dask:HOST:PORT"):
        choose(spec="dask")


def test_without_dask_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtra, match=r"pip install 'finetune-fsm\[dask\]'"):
        choose(executor="dask://gpu")


def test_dask_is_loaded_by_the_first_question_and_not_before() -> None:
    code = (
        "import sys; from finetune_fsm.llm.select import choose;"
        "choose(executor='dask://gpu'); print('distributed' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
