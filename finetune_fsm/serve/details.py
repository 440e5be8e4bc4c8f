"""What the page of a workflow tells of it: whether it can be used, its graph, its servers."""

from __future__ import annotations

from pathlib import Path

from finetune_fsm.errors import Problem, errors_in
from finetune_fsm.reports.html.drawings import of_workflow
from finetune_fsm.reports.html.graph import figure
from finetune_fsm.serve.markup import Markup, element
from finetune_fsm.serve.pieces import badge, line, section
from finetune_fsm.sinks import one_line
from finetune_fsm.workflow.load import Checked
from finetune_fsm.workflow.model import Workflow

PROBLEMS_SHOWN = 20


def verdict(checked: Checked) -> Markup:
    """Return in a word or two whether a workflow can be used."""
    errors = len(errors_in(checked.problems))
    if errors:
        return badge(f"{errors} problem{'s' * (errors != 1)}", "bad")
    warnings = len(checked.problems)
    if warnings:
        return badge(f"{warnings} warning{'s' * (warnings != 1)}", "warn")
    return badge("valid", "good")


def problems(checked: Checked) -> Markup | None:
    """Return what is wrong with a workflow, or nothing."""
    if not checked.problems:
        return None
    rows = [element("li", _told(found)) for found in checked.problems[:PROBLEMS_SHOWN]]
    left = len(checked.problems) - PROBLEMS_SHOWN
    more = element("p", f"and {left} more: 'agentmech validate' lists them") if left > 0 else None
    return section("Problems", element("ul", rows, class_="problems"), more)


def _told(found: Problem) -> Markup:
    place = f"Line {found.line}: " if found.line else ""
    hint = f" — {found.hint}" if found.hint else ""
    tone = "bad" if found in errors_in((found,)) else "warn"
    text = one_line(f"{place}{found.message}{hint}", limit=1000)
    return element("span", badge(str(found.severity), tone), f" {text}")


def servers(workflow: Workflow) -> Markup | None:
    """List the programs that the workflow names, so that nobody starts them unawares."""
    if not workflow.mcp_servers:
        return None
    rows = [
        element("li", element("code", line(name)), ": ", line(_command(spec), limit=500))
        for name, spec in workflow.mcp_servers.items()
    ]
    told = "This workflow names programs that serve tools. This page starts none of them."
    return section("Tool servers", element("p", told, class_="note"), element("ul", rows))


def drawn(workflow: Workflow) -> Markup:
    """Return the picture of *workflow*."""
    return element("div", Markup(figure(of_workflow(workflow), "graph").text), class_="graph")


def _command(spec: object) -> str:
    facts = spec if isinstance(spec, dict) else {}
    parts = [facts.get("command") or facts.get("package") or facts.get("tools_directory") or ""]
    arguments = facts.get("args")
    parts += arguments if isinstance(arguments, list) else []
    return " ".join(str(part) for part in parts)


def text_of(path: Path) -> str:
    """Return what the file at *path* holds, or why it cannot be read."""
    try:
        return path.read_text("utf-8", "replace")
    except OSError as error:
        return f"cannot be read: {error.strerror}"
