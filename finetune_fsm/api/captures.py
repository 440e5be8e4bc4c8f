"""Tests made of what happened in a run."""

from __future__ import annotations

import os
from pathlib import Path

from finetune_fsm.errors import InvalidDocument, StorageError, UsageError, errors_in
from finetune_fsm.loop.workflows import best_of
from finetune_fsm.runs import places
from finetune_fsm.runs.history import History, load
from finetune_fsm.scenarios.capture import added, captured
from finetune_fsm.scenarios.load import check_suite_text, dump_suite
from finetune_fsm.scenarios.model import Scenario, ScenarioResult, Suite
from finetune_fsm.schema import suggestion
from finetune_fsm.sinks import one_line
from finetune_fsm.storage.files import write_text
from finetune_fsm.workflow.text import TESTS, read_file


def capture(
    where: str | os.PathLike[str] | None = None,
    *,
    scenario: str,
    output: str | os.PathLike[str] | None = None,
) -> str:
    """Return a test file of what the best workflow of a run did in one scenario.

    With *output* it is written there; a test file that is there already is added to.

    Args:
        where: The run, as for `reopen_run`.
        scenario: Its name, or its number in the test file, from 1.
        output: The test file, or None.

    Raises:
        UsageError: there is no such run or scenario, or nothing came of it.
        InvalidDocument: the file that is there is no test file, or what would be written is none.
        StorageError: it cannot be written.
    """
    folder = places.find(where)
    history = load(folder)
    best = history.run.best
    if best is None:
        raise UsageError(f"{folder} has tested no workflow yet")
    result = _chosen(best.report.results, scenario)
    source = f"the run {folder.name}, iteration {best.iteration}"
    made = captured(result.scenario, result.rollout, best_of(history.run), source=source)
    path = Path(output) if output is not None else history.settings.workflow.with_suffix(".test")
    text = _text(made, path, history, there=output is not None and path.exists())
    problems = errors_in(check_suite_text(text, path).problems)
    if problems:
        raise InvalidDocument(problems)
    if output is not None:
        write_text(path, text)
    return text


def _chosen(results: tuple[ScenarioResult, ...], wanted: str) -> ScenarioResult:
    names = [result.scenario.name for result in results]
    if wanted in names:
        return results[names.index(wanted)]
    if wanted.isdecimal() and 1 <= int(wanted) <= len(names):
        return results[int(wanted) - 1]
    hint = suggestion(wanted, tuple(names)) or f"name one, or its number from 1 to {len(names)}"
    raise UsageError(f"the run has no scenario '{one_line(wanted)}' — {hint}")


def _text(made: Scenario, path: Path, history: History, *, there: bool) -> str:
    try:
        if there:
            old = read_file(path, limit=TESTS.size)
            problems = errors_in(check_suite_text(old, path).problems)
            if problems:
                raise InvalidDocument(problems)
            return added(old, made)
        workflow = os.path.relpath(_workflow(history), path.absolute().parent)
        return dump_suite(Suite(workflow, (made,)))
    except ValueError as error:
        raise StorageError(f"a test file cannot hold what happened: {error}") from error


def _workflow(history: History) -> Path:
    """The file that holds the best: the output, unless the user's own is the best."""
    run, settings = history.run, history.settings
    if run.output is not None and run.best != run.first and settings.output.is_file():
        return settings.output
    return settings.workflow
