"""What a workflow can reach beyond its own text, as tagged values that can be compared.

A tag is bound to content, not to a name: a tool server is its whole specification, so that one
name with another command is another capability (CVE-2025-54136 was just that).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from finetune_fsm.codec import canonical, digest
from finetune_fsm.errors import Problem
from finetune_fsm.improve.grants import Grants
from finetune_fsm.improve.ways import reached
from finetune_fsm.scenarios.model import Suite
from finetune_fsm.sinks import one_line
from finetune_fsm.workflow.model import DEFAULT_MODEL, Workflow
from finetune_fsm.workflow.outline import Part, list_at, mapping_at, named, parts_in, text_at

OPEN_OPTIONS = frozenset({"temperature", "top_p", "top_k", "num_predict", "seed", "stop"})
"""Sampling options that a draft may set; the others decide over memory and devices."""

OPEN_KNOWLEDGE = frozenset({"top_k", "chunk_size", "chunk_template", "context_template"})
"""Fields of a knowledge base that a draft may set; the others say what is read, and by whom."""

Capability = tuple[str, ...]
"""A kind and what it is about; text that two kinds share means two capabilities."""

_WORDS = {
    "model": "ask the model '{}'",
    "server": "start the tool server '{}' as it is not defined now",
    "tools": "use tools of '{0}' in the state '{1}'",
    "knowledge": "search another knowledge base",
    "file": "read the file '{}'",
    "workflow": "run the workflow '{}'",
    "option": "run with the option {0} at {1}",
}


def capabilities(document: Part, owners: Collection[str] | None = None) -> frozenset[Capability]:
    """Return all that the workflow *document* can reach beyond its own text. Pure.

    Args:
        document: Any plain mapping, valid or not.
        owners: States, as they stand in the file, that count; all without.
    """
    return frozenset(_capabilities(document, owners))


def _capabilities(document: Part, owners: Collection[str] | None) -> Iterator[Capability]:
    servers, bases = mapping_at(document, "mcp_servers"), mapping_at(document, "rag")
    yield "model", text_at(document, "default_model") or DEFAULT_MODEL
    for name, server in servers.items():
        yield "server", name, digest(server)
    for base in bases.values():
        yield "knowledge", _knowledge(base)
    for _, variable in named(document, "variables"):
        if file := text_at(variable, "file"):
            yield "file", file
    for path, part in parts_in(document):
        owner = str(path[1])
        if owners is not None and owner not in owners:
            continue
        yield from _of_part(part)
        for server in list_at(part, "mcp_servers"):
            yield "tools", str(server), owner, digest(servers.get(str(server)))
        if base := text_at(part, "use_rag"):
            yield "knowledge", _knowledge(bases.get(base))


def _of_part(part: Part) -> Iterator[Capability]:
    """What a state or a step names itself."""
    if model := text_at(part, "model"):
        yield "model", model
    if child := text_at(part, "workflow_ref"):
        yield "workflow", child
    if prompt := text_at(part, "prompt_file"):
        yield "file", prompt
    for file in list_at(part, "files"):
        yield "file", str(file)
    if "rag" in part:
        yield "knowledge", _knowledge(part["rag"])
    for key, value in mapping_at(part, "options").items():
        if key not in OPEN_OPTIONS:
            yield "option", key, canonical(value)


def _knowledge(base: object) -> str:
    """What a knowledge base reads and keeps, whatever it shows of that."""
    if not isinstance(base, Mapping):
        return digest(base)
    return digest({key: value for key, value in base.items() if key not in OPEN_KNOWLEDGE})


def gains(original: Workflow, draft: Workflow, suite: Suite, grants: Grants) -> Iterator[Problem]:
    """Yield what *draft* can do and *original* cannot. Pure.

    A state that no run of the original reaches counts for nothing, or else a draft could send runs
    into what its author had switched off; unless a test that a person wrote wants it reached.
    """
    wanted = tuple(_wanted(suite))
    before = _within_reach(original, wanted)
    granted = {
        "model": grants.models,
        "file": grants.files,
        "workflow": grants.workflows,
        "tools": grants.tools,
    }
    for gained in sorted(_within_reach(draft, wanted) - before):
        kind, *about = gained
        name = about[0]
        if name in granted.get(kind, ()):
            continue
        what = one_line(_WORDS[kind].format(*about))
        by_itself = f"only a person can allow it: --allow {kind}:{one_line(name)}"
        hint = by_itself if kind in granted else "only a person can write that"
        yield Problem("capability_gain", f"the draft would gain: {what}", hint)


def _wanted(suite: Suite) -> Iterator[str]:
    for scenario in suite.scenarios:
        if not scenario.generated:
            yield from scenario.inputs
            for assertion in scenario.assertions:
                yield from assertion.wanted_states


def _within_reach(workflow: Workflow, wanted: tuple[str, ...]) -> frozenset[Capability]:
    names = reached(workflow, (workflow.start_state, *wanted))
    owners = {state.owner for state in workflow.states.values() if state.name in names}
    return capabilities(workflow.document, owners)
