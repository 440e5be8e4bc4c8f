"""What happens in one state: each kind takes the scene and returns the state that follows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import assert_never

from finetune_fsm.errors import ExecutionError
from finetune_fsm.execution.files import Attachments, Folders, attach
from finetune_fsm.execution.inputs import Inputs
from finetune_fsm.execution.interpolation import Filled, fill
from finetune_fsm.execution.knowing import Known, base_in, known
from finetune_fsm.execution.limits import Deadline, Settings
from finetune_fsm.execution.rollout import ToolUse, Visit
from finetune_fsm.execution.routing import Question, choose
from finetune_fsm.execution.tooling import Bench, Kit, ToolBroke, call, converse
from finetune_fsm.knowledge.model import Retrieved
from finetune_fsm.llm.base import (
    LLM,
    Completion,
    Message,
    OnText,
    Purpose,
    Request,
    ToolCall,
    Usage,
)
from finetune_fsm.sinks import clean, one_line
from finetune_fsm.workflow.model import END, State, StateKind, Workflow


@dataclass(frozen=True, slots=True)
class Effects:
    """What the states of one run may touch.

    Attributes:
        llm: Answers prompt states.
        inputs: Answers input states.
        settings: How the run is made.
        deadline: Looked at during every wait.
        run_directory: The run's own folder.
        warn: Takes one sentence for the rollout's warnings.
        bench: Has the tool servers.
        on_text: Gets the pieces of each reply, or None.
    """

    llm: LLM
    inputs: Inputs
    settings: Settings
    deadline: Deadline
    run_directory: Path
    warn: Callable[[str], None]
    bench: Bench
    on_text: OnText | None = None


@dataclass(slots=True)
class Frame:
    """One workflow under way: the one that was started, or a child of it.

    Attributes:
        workflow: What runs.
        variables: Its variables; states change them.
        prefix: Put before its state names; empty, or ``S_ref_`` within the child of ``S``.
        caller: The state of the frame below that started this one, or None.
        failed: States that failed since the last success, none of which may answer for another.
    """

    workflow: Workflow
    variables: dict[str, str]
    prefix: str = ""
    caller: State | None = None
    failed: set[str] = field(default_factory=set)

    def name_of(self, state: State | str) -> str:
        """The name of *state* as it appears among the visited ones."""
        return self.prefix + (state if isinstance(state, str) else state.name)


@dataclass(slots=True)
class Draft:
    """A visit under way; it keeps what was done when the rest fails."""

    state: str
    kind: StateKind
    prompt: str = ""
    completion: str = ""
    routed: bool = False
    usage: Usage = field(default_factory=Usage)
    retrieved: tuple[Retrieved, ...] = ()
    missing: str = ""
    tools: list[ToolUse] = field(default_factory=list)

    def visit(self, *, following: str = "", error: str = "") -> Visit:
        """The finished record."""
        return Visit(
            state=self.state,
            kind=self.kind,
            prompt=self.prompt,
            completion=self.completion,
            next=following,
            routed=self.routed,
            error=error,
            usage=self.usage,
            retrieved=self.retrieved,
            without_context=clean(self.missing, limit=500),
            tools=tuple(self.tools),
        )


@dataclass(frozen=True, slots=True)
class Scene:
    """One state, about to happen.

    Attributes:
        state: The state.
        frame: The workflow it belongs to.
        effects: What it may touch.
        draft: The record of the visit, filled in on the way.
    """

    state: State
    frame: Frame
    effects: Effects
    draft: Draft

    def filled(self, text: str) -> Filled:
        """Fill in *text* and warn of names that nothing has set."""
        result = fill(text, self.frame.variables)
        for name in result.missing:
            self.warn(f"nothing has set '{name}', so '{{{{{name}}}}}' stays as written")
        return result

    def warn(self, message: str) -> None:
        """Add a warning that names the state."""
        self.effects.warn(f"state '{self.draft.state}': {message}")

    def save(self, text: str) -> None:
        """Keep *text* as the reply or answer, and in the variable that the state names."""
        self.draft.completion = text
        if self.state.save_as:
            self.frame.variables[self.state.save_as] = text


def perform(scene: Scene, enter: Callable[[Scene], str]) -> str:
    """Do what the state says and return the name of the one that follows, or `END`.

    Args:
        scene: The state and all it needs.
        enter: Opens the child of a ``workflow_ref`` and returns the child's first state.

    Raises:
        ExecutionError: the state cannot do what it says.
        LLMError: the model gave no usable reply.
        Cancelled: the time is over, or somebody asked to stop.
        MissingExtra: a file needs a library that is not installed.
    """
    match scene.state.kind:
        case StateKind.PROMPT:
            return _prompt(scene)
        case StateKind.INPUT:
            return _input(scene)
        case StateKind.TRANSITION:
            return scene.state.next or END
        case StateKind.WORKFLOW_REF:
            return enter(scene)
        case _:
            assert_never(scene.state.kind)


def _prompt(scene: Scene) -> str:
    state, effects = scene.state, scene.effects
    asked = scene.filled(state.prompt or "").text
    attached = _attachments(scene)
    kit = _kit(scene)
    scene.draft.prompt = _with_knowledge(scene, asked + attached.text, asked)
    request = Request(
        model=scene.frame.workflow.model_of(state),
        messages=(Message("user", scene.draft.prompt, attached.images),),
        options=effects.settings.sampling(state.options),
        purpose=Purpose.STATE,
        label=scene.draft.state,
        draw=effects.settings.draw,
        tools=kit.tools,
    )
    completion = _talked(scene, request, kit) if kit.tools else _asked(scene, request)
    if completion.cut:
        scene.warn("the reply was cut at the token limit — set options.num_predict higher")
    scene.save(completion.text)
    return _route(scene, request) if state.next_options else state.next or END


def _kit(scene: Scene) -> Kit:
    """The tools of the state; a server that cannot be had is a warning, or an error if strict."""
    if not scene.state.mcp_servers:
        return Kit()
    effects = scene.effects
    kit = effects.bench.kit(scene.frame.workflow, scene.state, effects.deadline)
    if kit.problems and effects.settings.strict:
        raise ExecutionError("; ".join(kit.problems))
    for problem in kit.problems:
        scene.warn(f"{problem}; the state goes on without it")
    return kit


def _asked(scene: Scene, request: Request) -> Completion:
    effects = scene.effects
    completion = effects.llm.complete(request, on_text=effects.on_text, stop=effects.deadline)
    scene.draft.usage += Usage.of(completion)
    return completion


def _talked(scene: Scene, request: Request, kit: Kit) -> Completion:
    """The model's answer after the calls that it wanted, which the draft then holds."""
    effects, rounds = scene.effects, scene.effects.settings.tool_rounds

    def use(wanted: ToolCall) -> str:
        try:
            made, told = call(kit, wanted, stop=effects.deadline, bench=effects.bench)
        except ToolBroke as error:
            scene.draft.tools.append(error.use)
            raise
        scene.draft.tools.append(made)
        return told

    completion, stopped = converse(
        request, ask=lambda asked: _asked(scene, asked), use=use, rounds=rounds
    )
    if stopped:
        scene.warn(f"the model asked for tools {rounds} times and had to answer without more")
    if completion.tool_calls and not completion.text:
        raise ExecutionError("the model asks for tools without end and gives no answer")
    return completion


def _with_knowledge(scene: Scene, prompt: str, question: str) -> str:
    """*prompt* with what the state's knowledge base holds on *question*; the draft keeps what."""
    effects, name = scene.effects, scene.draft.state
    base = base_in(scene.frame.workflow, scene.state)
    if base is None:
        return prompt
    found: Known = known(
        prompt,
        question,
        base,
        effects.llm,
        name=name,
        options=effects.settings,
        stop=effects.deadline,
    )
    shown = one_line(base.name, limit=80)
    troubles = [*found.problems, found.missing] if found.missing else found.problems
    if troubles and effects.settings.strict:
        raise ExecutionError(f"knowledge base '{shown}': {'; '.join(troubles)}")
    for problem in found.problems:
        scene.warn(f"knowledge base '{shown}': {problem}")
    if found.missing:
        scene.warn(f"knowledge base '{shown}': {found.missing}; the prompt goes without context")
    scene.draft.retrieved, scene.draft.missing = found.retrieved, found.missing
    return found.prompt


def _attachments(scene: Scene) -> Attachments:
    paths = [scene.filled(path) for path in scene.state.files]
    folders = Folders(scene.frame.workflow.folder, scene.effects.run_directory)
    attached = attach(paths, folders)
    if attached.problems and scene.effects.settings.strict:
        raise ExecutionError("; ".join(attached.problems))
    for problem in attached.problems:
        scene.warn(f"{problem}; the prompt goes without it")
    return attached


def _route(scene: Scene, request: Request) -> str:
    question = Question(
        model=request.model,
        asked=scene.draft.prompt,
        reply=scene.draft.completion,
        choices=scene.state.next_options,
        options=request.options,
        label=scene.draft.state,
        draw=request.draw,
    )
    choice = choose(scene.effects.llm, question, stop=scene.effects.deadline)
    scene.draft.usage += choice.usage
    scene.draft.routed = choice.decided
    if not choice.decided:
        scene.warn(f"the model chose none of the next_options, so '{choice.state}' follows")
    return choice.state


def _input(scene: Scene) -> str:
    state, effects = scene.state, scene.effects
    question = scene.draft.prompt = scene.filled(state.prompt or "").text
    default = None if state.default_value is None else scene.filled(state.default_value).text
    with effects.deadline.paused():
        answer = effects.inputs.answer(scene.draft.state, question, default)
    if answer is None and default is None:
        raise ExecutionError(
            f"there is no answer left for: {one_line(question)} — give one more, "
            "or a default_value in the state"
        )
    scene.save((answer or "").strip() or default or "")
    return state.next or END
