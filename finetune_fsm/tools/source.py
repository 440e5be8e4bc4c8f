"""Where a rollout's tool servers come from: processes of its own, or nowhere."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping

from finetune_fsm.errors import SourceChanged, ToolError
from finetune_fsm.llm.base import Stop
from finetune_fsm.sinks import one_line
from finetune_fsm.tools.contents import content_of
from finetune_fsm.tools.launch import launch_of
from finetune_fsm.tools.model import Place, Specification, ToolServer, ToolSource

TRIES = 2
"""Times that a server may fail to start, in all rollouts together, before nobody tries any more."""


class Processes:
    """Starts a process of its own for each rollout that comes to use a server.

    Many servers keep what they were told. Were one shared, a scenario could see what another did,
    and what comes out would hang on which of them was first.

    What a server is when it is first started, or was allowed before, it has to stay.

    Args:
        allowed: Digests of servers (`contents`) by folder and name, from when the work began.
    """

    def __init__(self, allowed: Mapping[tuple[str, str], str] | None = None) -> None:
        self._allowed = dict(allowed or {})
        self._failures: Counter[str] = Counter()
        self._why: dict[str, str] = {}
        self._lock = threading.Lock()

    def open(self, wanted: Specification, place: Place, *, stop: Stop | None = None) -> ToolServer:
        """Return a server that runs; see `ToolSource`."""
        from finetune_fsm.tools.processes import McpServer

        content = content_of(wanted)
        self._check(wanted, content)
        with self._lock:
            if self._failures[content] >= TRIES:
                raise ToolError(self._why[content])
        try:
            return McpServer.start(launch_of(wanted), place.run_directory, stop=stop)
        except ToolError as error:
            with self._lock:
                self._failures[content] += 1
                self._why[content] = str(error)
            raise

    def _check(self, wanted: Specification, content: str) -> None:
        """Raise SourceChanged unless *wanted* is what it was."""
        key = (str(wanted.folder), wanted.name)
        with self._lock:
            before = self._allowed.setdefault(key, content)
        if before != content:
            name = one_line(wanted.name)
            raise SourceChanged(
                f"the tool server '{name}' is not what it was when this began: its command, its "
                "package or the code it runs has changed — look at it, and start again"
            )


class SwitchedOff:
    """Has no servers.

    Args:
        why: Said of each, after its name; a sentence.
    """

    def __init__(self, why: str) -> None:
        self._why = why

    def open(self, wanted: Specification, place: Place, *, stop: Stop | None = None) -> ToolServer:
        """Raise ToolError."""
        del wanted, place, stop
        raise ToolError(self._why)


NO_TOOLS = SwitchedOff("tools are switched off")
"""For whoever wants none, and for programs that have not said that they want them."""


def source_of(wanted: bool) -> ToolSource:
    """Return where the servers of a workflow that a person named come from, if they are *wanted*.

    Naming a file allows the servers that are written in it.
    """
    return Processes() if wanted else NO_TOOLS


_: tuple[type[ToolSource], ...] = (Processes, SwitchedOff)  # both keep the protocol, says mypy
