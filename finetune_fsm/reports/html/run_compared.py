"""What regressed since another run, for the page of a run. Pure."""

from __future__ import annotations

from finetune_fsm.reports.comparison_text import headline, p_value
from finetune_fsm.reports.html.markup import NOTHING, Html, joined, tag
from finetune_fsm.reports.html.parts import items, line, many, paragraph
from finetune_fsm.reports.runs_compared import RunsCompared

_SHOWN = 100


def comparison(found: RunsCompared) -> Html:
    """Return how the run's best does beside that of the other run. Pure."""
    same = len(found.passed) + len(found.failed)
    counted = f"{len(found.fixed)} fixed, {len(found.regressed)} regressed, {same} the same"
    reasons = found.reasons
    regressed = [f"{line(n)}: {line(reasons.get(n, ''), 800)}" for n in found.regressed]
    return joined(
        (
            paragraph(f"A is {line(found.baseline)}, B is this run."),
            paragraph(tag("strong", headline(1, found.match))),
            paragraph(f"{counted}; {p_value(found.match)} (exact sign test)"),
            _names("Regressed", regressed),
            _names("Fixed", [line(name) for name in found.fixed]),
            _names("The same, not passed", [line(name) for name in found.failed]),
            _names("In the other run alone", [line(name) for name in found.only_baseline]),
            _names("Not in the other run", [line(name) for name in found.only_run]),
            _names("They ask for something else now", [line(name) for name in found.changed]),
        )
    )


def _names(title: str, names: list[str]) -> Html:
    if not names:
        return NOTHING
    left = len(names) - _SHOWN
    more = [f"{left} more"] if left > 0 else []
    heading = tag("h3", f"{title}: {many(len(names), 'scenario')}")
    return joined((heading, items([*names[:_SHOWN], *more])))
