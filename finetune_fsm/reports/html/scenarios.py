"""Scenarios with what was asked and answered in them, behind lines that open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from finetune_fsm.codec import canonical
from finetune_fsm.execution.rollout import ToolUse, Visit
from finetune_fsm.reports.html.markup import NOTHING, Content, Html, joined, tag
from finetune_fsm.reports.html.parts import (
    badge,
    block,
    facts,
    folded,
    items,
    line,
    many,
    paragraph,
)
from finetune_fsm.reports.text_report import duration
from finetune_fsm.scenarios.model import AssertionResult, Scenario, ScenarioResult, Verdict

LIMITS = (20_000, 8_000, 4_000, 2_000, 1_000, 500, 200, 80)
"""Characters of one text, from the most generous down."""

_SHORT = 100  # characters; a text that came before is shown again if it is no longer
_SENTENCE = 600


@dataclass(frozen=True, slots=True)
class Told:
    """A scenario and how it went.

    Attributes:
        scenario: The scenario.
        results: What it was judged, each with the iteration's label; empty for the only one.
    """

    scenario: Scenario
    results: tuple[tuple[str, ScenarioResult], ...]

    @property
    def steady(self) -> bool:
        """Whether it passed every time: the least worth looking at."""
        return all(result.passed for _, result in self.results)


def scenarios(told: Sequence[Told], limit: int) -> Html:
    """Return *told* with texts of *limit* characters at most; a small limit shows fewer. Pure."""
    most = 500 if limit > LIMITS[-2] else 60
    order = sorted(range(len(told)), key=lambda place: (told[place].steady, place))[:most]
    shown = joined(_scenario(told[place], limit) for place in sorted(order))
    left = len(told) - len(order)
    if not left:
        return shown
    note = paragraph(f"{many(left, 'more scenario')} left out, those that pass first.", kind="soft")
    return joined((shown, note))


def _scenario(told: Told, limit: int) -> Html:
    scenario = told.scenario
    versions = _versions(told.results)
    turns = [result.verdict.value for _, result in versions]
    words = [badge(word, word) for word, _ in groupby(turns)]
    head = joined((line(scenario.name) or "(no name)", " ", *_spaced(words)))
    inputs = facts(
        (line(state), line(value, _SENTENCE)) for state, value in scenario.inputs.items()
    )
    seen: dict[str, str] = {}
    return folded(
        head,
        paragraph(line(scenario.description, _SENTENCE))
        if scenario.description.strip()
        else NOTHING,
        inputs if scenario.inputs else NOTHING,
        *(_version(names, result, limit, seen) for names, result in versions),
    )


def _versions(
    results: Sequence[tuple[str, ScenarioResult]],
) -> tuple[tuple[tuple[str, ...], ScenarioResult], ...]:
    """The results that differ in anything but their time, each with all its labels."""
    found: dict[object, list[tuple[str, ScenarioResult]]] = {}
    for name, result in results:
        visits = tuple(
            (v.state, v.prompt, v.completion, v.next, v.error, repr(v.tools))
            for v in result.rollout.visits
        )
        messages = tuple((a.verdict, a.message) for a in result.assertions)
        found.setdefault((result.verdict, result.error, messages, visits), []).append(
            (name, result)
        )
    return tuple((tuple(name for name, _ in same), same[0][1]) for same in found.values())


def _version(
    names: Sequence[str], result: ScenarioResult, limit: int, seen: dict[str, str]
) -> Html:
    """One way that it went; texts in *seen* are not shown again, and those shown are put in."""
    took = f"{many(len(result.rollout.visits), 'visit')}, {duration(result.rollout.seconds)}"
    where = ", ".join(name for name in names if name)
    body: tuple[Content, ...] = (*_judged(result), *_visits(result, limit, seen, where))
    if not where:
        return joined((paragraph(took, kind="soft"), *body))
    noun = "Iteration" if len(names) == 1 else "Iterations"
    verdict = badge(result.verdict.value, result.verdict.value)
    return folded(joined((f"{noun} {where}: ", verdict, f" {took}")), *body)


def _spaced(words: Sequence[Html]) -> Iterator[Content]:
    for place, word in enumerate(words):
        if place:
            yield " then "
        yield word


def _judged(result: ScenarioResult) -> Iterator[Html]:
    if result.error:
        yield paragraph("The run failed: ", line(result.error, _SENTENCE))
    yield items(_check(found) for found in result.assertions)


def _check(found: AssertionResult) -> Html:
    why = line(found.assertion.description, _SENTENCE)
    told = line(found.message, _SENTENCE) or line(found.assertion.requirement, _SENTENCE)
    return joined((badge(found.verdict.value, found.verdict.value), " ", told,
                   f" ({why})" if why else ""))  # fmt: skip


def _visits(result: ScenarioResult, limit: int, seen: dict[str, str], where: str) -> Iterator[Html]:
    most = 40 if limit > LIMITS[-2] else 6
    visits = result.rollout.visits
    for visit in visits[:most]:
        yield _step(visit)
        used = tuple((f"tool {line(use.name)}", _used(use)) for use in visit.tools)
        for what, text in (("asked", visit.prompt), *used, ("answered", visit.completion)):
            if text:
                yield _text(what, text, limit, seen, where)
    if len(visits) > most:
        yield paragraph(f"{many(len(visits) - most, 'more visit')} left out.", kind="soft")


def _used(use: ToolUse) -> str:
    return f"{canonical(use.arguments)}\n{use.error or use.result}"


def _step(visit: Visit) -> Html:
    chosen = ", chosen by the model" if visit.routed else ""
    then = f", then {line(visit.next)}{chosen}" if visit.next else ""
    error = f", error: {line(visit.error, _SENTENCE)}" if visit.error else ""
    kind = f" ({visit.kind})"
    return paragraph(tag("strong", line(visit.state)), f"{kind}{then}{error}")


def _text(what: str, text: str, limit: int, seen: dict[str, str], where: str) -> Html:
    before = seen.setdefault(text, where)
    if before != where and len(text) > _SHORT:
        same = f"{what}: the same {len(text):,} characters as in iteration {before}"
        return paragraph(same, kind="soft")
    return joined((tag("div", f"{what}:", class_="soft"), block(text, limit)))


def verdict_cell(
    result: ScenarioResult | None, draws: tuple[int, int] | None = None
) -> tuple[str, str]:
    """Return the word for a table's cell and its class; draws that disagree are counted. Pure."""
    if result is None:
        return "not run", ""
    word = result.verdict.value
    if draws is not None and 0 < draws[0] < draws[1]:
        word = f"{word} {draws[0]}/{draws[1]}"
    return word, result.verdict.value


def counts(results: Sequence[ScenarioResult]) -> Mapping[Verdict, int]:
    """Return how many there are of each verdict. Pure."""
    return {verdict: sum(r.verdict is verdict for r in results) for verdict in Verdict}
