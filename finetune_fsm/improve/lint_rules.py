"""What lint sees in a workflow that the validator does not.

Each rule yields problems of the level warning: the workflow runs, and hardly does what is meant.
Like all that looks at words (see `phrases`), it would rather say nothing than cry wolf.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations

from finetune_fsm.errors import Path, Problem, Severity
from finetune_fsm.improve.phrases import (
    choices_in,
    contradictory,
    languages_in,
    limits_in,
    tells_length,
    told_defaults,
    wanted_tokens,
)
from finetune_fsm.improve.scene import mentions, options_path, place_of, way_path, words_of
from finetune_fsm.improve.ways import reached
from finetune_fsm.sinks import one_line
from finetune_fsm.workflow.graph import available, unreachable
from finetune_fsm.workflow.model import END, Option, State, StateKind, Workflow

_REST = re.compile(
    r"\b(?:else|other|others|otherwise|anything|any|none|neither|rest|default|fallback|unclear"
    r"|unknown|not)\b",
    re.IGNORECASE,
)


def late_variable(workflow: Workflow) -> Iterator[Problem]:
    """A state reads what only states after it save, or such as no run comes to."""
    usual = reached(workflow)
    lost = {s.save_as for s in workflow.states.values() if s.name not in usual}
    for state in workflow.states.values():
        own = state.reads & workflow.saved_variables - set(workflow.variables)
        saved = {s.save_as for s in workflow.states.values() if s.name in usual}
        late = own - available(workflow, state.name) | (own & lost - saved)
        for name in sorted(late) if state.name in usual else ():
            where = (*state.origin, "prompt")
            message = f"'{shown(state)}' reads {{{{{one_line(name)}}}}}, which nothing saves before"
            yield doubt("late_variable", message, where, "let the state that saves it come first")


def lost_text(workflow: Workflow) -> Iterator[Problem]:
    """A reply or an answer is kept nowhere, though the run goes on."""
    for state in workflow.states.values():
        kept = state.save_as or state.next_options or END in state.targets
        if kept or state.kind not in (StateKind.PROMPT, StateKind.INPUT):
            continue
        what = "reply" if state.kind is StateKind.PROMPT else "answer"
        message = f"the {what} of '{shown(state)}' is kept nowhere"
        yield doubt("lost_text", message, state.origin, "give it a 'save_as' and read that")


def ignored_input(workflow: Workflow) -> Iterator[Problem]:
    """What a person answers is read by no prompt; just before the end the validator is silent."""
    read = {name for state in workflow.states.values() for name in state.reads}
    parent = any(state.workflow_ref for state in workflow.states.values())
    for state in workflow.states.values():
        asked = state.kind is StateKind.INPUT and state.save_as
        if asked and state.save_as not in read and END in state.targets and not parent:
            message = f"'{one_line(state.save_as or '')}' is asked for, and no prompt reads it"
            hint = "ask before the prompt that should read it, or do not ask"
            yield doubt("ignored_input", message, (*state.origin, "save_as"), hint)


def wrong_start(workflow: Workflow) -> Iterator[Problem]:
    """A run begins past a state that leads to the first one."""
    usual = reached(workflow, errors=False)
    for name in unreachable(workflow):
        if usual <= reached(workflow, (name,), errors=False) and name in workflow.file_states:
            start = one_line(workflow.start_state)
            message = f"a run begins at '{start}', past '{one_line(name)}', which leads there"
            yield doubt("wrong_start", message, ("start_state",), f"begin at '{one_line(name)}'")


def idle_choice(workflow: Workflow) -> Iterator[Problem]:
    """A model chooses, and whatever it chooses, the same follows."""
    for state in workflow.states.values():
        ends = {_passed_on(workflow, target) for target in state.targets}
        if state.next_options and len(ends) == 1:
            message = f"whatever '{shown(state)}' chooses, '{one_line(ends.pop())}' follows"
            yield doubt("idle_choice", message, _way(workflow, state), "lead the options apart")


def _passed_on(workflow: Workflow, name: str) -> str:
    """The state behind the transitions from *name* on, which only pass on."""
    seen: set[str] = set()
    while name in workflow.states and name not in seen:
        seen.add(name)
        state = workflow.states[name]
        if state.kind is not StateKind.TRANSITION:
            break
        name = state.next or END
    return name


def missing_fallback(workflow: Workflow) -> Iterator[Problem]:
    """No option takes what fits none, and a state stands ready to which nothing leads."""
    lost = [name for name in unreachable(workflow) if name in workflow.file_states]
    for state in workflow.states.values():
        told = any(_REST.search(option.description) for option in state.next_options)
        if lost and state.next_options and not told:
            message = f"no option of '{shown(state)}' takes what fits none of them"
            hint = f"add one, perhaps to '{one_line(lost[0])}', to which no way leads"
            yield doubt("missing_fallback", message, _way(workflow, state), hint)


def crossed_options(workflow: Workflow) -> Iterator[Problem]:
    """Two options each speak of the state to which the other leads."""
    for state in workflow.states.values():
        for one, other in crossed(state.next_options):
            names = f"'{one_line(one.state)}' and '{one_line(other.state)}'"
            message = f"the options to {names} each speak of the other"
            yield doubt("crossed_options", message, _way(workflow, state), "exchange the states")


def crossed(options: Sequence[Option]) -> Iterator[tuple[Option, Option]]:
    """Yield the pairs of options that each speak of the other's state, not of their own. Pure."""
    for one, other in combinations(options, 2):
        mine, others = ({*words_of(o.state).lower().split()} for o in (one, other))
        own, foreign = " ".join(mine - others), " ".join(others - mine)
        turned = mentions(one.description, foreign) and mentions(other.description, own)
        if (
            turned
            and not mentions(one.description, own)
            and not mentions(other.description, foreign)
        ):
            yield one, other


def contradiction(workflow: Workflow) -> Iterator[Problem]:
    """A prompt wants the answer alone, and asks for more."""
    for state in prompts_of(workflow):
        for sentence in contradictory(state.prompt or "")[:1]:
            said = one_line(sentence.strip(), limit=80)
            message = f"'{shown(state)}' wants the answer alone, and also: {said}"
            yield doubt("contradiction", message, prompt_path(state), "leave one of them out")


def short_limit(workflow: Workflow) -> Iterator[Problem]:
    """A reply's limit is too low for what the prompt asks."""
    for state in prompts_of(workflow):
        limit, needed = state.options.get("num_predict"), wanted_tokens(state.prompt or "")
        if isinstance(limit, int) and not isinstance(limit, bool) and 0 < limit < needed:
            message = f"{limit} tokens are too few for what '{shown(state)}' asks"
            path = (*options_path(workflow, state), "num_predict")
            yield doubt("short_limit", message, path, f"give at least {max(64, 2 * needed)}")


def odd_default(workflow: Workflow) -> Iterator[Problem]:
    """The question tells one default, and the field holds another."""
    for state in workflow.states.values():
        told, default = told_defaults(state.prompt or ""), (state.default_value or "").strip()
        if default and told and default.lower() not in [value.lower() for value in told]:
            message = f"'{shown(state)}' tells the default '{told[0]}', and it is another"
            hint = f"make it '{one_line(told[0])}', or mend the question"
            yield doubt("odd_default", message, (*state.origin, "default_value"), hint)


def other_language(workflow: Workflow) -> Iterator[Problem]:
    """The one prompt asks for another language than the description."""
    described = languages_in(workflow.description)
    for state in _only_prompt(workflow):
        named = languages_in(state.prompt or "")
        if described and len(named) == 1 and named[0] not in described:
            message = f"'{shown(state)}' says {named[0]}, and the description {described[-1]}"
            yield doubt("other_language", message, prompt_path(state), f"say {described[-1]}")


def unsaid_choices(workflow: Workflow) -> Iterator[Problem]:
    """The description lists the answers that there are, and the one prompt names none of them."""
    for state in _only_prompt(workflow):
        for text, members in choices_in(workflow.description):
            if all(place_of(m, state.prompt or "") < 0 for m in members):
                message = f"'{shown(state)}' does not say what the description does: {text}"
                yield doubt(
                    "unsaid_choices", message, prompt_path(state), "list them in the prompt"
                )


def unsaid_limit(workflow: Workflow) -> Iterator[Problem]:
    """The description limits the length of the answer, and the one prompt does not."""
    for state in _only_prompt(workflow):
        limits = limits_in(workflow.description)
        if limits and not tells_length(state.prompt or ""):
            message = f"'{shown(state)}' does not say what the description does: {limits[0]}"
            yield doubt("unsaid_limit", message, prompt_path(state), "say it in the prompt")


RULES: tuple[Callable[[Workflow], Iterator[Problem]], ...] = (
    wrong_start,
    late_variable,
    lost_text,
    ignored_input,
    idle_choice,
    missing_fallback,
    crossed_options,
    contradiction,
    short_limit,
    odd_default,
    other_language,
    unsaid_choices,
    unsaid_limit,
)


def prompts_of(workflow: Workflow) -> list[State]:
    """Return the states that ask a model and say what, in document order. Pure."""
    return [s for s in workflow.states.values() if s.kind is StateKind.PROMPT and s.prompt]


def _only_prompt(workflow: Workflow) -> list[State]:
    """The one prompt state: whose work a description means is a guess when there are several."""
    prompts = prompts_of(workflow)
    return prompts if len(prompts) == 1 else []


def prompt_path(state: State) -> Path:
    """Return where the text that *state* sends stands. Pure."""
    return (*state.origin, "prompt_file" if state.prompt_file is not None else "prompt")


def _way(workflow: Workflow, state: State) -> Path:
    return (*(way_path(workflow, state) or state.origin), "next_options")


def shown(state: State) -> str:
    """Return the name of *state* for people."""
    return one_line(state.name)


def doubt(code: str, message: str, path: Path, hint: str) -> Problem:
    """Return a warning, cleaned for people."""
    return Problem(code, one_line(message, limit=300), one_line(hint), path, Severity.WARNING)
