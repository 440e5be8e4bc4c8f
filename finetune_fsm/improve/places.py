"""Where two documents differ, and which places a draft may change at all.

The original and the draft are compared, not the edits between them: whoever made the draft, and
in however many steps, what counts is where it differs from what a person wrote.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from finetune_fsm.errors import Path, Problem
from finetune_fsm.improve.capabilities import OPEN_KNOWLEDGE, OPEN_OPTIONS
from finetune_fsm.improve.grants import Grants
from finetune_fsm.sinks import one_line
from finetune_fsm.workflow.model import END, Workflow
from finetune_fsm.workflow.outline import Part, mapping_at

OPEN_FIELDS = frozenset({"prompt", "next", "on_error", "save_as", "default_value"})
"""Fields of a state or a step that a draft may set; its open options and `next_options` too."""

OPTION_FIELDS = frozenset({"state", "description"})
"""Fields of one of the `next_options`."""

NEW_FIELDS = frozenset(
    {
        *("type", "options", "model", "prompt_file", "files"),
        *("workflow_ref", "mcp_servers", "use_rag", "rag"),
    }
)
"""Fields that a whole new state may have besides; what they name must be nothing new."""

MOST_CHUNKS = 20
"""What a draft may raise ``top_k`` to."""

CHUNK_SIZES = (100, 8000)
"""Between which characters a draft may set ``chunk_size``."""

TEMPLATE_LIMIT = 4000
"""Characters of a template that a draft writes."""

ABSENT = object()


@dataclass(frozen=True, slots=True)
class Change:
    """One place where two documents differ; `old` or `new` is `ABSENT` on one side."""

    path: Path
    old: object
    new: object

    @property
    def where(self) -> str:
        """The place for people, such as ``sort.prompt``."""
        steps = self.path[1:] if self.path[:1] == ("states",) else self.path
        return one_line(".".join(str(step) for step in steps)) or "the document"


def changes(old: object, new: object, path: Path = ()) -> Iterator[Change]:
    """Yield the deepest places where *old* and *new* differ. Pure.

    What comes or goes as a whole mapping is told by its leaves; lists of different lengths differ
    as a whole.
    """
    left, right = _descended(old, new), _descended(new, old)
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        for key in dict.fromkeys((*left, *right)):
            yield from changes(left.get(key, ABSENT), right.get(key, ABSENT), (*path, key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from changes(one, other, (*path, index))
    elif type(old) is not type(new) or old != new:
        yield Change(path, old, new)


def _descended(side: object, other: object) -> object:
    return {} if side is ABSENT and other else side


def texts_in(value: object) -> Iterator[str]:
    """Yield every text in *value*, keys left out. Pure."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from texts_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts_in(item)


def closed_places(
    original: Workflow, draft: Workflow, changed: Sequence[Change], grants: Grants
) -> Iterator[Problem]:
    """Yield each of the *changed* places that neither the rules nor *grants* open. Pure."""
    inlined = {c.path[:-1] for c in changed if c.path[-1:] == ("prompt",) and c.old is ABSENT}
    for change in changed:
        inlines = change.path[-1:] == ("prompt_file",) and change.new is ABSENT
        if (
            is_open(change)
            or (inlines and change.path[:-1] in inlined)
            or (grants.structure and _is_structure(change, original.document, draft.document))
            or _is_granted(change, draft.document, grants)
        ):
            continue
        message = f"{change.where} may not be changed"
        yield Problem("closed_place", message, "change prompts, ways or options", change.path)
    yield from _other_options(original, draft)


def _inside_part(path: Path) -> Path | None:
    """What of *path* lies inside a state or a step; None outside of them."""
    if len(path) < 3 or path[0] != "states":
        return None
    return path[4:] if path[2] == "steps" else path[2:]


def is_open(change: Change) -> bool:
    """Whether any draft may change that place, whatever is granted. Pure."""
    match change.path:
        case ("rag", _, str(key)):
            return _is_open_knowledge(key, change.new)
    match _inside_part(change.path):
        case ("rag", str(key)):
            return _is_open_knowledge(key, change.new)
        case (field,):
            if field == "options":  # all of them, and there were none or are none
                return True
            return field in OPEN_FIELDS or (field == "next_options" and _is_ways(change.new))
        case ("options", name, *_):
            return name in OPEN_OPTIONS
        case ("next_options", _, field):
            return field in OPTION_FIELDS
    return False


def _is_open_knowledge(key: str, value: object) -> bool:
    """Whether a draft may give a knowledge base's field that value, or leave it out."""
    if key not in OPEN_KNOWLEDGE:
        return False
    match value:
        case bool():
            return False
        case int() if key == "top_k":
            return 1 <= value <= MOST_CHUNKS
        case int() if key == "chunk_size":
            return CHUNK_SIZES[0] <= value <= CHUNK_SIZES[1]
        case str() if key == "chunk_template":
            return "{{chunk.text}}" in value and len(value) <= TEMPLATE_LIMIT
        case str() if key == "context_template":
            return "{{chunks}}" in value and len(value) <= TEMPLATE_LIMIT
    return value is ABSENT


def _is_ways(value: object) -> bool:
    """Whether *value* is a list of targets with descriptions and nothing else, or absent."""
    if value is ABSENT:
        return True
    return isinstance(value, list) and all(
        isinstance(item, Mapping) and set(item) <= OPTION_FIELDS for item in value
    )


def _is_structure(change: Change, old: Part, new: Part) -> bool:
    match change.path:
        case ("start_state",):  # a run that ends before its first state improves nothing
            return END not in (change.old, change.new)
        case ("states", _, "steps"):
            return True
        case ("states", name, field, *_):
            if name in mapping_at(old, "states"):
                return name not in mapping_at(new, "states")
            return field in NEW_FIELDS
    return False


def _is_granted(change: Change, draft: Part, grants: Grants) -> bool:
    match change.path:
        case ("default_model",):
            return change.new in grants.models
        case ("variables", str(name), *_):
            variable = mapping_at(draft, "variables").get(name)
            return any(variable == {"file": path} for path in grants.files)
    match _inside_part(change.path):
        case ("model",):
            return change.new in grants.models
        case ("prompt_file",) | ("files", _):
            return change.new in grants.files
        case ("workflow_ref",):
            return change.new in grants.workflows
        case ("mcp_servers", _):
            return change.new in grants.tools
        case ("files",):
            return _adds_only(change, grants.files)
        case ("mcp_servers",):
            return _adds_only(change, grants.tools)
    return False


def _adds_only(change: Change, granted: Collection[str]) -> bool:
    """Whether a list keeps all it had and gains something, all of it granted."""
    old = change.old if isinstance(change.old, list) else []
    new = change.new if isinstance(change.new, list) else []
    added = [item for item in new if item not in old]
    return bool(added) and all(item in granted for item in added) and all(i in new for i in old)


def _other_options(original: Workflow, draft: Workflow) -> Iterator[Problem]:
    """Options that are not open and change by inheritance: a step's own replace its state's."""
    for state in draft.states.values():
        before = original.states.get(state.name)
        if before is None:
            continue
        for name in sorted({*before.options, *state.options} - OPEN_OPTIONS):
            if before.options.get(name) != state.options.get(name):
                path = (*state.origin, "options", name)
                message = f"'{one_line(state.name)}' would run with another {one_line(name)}"
                yield Problem("closed_place", message, f"keep {one_line(name)}", path)
