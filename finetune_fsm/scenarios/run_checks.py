"""Checks of the run itself: where it went, what it took. Pure.

Each returns a verdict, a sentence, and what was there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace

from finetune_fsm.codec import canonical
from finetune_fsm.execution.rollout import Rollout, ToolUse
from finetune_fsm.scenarios.model import Assertion, AssertionType, Verdict
from finetune_fsm.scenarios.text_checks import Said, bare, said, within
from finetune_fsm.scenarios.wording import SHOWN, listed, shown
from finetune_fsm.sinks import one_line
from finetune_fsm.tools.scripted import holds

Seen = tuple[Verdict, str, str]
"""A verdict, why, and what was there."""


def way_of(rollout: Rollout) -> str:
    """Return the names of the visited states, in order, for people and as what was there."""
    return " -> ".join(rollout.visited)


def _went(rollout: Rollout) -> str:
    return f"the run went {one_line(way_of(rollout), limit=2 * SHOWN) or 'nowhere'}"


def _state_reached(assertion: Assertion, rollout: Rollout) -> Seen:
    wanted = bare(assertion.value)
    found = wanted in rollout.visited
    return _reached(found, f"state {shown(wanted)}", rollout, is_told=not found)


def _state_not_reached(assertion: Assertion, rollout: Rollout) -> Seen:
    unwanted = bare(assertion.value)
    found = unwanted in rollout.visited
    _, fact, way = _reached(found, f"state {shown(unwanted)}", rollout, is_told=found)
    return *said(not found, fact), way


def _reached(found: bool, what: str, rollout: Rollout, *, is_told: bool) -> Seen:
    fact = f"{what} was {'' if found else 'not '}reached"
    told = f"{fact}; {_went(rollout)}" if is_told else fact
    return *said(found, told), way_of(rollout)


def _path(assertion: Assertion, rollout: Rollout) -> Seen:
    wanted = [bare(value) for value in assertion.values]
    if assertion.exact:
        found = list(rollout.visited) == wanted
    else:
        rest = iter(rollout.visited)
        found = all(name in rest for name in wanted)  # each after the one before it
    order = f"{'exactly ' if assertion.exact else ''}{listed(wanted)} in this order"
    fact = _went(rollout)
    return *said(found, fact if found else f"{fact}, not {order}"), way_of(rollout)


def _visits(assertion: Assertion, rollout: Rollout) -> Seen:
    state = bare(assertion.value)
    count = rollout.visited.count(state)
    times = "once" if count == 1 else f"{count} times"
    return *within(assertion, count, f"state {shown(state)} was visited {times}"), str(count)


def _tokens(assertion: Assertion, rollout: Rollout) -> Seen:
    count = rollout.usage.tokens + rollout.usage.kept_tokens
    if not count and (rollout.usage.calls or rollout.usage.cached):
        return Verdict.ERROR, "the model's server does not say how many tokens there were", ""
    return _counted(assertion, count, "token" if count == 1 else "tokens")


def _llm_calls(assertion: Assertion, rollout: Rollout) -> Seen:
    count = rollout.usage.calls + rollout.usage.cached
    return _counted(assertion, count, f"call{'' if count == 1 else 's'} of the model")


def _counted(assertion: Assertion, count: int, what: str) -> Seen:
    return *within(assertion, count, f"the run took {count} {what}"), str(count)


def _latency(assertion: Assertion, rollout: Rollout) -> Seen:
    found: Said = within(assertion, rollout.seconds, f"the run took {rollout.seconds:.3f} seconds")
    return *found, f"{rollout.seconds:.3f}"


def _tool_called(assertion: Assertion, rollout: Rollout) -> Seen:
    count = len(_calls(assertion, rollout))
    bounds = assertion
    if assertion.least is None and assertion.most is None:
        bounds = replace(assertion, least=1.0)
    times = "once" if count == 1 else f"{count} times"
    fact = f"tool {shown(assertion.value)} was called {times}"
    return *within(bounds, count, fact), _used(rollout)


def _tool_not_called(assertion: Assertion, rollout: Rollout) -> Seen:
    found = bool(_calls(assertion, rollout))
    fact = f"tool {shown(assertion.value)} was {'' if found else 'not '}called"
    return *said(not found, fact), _used(rollout)


def _tool_args(assertion: Assertion, rollout: Rollout) -> Seen:
    wanted = json.loads(assertion.arguments or "{}")
    calls = _calls(assertion, rollout)
    found = any(holds(use.arguments, wanted) for use in calls)
    how = "with" if found else "never with"
    fact = f"tool {shown(assertion.value)} was called {how} {shown(assertion.arguments)}"
    if not calls:
        fact = f"tool {shown(assertion.value)} was not called"
    return *said(found, fact), _used(rollout)


def _calls(assertion: Assertion, rollout: Rollout) -> list[ToolUse]:
    return [use for use in rollout.tools if use.name == bare(assertion.value)]


def _used(rollout: Rollout) -> str:
    calls = (f"{use.name} {canonical(use.arguments)}" for use in rollout.tools)
    return one_line("; ".join(calls), limit=1000)


RUN_CHECKS: Mapping[AssertionType, Callable[[Assertion, Rollout], Seen]] = {
    AssertionType.STATE_REACHED: _state_reached,
    AssertionType.STATE_NOT_REACHED: _state_not_reached,
    AssertionType.PATH: _path,
    AssertionType.VISITS: _visits,
    AssertionType.TOKENS: _tokens,
    AssertionType.LLM_CALLS: _llm_calls,
    AssertionType.LATENCY: _latency,
    AssertionType.TOOL_CALLED: _tool_called,
    AssertionType.TOOL_NOT_CALLED: _tool_not_called,
    AssertionType.TOOL_ARGS: _tool_args,
}
