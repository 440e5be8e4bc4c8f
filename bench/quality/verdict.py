"""What a shipped workflow is worth, found out after the run with calls that count for nobody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from finetune_fsm.codec import digest
from finetune_fsm.errors import InvalidDocument, Problem
from finetune_fsm.improve.copies import copied_words, given_answers
from finetune_fsm.improve.grants import Grants
from finetune_fsm.improve.places import changes
from finetune_fsm.improve.policy import trespasses
from finetune_fsm.llm.base import LLM
from finetune_fsm.scenarios.evaluate import run_suite
from finetune_fsm.scenarios.model import Suite
from finetune_fsm.sinks import one_line
from finetune_fsm.workflow.load import check_text
from finetune_fsm.workflow.model import Workflow
from finetune_fsm.workflow.text import parse
from quality.cases import Case
from quality.ways import Seen, Shipped

GRANTED = Grants(structure=True)
"""Every way may add, remove and re-route states; anything beyond is more power."""


def verdict(case: Case, shipped: Shipped, llm: LLM, *, seed: int) -> dict[str, object]:
    """Return what is to be known of *shipped*, as JSON data.

    Args:
        case: Where it comes from.
        shipped: What a way gave back.
        llm: The same model, uncounted.
        seed: The same seed.
    """
    workflow = _read(case, shipped.text)
    everything = Suite(case.train.workflow, (*case.train.scenarios, *case.holdout.scenarios))
    beyond = trespasses(case.start, workflow, everything, GRANTED) if workflow else ()
    return {
        "valid": workflow is not None,
        "changed": changed(case.start, shipped.text),
        "train": paired(case.start, workflow, case.train, llm, seed=seed),
        "holdout": paired(case.start, workflow, case.holdout, llm, seed=seed),
        "hard_coded": said(copies(case.start, workflow, everything)) if workflow else [],
        "more_powerful": said([p for p in beyond if p.code != "closed_place"]),
        "closed_places": said([p for p in beyond if p.code == "closed_place"]),
        **first_solved(case, shipped.seen, llm, seed=seed),
    }


def passed(workflow: Workflow | None, suite: Suite, llm: LLM, *, seed: int) -> tuple[str, ...]:
    """Return the names of the scenarios of *suite* that pass; what is no workflow passes none."""
    if workflow is None:
        return ()
    report = run_suite(workflow, suite, llm, jobs=1, seed=seed)
    return tuple(result.scenario.name for result in report.results if result.passed)


def paired(
    start: Workflow, workflow: Workflow | None, suite: Suite, llm: LLM, *, seed: int
) -> dict[str, object]:
    """Return how *workflow* does on *suite* beside *start*, scenario by scenario."""
    before = passed(start, suite, llm, seed=seed)
    after = passed(workflow, suite, llm, seed=seed)
    return {
        "total": len(suite.scenarios),
        "before": len(before),
        "after": len(after),
        "won": [name for name in after if name not in before],
        "lost": [name for name in before if name not in after],
    }


def changed(start: Workflow, text: str) -> bool:
    """Whether *text* says anything else than *start*; layout and comments do not count. Pure."""
    try:
        return digest(parse(text).document) != digest(start.document)
    except InvalidDocument:
        return True


def copies(start: Workflow, workflow: Workflow, suite: Suite) -> tuple[Problem, ...]:
    """Return the words of *suite* that *workflow* has and *start* had not. Pure."""
    differing = tuple(changes(start.document, workflow.document))
    return (
        *copied_words(start, differing, suite, workflow.file_states),
        *given_answers(start, workflow, suite),
    )


def said(problems: Sequence[Problem]) -> list[str]:
    """Return *problems* as lines."""
    return [one_line(problem.message, limit=300) for problem in problems]


def first_solved(
    case: Case, seen: Sequence[Seen], llm: LLM, *, seed: int
) -> Mapping[str, int | None]:
    """Return what was spent when all train scenarios passed for the first time, or None."""
    whole = len(case.train.scenarios)
    tried: set[str] = set()
    for one in seen:
        if one.text in tried:
            continue
        tried.add(one.text)
        workflow = _read(case, one.text)
        if len(passed(workflow, case.train, llm, seed=seed)) == whole:
            return {"solved_calls": one.spent.calls, "solved_distinct": one.spent.distinct}
    return {"solved_calls": None, "solved_distinct": None}


def _read(case: Case, text: str) -> Workflow | None:
    return check_text(text, folder=case.folder).workflow
