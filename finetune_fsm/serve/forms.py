"""What a person can start, and what the forms for it say when they come back."""

from __future__ import annotations

from collections.abc import Mapping

from finetune_fsm.api import Wishes
from finetune_fsm.api.options import CANDIDATE_LIMIT, CANDIDATES, ITERATION_LIMIT, MAX_ITERATIONS
from finetune_fsm.errors import UsageError
from finetune_fsm.llm.meter import Budget
from finetune_fsm.loop.settings import Approval
from finetune_fsm.serve.desk import Kind
from finetune_fsm.serve.markup import Child, Markup, address, element
from finetune_fsm.serve.pieces import button, field, fold, form, hidden, section
from finetune_fsm.sinks import one_line
from finetune_fsm.workflow.model import DEFAULT_MODEL


def actions(key: str, *, tested: bool) -> Markup:
    """Return the forms that start something with the workflow called *key*."""
    test: Child = _start(Kind.TEST, key, button("Test it")) if tested else None
    finetune = _start(Kind.FINETUNE, key, _wishes(), element("p", button("Start", kind="main")))
    return section(
        "Do",
        element(
            "div", _start(Kind.RUN, key, button("Run it", kind="main")), test, class_="buttons"
        ),
        fold("Finetune it", finetune, key="finetune"),
    )


def stop_form(work: str) -> Markup:
    """Return the button that stops the work called *work*."""
    return form(address("job", work, "stop"), button("Stop", kind="stop"), label="Stop", live=True)


def resume_form(run: str) -> Markup:
    """Return the form that goes on with the run called *run*."""
    return fold(
        "Go on with this run",
        form(
            address("start", "resume"),
            hidden("run", run),
            field(
                "LLM calls at most, those made included",
                "max_calls",
                type="number",
                min="1",
                hint="Empty: as before.",
            ),
            _asks(chosen=""),
            element("p", button("Go on", kind="main")),
            label="Go on with this run",
        ),
        key="resume",
    )


def _start(kind: Kind, key: str, *children: Child) -> Markup:
    names = {Kind.RUN: "Run it", Kind.TEST: "Test it", Kind.FINETUNE: "Finetune it"}
    where = address("start", str(kind))
    return form(where, hidden("workflow", key), *children, label=names[kind])


def _wishes() -> Markup:
    return element(
        "div",
        field("Model for the analysis", "model", value=DEFAULT_MODEL, required=True),
        field(
            "Iterations at most",
            "max_iterations",
            type="number",
            min="1",
            max=str(ITERATION_LIMIT),
            value=str(MAX_ITERATIONS),
            required=True,
        ),
        field("LLM calls at most", "max_calls", type="number", min="1", hint="Empty: no limit."),
        field(
            "Drafts in one iteration",
            "candidates",
            type="number",
            min="1",
            max=str(CANDIDATE_LIMIT),
            value=str(CANDIDATES),
            required=True,
        ),
        field(
            "Goal, once all tests pass",
            "goal",
            hint="tokens, latency, length, robustness, clarity, or a sentence; empty: none.",
        ),
        _asks(chosen=Approval.NEVER),
        class_="fields",
    )


_ASKS = {
    "": "As before",
    Approval.NEVER: "Never: the tests decide",
    Approval.RISKY: "When it changes more than a prompt's text",
    Approval.ALWAYS: "Always",
}


def _asks(*, chosen: str) -> Markup:
    """Return the choice of what a person is asked about; *chosen* comes first."""
    names = [name for name in _ASKS if name or not chosen]
    options = [
        element("option", _ASKS[name], value=name, selected=name == chosen) for name in names
    ]
    label = element("label", "Ask me about changes", for_="f-approval")
    choice = element("select", options, name="approval", id="f-approval")
    return element("p", label, choice, class_="field")


def wishes_of(fields: Mapping[str, str]) -> Wishes:
    """Return what the form for a finetune says. Pure.

    Raises:
        UsageError: a number is none.
    """
    wishes = Wishes(
        model=fields.get("model", "").strip() or DEFAULT_MODEL,
        max_iterations=_number(fields, "max_iterations") or MAX_ITERATIONS,
        candidates=_number(fields, "candidates") or CANDIDATES,
        budget=Budget(calls=_number(fields, "max_calls")),
        approval=approval_of(fields) or Approval.NEVER,
    )
    if goal := fields.get("goal", "").strip():
        wishes["goal"] = goal
    return wishes


def calls_of(fields: Mapping[str, str]) -> int | None:
    """Return the limit of calls in *fields*, or None; raises as `wishes_of`. Pure."""
    return _number(fields, "max_calls")


def approval_of(fields: Mapping[str, str]) -> Approval | None:
    """Return which drafts a person is asked about, or None; raises as `wishes_of`. Pure."""
    said = fields.get("approval", "")
    if said and said not in set(Approval):
        raise UsageError(f"approval must be {', '.join(Approval)}, is '{one_line(said)}'")
    return Approval(said) if said else None


def _number(fields: Mapping[str, str], name: str) -> int | None:
    text = fields.get(name, "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text)):
        raise UsageError(f"{name} must be a whole number of 1 or more, is '{one_line(text)}'")
    return int(text)
