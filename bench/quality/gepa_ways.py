"""GEPA (https://github.com/gepa-ai/gepa), twice: prompts as components, and the whole YAML as one.

Everything is GEPA's default but for what a user must bring: an adapter that runs our executor and
says in words what went wrong, a callable for the reflection model, and what ends a run. A score is
the share of a scenario's assertions that passed, so it sees half a fix, as ours does. The train
scenarios are its train and its validation set, as its quick start does without a second set. It
ends when the cap is spent, or when the best candidate passes everything (a perfect mean cannot be
beaten, and equal ones do not replace it, so what ships is the same).

The whole YAML is no instruction for an assistant, so for it GEPA's own template for any parameter
is taken (`gepa.optimize_anything`), where the prompts have its default one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from finetune_fsm.errors import Cancelled, InvalidDocument, errors_in
from finetune_fsm.execution.rollout import Rollout
from finetune_fsm.improve.changes import set_prompt
from finetune_fsm.llm.base import Message, Purpose, Request
from finetune_fsm.scenarios.evaluate import judge_rollout, roll_out
from finetune_fsm.scenarios.model import AssertionType, Scenario, ScenarioResult, Verdict
from finetune_fsm.workflow.edits import Edit
from finetune_fsm.workflow.load import check_text
from finetune_fsm.workflow.model import PLACEHOLDER, StateKind, Workflow
from finetune_fsm.workflow.splice import splice
from quality.ways import Seen, Shipped, Task

TEMPERATURE = 0.8  # what llama.cpp uses when nobody says, as GEPA's own client does not

REPLY_TOKENS = 1536

WHOLE = "workflow"
"""Name of the one component that is the whole YAML."""

_ROUNDS = 20  # metric calls for each call of the cap: candidates that cannot run cost no call

Parts = Mapping[str, str]
"""A candidate: text by component."""


@dataclass(frozen=True, slots=True)
class Trace:
    """One scenario, run with one candidate.

    Attributes:
        scenario: The scenario.
        result: How it went; None when the candidate is no workflow.
        score: Share of assertions passed, 0..1; 0 for a run that broke off.
        problem: Why nothing could be run, or empty.
    """

    scenario: Scenario
    result: ScenarioResult | None
    score: float
    problem: str = ""


def prompts(task: Task) -> Shipped:
    """Improve the workflow of *task* with every prompt that a model gets as a component."""
    return _improve(task, prompts_of(task.start), lambda parts: put_in(task.start, parts), None)


def whole(task: Task) -> Shipped:
    """Improve the workflow of *task* with its whole text as the only component."""
    from gepa.optimize_anything import optimize_anything_reflection_prompt_template as template

    return _improve(task, {WHOLE: task.start.text}, lambda parts: parts[WHOLE], template)


def prompts_of(workflow: Workflow) -> dict[str, str]:
    """Return the prompts that a model gets, by state; what people are asked is none. Pure."""
    states = workflow.states.values()
    return {s.name: s.prompt or "" for s in states if s.kind is StateKind.PROMPT}


def put_in(workflow: Workflow, parts: Parts) -> str:
    """Return the text of *workflow* with the prompts of *parts*. Pure.

    Raises:
        InvalidDocument: a prompt cannot be written down.
    """
    edits: list[Edit] = []
    for name, prompt in parts.items():
        edits += set_prompt(workflow.states[name], prompt)
    return splice(workflow.text, edits).text


class Adapter:
    """What GEPA asks for (`gepa.core.adapter.GEPAAdapter`): runs candidates, and tells of runs.

    Args:
        task: What is improved.
        text_of: Makes a workflow's YAML of a candidate.
        batch: GEPA's class for results.
    """

    propose_new_texts = None

    def __init__(
        self, task: Task, text_of: Callable[[Parts], str], batch: Callable[..., Any]
    ) -> None:
        self._task = task
        self._text_of = text_of
        self._batch = batch

    def text(self, parts: Parts) -> str:
        """The YAML of a candidate; empty when it cannot be written down."""
        try:
            return self._text_of(parts)
        except InvalidDocument:
            return ""

    def evaluate(
        self,
        batch: list[Scenario],
        candidate: Parts,
        capture_traces: bool = False,  # noqa: FBT002  # GEPA's protocol
    ) -> Any:
        """Run *candidate* on the scenarios of *batch*; one score each, in order."""
        workflow, problem = self._workflow(candidate)
        traces = [self._traced(workflow, scenario, problem) for scenario in batch]
        return self._batch(
            outputs=[_outcome(trace) for trace in traces],
            scores=[trace.score for trace in traces],
            trajectories=traces if capture_traces else None,
        )

    def make_reflective_dataset(
        self, candidate: Parts, eval_batch: Any, components_to_update: list[str]
    ) -> dict[str, list[dict[str, Any]]]:
        """Return what to show of each run for each component that is to be rewritten."""
        return {
            name: [record(self._task.start, candidate, name, t) for t in eval_batch.trajectories]
            for name in components_to_update
        }

    def _workflow(self, candidate: Parts) -> tuple[Workflow | None, str]:
        try:
            text = self._text_of(candidate)
        except InvalidDocument as error:
            return None, str(error)
        checked = check_text(text, folder=self._task.start.folder)
        wrong = errors_in(checked.problems)[:3]
        return checked.workflow, "; ".join(f"{p.message} {p.hint}".strip() for p in wrong)

    def _traced(self, workflow: Workflow | None, scenario: Scenario, problem: str) -> Trace:
        if workflow is None:
            return Trace(scenario, None, 0.0, f"This is no valid workflow: {problem}")
        try:
            rollout = roll_out(workflow, scenario, self._task.llm, seed=self._task.seed)
        except Cancelled:
            return Trace(scenario, None, 0.0, "the calls are spent")
        return judged(scenario, rollout)


def judged(scenario: Scenario, rollout: Rollout) -> Trace:
    """Return what *scenario* says of *rollout*, with the share of its assertions that passed."""
    result = judge_rollout(scenario, rollout)
    passed = sum(one.verdict is Verdict.PASSED for one in result.assertions)
    return Trace(scenario, result, 0.0 if result.error else passed / len(result.assertions))


def record(start: Workflow, candidate: Parts, name: str, trace: Trace) -> dict[str, Any]:
    """Return one example for GEPA's reflection: inputs, what came out, and feedback. Pure."""
    said = feedback(start, candidate, name, trace)
    rollout = trace.result.rollout if trace.result else None
    if name == WHOLE and name not in start.states:
        inputs: dict[str, str] = dict(trace.scenario.inputs)
        visits = rollout.visits if rollout else ()
        output = "\n".join(f"{v.state}: {v.completion}" for v in visits[:12]) or "(nothing ran)"
        return {"Inputs": inputs, "Generated Outputs": output, "Feedback": said}
    inputs = {
        f"{{{{{start.states[state].save_as or state}}}}}": value
        for state, value in trace.scenario.inputs.items()
        if state in start.states
    }
    visits = tuple(v for v in rollout.visits if v.state == name) if rollout else ()
    if not visits:
        way = " -> ".join(rollout.visited[:12]) if rollout else "nowhere"
        return {
            "Inputs": inputs,
            "Generated Outputs": f"(never asked; the run went {way})",
            "Feedback": said,
        }
    shown = {**inputs, "The prompt as the model got it": visits[-1].prompt}
    return {"Inputs": shown, "Generated Outputs": visits[-1].completion, "Feedback": said}


def feedback(start: Workflow, candidate: Parts, name: str, trace: Trace) -> str:
    """Return in words what was right or wrong; patterns are never shown. Pure."""
    if trace.result is None:
        return trace.problem
    lost = [
        f"The instructions must keep the placeholder {{{{{one}}}}}: without it the model does not "
        "see that input."
        for one in dict.fromkeys(PLACEHOLDER.findall(prompts_of(start).get(name, "")))
        if f"{{{{{one}}}}}" not in candidate[name]
    ]
    if trace.result.passed:
        return " ".join(["Correct.", *lost])
    if trace.result.error:
        return " ".join([f"The run broke off: {trace.result.error}", *lost])
    visited = " -> ".join(trace.result.rollout.visited[:12])
    wrong = []
    for failure in trace.result.failures:
        wanted = failure.assertion.requirement
        if failure.assertion.type is AssertionType.STATE_REACHED:
            wrong.append(f"{wanted}, but it went {visited}.")
        elif failure.actual is None:
            wrong.append(f"{wanted}, but the variable '{failure.assertion.target}' was never set.")
        else:
            wrong.append(f"In the variable '{failure.assertion.target}' {wanted}.")
    return " ".join(["Wrong.", *dict.fromkeys(wrong), *lost])


def _outcome(trace: Trace) -> Mapping[str, str]:
    return trace.result.rollout.variables if trace.result else {}


class _Quiet:
    """GEPA's logger, without words."""

    def log(self, *_: object, **__: object) -> None:
        """Say nothing."""


class _Watch:
    """GEPA's callback: takes note of every candidate that was tried on all scenarios."""

    def __init__(self, task: Task, adapter: Adapter) -> None:
        self._task = task
        self._adapter = adapter
        self.seen: list[Seen] = []

    def on_valset_evaluated(self, event: Mapping[str, Any]) -> None:
        """Note the candidate of *event*, unless the calls ran out beneath it."""
        if not self._task.llm.refused:
            text = self._adapter.text(event["candidate"])
            self.seen.append(Seen(self._task.llm.spent, text))


def _improve(
    task: Task,
    seed_candidate: dict[str, str],
    text_of: Callable[[Parts], str],
    template: str | None,
) -> Shipped:
    import gepa
    from gepa.core.adapter import EvaluationBatch
    from gepa.utils import MaxMetricCallsStopper, ScoreThresholdStopper

    adapter = Adapter(task, text_of, EvaluationBatch)
    watch = _Watch(task, adapter)
    given: dict[str, Any] = {
        "reflection_prompt_template": template,
        "seed": task.seed,
        **task.options,
    }
    result = gepa.optimize(
        seed_candidate=seed_candidate,
        trainset=list(task.train.scenarios),
        adapter=adapter,
        reflection_lm=_reflection(task),
        stop_callbacks=[
            lambda _: task.llm.spent.calls >= task.cap,
            ScoreThresholdStopper(1.0),
            MaxMetricCallsStopper(_ROUNDS * task.cap),
        ],
        callbacks=[watch],
        logger=_Quiet(),
        **given,
    )
    solved = max(result.val_aggregate_scores) >= 1.0
    text = adapter.text(result.candidates[result.best_idx])
    return Shipped(text, "solved" if solved else "calls", tuple(watch.seen))


def _reflection(task: Task) -> Callable[[str | Sequence[Mapping[str, Any]]], str]:
    """Return the reflection model: another seed for every call, as sampling is the point."""
    asked = 0

    def ask(prompt: str | Sequence[Mapping[str, Any]]) -> str:
        nonlocal asked
        asked += 1
        turns = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
        request = Request(
            model=task.start.default_model,
            messages=tuple(Message(str(turn["role"]), str(turn["content"])) for turn in turns),
            options={
                "temperature": TEMPERATURE,
                "seed": 1000 * task.seed + asked,
                "num_predict": REPLY_TOKENS,
            },
            purpose=Purpose.PROPOSAL,
            reuse_prefix=True,
            label="gepa",
        )
        return task.llm.complete(request).text

    return ask
