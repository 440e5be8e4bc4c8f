"""PREPARING: find the tests, or have a model write some and keep what can be trusted."""

from __future__ import annotations

from pathlib import Path

from finetune_fsm.errors import Problem
from finetune_fsm.improve import testgen
from finetune_fsm.llm.base import Usage
from finetune_fsm.loop.outcomes import Prepared
from finetune_fsm.loop.run import Run
from finetune_fsm.loop.toolbox import Toolbox
from finetune_fsm.loop.workflows import original_of
from finetune_fsm.scenarios.evaluate import judge_all
from finetune_fsm.scenarios.load import dump_suite, find_suite, load_suite
from finetune_fsm.scenarios.model import Suite


def handle(run: Run, tools: Toolbox) -> Prepared:
    """Load the suite, or generate and save one beside the workflow.

    Raises:
        InvalidDocument: the test file is there and wrong.
        LLMError: the world broke.
    """
    path = run.settings.tests or find_suite(run.settings.workflow)
    if path is not None:
        return Prepared(load_suite(path), path)
    return _generated(run, tools)


def _generated(run: Run, tools: Toolbox) -> Prepared:
    workflow = original_of(run)
    file = run.settings.workflow
    reply, usage = tools.ask(testgen.request(run.settings.model, workflow, seed=run.settings.seed))
    read = reply if isinstance(reply, Problem) else testgen.read(reply.text, workflow)
    problems: tuple[str, ...] = ()
    if isinstance(read, Problem):
        problems = (read.message,)
        suite = testgen.fallback(file.name)
    else:
        suite = Suite(file.name, read)
    rollouts = tools.roll_out(
        workflow, suite.scenarios, jobs=run.settings.jobs, seed=run.settings.seed
    )
    usage += sum((rollout.usage for rollout in rollouts), Usage())
    kept = testgen.trusted(judge_all(suite, rollouts), file.name)
    path = tests_path(file)
    tools.write(path, dump_suite(kept))
    return Prepared(kept, path, True, rollouts, problems, usage)


def tests_path(workflow: Path) -> Path:
    """Where generated tests are kept: ``X.finetune-tests.yaml`` beside ``X.yaml``."""
    return workflow.with_name(f"{workflow.stem}.finetune-tests.yaml")
