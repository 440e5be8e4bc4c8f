"""Whether cases, scripts and references fit each other; no model is asked.

    python bench/quality/check.py [--cases 01,05]

Of each case: flawed workflow, reference and tests are valid; with the scripted worker the
reference passes everything, a good workflow too, and a flawed one fails a third of the train
scenarios at least and one of the hold-out; the reference is no more powerful than the workflow
and holds no word of a test; train and hold-out share no input, and no input stands in two cases.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from finetune_fsm.improve.policy import violations
from finetune_fsm.scenarios.evaluate import run_suite
from finetune_fsm.scenarios.model import Suite
from finetune_fsm.workflow.model import Workflow
from quality.cases import Case, cases
from quality.verdict import GRANTED, copies
from quality.worker import worker

TRAIN, HOLDOUT = range(4, 9), range(3, 5)
"""How many scenarios there are to be."""

WORDS = 30
"""Of an input at most: a 1.5B model on two cores reads 40 tokens a second."""


def problems(checked: Sequence[Case]) -> Iterator[str]:
    """Yield what is wrong with the cases, a line each."""
    for case in checked:
        for problem in (*_counts(case), *_inputs(case), *_runs(case), *_reference(case)):
            yield f"{case.name}: {problem}"
    seen: dict[str, str] = {}
    for case in checked:
        for value in dict.fromkeys(values(case.train) + values(case.holdout)):
            if seen.setdefault(value, case.name) != case.name and not value.isdecimal():
                yield f"{case.name}: '{value}' is an input of {seen[value]} too"


def values(suite: Suite) -> list[str]:
    """Return all inputs of *suite*. Pure."""
    return [value for scenario in suite.scenarios for value in scenario.inputs.values()]


def _counts(case: Case) -> Iterator[str]:
    for name, suite, wanted in (("train", case.train, TRAIN), ("hold-out", case.holdout, HOLDOUT)):
        if len(suite.scenarios) not in wanted:
            yield f"{len(suite.scenarios)} {name} scenarios"


def _inputs(case: Case) -> Iterator[str]:
    both = set(values(case.train)) & set(values(case.holdout))
    if both:
        yield f"train and hold-out share {sorted(both)}"
    for value in values(case.train) + values(case.holdout):
        if len(value.split()) > WORDS:
            yield f"a long input: '{value}'"


def _runs(case: Case) -> Iterator[str]:
    for suite in (case.train, case.holdout):
        for name in failing(case, case.reference, suite):
            yield f"the reference fails '{name}'"
    failed = failing(case, case.start, case.train)
    if case.good and (failed or failing(case, case.start, case.holdout)):
        yield f"it is called good and fails '{failed}'"
    if not case.good and 3 * len(failed) < len(case.train.scenarios):
        yield f"it fails only {failed} of its train scenarios"
    if not case.good and not failing(case, case.start, case.holdout):
        yield "it is called flawed and passes the hold-out"


def _reference(case: Case) -> Iterator[str]:
    if case.good != (case.start.document == case.reference.document):
        yield "good is what needs no repair"
    for suite in (case.train, case.holdout):
        for problem in violations(case.start, case.reference, suite, GRANTED):
            yield f"the reference: {problem.message}"
        for problem in copies(case.start, case.reference, suite):
            yield f"the reference: {problem.message}"


def failing(case: Case, workflow: Workflow, suite: Suite) -> list[str]:
    """Return the names of the scenarios that *workflow* fails with the scripted worker."""
    llm = worker(case.folder / "script.yaml")
    report = run_suite(workflow, suite, llm)
    return [result.scenario.name for result in report.results if not result.passed]


def main() -> int:
    """Check, print what is wrong; 1 when anything is."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", default="", help="beginnings of their names; all without")
    wanted = [name for name in parser.parse_args().cases.split(",") if name]
    checked = cases(wanted)
    found = list(problems(checked))
    print("\n".join([*found, f"{len(checked)} cases, {len(found)} problems"]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
