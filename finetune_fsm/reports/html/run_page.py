"""A finetune run as a page: what came of it, and everything that led there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from finetune_fsm.loop.trials import Score
from finetune_fsm.reports.chronicle import Round, rounds_of
from finetune_fsm.reports.comparison_text import span
from finetune_fsm.reports.html import run_spending, run_trials
from finetune_fsm.reports.html.charts import Mark, Series, rates, spread
from finetune_fsm.reports.html.drawings import of_loop, of_workflow
from finetune_fsm.reports.html.graph import figure, table
from finetune_fsm.reports.html.markup import NOTHING, Html, page, tag
from finetune_fsm.reports.html.parts import (
    Cell,
    Table,
    facts,
    fitting,
    folded,
    items,
    line,
    many,
    paragraph,
    section,
)
from finetune_fsm.reports.html.run_compared import comparison
from finetune_fsm.reports.html.scenarios import LIMITS, Told, scenarios, verdict_cell
from finetune_fsm.reports.html.style import PAGE
from finetune_fsm.reports.measuring import metrics_of, steps_of
from finetune_fsm.reports.metrics import IterationMetrics, RunMetrics, interval, rate
from finetune_fsm.reports.runs_compared import RunsCompared
from finetune_fsm.reports.text_report import duration
from finetune_fsm.reports.verdict import Turn, verdict_on
from finetune_fsm.runs.history import History
from finetune_fsm.scenarios.model import Scenario
from finetune_fsm.workflow.model import Workflow

_ROOM_TRIALS = 250_000
_ROOM_SCENARIOS = 500_000
"""Bytes for candidates and for what was asked and answered; the rest of a page is small."""

_ROWS = 200
_COLUMNS = 40
_PATH = 80  # states of the loop on one line


@dataclass(frozen=True, slots=True)
class _Tale:
    """A run, as the page needs it."""

    history: History
    metrics: RunMetrics
    rounds: tuple[Round, ...]
    workflow: Workflow | None
    beside: RunsCompared | None

    @property
    def scenarios(self) -> tuple[Scenario, ...]:
        suite = self.history.run.suite
        return suite.scenarios if suite else ()


def render(
    history: History, *, workflow: Workflow | None, beside: RunsCompared | None = None
) -> str:
    """Return the run in *history* as a page, with a line end at its end. Pure.

    Args:
        history: Of the run, over or not.
        workflow: The best of it, to be drawn; None where it cannot be read any more.
        beside: What it says of another run, or None.
    """
    run = history.run
    steps = tuple(steps_of(run, history.entries))
    tale = _Tale(history, metrics_of(run, history.entries), rounds_of(steps), workflow, beside)
    title = f"Finetune of {line(_name(tale))}"
    parts = tuple(_parts(tale))
    return page(
        title,
        PAGE,
        tag("header", tag("h1", title), _verdict(history), _facts(history)),
        _contents(parts),
        tag("main", *(section(part.key, part.title, part.content) for part in parts)),
        tag("footer", f"Written by agentmech {line(history.beginning.version)}."),
    )


@dataclass(frozen=True, slots=True)
class _Part:
    key: str
    title: str
    content: Html


def _parts(tale: _Tale) -> Iterator[_Part]:
    """What there is to tell, in order."""
    rounds = tale.rounds
    found = (
        _Part("rates", "Pass rates", _rates(tale.metrics)),
        _Part("beside", "Beside another run", comparison(tale.beside) if tale.beside else NOTHING),
        _Part("matrix", "Scenarios by iteration", _matrix(tale)),
        _Part(
            "trials",
            "Iterations and candidates",
            fitting(
                lambda lines: run_trials.rounds(rounds, lines), run_trials.LIMITS, _ROOM_TRIALS
            ),
        ),
        _Part(
            "texts",
            "What was asked and answered",
            fitting(lambda limit: _texts(tale, limit), LIMITS, _ROOM_SCENARIOS),
        ),
        _Part("workflow", "The workflow", _workflow(tale)),
        _Part("spending", "Tokens and time", run_spending.spending(tale.metrics)),
        _Part("loop", "The loop", _loop(tale)),
    )
    return (part for part in found if part.content.text)


def _name(tale: _Tale) -> str:
    if tale.workflow is not None:
        return tale.workflow.name
    return tale.history.settings.workflow.name


def _verdict(history: History) -> Html:
    found = verdict_on(history.run, history.entries, history.seconds)
    solved = history.run.passed
    kind = {Turn.BETTER: "good", Turn.SAME: "good" if solved else "bad", Turn.NOTHING: "odd"}
    return paragraph(line(found.sentence, 1000), kind=f"verdict {kind[found.turn]}")


def _facts(history: History) -> Html:
    run, settings = history.run, history.settings
    stands = run.ending or str(history.state)
    return facts(
        (
            ("Workflow", line(str(settings.workflow))),
            (
                "Tests",
                line(str(run.tests or "")) + (", written by a model" if run.generated else ""),
            ),
            ("Result", line(str(run.output or ""))),
            (
                "Ended" if run.ending else "Stands in",
                f"{stands}{': ' if run.message else ''}{line(run.message)}",
            ),
            ("Started", f"{line(history.beginning.started)}, {many(history.sessions, 'session')}"),
            ("Analysis model", line(settings.model)),
            ("Provider", line(history.beginning.llm)),
            ("Iterations", f"{len(run.history)} of at most {settings.max_iterations}"),
            ("Held out", many(len(run.holdout), "scenario") if run.holdout else ""),
            ("Notes", items(line(note) for note in history.notes) if history.notes else ""),
        )
    )


def _contents(parts: Sequence[_Part]) -> Html:
    links = (tag("li", tag("a", part.title, href=f"#{part.key}")) for part in parts)
    return tag("nav", tag("ul", *links), aria_label="On this page")


def _rates(metrics: RunMetrics) -> Html:
    rows = [row for row in metrics.iterations if row.tested]
    if not rows:
        return NOTHING
    title = "Pass rate of the best after each iteration, with 95 % intervals"
    shown = spread(rows)
    series = [
        Series(name, tuple(_marks([getattr(row, split) for row in shown])))
        for name, split in (("train", "train"), ("held out", "holdout"))
    ]
    held = len(series[1].marks) > 0
    key = "Dots and a line: train" + ("; squares and a broken line: held out" if held else "")
    chart = rates(title, "rates-chart", series[: 1 + held], [str(row.iteration) for row in shown])
    heads = ("Iteration", "Train", "Rate", "95 %", "Held out", "Rate", "95 %")
    told = Table(f"{title}, as a table", heads, [_rate_row(row) for row in rows]).html()
    return tag("div", tag("figure", chart, tag("figcaption", f"{key}. Below: iterations.")), told)


def _marks(scores: Sequence[Score | None]) -> Iterator[Mark]:
    for place, score in enumerate(scores):
        around = interval(score) if score else None
        share = rate(score) if score else None
        if around is not None and share is not None:
            yield Mark(place, share, around)


def _rate_row(row: IterationMetrics) -> tuple[str, ...]:
    return (str(row.iteration), *_score(row.train), *_score(row.holdout))


def _score(score: Score | None) -> tuple[str, str, str]:
    around = interval(score) if score else None
    if score is None or around is None:
        return "–", "–", "–"  # noqa: RUF001  # a dash
    return f"{score.passed} of {score.ran}", f"{100 * score.passed // score.ran} %", span(around)


def _matrix(tale: _Tale) -> Html:
    """Which scenario passed in which iteration: of the candidate kept there, else of the first."""
    columns = [(r.number, r.headline) for r in tale.rounds if r.headline is not None]
    left_out = max(0, len(columns) - _COLUMNS)
    columns = columns[left_out:]
    held = frozenset(tale.history.run.holdout)
    rows: list[tuple[bool, tuple[str | Cell, ...]]] = []
    for index, scenario in enumerate(tale.scenarios):
        found = [(trial.results.get(index), trial.draws.get(index)) for _, trial in columns]
        steady = all(result is None or result.passed for result, _ in found)
        cells = (Cell(*verdict_cell(*pair)) for pair in found)
        split = "held out" if index in held else "train"
        rows.append((steady, (line(scenario.name), Cell(split, "soft"), *cells)))
    if not columns or not rows:
        return NOTHING
    order = sorted(range(len(rows)), key=lambda place: (rows[place][0], place))[:_ROWS]
    shown = [rows[place][1] for place in sorted(order)]
    caption = "Verdicts of the candidate that was kept in an iteration, else of the first on trial"
    if len(shown) < len(rows):
        caption += f"; {len(rows) - len(shown):,} scenarios that passed are left out"
    if left_out:
        caption += f"; the first {many(left_out, 'iteration')} left out"
    heads = [f"{number} {'kept' if trial.record.accepted else 'not kept'}"
             for number, trial in columns]  # fmt: skip
    words = frozenset(range(1, 2 + len(heads)))
    return Table(caption, ("Scenario", "Split", *heads), shown, words=words).html()


def _texts(tale: _Tale, limit: int) -> Html:
    told = []
    for index, scenario in enumerate(tale.scenarios):
        trials = (r.headline for r in tale.rounds)
        results = tuple((t.label, t.results[index]) for t in trials if t and index in t.results)
        if results:
            told.append(Told(scenario, results))
    if not told:
        return NOTHING
    note = "Of each scenario with the candidate that was kept in an iteration, else the first: "
    note += "what came out alike is shown once."
    return tag("div", paragraph(note, kind="soft"), scenarios(told, limit))


def _workflow(tale: _Tale) -> Html:
    if tale.workflow is None:
        return NOTHING
    best = tale.history.run.best
    results = best.report.results if best else ()
    drawing = of_workflow(tale.workflow, [result.rollout.visited for result in results])
    ran = (
        f" The ways that its {many(len(results), 'rollout')} took are coloured." if results else ""
    )
    return tag(
        "div",
        paragraph(f"The best workflow as a graph.{ran}", kind="soft"),
        figure(drawing, "workflow-graph"),
        folded("The same as a table", table(drawing)),
    )


def _loop(tale: _Tale) -> Html:
    drawing = of_loop(tale.history.entries)
    rounds = tale.rounds[-_COLUMNS:]
    rows = [(str(r.number), _path(r)) for r in rounds]
    path = Table("The way through the loop's states", ("Iteration", "States"), rows, frozenset({1}))
    return tag(
        "div",
        figure(drawing, "loop-graph"),
        folded("The same as a table", table(drawing)),
        path.html(),
        facts((("Time in all", duration(tale.history.seconds)),)),
    )


def _path(found: Round) -> str:
    shown = " → ".join(found.path[:_PATH])
    left = len(found.path) - _PATH
    return f"{shown} … {left} more" if left > 0 else shown
