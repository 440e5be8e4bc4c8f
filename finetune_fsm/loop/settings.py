"""What a person asked a run for."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from finetune_fsm.improve.goals.goal import Goal
from finetune_fsm.llm.meter import Budget


class OnTie(StrEnum):
    """What decides between two workflows that pass the same tests."""

    JUDGE = "judge"
    KEEP = "keep"


class Approval(StrEnum):
    """Which sound drafts a person is asked about."""

    ALWAYS = "always"
    RISKY = "risky"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Settings:
    """What a person asked for.

    Attributes:
        workflow: The file to improve; never written to.
        output: Where the best workflow goes.
        tests: The test file, or None to generate one.
        model: Name of the reflection LLM.
        max_iterations: Times round the loop, >= 1.
        seed: For sampling; the same seed and replies give the same run.
        jobs: Scenarios run at once, or None for what the server allows.
        candidates: Drafts on trial in one iteration, >= 1.
        repeat: Rollouts of every scenario; the majority decides.
        holdout: Share of the scenarios that no model is shown; None for a third of six or more.
        on_tie: Who decides when verdicts do not; None for what fits the tests, see `Run.on_tie`.
        goal: What is wanted besides tests that pass, or None.
        budget: Calls, tokens and seconds that may be spent.
        allow: What drafts may do beyond what the original can, as `--allow` takes it.
        approval: Which drafts a person is asked about; None for all, by whoever approves.
    """

    workflow: Path
    output: Path
    tests: Path | None = None
    model: str = "gemma3:4b"
    max_iterations: int = 5
    seed: int = 0
    jobs: int | None = None
    candidates: int = 3
    repeat: int = 1
    holdout: float | None = None
    on_tie: OnTie | None = None
    goal: Goal | None = None
    budget: Budget = field(default_factory=Budget)
    allow: tuple[str, ...] = ()
    approval: Approval | None = None
