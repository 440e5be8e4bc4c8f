"""SAVING: keep the candidates on disk before anything runs them."""

from __future__ import annotations

from pathlib import Path
from string import ascii_lowercase

from finetune_fsm.loop.outcomes import Saved
from finetune_fsm.loop.run import Run
from finetune_fsm.loop.toolbox import Toolbox


def handle(run: Run, tools: Toolbox) -> Saved:
    """Write ``X.finetune-iterN.yaml`` beside the workflow, the second as ``-iterNb``.

    Raises:
        StorageError: one cannot be written.
        SourceChanged: somebody changed the workflow or its tests meanwhile.
    """
    tools.check_sources()
    paths = []
    for place, candidate in enumerate(run.candidates):
        paths.append(snapshot_path(run.settings.workflow, run.iteration, place))
        tools.write(paths[-1], candidate.text)
    return Saved(tuple(paths))


def snapshot_path(workflow: Path, iteration: int, place: int = 0) -> Path:
    """Where the candidate of *iteration* is kept that has this *place* in its field, 0 … 25."""
    letter = ascii_lowercase[place] if place else ""
    return workflow.with_name(f"{workflow.stem}.finetune-iter{iteration}{letter}{workflow.suffix}")
