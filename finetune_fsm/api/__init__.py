"""The library's front door.

`finetune` improves a workflow. `open_run` does the same step by step, and `reopen_run` goes on
with a run that did not come to its end; both write everything down beside the workflow.
`open_loop` keeps nothing on disk but the snapshots and the result. `Wishes` and `Hands` say what
all of them take.
"""

from __future__ import annotations

from finetune_fsm.api.captures import capture
from finetune_fsm.api.ends import finetune, finish
from finetune_fsm.api.forks import Changes, fork_run, undo
from finetune_fsm.api.options import Hands, Options, Wishes, check_output, output_path, settings_for
from finetune_fsm.api.sessions import Session, open_loop, open_run, reopen_run

__all__ = [
    "Changes",
    "Hands",
    "Options",
    "Session",
    "Wishes",
    "capture",
    "check_output",
    "finetune",
    "finish",
    "fork_run",
    "open_loop",
    "open_run",
    "output_path",
    "reopen_run",
    "settings_for",
    "undo",
]
