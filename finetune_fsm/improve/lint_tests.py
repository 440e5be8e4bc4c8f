"""What lint sees in a workflow once it knows the tests, and why each finding matters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from finetune_fsm.errors import Path, Problem
from finetune_fsm.improve.lint_rules import doubt, prompt_path, prompts_of, shown
from finetune_fsm.improve.scene import exact_answer, place_of
from finetune_fsm.improve.ways import reached
from finetune_fsm.scenarios.model import Suite
from finetune_fsm.sinks import one_line
from finetune_fsm.workflow.graph import unreachable
from finetune_fsm.workflow.model import Workflow

Named = tuple[Problem, tuple[str, ...]]
"""A problem, and the scenarios that point at it, in suite order."""


def unreached_wanted(workflow: Workflow, suite: Suite) -> Iterator[Named]:
    """Scenarios want a state to which no way leads."""
    lost = set(unreachable(workflow))
    for name in (name for name in workflow.states if name in lost):
        names = _pointing(suite, state=name)
        if names:
            message = f"scenarios want '{one_line(name)}' reached, and no way leads there"
            path: Path = ("states", workflow.states[name].owner)
            yield doubt("unreached_wanted", message, path, "name it in a 'next'"), names


def unset_target(workflow: Workflow, suite: Suite) -> Iterator[Named]:
    """Scenarios look at a variable that nothing saves on any way."""
    if any(state.workflow_ref for state in workflow.states.values()):
        return  # a child may set it
    usual = reached(workflow)
    set_by = {s.save_as for s in workflow.states.values() if s.name in usual and s.save_as}
    set_by |= {*workflow.variables, "error", "error_state", "run_directory"}
    targets = dict.fromkeys(a.target for s in suite.scenarios for a in s.assertions if a.target)
    for target in targets:
        if target not in set_by:
            message = f"scenarios look at '{one_line(target)}', and no run saves it"
            hint = "save it in the state that finds it out"
            yield (
                doubt("unset_target", message, ("states",), hint),
                _pointing(suite, target=target),
            )


def untold_answers(workflow: Workflow, suite: Suite) -> Iterator[Named]:
    """Scenarios want one of a few answers, and the prompt that gives them does not tell which."""
    for state in prompts_of(workflow):
        wanted = {
            exact_answer(assertion)
            for scenario in suite.scenarios
            for assertion in scenario.assertions
            if state.save_as and assertion.target == state.save_as
        } - {""}
        names = _pointing(suite, target=state.save_as or "")
        told = [word for word in wanted if place_of(word, state.prompt or "") >= 0]
        several = len(wanted) >= 2 and len(names) > len(wanted)  # an answer wanted twice is closed
        if several and not told:
            message = f"'{shown(state)}' does not say which answers there are"
            hint = "list them in the prompt, as the tests compare the whole answer"
            yield doubt("untold_answers", message, prompt_path(state), hint), names


TEST_RULES: tuple[Callable[[Workflow, Suite], Iterator[Named]], ...] = (
    unreached_wanted,
    unset_target,
    untold_answers,
)


def _pointing(suite: Suite, *, state: str = "", target: str = "") -> tuple[str, ...]:
    """The scenarios with a check that wants this state, or looks at this target."""
    return tuple(
        scenario.name
        for scenario in suite.scenarios
        if any(
            (not state or state in a.wanted_states) and (a.target == target or not target)
            for a in scenario.assertions
        )
    )


WHY: Mapping[str, str] = {
    "unset_placeholder": "the model reads the braces instead of what belongs there",
    "odd_placeholder": "the model reads the braces instead of what belongs there",
    "late_variable": "the model reads the braces instead of what belongs there",
    "unreachable": "whatever it does is never done",
    "unreached_wanted": "these scenarios cannot pass, whatever a model replies",
    "unset_target": "these scenarios cannot pass, whatever a model replies",
    "untold_answers": "a model that does not know the list answers in its own words",
    "unsaid_choices": "a model that does not know the list answers in its own words",
    "unsaid_limit": "a model that is not told writes as much as it likes",
    "other_language": "the model does as the prompt says",
    "no_way_to_end": "a run goes round until it is stopped, and counts as failed",
    "wrong_start": "what it asks or finds out is missing in all that follows",
    "empty_run": "nothing is done at all",
    "unused_variable": "somebody meant it to be read",
    "unused_save": "somebody meant it to be read",
    "ignored_input": "a person answers in vain",
    "lost_text": "the call costs its time, and nothing comes of it",
    "duplicate_option": "a model is asked to tell apart what leads to the same",
    "idle_choice": "a model is asked to choose, and nothing comes of it",
    "missing_fallback": "what fits no option is sent the way of one that it does not fit",
    "crossed_options": "a model that goes by the descriptions is sent the wrong way",
    "contradiction": "a model follows the one or the other, as it happens",
    "short_limit": "replies end in the middle of a sentence",
    "unbounded_reply": "a model that repeats itself writes until the time is over",
    "odd_default": "who just presses Enter gets another answer than was promised",
    "unknown_key": "it is ignored; perhaps another key was meant",
    "reserved_name": "a run sets this name by itself",
    "unset_variable": "a check of what nothing sets always fails",
    "missing_input": "the scenario tests what happens with an empty answer",
}
"""Why a finding matters, by its code; what is not here says it in its message."""
