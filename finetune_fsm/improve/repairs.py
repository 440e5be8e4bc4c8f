"""Repairs that need no model: a rule sees a flaw and proposes edits; the suite decides.

Each rule is a generator over what a `Scene` shows. None reads an expected text into a prompt. They
stand in the order of their likelihood: first what is wrong whatever the tests say (`rules_names`),
then the ways that runs took (`rules_ways`, `rules_choices`), what prompts forget (`rules_reads`),
and last what the words of a prompt suggest (`rules_texts`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from finetune_fsm.improve.model import Repair
from finetune_fsm.improve.rules_choices import missing_option, swapped_options
from finetune_fsm.improve.rules_names import (
    missing_save,
    missing_state,
    misspelt_placeholder,
    odd_placeholder,
    renamed_answer,
    renamed_placeholder,
    renamed_save,
    unsaved_branch,
)
from finetune_fsm.improve.rules_reads import blind_prompt, ignored_input, ignored_reply
from finetune_fsm.improve.rules_texts import (
    contradiction,
    cut_reply,
    odd_default,
    other_language,
    unsaid_choices,
    unsaid_limit,
    unsaid_purpose,
    wordy_answer,
)
from finetune_fsm.improve.rules_ways import (
    endless_loop,
    exchanged_ways,
    unreached_state,
    wrong_order,
    wrong_start,
)
from finetune_fsm.improve.scene import Scene
from finetune_fsm.scenarios.model import SuiteReport
from finetune_fsm.workflow.edits import Edit
from finetune_fsm.workflow.model import Workflow

Rule = Callable[[Scene], Iterator[Repair]]

RULES: tuple[Rule, ...] = (
    misspelt_placeholder,
    odd_placeholder,
    wrong_order,
    wrong_start,
    missing_save,
    renamed_save,
    unsaved_branch,
    cut_reply,
    odd_default,
    swapped_options,
    exchanged_ways,
    missing_option,
    unreached_state,
    endless_loop,
    missing_state,
    ignored_input,
    ignored_reply,
    blind_prompt,
    renamed_answer,
    renamed_placeholder,
    contradiction,
    other_language,
    unsaid_choices,
    unsaid_limit,
    wordy_answer,
    unsaid_purpose,
)


def repairs(workflow: Workflow, report: SuiteReport) -> tuple[Repair, ...]:
    """Return what the rules propose, each change once, in the order of the rules. Pure."""
    scene = Scene(workflow, report)
    found: dict[str, Repair] = {}
    for rule in RULES:
        for repair in rule(scene):
            key = _key(repair.edits)
            known = found.setdefault(key, repair)
            scenarios = tuple(dict.fromkeys(known.scenarios + repair.scenarios))
            found[key] = replace(known, scenarios=scenarios)
    return tuple(found.values())


def _key(edits: tuple[Edit, ...]) -> str:
    """Text that is the same for edits that change the same, whatever they say why."""
    return repr([(edit.op, edit.path, edit.value) for edit in edits])
