"""SAVING: keep the candidate on disk before anything runs it."""

from __future__ import annotations

from pathlib import Path

from finetune_fsm.loop.outcomes import Saved
from finetune_fsm.loop.run import Run
from finetune_fsm.loop.toolbox import Toolbox


def handle(run: Run, tools: Toolbox) -> Saved:
    """Write ``X.finetune-iterN.yaml`` beside the workflow.

    Raises:
        StorageError: it cannot be written.
        SourceChanged: somebody changed the workflow or its tests meanwhile.
    """
    tools.check_sources()
    assert run.candidate is not None  # noqa: S101  # the table comes here only with a candidate
    path = snapshot_path(run.settings.workflow, run.iteration)
    tools.write(path, run.candidate.text)
    return Saved(path)


def snapshot_path(workflow: Path, iteration: int) -> Path:
    """Where the candidate of *iteration* is kept."""
    return workflow.with_name(f"{workflow.stem}.finetune-iter{iteration}{workflow.suffix}")
