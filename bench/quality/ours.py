"""The way of this project, through the front door of its library."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from finetune_fsm.api import finetune
from finetune_fsm.llm.meter import Budget
from finetune_fsm.loop.machine import Moment
from finetune_fsm.loop.run import Run
from quality.ways import Seen, Shipped, Task

DEFAULTS: Mapping[str, object] = {"max_iterations": 30, "allow": ("structure",)}
"""Enough iterations for the cap to decide, and leave to add and remove states, as peers have it."""


def improve(task: Task) -> Shipped:
    """Improve the workflow of *task* as a user of the library does."""
    seen: list[Seen] = []

    def watch(moment: Moment) -> None:
        text = _best(moment.run)
        if text is not None and (not seen or seen[-1].text != text):
            seen.append(Seen(task.llm.spent, text))

    output = task.workflow.with_name("shipped.yaml")
    options: dict[str, Any] = {**DEFAULTS, "seed": task.seed, **task.options}
    run = finetune(
        task.workflow,
        llm=task.llm,
        tests=task.tests,
        output=output,
        budget=Budget(calls=task.cap),
        observers=(watch,),
        **options,
    )
    text = output.read_text("utf-8") if output.exists() else task.start.text
    return Shipped(text, run.ending.value if run.ending else "", tuple(seen))


def _best(run: Run) -> str | None:
    return run.best.candidate.text if run.best else None
