"""FINISHING: write the best workflow; the user's own file is never touched."""

from __future__ import annotations

from finetune_fsm.loop.outcomes import Finished
from finetune_fsm.loop.run import Run
from finetune_fsm.loop.toolbox import Toolbox
from finetune_fsm.workflow.relocate import relocated


def handle(run: Run, tools: Toolbox) -> Finished:
    """Write the best so far to the output; its relative paths are kept pointing where they did.

    Raises:
        StorageError: it cannot be written.
    """
    if run.best is None:
        return Finished()
    source, output = run.settings.workflow, run.settings.output
    text = relocated(run.best.candidate.text, source.resolve().parent, output.resolve().parent)
    tools.write(output, text)
    return Finished(output)
