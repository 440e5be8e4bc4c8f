"""Runs, opened and opened again: models, journal and loop put together."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Unpack

from finetune_fsm.api.options import (
    ITERATION_LIMIT,
    Hands,
    Options,
    Tell,
    ignore_notes,
    settings_for,
    sort_out,
)
from finetune_fsm.errors import UsageError
from finetune_fsm.llm.base import LLM
from finetune_fsm.llm.cache import Cached
from finetune_fsm.llm.memo import Memo
from finetune_fsm.llm.meter import Budget, Meter, Metered
from finetune_fsm.llm.scripted import ScriptedLLM
from finetune_fsm.loop.handlers import HANDLERS
from finetune_fsm.loop.machine import Entry, Journal, Loop
from finetune_fsm.loop.outcomes import Interrupted
from finetune_fsm.loop.run import Run
from finetune_fsm.loop.settings import Approval, Settings
from finetune_fsm.loop.table import LoopState
from finetune_fsm.loop.toolbox import Toolbox, approve_all, ignore_progress
from finetune_fsm.runs import places
from finetune_fsm.runs.history import History, beginning_of, rebuilt, reopened
from finetune_fsm.runs.keeper import Keeper, alone, kept, now
from finetune_fsm.runs.records import (
    FORMAT,
    Beginning,
    Resumption,
    check_servers,
    check_sources,
    servers_of,
    sources_of,
)
from finetune_fsm.storage.journal import Journal as JournalFile
from finetune_fsm.tools.kept import Kept
from finetune_fsm.tools.model import ToolSource
from finetune_fsm.tools.source import NO_TOOLS
from finetune_fsm.workflow.load import load as load_workflow


@dataclass(frozen=True, slots=True)
class Session:
    """A run under way that is written down.

    Attributes:
        loop: Step it, or hand it to `finish`.
        folder: Of the run; `reopen_run` takes it.
        meter: Knows what it has spent, in all its sessions.
    """

    loop: Loop
    folder: Path
    meter: Meter

    @property
    def seconds(self) -> float:
        """Seconds of work, over all sessions."""
        return self.meter.seconds


def open_loop(
    workflow: str | os.PathLike[str],
    *,
    llm: LLM,
    journal: Journal | None = None,
    **options: Unpack[Options],
) -> Loop:
    """Return a loop that stands before its first step; no model has been asked yet.

    Args:
        workflow: The file to improve; it is never written to.
        llm: Answers for the workflow's states and for reflection.
        journal: Writes every step down before the loop moves.
        options: See `Wishes` and `Hands`.

    Raises:
        InvalidDocument: the workflow is wrong.
        UsageError: a wish makes no sense, or the output could not be written later.
    """
    wishes, hands = sort_out(options)
    settings = settings_for(workflow, **wishes)
    run = Run(settings, load_workflow(settings.workflow).text)
    meter = Meter(settings.budget)
    memo = Memo(_layers(llm, meter, hands), meter)
    return _loop(run, _tools(memo, meter, hands, {}), hands, journal)


@contextmanager
def open_run(
    workflow: str | os.PathLike[str], *, llm: LLM, spec: str = "", **options: Unpack[Options]
) -> Iterator[Session]:
    """Hold a new run open: like `open_loop`, with everything written down in ``X.agentmech``.

    Args:
        workflow: The file to improve; it is never written to.
        llm: Answers for the workflow's states and for reflection.
        spec: How *llm* was chosen, for the one who resumes the run.
        options: See `Wishes` and `Hands`.

    Raises:
        InvalidDocument: the workflow is wrong.
        UsageError: a wish makes no sense, or the output could not be written later.
        Busy: another process improves the same workflow.
        StorageError: the run cannot be written down.
    """
    from finetune_fsm import __version__

    wishes, hands = sort_out(options)
    settings = _absolute(settings_for(workflow, **wishes))
    loaded = load_workflow(settings.workflow)
    original = loaded.text
    home = places.make_home(settings.workflow)
    with alone(home, settings):
        folder = places.make_run(home, datetime.now(UTC))
        sources = sources_of(settings)
        meter = Meter(settings.budget)
        with kept(JournalFile.create(folder / places.JOURNAL), meter) as keeper:
            begun = (FORMAT, __version__, now(), spec, settings, original, sources)
            keeper.begin(Beginning(*begun, servers_of(loaded)))
            memo = Memo(_layers(llm, meter, hands), meter, record=keeper.call)
            tools = replace(_tools(memo, meter, hands, sources), servers=_servers(hands, keeper))
            yield Session(_loop(Run(settings, original), tools, hands, keeper.step), folder, meter)


@contextmanager
def reopen_run(
    where: str | os.PathLike[str] | None = None,
    *,
    llm: LLM,
    spec: str = "",
    max_iterations: int | None = None,
    jobs: int | None = None,
    budget: Budget | None = None,
    approval: Approval | None = None,
    ignore_changes: bool = False,
    **hands: Unpack[Hands],
) -> Iterator[Session]:
    """Hold a run open that did not come to its end: nothing that was answered is asked again.

    Args:
        where: The run's folder, name or workflow; the newest here or below if None.
        llm: As in `open_run`; it need not be the one that the run began with.
        spec: How *llm* was chosen.
        max_iterations: Instead of what was asked for; not fewer than were made.
        jobs: Instead of what was asked for.
        budget: Instead of what was asked for; what earlier sessions spent counts.
        approval: Instead of what was asked for: which drafts `approve` is asked about.
        ignore_changes: Go on with the files as they were when they have changed since.
        hands: See `Hands`.

    Raises:
        UsageError: there is no such run, or it is finished.
        BadRun: its journal cannot be trusted.
        SourceChanged: the workflow or its tests have changed since the run began.
        Busy: another process has it.
        StorageError: it cannot be read or written.
        LLMError: no model answers.
    """
    from finetune_fsm import __version__

    folder = places.find(where)
    with alone(folder.parent, beginning_of(folder).settings):
        journal, reading = JournalFile.reopen(folder / places.JOURNAL)
        with closing(journal):  # a refusal lets go of it, too
            history = rebuilt(folder, reading)
            settings = _changed(history, max_iterations, jobs, budget)
            settings = replace(settings, approval=approval or settings.approval)
            history = reopened(history, settings)
            sources = {} if ignore_changes else history.beginning.sources
            check_sources(sources)
            if not ignore_changes and history.beginning.servers:
                check_servers(history.beginning.servers, load_workflow(settings.workflow))
            spent, keep = history.run.usage + history.owed, len(history.steps)
            meter = Meter(settings.budget, spent=spent, seconds=history.seconds)
            with kept(journal, meter) as keeper:
                memo = _memo(llm, meter, hands, keeper, history)
                notes = _differences(history, memo, hands)
                lost = history.lost[keep]
                keeper.resume(Resumption(keep, __version__, now(), spec, settings, lost))
                tell = hands.get("note", ignore_notes)
                for message in notes:
                    keeper.note(message)
                    tell(message)
                tools = _tools(memo, meter, hands, sources)
                tools = replace(tools, servers=_servers(hands, keeper, history))
                watch = _Watch(keeper, memo, tell)
                yield Session(_loop(history.run, tools, hands, watch, history), folder, meter)


class _Watch:
    """The journal of a resumed run: looks whether the state it went on in asked the same again."""

    def __init__(self, keeper: Keeper, memo: Memo, note: Tell) -> None:
        self._keeper = keeper
        self._memo = memo
        self._note = note
        self._looked = False

    def __call__(self, entry: Entry, run: Run) -> None:
        self._keeper.step(entry, run)
        if self._looked:
            return
        self._looked = True
        left = 0 if isinstance(entry.outcome, Interrupted) else len(self._memo.pending)
        if left:
            message = (
                f"{left} replies from before the stop were not asked for again in {entry.state}: "
                "something in this run does not come out the same twice"
            )
            self._keeper.note(message)
            self._note(message)


def _layers(llm: LLM, meter: Meter, hands: Hands) -> LLM:
    tell, watch = hands.get("note", ignore_notes), hands.get("watch")
    metered = Metered(llm, meter, tell=tell, watch=watch)
    store = hands.get("store")
    return Cached(metered, store, meter) if store else metered


def _memo(llm: LLM, meter: Meter, hands: Hands, keeper: Keeper, history: History) -> Memo:
    calls = [call for _, call in history.calls]
    if isinstance(llm, ScriptedLLM):
        for call in calls:
            llm.skip(call.request)
    layers = _layers(llm, meter, hands)
    return Memo(layers, meter, record=keeper.call, known=calls, pending=history.unused)


def _servers(hands: Hands, keeper: Keeper, history: History | None = None) -> ToolSource:
    """The source of tool servers, every call written down before it is made."""
    return Kept(
        hands.get("tools", NO_TOOLS),
        begin=keeper.intent,
        end=keeper.outcome,
        begun=history.begun if history else (),
        ended=history.ended if history else (),
    )


def _tools(memo: Memo, meter: Meter, hands: Hands, sources: Mapping[str, str]) -> Toolbox:
    return Toolbox(
        memo,
        approve=hands.get("approve", approve_all),
        stop=meter.timed(hands.get("stop")),
        progress=hands.get("progress", ignore_progress),
        meter=meter,
        check_sources=lambda: check_sources(sources),
        watch=hands.get("watch"),
        servers=hands.get("tools", NO_TOOLS),
    )


def _loop(
    run: Run,
    tools: Toolbox,
    hands: Hands,
    journal: Journal | None,
    history: History | None = None,
) -> Loop:
    return Loop(
        run,
        tools,
        handlers=hands.get("handlers", HANDLERS),
        observers=hands.get("observers", ()),
        journal=journal,
        state=history.state if history else LoopState.PREPARING,
        entries=history.entries if history else (),
    )


def _absolute(settings: Settings) -> Settings:
    """The same settings wherever the process stands that resumes the run."""

    def absolute(path: Path) -> Path:
        return Path(os.path.abspath(path))  # noqa: PTH100  # links stay as named

    return replace(
        settings,
        workflow=absolute(settings.workflow),
        output=absolute(settings.output),
        tests=absolute(settings.tests) if settings.tests else None,
    )


def _changed(
    history: History, max_iterations: int | None, jobs: int | None, budget: Budget | None
) -> Settings:
    before = history.settings
    wanted = before.max_iterations if max_iterations is None else max_iterations
    made = len(history.run.history)
    if not max(1, made) <= wanted <= ITERATION_LIMIT:
        raise UsageError(
            f"max_iterations must be {max(1, made)}..{ITERATION_LIMIT} here, is {wanted}"
        )
    return replace(
        before,
        max_iterations=wanted,
        jobs=before.jobs if jobs is None else jobs,
        budget=before.budget if budget is None else budget,
    )


def _differences(history: History, memo: Memo, hands: Hands) -> list[str]:
    """What a person should know of the difference between then and now."""
    notes = []
    if history.torn:
        notes.append(f"{history.torn} bytes of an unfinished record were cut off the journal")
    for model, before in history.run.weights.items():
        after = memo.fingerprint(model, stop=hands.get("stop"))
        if after and after != before:
            notes.append(f"the model '{model}' is not the one that the run began with")
    return notes
