"""Every effect that a handler may have, handed in: models, rollouts, files, people."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from finetune_fsm.errors import FATAL, LLMError, LLMErrorKind, Problem
from finetune_fsm.execution.rollout import Rollout
from finetune_fsm.improve.model import Draft
from finetune_fsm.llm.base import DEFAULT_REPLY_TOKENS, LLM, Completion, Request, Stop
from finetune_fsm.llm.meter import Meter
from finetune_fsm.llm.watch import Watch
from finetune_fsm.loop.run import Run
from finetune_fsm.scenarios.evaluate import Task, roll_out_each
from finetune_fsm.storage.files import write_text
from finetune_fsm.tools.model import ToolSource
from finetune_fsm.tools.source import NO_TOOLS

Progress = Callable[[int, int], None]
"""Told how many of how many scenarios have run."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A person's say on a sound draft.

    Attributes:
        problems: What they have against it; nothing when they want it tried.
        draft: What they made of it, or None; the gate looks at it, too.
        rest: Whether they want to be asked about no more drafts.
    """

    problems: tuple[Problem, ...] = ()
    draft: Draft | None = None
    rest: bool = False


Approve = Callable[[Run, Draft], tuple[Problem, ...] | Decision]
"""A person's say on a sound draft; problems alone are a decision, too."""


def approve_all(run: Run, draft: Draft) -> tuple[Problem, ...]:  # noqa: ARG001  # an Approve
    """Have nothing against any draft."""
    return ()


def ignore_progress(done: int, total: int) -> None:  # a Progress
    """Do nothing."""


def trust_sources() -> None:
    """Hold that nobody changes the files during the run."""


@dataclass(frozen=True, slots=True)
class Toolbox:
    """What handlers work with.

    Attributes:
        llm: Answers for the workflow's states and for reflection.
        write: Puts a text at a path, whole or not at all.
        approve: Asked for every sound draft that the run's settings want approved.
        stop: Raised when a person wants to stop.
        progress: Told of every finished rollout.
        meter: Knows what was spent on models.
        check_sources: Raises SourceChanged when a file that the run was made from has changed.
        watch: Where rollouts under way can be seen, if anybody looks.
        servers: Where the tool servers of workflows come from.
    """

    llm: LLM
    write: Callable[[Path, str], None] = write_text
    approve: Approve = approve_all
    stop: Stop | None = None
    progress: Progress = ignore_progress
    meter: Meter = field(default_factory=Meter)
    check_sources: Callable[[], None] = trust_sources
    watch: Watch | None = None
    servers: ToolSource = NO_TOOLS

    def roll_out(
        self, tasks: Sequence[Task], run: Run, *, hurry: bool = True
    ) -> Generator[Rollout, None, None]:
        """Yield the rollouts of *tasks* in order, made side by side as *run*'s settings say.

        Args:
            tasks: What to run.
            run: Has the settings.
            hurry: Whether all of them will be wanted; else few more begin than were taken, so that
                closing the generator early saves calls.

        Raises:
            LLMError: the world broke.
            Cancelled: a stop was asked for, or a budget is spent.
        """
        jobs = run.settings.jobs or self.llm.slots
        return roll_out_each(
            tasks,
            self.llm,
            jobs=jobs,
            window=None if hurry else 2 * jobs,
            seed=run.settings.seed,
            stop=self.stop,
            on_done=self.progress,
            watch=self.watch,
            tools=self.servers,
        )

    def ask(self, request: Request) -> Completion | Problem:
        """Return the reply to *request*, or why this one prompt got none.

        A reply that its limit cut is asked for once more with twice the room.

        Raises:
            LLMError: the world is broken, not the prompt.
            Cancelled: a stop was asked for.
        """
        reply = self._ask(request)
        if isinstance(reply, Problem) and reply.code == LLMErrorKind.CUT_BY_LIMIT:
            return self._ask(_roomier(request))
        return reply

    def _ask(self, request: Request) -> Completion | Problem:
        try:
            completion = self.llm.complete(request, stop=self.stop)
        except LLMError as error:
            if error.kind in FATAL:
                raise
            return Problem(str(error.kind), error.message, error.hint)
        if completion.cut:
            message = "the reply is too long and was cut"
            return Problem(str(LLMErrorKind.CUT_BY_LIMIT), message, "be brief")
        return completion


def _roomier(request: Request) -> Request:
    """Return *request* with twice the tokens for its reply. Pure."""
    given = request.options.get("num_predict")
    tokens = given if isinstance(given, int) else DEFAULT_REPLY_TOKENS
    return replace(request, options={**request.options, "num_predict": 2 * tokens})
