"""ANALYZING: what is wrong with the best workflow so far, and what might help."""

from __future__ import annotations

from finetune_fsm.errors import LLMErrorKind, Problem
from finetune_fsm.improve import reflection
from finetune_fsm.improve.proposals import next_attempt
from finetune_fsm.llm.base import Completion
from finetune_fsm.loop.outcomes import Analyzed
from finetune_fsm.loop.run import Run
from finetune_fsm.loop.toolbox import Toolbox
from finetune_fsm.loop.workflows import best_of


def handle(run: Run, tools: Toolbox) -> Analyzed:
    """Ask the rules, and when they have nothing left to try, the reflection LLM.

    Each is asked once per best, for its report does not change. Neither sees what is held out.

    Raises:
        LLMError: the world broke.
    """
    workflow, report, known = best_of(run), run.shown, run.analysis
    if known is None:
        found = reflection.by_rules(workflow, report, run.settings.goal)
        wanted = not run.solved or run.settings.goal is not None
        if wanted and (found.repairs or run.promising):
            return Analyzed(found)
    elif known.asked or next_attempt(known, run.tried, run.means) is not None:
        return Analyzed(known, fresh=False)
    reply = _asked(run, tools)
    reading = reply if isinstance(reply, Problem) else reflection.read(reply.text, workflow)
    return Analyzed(reflection.analysis(workflow, report, reading, run.settings.goal))


def _asked(run: Run, tools: Toolbox) -> Completion | Problem:
    """Ask for the analysis; what was tried is left out, the oldest first, until it fits."""
    workflow, report, settings = best_of(run), run.shown, run.settings
    tried = run.rejections[-reflection.REMEMBERED :]
    while True:
        reply = tools.ask(
            reflection.request(
                settings.model, workflow, report, tried, seed=settings.seed, goal=settings.goal
            )
        )
        too_long = isinstance(reply, Problem) and reply.code == LLMErrorKind.CONTEXT_OVERFLOW
        if not (too_long and tried):
            return reply
        tried = tried[1:]
        _log(len(tried))


def _log(left: int) -> None:
    from loguru import logger

    logger.warning(
        "The analysis' prompt does not fit: the oldest draft tried is left out, {} stay in it", left
    )
