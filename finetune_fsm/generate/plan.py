"""Steps that a model planned, mended by rules until they are the states of a sound workflow. Pure.

What small models get wrong is always the same: names spelt in two ways, a next step that does not
exist, an end too early, a circle without a way out, a placeholder of nothing, and an answer that
no later prompt reads. Each has a rule here; what is left is for the validator.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from finetune_fsm.errors import Problem
from finetune_fsm.generate.questions import STEPS_LIMIT
from finetune_fsm.generate.words import (
    LINE_LIMIT,
    TEXT_LIMIT,
    cleaned,
    line,
    nearest,
    slug,
    unique,
    with_placeholders,
)
from finetune_fsm.improve.replies import read_object
from finetune_fsm.workflow.model import END, PLACEHOLDER

WAYS_LIMIT = 6


@dataclass(frozen=True, slots=True)
class Step:
    """One step.

    Attributes:
        name: Of the state and of the variable that keeps what it brings.
        asks: Whether it asks a person; else a model.
        prompt: The question or instruction.
        next: What follows; empty where `ways` decide.
        ways: Targets with when to take each, at least two or none.
    """

    name: str
    asks: bool
    prompt: str
    next: str
    ways: tuple[tuple[str, str], ...] = ()

    @property
    def targets(self) -> tuple[str, ...]:
        """What may follow."""
        return tuple(target for target, _ in self.ways) if self.ways else (self.next,)


Steps = tuple[Step, ...]
"""In the order in which they were planned; the first begins."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a model planned: the workflow's name, and its states as a document has them."""

    name: str
    states: Mapping[str, object]


def read(reply: str) -> Plan | Problem:
    """Return the plan in *reply*, mended, or the problem when there is none."""
    data = read_object(reply)
    if isinstance(data, Problem):
        return data
    listed = data.get("steps")
    raw = [item for item in listed if isinstance(item, Mapping)] if isinstance(listed, list) else []
    steps = _read(raw[:STEPS_LIMIT])
    if all(step.asks for step in steps):
        return Problem("bad_reply", "no step gives a language model something to write")
    name = data.get("name")
    mended = with_readers(with_way_out(connected(steps)))
    if all(step.asks for step in mended):
        return Problem("bad_reply", "no way leads to a step where a language model writes")
    return Plan(line(name) if isinstance(name, str) else "", document_of(mended))


def _read(raw: Sequence[Mapping[str, object]]) -> Steps:
    usable = [item for item in raw if _text(item, "prompt", TEXT_LIMIT)]
    names: list[str] = []
    for number, item in enumerate(usable, 1):
        names.append(unique(slug(_text(item, "name", LINE_LIMIT), f"step_{number}"), names))
    return tuple(
        _step(item, name, names, names[number] if number < len(names) else END)
        for number, (item, name) in enumerate(zip(usable, names, strict=True), 1)
    )


def _step(item: Mapping[str, object], name: str, names: Sequence[str], following: str) -> Step:
    asks = item.get("kind") == "input"
    prompt = _text(item, "prompt", TEXT_LIMIT)
    next_ = _target(item.get("next"), names, following)
    listed = item.get("ways")
    ways: dict[str, str] = {}
    for way in listed[:WAYS_LIMIT] if isinstance(listed, list) and not asks else ():
        if isinstance(way, Mapping):
            target = _target(way.get("next"), names, following)
            ways.setdefault(target, line(_text(way, "when", LINE_LIMIT)) or f"Go on with {target}")
    if len(ways) < 2:
        return Step(name, asks, prompt, next(iter(ways), next_))
    return Step(name, asks, prompt, "", tuple(ways.items()))


def _target(written: object, names: Sequence[str], following: str) -> str:
    if not isinstance(written, str):
        return following
    if written.strip().strip(".\"'").lower() in (END, "finish", "done", "stop", "none"):
        return END
    return nearest(written, names) or following


def _text(item: Mapping[str, object], key: str, limit: int) -> str:
    value = item.get(key)
    return cleaned(value, limit=limit) if isinstance(value, str) else ""


def connected(steps: Steps) -> Steps:
    """Return *steps* without any that nothing leads to; an end too early is moved behind them."""
    for index in range(1, len(steps)):
        before = steps[index - 1]
        reached = _reached(steps)
        if steps[index].name not in reached and before.name in reached and before.next == END:
            steps = _with(steps, replace(before, next=steps[index].name))
    reached = _reached(steps)
    return tuple(step for step in steps if step.name in reached)


def with_way_out(steps: Steps) -> Steps:
    """Return *steps* with a way to the end from each of them."""
    for _ in steps:
        caught = [step for step in steps if END not in _after(steps, step.name)]
        if not caught:
            break
        last = caught[-1]
        ways = (*last.ways, (END, "Nothing is left to do")) if last.ways else ()
        steps = _with(steps, replace(last, next="" if ways else END, ways=ways))
    return connected(steps)


def with_readers(steps: Steps) -> Steps:
    """Return *steps* whose prompts read what comes before them, and nothing else."""
    steps = tuple(replace(step, prompt=_rightly(step, steps)) for step in steps)
    for source in steps:
        if not any(source.name in _reads(step) for step in steps):
            reader = _nearest_reader(steps, source.name)
            if reader is not None:
                steps = _with(steps, _reading(reader, source.name))
    for step in steps:
        before = [other for other in _before(steps, step.name) if other.name != step.name]
        if not step.asks and before and not _reads(step):
            steps = _with(steps, _reading(step, before[-1].name))
    return steps


def _rightly(step: Step, steps: Steps) -> str:
    known = {other.name for other in _before(steps, step.name)} - {step.name}
    return with_placeholders(step.prompt, lambda written: nearest(written, known))


def _reading(step: Step, variable: str) -> Step:
    heading = variable.replace("_", " ").capitalize()
    return replace(step, prompt=f"{step.prompt}\n\n{heading}: {{{{{variable}}}}}")


def _reads(step: Step) -> set[str]:
    return set(PLACEHOLDER.findall(step.prompt))


def _nearest_reader(steps: Steps, source: str) -> Step | None:
    """The first step after *source*, nearest first, in which a model could read what it brings."""
    by_name = {step.name: step for step in steps}
    seen, ahead = {source}, list(by_name[source].targets)
    while ahead:
        name = ahead.pop(0)
        if name in seen or name == END:
            continue
        seen.add(name)
        if not by_name[name].asks:
            return by_name[name]
        ahead += by_name[name].targets
    return None


def _reached(steps: Steps) -> set[str]:
    return {steps[0].name} | _after(steps, steps[0].name) if steps else set()


def _after(steps: Steps, name: str) -> set[str]:
    """Names of all that may follow the step *name*, at once or later, the end too."""
    by_name = {step.name: step for step in steps}
    found: set[str] = set()
    ahead = list(by_name[name].targets)
    while ahead:
        each = ahead.pop()
        if each not in found:
            found.add(each)
            ahead += by_name[each].targets if each in by_name else ()
    return found


def _before(steps: Steps, name: str) -> list[Step]:
    """The steps from which a way leads to the step *name*, in order."""
    return [step for step in steps if name in _after(steps, step.name)]


def _with(steps: Steps, changed: Step) -> Steps:
    return tuple(changed if step.name == changed.name else step for step in steps)


def document_of(steps: Steps) -> Mapping[str, object]:
    """Return *steps* as a document's states."""
    return {step.name: _state(step) for step in steps}


def _state(step: Step) -> Mapping[str, object]:
    state: dict[str, object] = {
        "type": "input" if step.asks else "prompt",
        "prompt": step.prompt,
        "save_as": step.name,
    }
    if step.ways:
        options = [{"state": target, "description": when} for target, when in step.ways]
        return state | {"next_options": options}
    return state | {"next": step.next}
