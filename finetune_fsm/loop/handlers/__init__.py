"""One module per state of the loop; each is ``handle(run, tools) -> Outcome``.

A handler reports what it found. It cannot name the next state, print, or see an observer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from finetune_fsm.loop.handlers import (
    analyzing,
    checking,
    confirming,
    finishing,
    modifying,
    preparing,
    running,
    saving,
    testing,
)
from finetune_fsm.loop.outcomes import Outcome
from finetune_fsm.loop.run import Run
from finetune_fsm.loop.table import LoopState
from finetune_fsm.loop.toolbox import Toolbox

Handler = Callable[[Run, Toolbox], Outcome]

HANDLERS: Mapping[LoopState, Handler] = MappingProxyType(
    {
        LoopState.PREPARING: preparing.handle,
        LoopState.SAVING: saving.handle,
        LoopState.RUNNING: running.handle,
        LoopState.TESTING: testing.handle,
        LoopState.ANALYZING: analyzing.handle,
        LoopState.MODIFYING: modifying.handle,
        LoopState.CHECKING: checking.handle,
        LoopState.CONFIRMING: confirming.handle,
        LoopState.FINISHING: finishing.handle,
    }
)
"""The handler of every working state; pass your own mapping to `Loop` to replace some."""
