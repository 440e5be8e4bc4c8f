"""PREPARING: load the tests, or have a model write some and keep what can be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from finetune_fsm.errors import Problem
from finetune_fsm.improve import testgen
from finetune_fsm.improve.samples import Sample
from finetune_fsm.loop.outcomes import Prepared
from finetune_fsm.loop.run import Run
from finetune_fsm.loop.toolbox import Toolbox
from finetune_fsm.loop.workflows import original_of
from finetune_fsm.scenarios.evaluate import Task, judge_all
from finetune_fsm.scenarios.load import dump_suite, load_suite
from finetune_fsm.scenarios.model import Suite


def handle(run: Run, tools: Toolbox) -> Prepared:
    """Load the suite, or generate one and save it beside the workflow.

    Raises:
        InvalidDocument: the test file is wrong.
        LLMError: the world broke.
    """
    weights = _weights(run, tools)
    path = run.settings.tests
    if path is not None:
        return Prepared(load_suite(path), path, weights=weights)
    return replace(_generated(run, tools), weights=weights)


def _weights(run: Run, tools: Toolbox) -> Mapping[str, str]:
    """What the models' names stand for now; so a server that is down is noticed here."""
    names = dict.fromkeys((run.settings.model, *original_of(run).models))
    found = {name: tools.llm.fingerprint(name, stop=tools.stop) for name in names}
    return {name: weights for name, weights in found.items() if weights}


def _generated(run: Run, tools: Toolbox) -> Prepared:
    workflow = original_of(run)
    file = run.settings.workflow
    reply = tools.ask(testgen.request(run.settings.model, workflow, seed=run.settings.seed))
    read = reply if isinstance(reply, Problem) else testgen.read(reply.text, workflow)
    problems: tuple[str, ...] = ()
    if isinstance(read, Problem):
        problems = (read.message,)
        suite = testgen.fallback(file.name)
    else:
        suite = Suite(file.name, read)
    rollouts = tuple(tools.roll_out([Task(workflow, each) for each in suite.scenarios], run))
    kept = testgen.trusted(judge_all(suite, rollouts), file.name)
    path = tests_path(file)
    tools.write(path, dump_suite(kept))
    samples = tuple(Sample(index, 0, rollout) for index, rollout in enumerate(rollouts))
    return Prepared(kept, path, True, samples, problems)


def tests_path(workflow: Path) -> Path:
    """Where generated tests are kept: ``X.finetune-tests.yaml`` beside ``X.yaml``."""
    return workflow.with_name(f"{workflow.stem}.finetune-tests.yaml")
