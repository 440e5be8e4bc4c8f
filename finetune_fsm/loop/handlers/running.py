"""RUNNING: really run the candidate, once per scenario."""

from __future__ import annotations

from finetune_fsm.loop.outcomes import Ran
from finetune_fsm.loop.run import Run
from finetune_fsm.loop.toolbox import Toolbox
from finetune_fsm.loop.workflows import parsed


def handle(run: Run, tools: Toolbox) -> Ran:
    """Return one rollout per scenario; those that PREPARING made of this text are not redone.

    Raises:
        LLMError: the world broke.
        Cancelled: a stop was asked for, or a budget is spent.
    """
    assert run.candidate is not None  # noqa: S101  # the table comes here only with a candidate
    assert run.suite is not None  # noqa: S101  # and with a suite
    if run.rollouts:
        return Ran(run.rollouts)
    return Ran(
        tools.roll_out(
            parsed(run, run.candidate.text),
            run.suite.scenarios,
            jobs=run.settings.jobs,
            seed=run.settings.seed,
        )
    )
