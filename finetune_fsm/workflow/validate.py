"""Everything wrong with a document, at once: schema, rules, names, files, and doubts.

The later checks take part even when the schema complains, and look only at what is sound, so that a
person sees all of it the first time. Doubts (see `doubts`) need a workflow that means something:
they come once there are no errors.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath

from finetune_fsm import schema
from finetune_fsm.errors import InvalidDocument, Path, Problem, Severity, errors_in
from finetune_fsm.sinks import one_line
from finetune_fsm.workflow.build import workflow_of
from finetune_fsm.workflow.doubts import graph_doubts, name_doubts, variable_doubts
from finetune_fsm.workflow.files import Opened, absent, opened, text_of
from finetune_fsm.workflow.layout import unwritable
from finetune_fsm.workflow.model import StateKind, Workflow
from finetune_fsm.workflow.outline import states_in, text_at
from finetune_fsm.workflow.references import dangling
from finetune_fsm.workflow.rules import broken_rules
from finetune_fsm.workflow.text import parse

_CHILD_DEPTH = 20


@dataclass(frozen=True, slots=True)
class Examined:
    """What is known about a document.

    Attributes:
        problems: All of them, causes first.
        workflow: What the document means; None when there are errors.
        sets: Variables that it and its children set.
        reads: Placeholders that it and its children use.
    """

    problems: tuple[Problem, ...]
    workflow: Workflow | None = None
    sets: frozenset[str] = frozenset()
    reads: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Scope:
    """Where a document stands among the files that refer to each other."""

    folder: FilePath | None
    strict: bool = False
    above: tuple[str, ...] = ()
    known: dict[str, Examined] = field(default_factory=dict)


def problems_of(
    document: object,
    *,
    folder: FilePath | None = None,
    strict: bool = False,
    path: FilePath | None = None,
) -> tuple[Problem, ...]:
    """Return all that is wrong with *document*: errors, then warnings, each from top to bottom.

    Args:
        document: Any plain data; nothing is raised, whatever it is.
        folder: The workflow's folder; without it no file is looked at.
        strict: Whether unknown keys and replies without a limit are errors.
        path: The file itself, if it has one, to notice that it refers to itself.
    """
    return examined(document, folder=folder, strict=strict, path=path).problems


def examined(
    document: object,
    *,
    folder: FilePath | None,
    strict: bool = False,
    path: FilePath | None = None,
) -> Examined:
    """Return what `problems_of` finds, and the workflow that an error-free document means."""
    above = (os.path.realpath(path),) if path is not None else ()
    return _examined(document, _Scope(folder, strict, above))


def _examined(document: object, scope: _Scope) -> Examined:
    if document is None:
        hint = "a workflow begins with 'name:', 'start_state:' and 'states:'"
        return Examined((Problem("empty_document", "the file is empty", hint),))
    if odd := unwritable(document):
        return Examined((Problem("bad_value", odd[1], "give plain text", odd[0]),))
    found = [
        *_schema_problems(document, strict=scope.strict),
        *_by_severity(broken_rules(document, strict=scope.strict)),
    ]
    if not isinstance(document, Mapping):
        return Examined(_sorted(found, document))
    found += _by_severity(dangling(document))
    files = Opened()
    children: dict[Path, Examined] = {}
    if scope.folder is not None:
        files = opened(document, scope.folder)
        children = _children(document, scope.folder, scope)
        found += files.problems
        found += (p for child in children.values() for p in child.problems)
    if errors_in(found):
        return Examined(_sorted(found, document))
    return _doubted(document, files, tuple(children.values()), found, scope)


def _doubted(
    document: Mapping[str, object],
    files: Opened,
    children: tuple[Examined, ...],
    found: list[Problem],
    scope: _Scope,
) -> Examined:
    folder = scope.folder or FilePath()
    workflow = workflow_of(document, folder=folder, prompts=files.prompts)
    sets = frozenset(name for child in children for name in child.sets)
    reads = frozenset(name for child in children for name in child.reads)
    found += schema.limited(graph_doubts(workflow))
    found += schema.limited(name_doubts(workflow))
    refers = any(s.kind is StateKind.WORKFLOW_REF for s in workflow.states.values())
    if scope.folder is not None or not refers:
        doubts = variable_doubts(workflow, set_elsewhere=sets, read_elsewhere=reads)
        found += schema.limited(doubts)
    if scope.folder is not None:
        found += schema.limited(absent(document, scope.folder))
    own = {name for state in workflow.states.values() for name in state.reads}
    return Examined(
        _sorted(found, document),
        workflow,
        sets | workflow.saved_variables | set(workflow.variables),
        reads | own,
    )


def _schema_problems(document: object, *, strict: bool) -> Iterator[Problem]:
    for problem in schema.problems_in(document, schema.WORKFLOW):
        tolerated = problem.code == "unknown_key" and not strict
        yield replace(problem, severity=Severity.WARNING) if tolerated else problem


def _by_severity(problems: Iterator[Problem]) -> Iterator[Problem]:
    """Yield errors and warnings up to the limit each; enough errors end the search."""
    warnings: list[Problem] = []

    def errors() -> Iterator[Problem]:
        for problem in problems:
            if problem.severity is Severity.ERROR:
                yield problem
            elif len(warnings) <= schema.PROBLEM_LIMIT:
                warnings.append(problem)

    yield from schema.limited(errors())
    yield from schema.limited(warnings)


def _children(
    document: Mapping[str, object], folder: FilePath, scope: _Scope
) -> dict[Path, Examined]:
    """Return what is known of each workflow that *document* refers to, by the referring path.

    Problems of a child come back as one problem of the reference to it.
    """
    found = {}
    wrong = 0
    for name, state in states_in(document):
        reference = text_at(state, "workflow_ref")
        if reference and state.get("type") == "workflow_ref":
            path: Path = ("states", name, "workflow_ref")
            child = found[path] = _child(reference, path, folder, scope)
            wrong += bool(child.problems)
        if wrong > schema.PROBLEM_LIMIT:
            break
    return found


def _child(reference: str, path: Path, folder: FilePath, scope: _Scope) -> Examined:
    text = text_of(reference, folder, path)
    if isinstance(text, Problem):
        return Examined((text,))
    place = os.path.realpath(folder / reference)
    if place in scope.above or len(scope.above) > _CHILD_DEPTH:
        ring = (*scope.above[scope.above.index(place) :], place) if place in scope.above else ()
        shown = " → ".join(FilePath(file).name for file in ring) or "too many files deep"
        message = f"the workflows refer to each other in a circle: {one_line(shown)}"
        return Examined((Problem("circular_ref", message, "break the circle", path),))
    if place not in scope.known:
        scope.known[place] = _examined_text(text, place, reference, scope)
    child = scope.known[place]
    errors = errors_in(child.problems)
    if not errors:
        return replace(child, problems=())
    first = replace(errors[0], file="")
    line = f" at line {first.line}" if first.line else ""
    where = f" at {first.pointer}" if first.path else line
    message = f"the workflow '{one_line(reference)}' has errors, the first{where}: {first.message}"
    return Examined((Problem("bad_ref", message, first.hint, path),))


def _examined_text(text: str, place: str, reference: str, scope: _Scope) -> Examined:
    try:
        document = parse(text, file=reference).document
    except InvalidDocument as error:
        return Examined(error.problems)
    below = _Scope(FilePath(place).parent, above=(*scope.above, place), known=scope.known)
    return _examined(document, below)


def _sorted(problems: Iterable[Problem], document: object) -> tuple[Problem, ...]:
    """Return *problems*, each once, errors first, then from the top of the document down."""
    unique = dict.fromkeys(problems)
    return tuple(sorted(unique, key=lambda p: (p.severity != "error", _position(document, p.path))))


def _position(document: object, path: Path) -> tuple[int, ...]:
    """Return the index of each step of *path* among its siblings: the reading order. Pure."""
    found: list[int] = []
    for step in path:
        if isinstance(document, Mapping):
            keys = list(document)
            found.append(keys.index(step) if step in document else -1)
            document = document.get(step)
        elif isinstance(document, list | tuple) and isinstance(step, int):
            found.append(step)
            document = document[step] if 0 <= step < len(document) else None
        else:
            break
    return tuple(found)
