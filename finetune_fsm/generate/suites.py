"""Tests for a workflow that was made: written by a model, run once, and kept where they held."""

from __future__ import annotations

from collections.abc import Callable

from finetune_fsm.errors import Problem
from finetune_fsm.generate.maker import Ask
from finetune_fsm.improve import testgen
from finetune_fsm.scenarios.model import Suite, SuiteReport
from finetune_fsm.workflow.model import Workflow

RunTests = Callable[[Workflow, Suite], SuiteReport]
"""Runs a workflow on a suite."""


def suite_for(
    workflow: Workflow, file: str, *, model: str, ask: Ask, run: RunTests, seed: int = 0
) -> tuple[Suite, tuple[str, ...]]:
    """Return tests for *workflow*, and what a person should know of them.

    A check of a text that fails today says as much about the model that wrote it as about the
    workflow, so it is left out.

    Args:
        workflow: A valid one.
        file: Its name, as the test file gives it.
        model: Who writes the tests.
        ask: How it is asked.
        run: Runs them once.
        seed: For sampling.

    Raises:
        LLMError: the world broke.
    """
    reply = ask(testgen.request(model, workflow, seed=seed))
    read = reply if isinstance(reply, Problem) else testgen.read(reply.text, workflow)
    if isinstance(read, Problem):
        note = f"the model wrote no usable tests ({read.message}); one follows it to its end"
        return testgen.fallback(file), (note,)
    suite = Suite(file, read)
    kept = testgen.trusted(run(workflow, suite), file)
    dropped = sum(len(s.assertions) for s in suite.scenarios) - sum(
        len(s.assertions) for s in kept.scenarios
    )
    if dropped <= 0:
        return kept, ()
    note = f"{dropped} check{'s' * (dropped > 1)} of the model's did not hold when run and left out"
    return kept, (note,)
