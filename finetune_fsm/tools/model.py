"""Tool servers and what they offer, as values and two protocols. Pure.

A *source* opens servers; a *server* offers tools and calls them. Where a server comes from, a
process (`processes`), a script (`scripted`), or nowhere (`source`), nobody above this package
needs to know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from finetune_fsm.llm.base import Stop, Tool


@dataclass(frozen=True, slots=True)
class Specification:
    """A tool server as a workflow defines it.

    Attributes:
        name: Its key under ``mcp_servers``.
        document: What stands there, valid by the schema.
        folder: Of the workflow; relative paths and the server's own start from there.
    """

    name: str
    document: Mapping[str, object]
    folder: Path


@dataclass(frozen=True, slots=True)
class Place:
    """Whom a server works for.

    Attributes:
        run_directory: The one folder that a server which asks for roots is given.
        rollout: What tells this rollout from others of a run, for whoever writes calls down;
            empty where nobody does.
    """

    run_directory: Path
    rollout: str = ""


@dataclass(frozen=True, slots=True)
class Offer:
    """A tool of a server.

    Attributes:
        tool: As its server describes it.
        repeatable: Whether its server says that a second call does no harm: it only reads
            (``readOnlyHint``), or a repetition changes nothing (``idempotentHint``).
    """

    tool: Tool
    repeatable: bool = False


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool answered.

    Attributes:
        text: For the model; cut to `results.LIMIT` characters.
        failed: Whether the tool says that it could not do it.
    """

    text: str
    failed: bool = False


class ToolServer(Protocol):
    """Something that offers tools, for one rollout."""

    @property
    def offers(self) -> tuple[Offer, ...]:
        """Its tools, in its own order."""
        ...

    def call(
        self, name: str, arguments: Mapping[str, object], *, stop: Stop | None = None
    ) -> ToolResult:
        """Return what its tool *name* answers.

        Raises:
            ToolError: the server died, hung or spoke nonsense; it is not to be called again.
            Cancelled: *stop* was asked for.
        """
        ...

    def close(self) -> None:
        """End it; calling this twice is harmless."""
        ...


class ToolSource(Protocol):
    """Where the tool servers of rollouts come from. Safe to use from several threads."""

    def open(self, wanted: Specification, place: Place, *, stop: Stop | None = None) -> ToolServer:
        """Return a server that runs and has listed its tools.

        Raises:
            ToolError: it cannot be had; says why.
            MissingExtra: the library that speaks to servers is not installed.
            SourceChanged: it is not what was allowed when the work began.
            Cancelled: *stop* was asked for.
        """
        ...
