"""The model of a bench: the one with known truth, or a real one asked every question once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from finetune_fsm.llm.base import LLM
from finetune_fsm.llm.memo import Memo
from finetune_fsm.llm.meter import Meter
from finetune_fsm.llm.select import choose
from quality import truth
from quality.cases import Case

SCRIPT = "script"

ModelOf = Callable[[Case, int], LLM]
"""The model for a case and a seed."""


@contextmanager
def opened(spec: str) -> Iterator[ModelOf]:
    """Hold the model open that *spec* names: ``script``, or what ``agentmech --llm`` takes.

    A real model is loaded once for all jobs, and equal requests are sent to it once: greedy
    replies repeat and sampled ones have a seed. It saves time and nothing else, since calls are
    counted in front of it, with the tokens and seconds that the reply took the first time.
    """
    if spec == SCRIPT:
        yield truth.model
        return
    inner = choose(spec=spec).llm
    try:
        memo = Memo(inner, Meter())
        yield lambda _case, _seed: memo
    finally:
        inner.close()
