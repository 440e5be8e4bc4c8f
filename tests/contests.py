"""Strategies for workflows that were compared."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from finetune_fsm.execution.rollout import Rollout, RunStatus, Visit
from finetune_fsm.llm.base import Usage
from finetune_fsm.scenarios.benchmark import Benchmark, Contender
from finetune_fsm.scenarios.model import (
    Assertion,
    AssertionType,
    Scenario,
    ScenarioResult,
    SuiteReport,
    Verdict,
)

CHECK = Assertion(AssertionType.STATE_REACHED, "end")

Marks = Sequence[Sequence[bool]]
"""For each scenario whether it passed, one per draw."""


def result(name: str, *, passed: bool, usage: Usage = Usage()) -> ScenarioResult:  # noqa: B008  # frozen
    rollout = Rollout(RunStatus.COMPLETED, (Visit("s", "prompt", usage=usage),))
    verdict = Verdict.PASSED if passed else Verdict.FAILED
    return ScenarioResult(Scenario(name, (CHECK,)), rollout, verdict)


def contender(marks: Marks, *, name: str = "w.yaml", names: Sequence[str] = ()) -> Contender:
    shown = names or [f"scenario {number}" for number in range(len(marks))]
    draws = zip(*marks, strict=True)
    return Contender(
        name,
        tuple(
            SuiteReport(tuple(result(n, passed=p) for n, p in zip(shown, draw, strict=True)))
            for draw in draws
        ),
    )


def matrices(workflows: int, most: int = 14) -> st.SearchStrategy[list[list[list[bool]]]]:
    """For each of so many workflows the marks of the same scenarios and draws."""
    sizes = st.tuples(st.integers(1, most), st.integers(1, 4))
    return sizes.flatmap(
        lambda size: st.lists(
            st.lists(
                st.lists(st.booleans(), min_size=size[1], max_size=size[1]),
                min_size=size[0],
                max_size=size[0],
            ),
            min_size=workflows,
            max_size=workflows,
        )
    )


@st.composite
def benchmarks(draw: st.DrawFn, content: st.SearchStrategy[str]) -> Benchmark:
    """Any benchmark, every text of which may be *content*."""
    matrix = draw(st.integers(2, 4).flatmap(lambda many: matrices(many, most=8)))
    names = [draw(content) for _ in matrix[0]]
    usages = st.builds(
        Usage, st.integers(0, 3), st.integers(0, 99), st.integers(0, 99), st.floats(0, 1e4)
    )
    contenders = []
    for marks in matrix:
        spent = draw(usages)
        reports = tuple(
            SuiteReport(
                tuple(
                    result(name, passed=passed, usage=spent)
                    for name, passed in zip(names, verdicts, strict=True)
                )
            )
            for verdicts in zip(*marks, strict=True)
        )
        contenders.append(Contender(draw(content), reports))
    return Benchmark(tuple(contenders), draw(usages), draw(st.floats(0, 1e5)))
