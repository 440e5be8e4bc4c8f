"""From a description to a valid workflow: a template that a model fills, or steps that it plans.

A template cannot fail: a blank that was filled with nothing usable keeps its usual text. A plan
can; its problems are shown to the model once, and then the nearest template stands in, which is
said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from finetune_fsm.errors import Problem, errors_in
from finetune_fsm.execution.routing import read_choice
from finetune_fsm.generate import plan, questions
from finetune_fsm.generate.template import Blank, Template
from finetune_fsm.generate.templates import TEMPLATES, nearest
from finetune_fsm.generate.words import LINE_LIMIT, TEXT_LIMIT, cleaned, line, plain
from finetune_fsm.improve.lint import findings, fixed
from finetune_fsm.improve.replies import read_object
from finetune_fsm.llm.base import Completion, Request
from finetune_fsm.sinks import visible_line
from finetune_fsm.workflow.load import check_text
from finetune_fsm.workflow.model import Option, Workflow
from finetune_fsm.workflow.text import MODEL, dump

OWN = "own"
"""What `Made.kind` says of a workflow with steps that a model planned."""

ROUNDS = 2
"""Times that a model may plan steps."""

Ask = Callable[[Request], Completion | Problem]
"""Asks a model; an unusable reply is a problem, a broken world an exception."""

_KINDS = (*TEMPLATES, OWN)


@dataclass(frozen=True, slots=True)
class Made:
    """A workflow that was made.

    Attributes:
        workflow: It, with its text.
        kind: The template's name, or `OWN`.
        notes: What a person should know of how it came about, one sentence each.
    """

    workflow: Workflow
    kind: str
    notes: tuple[str, ...] = ()


def make(
    description: str,
    *,
    model: str,
    ask: Ask,
    folder: Path,
    template: str | None = None,
    seed: int = 0,
) -> Made:
    """Return a valid workflow that does what *description* says.

    Args:
        description: In a person's words.
        model: Who is asked, and the workflow's default model.
        ask: How.
        folder: Where the workflow will stand.
        template: One of `TEMPLATES`, or `OWN`; chosen by the model without.
        seed: For sampling.

    Raises:
        LLMError: the world broke; nothing was made.
    """
    job = _Job(description, model, ask, folder, seed)
    kind, notes = (template, ()) if template else job.picked()
    if kind != OWN:
        return job.filled(TEMPLATES[kind], notes)
    return job.planned(notes)


@dataclass(frozen=True, slots=True)
class _Job:
    """What stays the same while one workflow is made."""

    description: str
    model: str
    ask: Ask
    folder: Path
    seed: int

    def picked(self) -> tuple[str, tuple[str, ...]]:
        """Which kind the model finds fitting, and what to say about it."""
        reply = self.ask(questions.pick(self.model, self.description, seed=self.seed))
        text = reply.text if isinstance(reply, Completion) else ""
        index = read_choice(text, [Option(name, "") for name in _KINDS])
        if index is not None:
            return _KINDS[index], ()
        name = nearest(self.description).name
        return name, (f"the model named no kind; '{name}' is the nearest to the description",)

    def filled(self, template: Template, notes: Sequence[str] = ()) -> Made:
        """The workflow of *template*, with what the model writes into its blanks."""
        reply = self.ask(questions.form(self.model, template, self.description, seed=self.seed))
        data = read_object(reply.text) if isinstance(reply, Completion) else reply
        given: Mapping[str, object] = {} if isinstance(data, Problem) else data
        written = {blank.name: _usable(given.get(blank.name), blank) for blank in template.blanks}
        texts = {blank.name: written[blank.name] or blank.usual for blank in template.blanks}
        missing = [name for name, text in written.items() if not text]
        if missing:
            listed = ", ".join(missing)
            notes = (*notes, f"the model wrote nothing usable for {listed}; the usual text stands")
        name = given.get("name")
        states = template.states(texts)
        workflow, problems = self._checked(name if isinstance(name, str) else "", states)
        assert workflow is not None, problems  # noqa: S101  # a template is valid, whatever is in it
        return Made(workflow, template.name, tuple(notes))

    def planned(self, notes: Sequence[str] = ()) -> Made:
        """The workflow of steps that the model plans, or of the nearest template."""
        complaints: tuple[str, ...] = ()
        for _ in range(ROUNDS):
            reply = self.ask(
                questions.plan(self.model, self.description, complaints, seed=self.seed)
            )
            read = reply if isinstance(reply, Problem) else plan.read(reply.text)
            if isinstance(read, Problem):
                complaints = (read.message,)
                continue
            workflow, problems = self._checked(read.name, read.states)
            if workflow is not None and not problems:
                return Made(workflow, OWN, tuple(notes))
            complaints = tuple(problem.message for problem in problems)
        template = nearest(self.description)
        why = visible_line(complaints[0], limit=200) if complaints else ""
        told = f"no plan of the model's own could be used ({why}); template '{template.name}' it is"
        return self.filled(template, (*notes, told))

    def _checked(
        self, name: str, states: Mapping[str, object]
    ) -> tuple[Workflow | None, tuple[Problem, ...]]:
        """The workflow with *states*, its obvious repairs made, and what is wrong with it still."""
        title = line(name, limit=60) or line(self.description, limit=60) or "Workflow"
        document = {
            "name": title,
            "description": line(self.description, limit=400) or title,
            "default_model": self.model,
            "start_state": next(iter(states)),
            "states": states,
        }
        text = f"# Made by 'agentmech generate'; read it before you rely on it.\n{dump(document)}"
        checked = check_text(text, folder=self.folder, strict=True, limits=MODEL)
        if checked.workflow is None:
            return None, errors_in(checked.problems)
        if findings(checked.workflow, checked.problems):
            mended = fixed(checked.workflow).text
            again = check_text(mended, folder=self.folder, strict=True, limits=MODEL)
            checked = checked if again.workflow is None else again
        return checked.workflow, checked.problems


def _usable(value: object, blank: Blank) -> str:
    """Return what of *value* can stand in *blank*, or nothing."""
    if not isinstance(value, str):
        return ""
    return (
        line(value, limit=LINE_LIMIT)
        if blank.question
        else plain(cleaned(value, limit=TEXT_LIMIT)).strip()
    )
