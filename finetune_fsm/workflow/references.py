"""Whether every name that a document uses is defined in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from finetune_fsm.errors import Path, Problem, Severity
from finetune_fsm.schema import suggestion
from finetune_fsm.sinks import one_line
from finetune_fsm.workflow.model import END
from finetune_fsm.workflow.outline import (
    Part,
    list_at,
    mapping_at,
    names_in,
    parts_in,
    states_in,
    text_at,
)


def dangling(document: Part) -> Iterator[Problem]:
    """Yield a problem for each state, server or knowledge base that is only named. Pure."""
    if mapping_at(document, "states"):
        yield from _targets(document)
    servers, bases = mapping_at(document, "mcp_servers"), mapping_at(document, "rag")
    for path, part in parts_in(document):
        for index, name in enumerate(list_at(part, "mcp_servers")):
            if isinstance(name, str) and name and name not in servers:
                place = (*path, "mcp_servers", index)
                yield _unknown("unknown_server", "tool server", name, tuple(servers), place)
        base = text_at(part, "use_rag")
        if base and base not in bases:
            place = (*path, "use_rag")
            yield _unknown("unknown_rag", "knowledge base", base, tuple(bases), place)


def _targets(document: Part) -> Iterator[Problem]:
    known = names_in(document)
    there = frozenset(known)
    for path, name in _named(document):
        if name and name not in there:
            yield _unknown("unknown_target", "state", name, known, path)
    for name, state in states_in(document):
        if state.get("on_error") == name:
            message = f"'{name}' falls back on itself: that is one more try, then the run fails"
            hint = "name another state, or 'end'"
            path = ("states", name, "on_error")
            yield Problem("self_fallback", message, hint, path, Severity.WARNING)


def _named(document: Part) -> Iterator[tuple[Path, str | None]]:
    yield ("start_state",), text_at(document, "start_state")
    yield ("on_error",), text_at(document, "on_error")
    for name, state in states_in(document):
        path: Path = ("states", name)
        yield (*path, "next"), text_at(state, "next")
        for index, option in enumerate(list_at(state, "next_options")):
            if isinstance(option, dict):
                yield (*path, "next_options", index, "state"), text_at(option, "state")
        yield (*path, "on_error"), text_at(state, "on_error")


def _unknown(code: str, kind: str, name: str, known: Sequence[str], path: Path) -> Problem:
    field = next(step for step in reversed(path) if isinstance(step, str))
    message = f"'{field}' names the {kind} '{one_line(name, limit=60)}', which does not exist"
    there = [item for item in known if item != END]
    listed = ", ".join(f"'{one_line(item, limit=40)}'" for item in there[:6])
    more = f" and {len(there) - 6} more" if len(there) > 6 else ""
    hint = f"there is {listed}{more}" if there else f"define it, or remove '{field}'"
    return Problem(code, message, suggestion(name, known) or hint, path)
