"""ANALYZING: what is wrong with the best workflow so far, and what might help."""

from __future__ import annotations

from finetune_fsm.errors import Problem
from finetune_fsm.improve import reflection
from finetune_fsm.loop.outcomes import Analyzed
from finetune_fsm.loop.run import Run
from finetune_fsm.loop.toolbox import Toolbox
from finetune_fsm.loop.workflows import best_of


def handle(run: Run, tools: Toolbox) -> Analyzed:
    """Ask the rules and the reflection LLM; once per best, for its report does not change.

    Raises:
        LLMError: the world broke.
    """
    assert run.best is not None  # noqa: S101  # the table comes here only after a verdict
    if run.analysis is not None:
        return Analyzed(run.analysis, fresh=False)
    workflow, report = best_of(run), run.best.report
    question = reflection.request(
        run.settings.model, workflow, report, run.rejections, seed=run.settings.seed
    )
    reply = tools.ask(question)
    reading = reply if isinstance(reply, Problem) else reflection.read(reply.text, workflow)
    return Analyzed(reflection.analysis(workflow, report, reading))
