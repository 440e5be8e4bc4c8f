"""What each part of the optimiser brings: bench/quality with one thing changed at a time.

    python bench/ablation.py [--variants ours,unsampled] [--cases 01,05] [--llm llamacpp|script]
        [--cap 100] [--seeds 0] [--out DIR] [--docs FILE] [--report] [--promises]

A row is a variant of ours: options of `finetune_fsm.finetune` that are JSON, and handlers of the
loop that are replaced. To add one, add an entry to `VARIANTS`. Jobs are resumable as those of
bench/quality; a variant whose handlers change needs another name or another folder.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(1, str(Path(__file__).resolve().parents[1] / "tests"))

from quality.cases import names
from quality.jobs import Job
from quality.models import SCRIPT
from quality.run import common, finished, words

from finetune_fsm.improve.model import Suspect
from finetune_fsm.improve.race import Lap
from finetune_fsm.improve.samples import Sample
from finetune_fsm.llm.base import Completion, Message, OnText, Purpose, Request, Stop
from finetune_fsm.llm.layer import Layer
from finetune_fsm.loop.handlers import HANDLERS, Handler, analyzing, running
from finetune_fsm.loop.outcomes import Analyzed, Outcome, Ran
from finetune_fsm.loop.run import Run
from finetune_fsm.loop.table import LoopState
from finetune_fsm.loop.toolbox import Toolbox
from finetune_fsm.loop.workflows import best_of, parsed
from finetune_fsm.scenarios.evaluate import Task
from finetune_fsm.workflow.model import StateKind

RESULTS = Path(__file__).resolve().parent / "quality" / "results" / "ablation"


@dataclass(frozen=True, slots=True)
class Variant:
    """One row.

    Attributes:
        what: In words, for the one who reads the table.
        options: Beside those of `quality.ours`; JSON.
        handlers: Of the loop's states, instead of the usual ones.
        scripted: Whether the model with known truth can show anything of it.
    """

    what: str
    options: Mapping[str, object] = field(default_factory=dict)
    handlers: Mapping[LoopState, Handler] = field(default_factory=dict)
    scripted: bool = True


def without_rules(run: Run, tools: Toolbox) -> Analyzed:
    """Analyze, and forget what the rules would repair; the model is asked at once."""
    outcome = analyzing.handle(run, tools)
    if outcome.fresh and not outcome.analysis.asked:
        known = replace(outcome.analysis, repairs=())
        outcome = analyzing.handle(replace(run, analysis=known), tools)
    return replace(outcome, analysis=replace(outcome.analysis, repairs=()))


def without_blame(run: Run, tools: Toolbox) -> Analyzed:
    """Analyze, and suspect every prompt alike, in the order of the file."""
    outcome = analyzing.handle(run, tools)
    failed = [result for result in run.shown.results if not result.passed]
    asked = dict.fromkeys(f.assertion.requirement for result in failed for f in result.failures)
    suspects = tuple(
        Suspect(
            (*state.origin, "prompt"),
            "it is a prompt",
            tuple(asked),
            tuple(result.scenario.name for result in failed),
        )
        for state in best_of(run).states.values()
        if state.kind is StateKind.PROMPT
    )
    return replace(outcome, analysis=replace(outcome.analysis, suspects=suspects))


def without_racing(run: Run, tools: Toolbox) -> Ran:
    """Run every candidate on every scenario, whatever the first ones say."""
    outcome = running.handle(run, tools)
    if run.best is None or run.suite is None:
        return outcome
    laps = []
    for candidate in run.candidates:
        workflow = parsed(run, candidate.text)
        tasks = [Task(workflow, scenario) for scenario in run.suite.scenarios]
        rollouts = tools.roll_out(tasks, run)
        laps.append(Lap(tuple(Sample(n, 0, rollout) for n, rollout in enumerate(rollouts))))
    return replace(outcome, laps=tuple(laps))


class Unconstrained(Layer):
    """A model that is told in words which form a reply must have, and may err."""

    def complete(
        self, request: Request, *, on_text: OnText | None = None, stop: Stop | None = None
    ) -> Completion:
        """Return the reply to *request* without a schema."""
        if request.schema and request.purpose in (Purpose.ANALYSIS, Purpose.PROPOSAL):
            form = f"Reply with JSON that fits this schema:\n{json.dumps(dict(request.schema))}"
            *before, last = request.messages
            turn = Message(last.role, f"{last.content}\n\n{form}", last.images)
            request = replace(request, messages=(*before, turn), schema=None)
        return self._inner.complete(request, on_text=on_text, stop=stop)


def unconstrained(state: LoopState) -> Handler:
    """Return the usual handler of *state*, asking an `Unconstrained` model."""

    def handle(run: Run, tools: Toolbox) -> Outcome:
        return HANDLERS[state](run, replace(tools, llm=Unconstrained(tools.llm)))

    return handle


_ASKING = (LoopState.ANALYZING, LoopState.MODIFYING)

VARIANTS: Mapping[str, Variant] = {
    "ours": Variant("everything"),
    "no-rules": Variant(
        "no repairs by rule: the model proposes everything",
        handlers={LoopState.ANALYZING: without_rules},
    ),
    "no-blame": Variant(
        "every prompt is suspected alike", handlers={LoopState.ANALYZING: without_blame}
    ),
    "no-schema": Variant(
        "replies are not constrained, their form is told in words",
        handlers={state: unconstrained(state) for state in _ASKING},
        scripted=False,
    ),
    "no-racing": Variant(
        "every candidate runs on everything", handlers={LoopState.RUNNING: without_racing}
    ),
    "no-holdout": Variant("all train scenarios are shown", {"holdout": 0}),
    "one-candidate": Variant("one draft on trial in an iteration", {"candidates": 1}),
    "two-candidates": Variant("two drafts on trial in an iteration", {"candidates": 2}),
    "five-candidates": Variant("five drafts on trial in an iteration", {"candidates": 5}),
    "repeat-3": Variant("three rollouts of each scenario, the majority decides", {"repeat": 3}),
    "text-only": Variant("no leave to change the structure", {"allow": []}),
    "other-seed": Variant("another seed: what is chance", {"seed": 1}),
}


def hands_of(variant: Variant) -> Mapping[str, object]:
    """Return what *variant* gives the library that is no JSON. Pure."""
    return {"handlers": {**HANDLERS, **variant.handlers}} if variant.handlers else {}


def main() -> int:
    """Run, print, write; 1 when a job broke."""
    made = common(__doc__ or "", out=RESULTS, mark="ablation")
    made.add_argument("--variants", default="", help=f"of {', '.join(VARIANTS)}; all without")
    given = made.parse_args()
    usual = [name for name, one in VARIANTS.items() if one.scripted or given.llm != SCRIPT]
    chosen = words(given.variants) or usual
    if unknown := [name for name in chosen if name not in VARIANTS]:
        raise SystemExit(f"there is no variant {', '.join(unknown)}: {', '.join(VARIANTS)}")
    jobs = [
        Job(
            case,
            "ours",
            int(seed),
            given.cap,
            VARIANTS[name].options,
            variant=name,
            hands=hands_of(VARIANTS[name]),
        )
        for case in names(words(given.cases))
        for seed in words(given.seeds)
        for name in chosen
    ]
    print("\n".join(f"{name}: {VARIANTS[name].what}" for name in chosen))
    return finished(jobs, given, "bench/ablation.py")


if __name__ == "__main__":
    sys.exit(main())
