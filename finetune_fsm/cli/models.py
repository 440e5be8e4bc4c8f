"""The model that the options choose, held so that it is closed whatever happens."""

from __future__ import annotations

import os
from collections.abc import Sequence

from finetune_fsm.cli.console import Console
from finetune_fsm.cli.logs import start_logging
from finetune_fsm.cli.signals import Job
from finetune_fsm.llm.base import LLM
from finetune_fsm.llm.select import Chosen
from finetune_fsm.llm.watch import Watch


def open_llm(
    console: Console,
    job: Job,
    *,
    urls: Sequence[str],
    spec: str | None,
    executor: str | None,
    watch: Watch | None = None,
) -> LLM:
    """Return the model that ``-u``, ``--llm`` and ``--executor`` choose.

    What was chosen for the user is told, and every wait before a request is sent again; *watch*
    shows the calls.

    Raises:
        UsageError: the options make no sense.
        LLMError: there is no model to be had.
        MissingExtra: the provider needs an optional dependency.
    """
    from finetune_fsm.llm.meter import Meter, Metered

    llm = open_chosen(console, job, urls=urls, spec=spec, executor=executor).llm
    return Metered(llm, Meter(), tell=console.warn, watch=watch)


def open_chosen(
    console: Console, job: Job, *, urls: Sequence[str], spec: str | None, executor: str | None
) -> Chosen:
    """Return the same with the words that choose it again; raises as `open_llm` does."""
    from finetune_fsm.llm.select import choose

    start_logging(console)
    chosen = choose(url=urls, spec=spec, executor=executor, environ=os.environ)
    for note in chosen.notes:
        console.note(note)
    job.hold(chosen.llm)
    return chosen
