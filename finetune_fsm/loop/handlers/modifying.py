"""MODIFYING: turn the next entry of the plan into a draft, or repair the last one."""

from __future__ import annotations

from finetune_fsm.errors import Problem
from finetune_fsm.improve import proposals
from finetune_fsm.improve.model import Attempt, Draft, Strategy, Suspect
from finetune_fsm.improve.strategies import Brief
from finetune_fsm.loop.outcomes import Modified
from finetune_fsm.loop.run import Run
from finetune_fsm.loop.toolbox import Toolbox
from finetune_fsm.loop.workflows import best_of
from finetune_fsm.workflow.edits import Edit, EditError
from finetune_fsm.workflow.splice import splice


def handle(run: Run, tools: Toolbox) -> Modified:
    """Make one draft from the best; no draft and no attempt when the plan is used up.

    Raises:
        LLMError: the world broke.
    """
    attempt = next_of(run)
    return Modified() if attempt is None else attempted(run, tools, attempt)


def attempted(run: Run, tools: Toolbox, attempt: Attempt) -> Modified:
    """Make the draft that *attempt* stands for; raises as `handle` does."""
    if attempt.strategy is Strategy.REPAIR:
        return _repair(run, attempt)
    if attempt.strategy is Strategy.MERGE:
        return _merge(run, attempt)
    return _proposal(run, attempt, tools)


def next_of(run: Run) -> Attempt | None:
    """Return what is tried next: the last attempt while it is repaired, else the plan's next."""
    if run.problems:
        return run.attempt
    assert run.analysis is not None  # noqa: S101  # the table comes here only after an analysis
    return proposals.next_attempt(run.analysis, run.tried, run.means)


def _repair(run: Run, attempt: Attempt) -> Modified:
    assert run.analysis is not None  # noqa: S101  # as above
    repair = run.analysis.repairs[attempt.index]
    return _drafted(run, attempt, repair.edits, repair.why, repair.scenarios)


def _merge(run: Run, attempt: Attempt) -> Modified:
    draft = run.promising[attempt.index]
    return _drafted(run, attempt, draft.edits, f"beside the best: {draft.why}", draft.scenarios)


def _proposal(run: Run, attempt: Attempt, tools: Toolbox) -> Modified:
    assert run.analysis is not None  # noqa: S101  # as above
    suspect = run.analysis.suspects[attempt.index]
    brief = _brief(run, suspect)
    reply = tools.ask(proposals.request(brief, attempt, run.problems))
    if isinstance(reply, Problem):
        return Modified(attempt, None, (reply,))
    read = proposals.read(reply.text, brief, attempt.strategy)
    if isinstance(read, Problem):
        return Modified(attempt, None, (read,))
    edits, why = read
    return _drafted(run, attempt, edits, why or suspect.reason, suspect.scenarios)


def question(run: Run, attempt: Attempt) -> str:
    """Return what a model is asked for *attempt*, which is not free, as it would read it."""
    assert run.analysis is not None  # noqa: S101  # as above
    brief = _brief(run, run.analysis.suspects[attempt.index])
    return proposals.request(brief, attempt, run.problems).text


def _brief(run: Run, suspect: Suspect) -> Brief:
    settings, structure = run.settings, run.means.structure
    return Brief(best_of(run), run.shown, suspect, settings.model, settings.seed, structure)


def _drafted(
    run: Run, attempt: Attempt, edits: tuple[Edit, ...], why: str, scenarios: tuple[str, ...]
) -> Modified:
    assert run.best is not None  # noqa: S101  # as above
    try:
        spliced = splice(run.best.candidate.text, edits)
    except EditError as error:
        return Modified(attempt, None, (error.problem,))
    return Modified(attempt, Draft(attempt, edits, spliced.text, why, scenarios))
