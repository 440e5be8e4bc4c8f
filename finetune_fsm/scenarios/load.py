"""Test files: found, read, checked against their workflow, and written.

A key that nobody knows is a warning, as existing files may hold one (an error when *strict*);
whatever would change a verdict if it were ignored is always an error.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from finetune_fsm.codec import canonical
from finetune_fsm.errors import InvalidDocument, Problem, Severity, errors_in
from finetune_fsm.knowledge.model import Given
from finetune_fsm.scenarios.assertions import trimmed
from finetune_fsm.scenarios.checks import check, vocabulary
from finetune_fsm.scenarios.fields import ASSERTION_KEYS, assertion_of, document_of
from finetune_fsm.scenarios.model import Scenario, Suite
from finetune_fsm.schema import SUITE, problems_in
from finetune_fsm.sinks import one_line
from finetune_fsm.tools.scripted import ScriptedTool
from finetune_fsm.workflow.load import load
from finetune_fsm.workflow.model import State, Workflow
from finetune_fsm.workflow.text import TESTS, dump, located, parse, read_file

_MADE_BY_US = re.compile(r"(.+)\.(?:finetuned|finetune-iter\d+)")


@dataclass(frozen=True, slots=True)
class CheckedSuite:
    """A test file, read.

    Attributes:
        suite: What it says, or None when it has errors.
        workflow: The workflow that it tests, or None when that cannot be used.
        problems: All of them, warnings too, in file order.
    """

    suite: Suite | None
    workflow: Workflow | None
    problems: tuple[Problem, ...]


def load_suite(path: str | os.PathLike[str], *, workflow: Workflow | None = None) -> Suite:
    """Return the suite in the file at *path*.

    Args:
        path: The test file.
        workflow: What it shall test; without it, the workflow that the file names.

    Raises:
        InvalidDocument: the file or its workflow is wrong; all problems, warnings too.
    """
    checked = check_suite(Path(path), workflow=workflow)
    if checked.suite is None:
        raise InvalidDocument(checked.problems)
    return checked.suite


def check_suite(
    path: Path, *, workflow: Workflow | None = None, strict: bool = False
) -> CheckedSuite:
    """Return what the test file at *path* says and all that is wrong with it."""
    try:
        text = read_file(path, limit=TESTS.size)
    except InvalidDocument as error:
        return CheckedSuite(None, workflow, error.problems)
    return check_suite_text(text, path, workflow=workflow, strict=strict)


def check_suite_text(
    text: str, path: Path, *, workflow: Workflow | None = None, strict: bool = False
) -> CheckedSuite:
    """Return what *text* says and all that is wrong with it.

    Args:
        text: YAML.
        path: Where it stands or shall stand; the workflow's path is relative to its folder.
        workflow: What it shall test; without it, the workflow that the text names.
        strict: Whether unknown keys are errors, here and in the workflow.
    """
    file = str(path)
    try:
        parsed = parse(text, file=file, limits=TESTS)
    except InvalidDocument as error:
        return CheckedSuite(None, workflow, error.problems)
    document = parsed.document
    found = list(problems_in(document, SUITE))
    if not strict:
        found = [_milder(problem) for problem in found]
    if workflow is None:
        workflow, more = _workflow_of(document, path, strict)
        found += more
    found += check(document, vocabulary(workflow, _child_of) if workflow else None)
    problems = (*parsed.warnings, *located(found, parsed, file))
    ordered = tuple(sorted(problems, key=lambda p: (p.file != file, p.line, p.column)))
    suite = None if errors_in(ordered) else suite_of(document)
    return CheckedSuite(suite, workflow, ordered)


def _milder(problem: Problem) -> Problem:
    """A warning of an unknown key; but one that another type of assertion has was meant."""
    if problem.code != "unknown_key":
        return problem
    key, is_inside = problem.path[-1], problem.path[2:3] == ("assertions",)
    if is_inside and key in ASSERTION_KEYS:
        message = f"'{key}' is not for this type of assertion"
        return replace(problem, code="misplaced_key", message=message)
    return replace(problem, severity=Severity.WARNING)


def _workflow_of(
    document: object, path: Path, strict: bool
) -> tuple[Workflow | None, list[Problem]]:
    """Return the workflow that *document* names, and what keeps it from being used."""
    name = document.get("workflow") if isinstance(document, Mapping) else None
    if not isinstance(name, str) or not name:
        return None, []  # the schema has said so
    where, shown = ("workflow",), one_line(name)
    target = path.parent / name
    if "\0" not in name and os.path.realpath(target) == os.path.realpath(path):
        hint = "name the workflow that it tests"
        message = "the test file names itself as its workflow"
        return None, [Problem("bad_workflow", message, hint, where)]
    warnings = list(_portability(name))
    try:
        return load(target, strict=strict), warnings
    except InvalidDocument as error:
        message = f"the workflow '{shown}' cannot be used"
        count = len(errors_in(error.problems))
        hint = f"it has {count} problem{'s' * (count != 1)}, listed below"
        return None, [*warnings, Problem("bad_workflow", message, hint, where), *error.problems]


def _portability(name: str) -> Iterator[Problem]:
    if Path(name).is_absolute():
        hint = "name it relative to this file"
        message = "an absolute path is found on this computer only"
        yield Problem("absolute_path", message, hint, ("workflow",), Severity.WARNING)


def _child_of(workflow: Workflow, state: State) -> Workflow | None:
    try:
        return load(workflow.folder / (state.workflow_ref or ""))
    except InvalidDocument:
        return None  # checking the workflow tells it


def suite_of(document: Mapping[str, object]) -> Suite:
    """Return the suite that a valid *document* describes. Pure."""
    scenarios = cast("Sequence[Mapping[str, object]]", document["test_scenarios"])
    return Suite(str(document["workflow"]), tuple(_scenario(item) for item in scenarios))


def _scenario(item: Mapping[str, object]) -> Scenario:
    inputs = cast("Sequence[Mapping[str, str]]", item.get("inputs") or ())
    assertions = cast("Sequence[Mapping[str, object]]", item["assertions"])
    return Scenario(
        name=trimmed(str(item["name"])),
        assertions=tuple(assertion_of(assertion) for assertion in assertions),
        inputs={given["state"]: given["value"] for given in inputs},
        description=str(item.get("description") or ""),
        generated=item.get("generated") is True,
        pass_score=float(cast("float", item.get("pass_score", 1.0))),
        repeat=int(cast("int", item.get("repeat", 1))),
        pass_rate=float(cast("float", item.get("pass_rate", 1.0))),
        tools=_tools(item),
        documents=_documents(item),
    )


def _documents(item: Mapping[str, object]) -> tuple[Given, ...] | None:
    found = cast("Sequence[Mapping[str, str]] | None", item.get("documents"))
    if found is None:
        return None
    return tuple(Given(each["source"], each["text"], each.get("state", "")) for each in found)


def _tools(item: Mapping[str, object]) -> tuple[ScriptedTool, ...] | None:
    found = cast("Sequence[Mapping[str, object]] | None", item.get("tools"))
    if found is None:
        return None
    return tuple(
        ScriptedTool(
            tool=str(each["tool"]),
            arguments=canonical(each["arguments"]) if "arguments" in each else "",
            result=str(each.get("result", "")),
            error=str(each.get("error", "")),
        )
        for each in found
    )


def _tool_document(tool: ScriptedTool) -> dict[str, object]:
    arguments = {"arguments": json.loads(tool.arguments)} if tool.arguments else {}
    came = {"error": tool.error} if tool.error else {"result": tool.result}
    return {"tool": tool.tool} | arguments | came


def dump_suite(suite: Suite) -> str:
    """Return *suite* as a test file that reads back equal. Pure.

    Raises:
        ValueError: it holds text that YAML cannot, such as a lone surrogate.
    """
    document = {
        "workflow": suite.workflow,
        "test_scenarios": [_scenario_document(scenario) for scenario in suite.scenarios],
    }
    return dump(document)


def _scenario_document(scenario: Scenario) -> dict[str, object]:
    inputs = [{"state": state, "value": value} for state, value in scenario.inputs.items()]
    fields: dict[str, object] = {
        "name": scenario.name,
        "description": scenario.description,
        "generated": scenario.generated,
        "inputs": inputs,
        "pass_score": "" if scenario.pass_score == 1 else scenario.pass_score,
        "repeat": "" if scenario.repeat == 1 else scenario.repeat,
        "pass_rate": "" if scenario.pass_rate == 1 else scenario.pass_rate,
    }
    said = {key: value for key, value in fields.items() if value}
    if scenario.documents is not None:  # none at all says something too
        said["documents"] = [_document(given) for given in scenario.documents]
    if scenario.tools is not None:  # none at all says something too
        said["tools"] = [_tool_document(tool) for tool in scenario.tools]
    return said | {"assertions": [document_of(a) for a in scenario.assertions]}


def _document(given: Given) -> dict[str, str]:
    state = {"state": given.state} if given.state else {}
    return {"source": given.source, "text": given.text} | state


def find_suite(workflow: Path) -> Path | None:
    """Return the test file of the workflow at *workflow*, or None.

    It is ``X.test.yaml`` beside ``X.yaml``, else ``X.finetune-tests.yaml``; ``.yml`` does as well.
    ``X.finetuned.yaml`` and ``X.finetune-iter3.yaml`` without tests of their own share those of X.
    """
    stems = [workflow.stem]
    if made := _MADE_BY_US.fullmatch(workflow.stem):
        stems.append(made[1])
    for stem in stems:
        for ending in (".test.yaml", ".test.yml", ".finetune-tests.yaml", ".finetune-tests.yml"):
            path = workflow.with_name(stem + ending)
            if path.is_file():
                return path
    return None
