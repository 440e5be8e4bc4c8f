"""The process that runs command lines, one for each worker of the tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from corpus.prober import Prober


@pytest.fixture(scope="session")
def prober() -> Iterator[Prober]:
    prober = Prober()
    yield prober
    prober.close()
