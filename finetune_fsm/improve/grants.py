"""What a person lets a draft do beyond the rules: the values of ``--allow``.

A grant names one thing exactly; there are no patterns. What starts a program or opens a door to
the network cannot be granted at all: a person writes it into the workflow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from finetune_fsm.errors import UsageError
from finetune_fsm.schema import suggestion
from finetune_fsm.sinks import one_line
from finetune_fsm.workflow.model import PLACEHOLDER, Workflow

STRUCTURE = "structure"

KINDS: Mapping[str, str] = {
    STRUCTURE: "add states and steps, remove those that no test relies on, begin at another state",
    "model:NAME": "name this model",
    "file:PATH": "name this file as a prompt, an attachment or a variable's value",
    "workflow:PATH": "name this file as a child workflow",
    "tools:SERVER": "use this tool server, which the workflow defines, in any state",
}
"""What can be granted, as it is written, and what a draft may do then."""

NEVER = ("mcp_servers", "command", "args", "env", "package", "rag", "url")
"""What is never a model's to write, whoever asks."""


@dataclass(frozen=True, slots=True)
class Grants:
    """What a draft may do beyond the rules; nothing by itself. Names are sorted, each once.

    Attributes:
        structure: Whether states and steps may come and go, and a run begin elsewhere.
        models: Models that may be named.
        files: Paths, as written, that may stand where a file is named.
        workflows: Paths, as written, that may stand in a ``workflow_ref``.
        tools: Tool servers of the original that any state may use.
    """

    structure: bool = False
    models: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    workflows: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()

    def __str__(self) -> str:
        """As on the command line: ``--allow structure --allow model:NAME``."""
        named = {
            "model": self.models,
            "file": self.files,
            "workflow": self.workflows,
            "tools": self.tools,
        }
        words = [STRUCTURE] if self.structure else []
        words += [f"{kind}:{value}" for kind, values in named.items() for value in values]
        return " ".join(f"--allow {one_line(word)}" for word in words)


NOTHING = Grants()
"""Nothing beyond the rules."""


def parse_grants(texts: Sequence[str]) -> Grants:
    """Return what the values of ``--allow`` grant together. Pure.

    Raises:
        UsageError: one of them is unknown, lacks its value, or can never be granted.
    """
    found: dict[str, set[str]] = {kind.partition(":")[0]: set() for kind in KINDS}
    for text in texts:
        kind, colon, value = text.partition(":")
        if kind not in found:
            raise UsageError(_unknown(text, kind, tuple(found)))
        if kind == STRUCTURE and colon:
            raise UsageError(f"--allow {one_line(text)}: '{STRUCTURE}' takes no value")
        if kind != STRUCTURE and (reason := _unfit(kind, value)):
            raise UsageError(f"--allow {one_line(text)}: {reason}")
        found[kind].add(value)
    return Grants(
        structure=bool(found[STRUCTURE]),
        models=tuple(sorted(found["model"])),
        files=tuple(sorted(found["file"])),
        workflows=tuple(sorted(found["workflow"])),
        tools=tuple(sorted(found["tools"])),
    )


def _unknown(text: str, kind: str, known: tuple[str, ...]) -> str:
    if kind in NEVER:
        return (
            f"--allow {one_line(text)}: no model may write '{kind}', whoever allows it — "
            "put it into the workflow yourself"
        )
    there = ", ".join(KINDS)
    hint = suggestion(kind, known)
    return f"--allow {one_line(text)}: there is {there}" + (f" — {hint}" if hint else "")


def _unfit(kind: str, value: str) -> str:
    """Return why *value* cannot be granted, or empty text."""
    form = next(form for form in KINDS if form.startswith(f"{kind}:"))
    if not value.strip():
        return f"it needs a value, as in {form}"
    if PLACEHOLDER.search(value):
        return "a placeholder would allow whatever a run puts there — write the path out"
    if kind == "model" and any(character.isspace() for character in value):
        return "a model's name is one word, such as gemma3:4b"
    return ""


def check_grants(grants: Grants, original: Workflow) -> None:
    """Say so when a grant cannot mean anything for *original*.

    Raises:
        UsageError: a tool server is granted that *original* does not define.
    """
    for name in grants.tools:
        if name not in original.mcp_servers:
            there = ", ".join(f"'{one_line(server)}'" for server in original.mcp_servers)
            near = suggestion(name, tuple(original.mcp_servers))
            hint = near or (f"there is {there}" if there else "define it there yourself")
            message = f"--allow tools:{one_line(name)}: the workflow defines no such tool server"
            raise UsageError(f"{message} — {hint}")
