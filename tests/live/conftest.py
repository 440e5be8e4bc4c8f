"""Tests with a real model: skipped unless asked for with ``-m live``, failing when they cannot run.

Where the weights are is asked before any test, since each test gets a home of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from live.ollama_front import front

from finetune_fsm.llm.llamacpp import LlamaCppLLM
from finetune_fsm.llm.weights import default_path

WEIGHTS = default_path()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "live" in config.getoption("-m"):
        return
    for item in items:
        if item.get_closest_marker("live"):
            item.add_marker(pytest.mark.skip(reason="asks a real model; run with -m live"))


@pytest.fixture(scope="session")
def weights() -> Path:
    assert WEIGHTS.is_file(), f"no weights at {WEIGHTS}: run 'agentmech pull'"
    return WEIGHTS


@pytest.fixture(scope="session")
def embedded(weights: Path) -> Iterator[LlamaCppLLM]:
    """The embedded engine, loaded once."""
    llm = LlamaCppLLM(weights)
    yield llm
    llm.close()


@pytest.fixture(scope="session")
def ollama_url(embedded: LlamaCppLLM) -> Iterator[str]:
    """A server that speaks Ollama's wire protocol, with the same real model behind it."""
    with front(embedded) as url:
        yield url
