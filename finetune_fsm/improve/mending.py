"""Which repair mends which finding: tried on the text, and obvious when there is one alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from finetune_fsm.errors import InvalidDocument, Path
from finetune_fsm.improve.changes import set_prompt
from finetune_fsm.improve.finding import Finding, key, observed
from finetune_fsm.improve.lint_rules import crossed
from finetune_fsm.improve.model import Repair
from finetune_fsm.improve.phrases import contradictory, languages_in, told_defaults, wanted_tokens
from finetune_fsm.improve.repairs import repairs
from finetune_fsm.improve.scene import options_path, repair, way_path
from finetune_fsm.scenarios.model import Suite, SuiteReport
from finetune_fsm.workflow.edits import Edit, EditOp
from finetune_fsm.workflow.load import check_text
from finetune_fsm.workflow.model import PLACEHOLDER, Option, State, Workflow
from finetune_fsm.workflow.splice import splice

MENDING: Mapping[str, tuple[str, ...]] = {
    "unset_placeholder": ("misspelt_placeholder", "missing_save", "renamed_save"),
    "odd_placeholder": ("odd_placeholder",),
    "late_variable": ("wrong_order", "wrong_start"),
    "wrong_start": ("wrong_start",),
    "unreachable": ("wrong_start",),
    "lost_text": ("missing_save",),
    "unset_target": ("missing_save", "renamed_save"),
    "unused_save": ("misspelt_placeholder", "renamed_save", "ignored_input", "ignored_reply"),
    "ignored_input": ("ignored_input",),
    "crossed_options": ("crossed_options",),
    "contradiction": ("contradiction",),
    "short_limit": ("short_limit",),
    "odd_default": ("odd_default",),
    "other_language": ("other_language",),
}
"""The rules whose repairs are meant for a finding, by its code.

Those that need a state of their own, or words that are a guess, are left to a run of the loop.
"""

SURE = frozenset({"misspelt_placeholder", "odd_placeholder"})
"""Rules whose repair goes before all others for the same finding."""

_FORGOTTEN = ("ignored_input", "ignored_reply")

Key = tuple[Path, str]
"""A finding: its path, and its code with its message."""

Mending = dict[Key, list[Repair]]
"""The repairs of each finding."""


def mending_of(workflow: Workflow, found: Sequence[Finding], suite: Suite | None) -> Mending:
    """Return for each finding the repairs that make it go away and bring no other in."""
    result: Mending = {}
    before = {key(finding) for finding in found}
    for proposed in (*repairs(workflow, SuiteReport(())), *_plain_repairs(workflow)):
        try:
            text = splice(workflow.text, proposed.edits).text
        except InvalidDocument:
            continue
        checked = check_text(text, folder=workflow.folder)
        if checked.workflow is None:
            continue
        if proposed.code in _FORGOTTEN and _reads_unset(proposed, found):
            continue
        after = {key(f) for f in observed(checked.workflow, checked.problems, suite)}
        if after <= before:
            for finding in found:
                meant = proposed.code in MENDING.get(finding.code, ())
                if meant and key(finding) not in after:
                    result.setdefault(key(finding), []).append(proposed)
    return result


def _reads_unset(proposed: Repair, found: Sequence[Finding]) -> bool:
    """Whether the prompt that would read one more variable reads one that nothing sets.

    Then the one that is forgotten is perhaps what the other was to be found out from.
    """
    paths = [f.problem.path for f in found if f.code == "unset_placeholder"]
    return proposed.edits[-1].path in paths


def obvious(mending: Mending) -> Mapping[Key, tuple[Edit, ...]]:
    """Return the edits of each finding that has one repair alone, or one that is sure. Pure.

    A repair that rivals another for one finding is obvious for none.
    """
    chosen = {key: [r for r in found if r.code in SURE] or found for key, found in mending.items()}
    rivals = [r.edits for key, found in mending.items() for r in found if chosen[key] != [r]]
    return {
        key: found[0].edits
        for key, found in chosen.items()
        if len(found) == 1 and found[0].edits not in rivals
    }


def _plain_repairs(workflow: Workflow) -> Iterator[Repair]:
    """Repairs of what lint's own rules find and no failing run is needed for."""
    described = languages_in(workflow.description)
    for state in workflow.states.values():
        for one, other in crossed(state.next_options):
            yield _exchanged(workflow, state, one, other)
        prompt, options = state.prompt or "", options_path(workflow, state)
        more = contradictory(prompt)
        if len(more) == 1 and not PLACEHOLDER.search(more[0]) and prompt != more[0]:
            edits = set_prompt(state, prompt.replace(more[0], "", 1))
            yield repair("contradiction", "it contradicts the rest", *edits)
        needed, limit = wanted_tokens(prompt), state.options.get("num_predict")
        if isinstance(limit, int) and 0 < limit < needed:
            edit = Edit(EditOp.SET, (*options, "num_predict"), max(64, 2 * needed))
            yield repair("short_limit", "the limit is too low for what is asked", edit)
        told = told_defaults(prompt)
        if state.default_value and len(told) == 1:
            edit = Edit(EditOp.SET, (*state.origin, "default_value"), told[0])
            yield repair("odd_default", "the question says so", edit)
        named = languages_in(prompt)
        if len(described) == len(named) == 1:
            edits = set_prompt(state, prompt.replace(named[0], described[0]))
            yield repair("other_language", "the description says so", *edits)


def _exchanged(workflow: Workflow, state: State, one: Option, other: Option) -> Repair:
    path = (*(way_path(workflow, state) or ()), "next_options")
    places = state.next_options.index(one), state.next_options.index(other)
    edits = (
        Edit(EditOp.SET, (*path, place, "state"), option.state)
        for place, option in zip(places, (other, one), strict=True)
    )
    return repair("crossed_options", "each speaks of the other", *edits)
