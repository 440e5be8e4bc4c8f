"""What a run can be asked for, and who takes part in it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypedDict, Unpack, cast

from finetune_fsm.errors import UsageError
from finetune_fsm.improve.goals.goal import parse_goal
from finetune_fsm.improve.grants import parse_grants
from finetune_fsm.improve.holdout import LARGEST
from finetune_fsm.llm.base import Stop
from finetune_fsm.llm.cache import Store
from finetune_fsm.llm.meter import Budget
from finetune_fsm.llm.watch import Watch
from finetune_fsm.loop.handlers import Handler
from finetune_fsm.loop.machine import Observer
from finetune_fsm.loop.settings import Approval, OnTie, Settings
from finetune_fsm.loop.table import LoopState
from finetune_fsm.loop.toolbox import Approve, Progress
from finetune_fsm.scenarios.load import find_suite
from finetune_fsm.tools.model import ToolSource
from finetune_fsm.workflow.model import DEFAULT_MODEL

MAX_ITERATIONS = 5
ITERATION_LIMIT = 1_000

CANDIDATES = 3
CANDIDATE_LIMIT = 8
REPEAT_LIMIT = 25

Tell = Callable[[str], None]
"""Takes one sentence for people."""


def ignore_notes(message: str) -> None:  # a Tell
    """Do nothing."""


class Wishes(TypedDict, total=False):
    """What can be asked for.

    Attributes:
        output: Where the best workflow goes; ``X.finetuned.yaml`` beside ``X.yaml`` without.
        tests: The test file; found beside the workflow or generated without.
        model: Name of the reflection LLM.
        max_iterations: Times round the loop, 1..1000; 5 without.
        seed: For sampling; 0 without.
        jobs: Scenarios run at once; what the server allows without.
        candidates: Drafts on trial in one iteration, 1..8; 3 without.
        repeat: Rollouts of every scenario, the majority decides, 1..25; 1 without.
        holdout: Share of the scenarios that no model is shown, 0..0.5; without, a third of six or
            more.
        on_tie: ``judge`` or ``keep``: who decides when no verdict changes; without, a judge if
            the tests were generated or look at no text, and else what there is.
        goal: What is wanted besides tests that pass: ``tokens``, ``latency``, ``length``,
            ``robustness``, ``clarity``, or a sentence.
        budget: Calls, tokens and seconds that may be spent.
        allow: What drafts may do beyond what the original can, as ``--allow`` takes it.
        approval: ``always``, ``risky`` (more than prompts' texts) or ``never``: which sound drafts
            `Hands.approve` is asked about; all without.
    """

    output: str | os.PathLike[str] | None
    tests: str | os.PathLike[str] | None
    model: str
    max_iterations: int
    seed: int
    jobs: int | None
    candidates: int
    repeat: int
    holdout: float | None
    on_tie: str | None
    goal: str | None
    budget: Budget
    allow: Sequence[str]
    approval: str | None


class Hands(TypedDict, total=False):
    """Who has a say in a run, and who listens.

    Attributes:
        observers: Told of every moment; one that raises vetoes the move.
        approve: A person's say on sound drafts; an `Approver` asks at the terminal.
        progress: Told how many of how many scenarios have run.
        note: Told what a person should know, such as a model that has changed.
        handlers: The work of each state.
        stop: Ask it to stop the run; the best so far is kept.
        store: Where replies are kept for other runs; none are without.
        watch: Where calls and rollouts under way can be seen, if anybody looks.
        tools: Where the workflow's tool servers come from; a `Processes` starts them. None without.
    """

    observers: Sequence[Observer]
    approve: Approve
    progress: Progress
    note: Tell
    handlers: Mapping[LoopState, Handler]
    stop: Stop | None
    store: Store | None
    watch: Watch | None
    tools: ToolSource


class Options(Wishes, Hands, total=False):
    """All of both."""


def settings_for(workflow: str | os.PathLike[str], **wishes: Unpack[Wishes]) -> Settings:
    """Return what is asked for of *workflow*, checked; no file is read.

    Raises:
        UsageError: a wish makes no sense, or the output could not be written later.
    """
    max_iterations, jobs = wishes.get("max_iterations", MAX_ITERATIONS), wishes.get("jobs")
    output, tests = wishes.get("output"), wishes.get("tests")
    if not 1 <= max_iterations <= ITERATION_LIMIT:
        raise UsageError(f"max_iterations must be 1..{ITERATION_LIMIT}, is {max_iterations}")
    if jobs is not None and jobs < 1:
        raise UsageError(f"jobs must be 1 or more, is {jobs}")
    candidates, repeat = wishes.get("candidates", CANDIDATES), wishes.get("repeat", 1)
    if not 1 <= candidates <= CANDIDATE_LIMIT:
        raise UsageError(f"candidates must be 1..{CANDIDATE_LIMIT}, is {candidates}")
    if not 1 <= repeat <= REPEAT_LIMIT:
        raise UsageError(f"repeat must be 1..{REPEAT_LIMIT}, is {repeat}")
    holdout, on_tie = wishes.get("holdout"), wishes.get("on_tie")
    if holdout is not None and not 0 <= holdout <= LARGEST:
        raise UsageError(f"holdout must be 0..{LARGEST}, is {holdout}")
    if on_tie is not None and on_tie not in set(OnTie):
        raise UsageError(f"on_tie must be {' or '.join(OnTie)}, is {on_tie}")
    approval = wishes.get("approval")
    if approval is not None and approval not in set(Approval):
        raise UsageError(f"approval must be {', '.join(Approval)}, is {approval}")
    goal = wishes.get("goal")
    allow = tuple(wishes.get("allow", ()))
    parse_grants(allow)
    source = Path(workflow)
    target = Path(output) if output is not None else output_path(source)
    check_output(target, source)
    return Settings(
        workflow=source,
        output=target,
        tests=Path(tests) if tests is not None else find_suite(source),
        model=wishes.get("model", DEFAULT_MODEL),
        max_iterations=max_iterations,
        seed=wishes.get("seed", 0),
        jobs=jobs,
        candidates=candidates,
        repeat=repeat,
        holdout=holdout,
        on_tie=OnTie(on_tie) if on_tie is not None else None,
        goal=parse_goal(goal) if goal is not None else None,
        budget=wishes.get("budget", Budget()),
        allow=allow,
        approval=Approval(approval) if approval is not None else None,
    )


def sort_out(options: Options) -> tuple[Wishes, Hands]:
    """Return the wishes and the hands among *options*; raises TypeError for anything else. Pure."""
    wishes = {name: value for name, value in options.items() if name in Wishes.__annotations__}
    hands = {name: value for name, value in options.items() if name in Hands.__annotations__}
    unknown = sorted(options.keys() - wishes.keys() - hands.keys())
    if unknown:
        raise TypeError(f"there is no option {', '.join(unknown)}")
    return cast("Wishes", wishes), cast("Hands", hands)


def output_path(workflow: Path) -> Path:
    """Where the best workflow goes: ``X.finetuned.yaml`` beside ``X.yaml``."""
    return workflow.with_name(f"{workflow.stem}.finetuned{workflow.suffix}")


def check_output(target: Path, source: Path) -> None:
    """Raise UsageError when *target* could not be written at the end of a run."""
    if target.is_dir():
        raise UsageError(f"{target} is a folder; name a file to write to")
    if target.exists() and not target.is_file():
        raise UsageError(f"{target} is no regular file")
    if target.exists() and source.exists() and target.samefile(source):
        raise UsageError(f"{target} is the workflow itself, which is never overwritten")
    folder = next(parent for parent in (target.absolute()).parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"cannot write into {folder}")
    if target.exists() and not os.access(target, os.W_OK):
        raise UsageError(f"cannot write {target}")
