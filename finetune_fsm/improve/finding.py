"""One thing that a workflow hardly means, and all that rules find before they look for repairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from finetune_fsm.errors import Path, Problem
from finetune_fsm.improve.lint_rules import RULES
from finetune_fsm.improve.lint_tests import TEST_RULES, WHY
from finetune_fsm.scenarios.model import Suite
from finetune_fsm.workflow.edits import Edit
from finetune_fsm.workflow.model import Workflow
from finetune_fsm.workflow.text import located, parse


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a workflow hardly means.

    Attributes:
        problem: What and where: code, level, file, line, path, message, hint.
        why: Why it matters, one sentence; may be empty.
        scenarios: Names of the scenarios that point at it, in suite order.
        repair: What would mend it, if that is obvious.
    """

    problem: Problem
    why: str = ""
    scenarios: tuple[str, ...] = ()
    repair: tuple[Edit, ...] = ()

    @property
    def code(self) -> str:
        """A stable word for programs."""
        return self.problem.code

    @property
    def state(self) -> str:
        """The state as it stands in the file; empty for what concerns the whole workflow."""
        path = self.problem.path
        return str(path[1]) if path[:1] == ("states",) and len(path) > 1 else ""

    @property
    def field(self) -> str:
        """The field's name, or empty."""
        path = self.problem.path
        names = [step for step in path if isinstance(step, str) and step != "steps"]
        inside = names[2:3] if path[:1] == ("states",) else names[:1]
        return inside[0] if inside else ""


def observed(
    workflow: Workflow, problems: Sequence[Problem], suite: Suite | None, *, file: str = ""
) -> tuple[Finding, ...]:
    """Return all findings without their repairs, each once, in the order of the file. Pure."""
    parsed = parse(workflow.text)
    seen = [Finding(p, WHY.get(p.code, "")) for p in problems]
    own = [(p, ()) for rule in RULES for p in rule(workflow)]
    tested = [pair for rule in TEST_RULES for pair in rule(workflow, suite)] if suite else []
    for problem, names in (*own, *tested):
        place = located((problem,), parsed, file)[0]
        seen.append(Finding(place, WHY.get(problem.code, ""), names))
    unique = {key(f): f for f in seen if not _is_meant(f, workflow, suite)}
    return tuple(sorted(unique.values(), key=lambda f: (f.problem.line, f.problem.column)))


def _is_meant(finding: Finding, workflow: Workflow, suite: Suite | None) -> bool:
    """Whether it complains that nothing follows from what somebody does look at.

    A test looks at a variable or at the way taken, a choice at the reply before it.
    """
    path = finding.problem.path[:-1]
    checks = [a for scenario in suite.scenarios for a in scenario.assertions] if suite else []
    for state in workflow.states.values():
        if finding.code in ("unused_save", "ignored_input") and path == state.origin:
            return bool(state.next_options) or state.save_as in {a.target for a in checks}
        if finding.code == "idle_choice" and state.next_options and path == ("states", state.owner):
            return bool({*state.targets} & {name for a in checks for name in a.states})
    return False


def key(finding: Finding) -> tuple[Path, str]:
    """Return what tells a finding from another, wherever it stands in the text. Pure."""
    return finding.problem.path, f"{finding.code} {finding.problem.message}"
