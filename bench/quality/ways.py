"""What a way of improving a workflow takes and gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from finetune_fsm.scenarios.model import Suite
from finetune_fsm.workflow.model import Workflow
from quality.calls import Counted, Spent


@dataclass(frozen=True, slots=True)
class Task:
    """One workflow to improve.

    Attributes:
        workflow: The file, alone in a folder of its own but for *tests*.
        tests: The test file with the train scenarios; nothing else is known of the case.
        start: The same workflow, read.
        train: The same scenarios, read.
        llm: Answers for the workflow's states and for reflection, and counts.
        cap: Calls that may be made.
        seed: For sampling.
        options: The way's own, from the command line.
    """

    workflow: Path
    tests: Path
    start: Workflow
    train: Suite
    llm: Counted
    cap: int
    seed: int = 0
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Seen:
    """A workflow that a way had in hand and had tried on all train scenarios."""

    spent: Spent
    text: str


@dataclass(frozen=True, slots=True)
class Shipped:
    """What a way gives back.

    Attributes:
        text: The YAML that it would have a person use from now on.
        ending: Why it stopped, in a word or a few.
        seen: What it had in hand on the way, oldest first.
    """

    text: str
    ending: str
    seen: tuple[Seen, ...] = ()


Way = Callable[[Task], Shipped]
"""Improves one workflow. Raises FinetuneError only when the world is broken."""


def way(name: str) -> Way:
    """Return the way called *name*; KeyError when there is none."""
    if name == "ours":
        from quality.ours import improve
    elif name == "rewrite":
        from quality.rewrite import improve
    elif name == "gepa-prompts":
        from quality.gepa_ways import prompts as improve
    elif name == "gepa-yaml":
        from quality.gepa_ways import whole as improve
    else:
        raise KeyError(name)
    return improve


WAYS = ("ours", "gepa-prompts", "gepa-yaml", "rewrite")
