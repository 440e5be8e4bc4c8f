"""Many rollouts, judged: what a suite says of a workflow.

Making rollouts costs model calls and judging them does not, so the two can be done apart: the
loop's RUNNING calls `roll_out_each`, its TESTING `judge_all`; `run_suite` does both at once.
Whatever a workflow, a scenario or a model's reply can cause is in the results. What is raised says
that the world is broken, and that no verdict would be fair.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import count

from finetune_fsm.codec import digest
from finetune_fsm.errors import Cancelled
from finetune_fsm.execution.executor import run_workflow
from finetune_fsm.execution.inputs import MappingInputs
from finetune_fsm.execution.limits import Settings
from finetune_fsm.execution.rollout import Rollout, RunStatus
from finetune_fsm.llm.base import LLM, Stop
from finetune_fsm.llm.watch import Watch
from finetune_fsm.scenarios.assertions import judge
from finetune_fsm.scenarios.model import (
    Scenario,
    ScenarioResult,
    Suite,
    SuiteReport,
    Verdict,
    share,
)
from finetune_fsm.scenarios.parallel import in_flight
from finetune_fsm.scenarios.rubric import judge_of, judgements_of
from finetune_fsm.tools.model import ToolSource
from finetune_fsm.tools.scripted import Scripted
from finetune_fsm.tools.source import NO_TOOLS
from finetune_fsm.workflow.model import Workflow

OnDone = Callable[[int, int], None]
"""Told how many of how many scenarios have run, in the caller's thread."""

OnResult = Callable[[int, ScenarioResult], None]
"""Gets index and result of each scenario, in suite order, in the caller's thread."""

DEFAULTS = Settings()

AHEAD = 16
"""Rollouts per job that may wait for a slow one before them."""


def roll_out(
    workflow: Workflow,
    scenario: Scenario,
    llm: LLM,
    *,
    seed: int = 0,
    draw: int = 0,
    options: Settings = DEFAULTS,
    stop: Stop | None = None,
    tools: ToolSource = NO_TOOLS,
) -> Rollout:
    """Run *workflow* with the inputs of *scenario*, each time in a run directory that goes away.

    It is run as often as the scenario's `repeat` says, and what its rubrics ask for is judged.

    Args:
        workflow: A valid workflow.
        scenario: Its inputs; states that it says nothing of take their default, else empty text.
        llm: Answers the prompt states.
        seed: Seed of states that set none; their temperature is 0.
        draw: The how-manieth rollout of this scenario it is, 0 the first. Each is asked anew, and
            where the seed is not a state's own, with another one. One with `repeat` n takes n.
        options: Limits; its `defaults` go before seed and temperature.
        stop: Ends it early.
        tools: Where tool servers come from; there are none without.

    Raises:
        LLMError: of a kind in `errors.FATAL`: the model cannot be had.
        MissingExtra: the workflow reads a file that needs an optional library.
        StorageError: no run directory can be made.
        Cancelled: *stop* was asked for.
    """
    defaults = {"temperature": 0, "seed": seed, **options.defaults}
    documents = options.documents if scenario.documents is None else scenario.documents
    settings = replace(options, defaults=defaults, fatal_raises=True, documents=documents)
    draws = range(draw * scenario.repeat, (draw + 1) * scenario.repeat)
    made = [_rolled(workflow, scenario, llm, replace(settings, draw=n), stop, tools) for n in draws]
    return together(scenario, made)


def _rolled(
    workflow: Workflow,
    scenario: Scenario,
    llm: LLM,
    settings: Settings,
    stop: Stop | None,
    tools: ToolSource,
) -> Rollout:
    name = digest((workflow.document, scenario.name, settings.draw)) if workflow.mcp_servers else ""
    rollout = run_workflow(
        workflow,
        llm,
        inputs=MappingInputs(scenario.inputs),
        options=settings,
        stop=stop,
        tools=tools if scenario.tools is None else Scripted(scenario.tools),
        name=name,
    )
    if rollout.status is RunStatus.STOPPED:
        raise Cancelled
    found = judgements_of(scenario, rollout, llm, model=judge_of(workflow), stop=stop)
    return replace(rollout, judgements=found) if found else rollout


def together(scenario: Scenario, draws: Sequence[Rollout]) -> Rollout:
    """Return *draws*, at least one, as one rollout: one that shows the verdict, then the others.

    Pure, but for the process in which patterns are searched.
    """
    if len(draws) == 1:
        return draws[0]
    verdicts = [_judged(scenario, rollout).verdict for rollout in draws]
    whole = _verdict([(1, verdict) for verdict in verdicts], scenario.pass_rate)
    shown = verdicts.index(whole) if whole in verdicts else 0
    return replace(draws[shown], further=(*draws[:shown], *draws[shown + 1 :]))


@dataclass(frozen=True, slots=True)
class Task:
    """One rollout to make; the attributes are arguments of `roll_out`, but for the last.

    Attributes:
        whose: Which workflow it is, in words for people, where there are several.
    """

    workflow: Workflow
    scenario: Scenario
    draw: int = 0
    whose: str = ""

    @property
    def place(self) -> str:
        """What people call it."""
        return f"{self.whose}, '{self.scenario.name}'" if self.whose else f"'{self.scenario.name}'"


def roll_out_each(  # noqa: PLR0913  # as of run_suite
    tasks: Sequence[Task],
    llm: LLM,
    *,
    jobs: int | None = None,
    window: int | None = None,
    seed: int = 0,
    options: Settings = DEFAULTS,
    stop: Stop | None = None,
    on_done: OnDone | None = None,
    watch: Watch | None = None,
    tools: ToolSource = NO_TOOLS,
) -> Generator[Rollout, None, None]:
    """Yield the rollouts of *tasks*, in order; see `parallel.in_flight` for how.

    Args:
        tasks: What to run, whatever the workflow.
        llm: Answers the prompt states of all of them.
        jobs: How many run at the same time; as many as *llm* has slots for without.
        window: How many may have begun beyond those taken; any number without.
        seed: See `roll_out`, which also says what is raised.
        options: Limits of each.
        stop: Ends all of them early.
        on_done: Told of progress.
        watch: Where they can be seen, if anybody looks.
        tools: Where tool servers come from; there are none without.
    """
    board = watch or Watch()
    board.expect(len(tasks))

    def piece(number: int, inner: Stop) -> Rollout:
        task = tasks[number]
        with board.rollout(task.place):
            return roll_out(
                task.workflow,
                task.scenario,
                llm,
                seed=seed,
                draw=task.draw,
                options=options,
                stop=inner,
                tools=tools,
            )

    done = count(1)

    def tell(number: int, rollout: Rollout) -> None:  # noqa: ARG001  # an OnEach
        if on_done:
            on_done(next(done), len(tasks))

    return in_flight(
        piece, len(tasks), jobs=jobs or llm.slots, window=window, stop=stop, on_each=tell
    )


def judge_rollout(scenario: Scenario, rollout: Rollout) -> ScenarioResult:
    """Return what *scenario* says of *rollout*; every assertion is made, even of a failed run.

    Of several draws each is judged, and what is told in full is the first.
    Pure, but for the process in which patterns are searched.
    """
    if not rollout.further:
        return _judged(scenario, rollout)
    every = [_judged(scenario, each) for each in (rollout, *rollout.further)]
    draws = tuple(result.verdict for result in every)
    verdict = _verdict([(1, each) for each in draws], scenario.pass_rate)
    return replace(every[0], verdict=verdict, draws=draws)


def _judged(scenario: Scenario, rollout: Rollout) -> ScenarioResult:
    results = tuple(judge(assertion, rollout) for assertion in scenario.assertions)
    weighed = [(result.assertion.weight, result.verdict) for result in results]
    error = _error_of(rollout)
    verdict = Verdict.FAILED if error else _verdict(weighed, scenario.pass_score)
    return ScenarioResult(scenario, rollout, verdict, results, error)


def _verdict(weighed: Sequence[tuple[float, Verdict]], wanted: float) -> Verdict:
    """Passed when as large a share passed as *wanted*; error when it depends on the errors."""
    bar = Fraction(str(wanted))
    if share((weight, verdict is Verdict.PASSED) for weight, verdict in weighed) >= bar:
        return Verdict.PASSED
    may_pass = share((weight, verdict is not Verdict.FAILED) for weight, verdict in weighed)
    return Verdict.ERROR if may_pass >= bar else Verdict.FAILED


def _error_of(rollout: Rollout) -> str:
    match rollout.status:
        case RunStatus.COMPLETED:
            return ""
        case RunStatus.STOPPED:
            return "the run was stopped"
        case RunStatus.FAILED:
            error = rollout.error
            where = f"state '{error.state}': " if error and error.state else ""
            return f"{where}{error.message}" if error else "the run failed"


def judge_all(
    suite: Suite, rollouts: Sequence[Rollout], *, seconds: float | None = None
) -> SuiteReport:
    """Return what *suite* says of *rollouts*.

    Args:
        suite: The scenarios.
        rollouts: One per scenario, in suite order; ValueError otherwise.
        seconds: Wall time of the evaluation; without it the rollouts' times, summed.
    """
    pairs = zip(suite.scenarios, rollouts, strict=True)
    results = tuple(judge_rollout(scenario, rollout) for scenario, rollout in pairs)
    spent = sum(rollout.seconds for rollout in rollouts) if seconds is None else seconds
    return SuiteReport(results, spent)


def run_suite(  # noqa: PLR0913  # what runs, and how, in words of their own
    workflow: Workflow,
    suite: Suite,
    llm: LLM,
    *,
    jobs: int | None = None,
    seed: int = 0,
    options: Settings = DEFAULTS,
    stop: Stop | None = None,
    on_result: OnResult | None = None,
    texts: bool = True,
    watch: Watch | None = None,
    tools: ToolSource = NO_TOOLS,
) -> SuiteReport:
    """Run *workflow* on all of *suite* and judge it.

    Args:
        workflow: A valid workflow.
        suite: The scenarios; the report has them in this order, whichever ends first.
        llm: Answers the prompt states.
        jobs: How many run at the same time; as many as *llm* has slots for without.
        seed: See `roll_out`, which also says what is raised.
        options: Limits of each run.
        stop: Ends all of them early.
        on_result: Gets each result when it and all before it are there.
        texts: Whether the report keeps what was asked, said and saved. Without them it is small
            whatever the models write, and only *on_result* sees them.
        watch: Where they can be seen, if anybody looks.
        tools: Where tool servers come from; there are none without.
    """
    started = time.monotonic()
    board = watch or Watch()
    board.expect(len(suite.scenarios))

    def piece(number: int, inner: Stop) -> ScenarioResult:
        scenario = suite.scenarios[number]
        with board.rollout(Task(workflow, scenario).place):
            rollout = roll_out(
                workflow, scenario, llm, seed=seed, options=options, stop=inner, tools=tools
            )
        return judge_rollout(scenario, rollout)

    jobs = jobs or llm.slots
    window = None if texts else AHEAD * jobs
    results: list[ScenarioResult] = []
    found = in_flight(piece, len(suite.scenarios), jobs=jobs, window=window, stop=stop)
    for number, result in enumerate(found):
        try:
            if on_result:
                on_result(number, result)
        except BaseException as error:  # noqa: BLE001  # it comes out again, when the others ended
            found.throw(error)
        results.append(result if texts else result.without_texts())
    return SuiteReport(tuple(results), time.monotonic() - started)
