"""Runs to their end."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Unpack

from finetune_fsm.api.options import Options
from finetune_fsm.api.sessions import open_run
from finetune_fsm.errors import FinetuneError
from finetune_fsm.llm.base import LLM
from finetune_fsm.loop.machine import Loop
from finetune_fsm.loop.outcomes import Ending
from finetune_fsm.loop.run import Run


def finish(loop: Loop) -> Run:
    """Step *loop* to its end and return all that is known; whatever happens, keep the best.

    Raises:
        FinetuneError: the world broke; the best so far has been written where possible.
        KeyboardInterrupt: Ctrl-C without a `Stop`; the same.
    """
    try:
        for _ in loop:
            pass
    except (FinetuneError, KeyboardInterrupt) as error:
        ending = Ending.BROKEN if isinstance(error, FinetuneError) else Ending.INTERRUPTED
        with suppress(FinetuneError):  # the first error is the one to tell
            loop.interrupt(ending, str(error))
        raise
    return loop.run


def finetune(workflow: str | os.PathLike[str], *, llm: LLM, **options: Unpack[Options]) -> Run:
    """Improve *workflow* and return the finished run; takes what `open_run` takes.

    Raises:
        InvalidDocument: the workflow or its test file is wrong.
        UsageError: a wish makes no sense.
        LLMError: no model can be reached; `reopen_run` goes on where it stopped.
    """
    with open_run(workflow, llm=llm, **options) as session:
        return finish(session.loop)
