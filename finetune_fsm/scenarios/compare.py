"""Several workflows on the same scenarios, each as often as the others."""

from __future__ import annotations

import time
from collections.abc import Sequence

from finetune_fsm.execution.limits import Settings
from finetune_fsm.execution.rollout import Rollout
from finetune_fsm.llm.base import LLM, Stop, Usage
from finetune_fsm.llm.memo import Call, Memo
from finetune_fsm.llm.meter import Meter
from finetune_fsm.llm.one_model import OneModel
from finetune_fsm.llm.watch import Watch
from finetune_fsm.scenarios.benchmark import Benchmark, Contender
from finetune_fsm.scenarios.evaluate import DEFAULTS, OnDone, Task, judge_all, roll_out_each
from finetune_fsm.scenarios.model import Suite
from finetune_fsm.workflow.model import Workflow


def compare_workflows(  # noqa: PLR0913  # what runs, and how, in words of their own
    workflows: Sequence[Workflow],
    suite: Suite,
    llm: LLM,
    *,
    names: Sequence[str] = (),
    model: str | None = None,
    repeat: int = 1,
    jobs: int | None = None,
    seed: int = 0,
    options: Settings = DEFAULTS,
    stop: Stop | None = None,
    on_done: OnDone | None = None,
    watch: Watch | None = None,
) -> Benchmark:
    """Run every one of *workflows* on all of *suite*, and hold them against the first.

    Within a draw a question that several rollouts ask is asked once, so workflows that differ in
    one state cost little more than one. Each rollout's usage says what its answers took all the
    same, whoever asked first.

    Args:
        workflows: Two or more valid ones, the baseline first.
        suite: Fits all of them.
        llm: Answers the prompt states of all of them.
        names: What they are called in the result; their own names without.
        model: Asked instead of those that they name.
        repeat: Draws of each scenario, 1 or more. An odd number leaves no draw out of a majority.
        jobs: How many rollouts run at the same time; as many as *llm* has slots for without.
        seed: See `roll_out`, which also says what is raised.
        options: Limits of each run.
        stop: Ends all of them early.
        on_done: Told how many of how many rollouts there are.
        watch: Where they can be seen, if anybody looks.

    Raises:
        ValueError: fewer than two workflows, no draw, or another number of names.
    """
    if len(workflows) < 2 or repeat < 1 or len(names) not in (0, len(workflows)):
        raise ValueError("a comparison takes two workflows, a name for each, and a draw")
    started = time.monotonic()
    asked: list[Call] = []
    memo: LLM = Memo(llm, Meter(), record=asked.append)
    shared = OneModel(memo, model) if model else memo
    tasks = [
        Task(workflow, scenario, draw, f"workflow {number}/{len(workflows)}")
        for draw in range(repeat)  # so that a slow hour falls on all of them
        for number, workflow in enumerate(workflows, 1)
        for scenario in suite.scenarios
    ]
    rollouts = tuple(
        roll_out_each(
            tasks,
            shared,
            jobs=jobs,
            seed=seed,
            options=options,
            stop=stop,
            on_done=on_done,
            watch=watch,
        )
    )
    contenders = _contenders(
        names or [workflow.name for workflow in workflows], suite, rollouts, repeat
    )
    return Benchmark(contenders, _spent(asked), time.monotonic() - started)


def _contenders(
    names: Sequence[str], suite: Suite, rollouts: Sequence[Rollout], repeat: int
) -> tuple[Contender, ...]:
    many = len(suite.scenarios)

    def of(draw: int, number: int) -> Sequence[Rollout]:
        start = (draw * len(names) + number) * many
        return rollouts[start : start + many]

    return tuple(
        Contender(name, tuple(judge_all(suite, of(draw, number)) for draw in range(repeat)))
        for number, name in enumerate(names)
    )


def _spent(calls: Sequence[Call]) -> Usage:
    return sum((call.usage for call in calls), Usage())
