"""What the lines of a run's journal say.

======  ====================================================================================
begin   line 1: what was asked for, of what, by which version (`Beginning`)
call    a question to a model and its answer (`llm.memo.Call`)
intent  a call of a tool that is about to be made (`tools.kept.Intent`)
outcome what came of it (`tools.kept.Outcome`)
step    a state's outcome and where the loop went (`loop.entries`), and the run's mark
resume  a new session: how many steps it builds on, and what was asked for now (`Resumption`)
note    something that a person should know
======  ====================================================================================
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from finetune_fsm.codec import LATER
from finetune_fsm.errors import SourceChanged
from finetune_fsm.llm.base import Usage
from finetune_fsm.loop.settings import Settings
from finetune_fsm.sinks import one_line
from finetune_fsm.tools.contents import contents_of
from finetune_fsm.workflow.model import Workflow

FORMAT = 2  # 1: begin, call, step, resume, note; 2: several candidates an iteration

BEGIN, CALL, STEP, RESUME, NOTE = "begin", "call", "step", "resume", "note"
INTENT, OUTCOME = "intent", "outcome"


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a run was started with.

    Attributes:
        format: `FORMAT` of the version that wrote it.
        version: Of this package.
        started: When, ISO 8601 in UTC.
        llm: The provider as ``--llm`` takes it, without passwords; empty when it was an object.
        settings: What was asked for; its paths are absolute.
        original: The workflow's text.
        sources: SHA-256 of the files that the user gave, by absolute path.
        servers: Digests of the workflow's tool servers, by name (`tools.contents`).
    """

    format: int
    version: str
    started: str
    llm: str
    settings: Settings
    original: str
    sources: Mapping[str, str]
    servers: tuple[tuple[str, str], ...] = field(default=(), metadata=LATER)


@dataclass(frozen=True, slots=True)
class Resumption:
    """What a later session of a run was started with.

    Attributes:
        keep: How many steps it builds on; those after are as if never taken.
        version: Of this package.
        started: When, ISO 8601 in UTC.
        llm: As in `Beginning`.
        settings: What is asked for from now on.
        lost: What the sessions before paid, after step `keep`, for requests that broke off.
    """

    keep: int
    version: str
    started: str
    llm: str
    settings: Settings
    lost: Usage = field(default_factory=Usage)


def sources_of(settings: Settings) -> Mapping[str, str]:
    """Return the digests of the files that the user gave, by absolute path.

    Raises:
        OSError: one cannot be read.
    """
    paths = (settings.workflow, settings.tests)
    return {os.path.abspath(path): _sha256(path) for path in paths if path is not None}  # noqa: PTH100  # links stay as named


def check_sources(sources: Mapping[str, str]) -> None:
    """Compare the files with what they were.

    Raises:
        SourceChanged: one differs, or is gone.
    """
    for name, before in sources.items():
        try:
            now = _sha256(Path(name))
        except OSError as error:
            raise SourceChanged(f"{name} cannot be read any more: {error.strerror}") from error
        if now != before:
            raise SourceChanged(
                f"{name} was changed since the run began (SHA-256 {before[:12]}… is now "
                f"{now[:12]}…) — start a new run, or go on with what it was: --ignore-changes"
            )


def servers_of(workflow: Workflow) -> tuple[tuple[str, str], ...]:
    """Return the digests of the tool servers of *workflow*, sorted by name."""
    return tuple(sorted(contents_of(workflow.mcp_servers, workflow.folder).items()))


def check_servers(before: tuple[tuple[str, str], ...], workflow: Workflow) -> None:
    """Compare the tool servers of *workflow* with what was allowed when the run began.

    Raises:
        SourceChanged: one is another, or is new.
    """
    allowed = dict(before)
    for name, content in servers_of(workflow):
        if allowed.get(name) != content:
            raise SourceChanged(
                f"the tool server '{one_line(name)}' is not what it was when the run began: its "
                "command, its package or the code it runs has changed — look at it, and start a "
                "new run, or go on with what it is now: --ignore-changes"
            )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
