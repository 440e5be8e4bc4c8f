"""One workflow, run once: from its first state to `END`, a failure, a limit or a stop.

The run is a flat loop over a stack of frames, one for each workflow under way, so that a child
workflow costs no recursion and the limits hold for all of them together. States and their kinds
are in `states`; here is what goes on between them: where the run goes next, and what answers a
failure.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

from finetune_fsm.errors import (
    FATAL,
    BudgetSpent,
    Cancelled,
    ExecutionError,
    InvalidDocument,
    LLMError,
    errors_in,
)
from finetune_fsm.execution.files import Folders, locate, read_text
from finetune_fsm.execution.inputs import Inputs
from finetune_fsm.execution.interpolation import Filled
from finetune_fsm.execution.limits import Deadline, Settings
from finetune_fsm.execution.rollout import Rollout, RunError, RunStatus, Visit
from finetune_fsm.execution.rundir import temporary_run_directory
from finetune_fsm.execution.states import Draft, Effects, Frame, Scene, perform
from finetune_fsm.execution.tooling import Bench
from finetune_fsm.llm.base import LLM, OnText, Stop
from finetune_fsm.sinks import clean, one_line
from finetune_fsm.tools.model import Place, ToolSource
from finetune_fsm.tools.source import NO_TOOLS
from finetune_fsm.workflow.model import END, RUN_DIRECTORY, State, Workflow

OnEnter = Callable[[str, State], None]
"""Called as a state begins, with its name as it appears among the visited ones."""

OnVisit = Callable[[Visit], None]
"""Called with each visit when it is over, in order."""

MESSAGE_LIMIT = 2000
"""Characters of a failure's message at most; it goes into the variable ``error``."""

Failure = ExecutionError | InvalidDocument | LLMError
_FAILURES = (ExecutionError, InvalidDocument, LLMError)

DEFAULTS = Settings()


def run_workflow(  # noqa: PLR0913  # three of them only listen
    workflow: Workflow,
    llm: LLM,
    *,
    inputs: Inputs,
    options: Settings = DEFAULTS,
    on_enter: OnEnter | None = None,
    on_visit: OnVisit | None = None,
    on_text: OnText | None = None,
    stop: Stop | None = None,
    run_directory: Path | None = None,
    tools: ToolSource = NO_TOOLS,
    name: str = "",
) -> Rollout:
    """Run *workflow* once. Whatever it or a model does wrong is in the rollout, not raised.

    Args:
        workflow: A valid workflow.
        llm: Answers its prompt states and chooses between `next_options`.
        inputs: Answers its input states.
        options: Limits and defaults.
        on_enter: Told of each state as it begins.
        on_visit: Told of each visit as it ends.
        on_text: Gets the pieces of each reply as they arrive; not those of a routing.
        stop: Ends the run early; the rollout then holds what was done.
        run_directory: The run's own folder; a temporary one without.
        tools: Where its tool servers come from; it has none without.
        name: Tells this rollout from others to whoever writes calls of tools down.

    Raises:
        LLMError: of a kind in `errors.FATAL`, and *options* say that these are raised.
        MissingExtra: a PDF or Word file, or a tool server, needs a library that is not installed.
        SourceChanged: a tool server is not what was allowed.
        BudgetSpent: the model may not be asked any more, or the caller's time is over.
        StorageError: no temporary run directory can be made.
    """
    started = time.monotonic()
    with ExitStack() as stack:
        folder = run_directory or stack.enter_context(temporary_run_directory())
        bench = stack.enter_context(closing(Bench(tools, Place(folder, name))))
        warnings: dict[str, None] = {}
        effects = Effects(
            llm=llm,
            inputs=inputs,
            settings=options,
            deadline=Deadline(options.max_seconds, stop),
            run_directory=folder,
            warn=lambda message: warnings.setdefault(clean(message, limit=MESSAGE_LIMIT)),
            bench=bench,
            on_text=on_text,
        )
        run = _Run(effects, on_enter, on_visit)
        status, error = run.outcome(workflow)
        return Rollout(
            status=status,
            visits=tuple(run.visits),
            visited=(*(visit.state for visit in run.visits), *_ending(status)),
            variables=run.variables(temporary=run_directory is None),
            error=error,
            warnings=tuple(warnings),
            seconds=time.monotonic() - started,
        )


def _ending(status: RunStatus) -> tuple[str, ...]:
    return (END,) if status is RunStatus.COMPLETED else ()


class _Failed(Exception):
    """The run cannot go on; carries why."""

    def __init__(self, error: RunError) -> None:
        super().__init__(error)
        self.error = error


@dataclass(slots=True)
class _Run:
    """A run under way: the frames, the innermost last, and the visits so far."""

    effects: Effects
    on_enter: OnEnter | None
    on_visit: OnVisit | None
    frames: list[Frame] = field(default_factory=list)
    visits: list[Visit] = field(default_factory=list)

    def outcome(self, workflow: Workflow) -> tuple[RunStatus, RunError | None]:
        """Run to the end, whichever it is."""
        name = ""
        try:
            self.frames.append(Frame(workflow, self._own_variables(workflow)))
            name = self._leave(workflow.start_state)
            while name != END:
                self._check_limits(name)
                name = self._step(name)
        except _Failed as failed:
            return RunStatus.FAILED, failed.error
        except ExecutionError as error:  # before the first state: a variable's file
            return RunStatus.FAILED, RunError("", str(error))
        except BudgetSpent:
            raise  # it ends more than this one run
        except Cancelled:
            if self.effects.deadline.wanted:
                return RunStatus.STOPPED, None
            return RunStatus.FAILED, self._out_of_time(name)
        return RunStatus.COMPLETED, None

    def variables(self, *, temporary: bool) -> dict[str, str]:
        """All variables, inner workflows' over outer ones'; a *temporary* directory is left out."""
        merged: dict[str, str] = {}
        for frame in self.frames:
            merged |= frame.variables
        if temporary and merged.get(RUN_DIRECTORY) == str(self.effects.run_directory):
            del merged[RUN_DIRECTORY]
        return merged

    def _check_limits(self, name: str) -> None:
        steps = self.effects.settings.max_steps
        if len(self.visits) >= steps:
            message = (
                f"the run was ended after {steps} visited states, before this one — it may go "
                "round for ever; if not, raise --max-steps"
            )
            raise _Failed(RunError(self.frames[-1].name_of(name), message))
        self.effects.deadline.check()

    def _out_of_time(self, name: str) -> RunError:
        seconds = self.effects.settings.max_seconds
        message = f"the run was ended after {seconds:g} seconds — if it needs more, raise the limit"
        return RunError(self.frames[-1].name_of(name), message)

    def _step(self, name: str) -> str:
        """Visit the state called *name* in the innermost workflow; return the name to go on at."""
        frame = self.frames[-1]
        state = frame.workflow.states[name]
        draft = Draft(frame.name_of(state), state.kind)
        if self.on_enter:
            self.on_enter(draft.state, state)
        try:
            following = perform(Scene(state, frame, self.effects, draft), self._enter)
        except _FAILURES as error:
            if _is_fatal(error, self.effects.settings):
                raise
            message = _message_of(error)
            self._record(draft.visit(error=message))
            return self._recover(state, draft.state, message, error)
        if self.frames[-1] is frame:  # a child has only begun: its caller has not succeeded yet
            frame.failed.clear()
        following = self._leave(following)
        shown = END if following == END else self.frames[-1].name_of(following)
        self._record(draft.visit(following=shown))
        return following

    def _record(self, visit: Visit) -> None:
        self.visits.append(visit)
        if self.on_visit:
            self.on_visit(visit)

    def _leave(self, name: str) -> str:
        """Return *name*, or where the callers go on when it ends the innermost workflow."""
        while name == END and len(self.frames) > 1:
            child = self.frames.pop()
            caller = self.frames[-1]
            caller.variables |= child.variables
            caller.failed.clear()
            name = (child.caller.next if child.caller else None) or END
        return name

    def _recover(self, state: State, name: str, message: str, error: Failure) -> str:
        """Return the fallback that answers for *state*, from the innermost workflow outwards.

        A state that failed itself since the last success answers for no other: so a chain of
        failures visits each state once at most and ends.
        """
        while True:
            frame = self.frames[-1]
            frame.failed.add(state.name)
            fallback = state.on_error or frame.workflow.on_error
            if fallback and fallback not in frame.failed:
                frame.variables |= {"error": message, "error_state": name}
                return self._leave(fallback)
            if frame.caller is None:
                kind = error.kind if isinstance(error, LLMError) else None
                raise _Failed(RunError(name, message, kind))
            state = frame.caller
            self.frames.pop()

    def _enter(self, scene: Scene) -> str:
        """Open the child workflow of a state and return the child's first state."""
        caller = scene.frame
        place = locate(Filled(scene.state.workflow_ref or ""), Folders(caller.workflow.folder))
        child = _load(place)  # a circle of files is an error of loading
        variables = self._own_variables(child) | caller.variables
        prefix = f"{scene.draft.state}_ref_"
        self.frames.append(Frame(child, variables, prefix, scene.state))
        return child.start_state

    def _own_variables(self, workflow: Workflow) -> dict[str, str]:
        """What the workflow's file sets, and the run directory."""
        values = {
            name: value if isinstance(value, str) else _file_value(name, value.path, workflow)
            for name, value in workflow.variables.items()
        }
        return values | {RUN_DIRECTORY: str(self.effects.run_directory)}


def _load(path: Path) -> Workflow:
    from finetune_fsm.workflow.load import load

    return load(path)


def _file_value(name: str, path: str, workflow: Workflow) -> str:
    try:
        return read_text(locate(Filled(path), Folders(workflow.folder)))
    except ExecutionError as error:
        raise ExecutionError(
            f"variable '{name}': file '{one_line(path)}' cannot be read: {error}"
        ) from error


def _is_fatal(error: Failure, settings: Settings) -> bool:
    return settings.fatal_raises and isinstance(error, LLMError) and error.kind in FATAL


def _message_of(error: Failure) -> str:
    if isinstance(error, InvalidDocument):
        found = errors_in(error.problems) or error.problems
        return clean("; ".join(str(problem) for problem in found[:3]), limit=MESSAGE_LIMIT)
    return clean(str(error), limit=MESSAGE_LIMIT)
