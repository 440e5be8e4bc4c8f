"""Make LLM workflows, small YAML state machines, better by themselves.

The names below are the library. They load on first use, so that ``agentmech --help`` does not pay
for what it does not need. Logging is off until a program calls ``loguru.logger.enable``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from finetune_fsm.log import stay_silent

if TYPE_CHECKING:
    from finetune_fsm.api import finetune, finish, fork_run, open_loop, open_run, reopen_run, undo
    from finetune_fsm.errors import FinetuneError, InvalidDocument, LLMError, Problem
    from finetune_fsm.execution.executor import run_workflow
    from finetune_fsm.execution.rollout import Rollout
    from finetune_fsm.llm.base import LLM, Completion, Message, Request, Stop
    from finetune_fsm.llm.meter import Budget
    from finetune_fsm.llm.scripted import Reply, ScriptedLLM
    from finetune_fsm.llm.select import choose as choose_llm
    from finetune_fsm.loop.machine import Entered, Entry, Leaving, Loop, Observer
    from finetune_fsm.loop.run import Run
    from finetune_fsm.loop.table import LoopState
    from finetune_fsm.observers.approver import Approver
    from finetune_fsm.observers.debugger import Debugger
    from finetune_fsm.scenarios.benchmark import Benchmark
    from finetune_fsm.scenarios.compare import compare_workflows
    from finetune_fsm.scenarios.evaluate import run_suite
    from finetune_fsm.scenarios.load import load_suite
    from finetune_fsm.scenarios.model import Suite, SuiteReport
    from finetune_fsm.workflow.load import load as load_workflow
    from finetune_fsm.workflow.model import Workflow

_HOMES = {
    "Approver": "observers.approver",
    "Benchmark": "scenarios.benchmark",
    "Budget": "llm.meter",
    "Completion": "llm.base",
    "Debugger": "observers.debugger",
    "Entered": "loop.machine",
    "Entry": "loop.machine",
    "FinetuneError": "errors",
    "InvalidDocument": "errors",
    "LLM": "llm.base",
    "LLMError": "errors",
    "Leaving": "loop.machine",
    "Loop": "loop.machine",
    "LoopState": "loop.table",
    "Message": "llm.base",
    "Observer": "loop.machine",
    "Problem": "errors",
    "Reply": "llm.scripted",
    "Request": "llm.base",
    "Rollout": "execution.rollout",
    "Run": "loop.run",
    "ScriptedLLM": "llm.scripted",
    "Stop": "llm.base",
    "Suite": "scenarios.model",
    "SuiteReport": "scenarios.model",
    "Workflow": "workflow.model",
    "choose_llm": "llm.select:choose",
    "compare_workflows": "scenarios.compare",
    "finetune": "api",
    "finish": "api",
    "fork_run": "api",
    "load_suite": "scenarios.load",
    "load_workflow": "workflow.load:load",
    "open_loop": "api",
    "open_run": "api",
    "reopen_run": "api",
    "run_suite": "scenarios.evaluate",
    "run_workflow": "execution.executor",
    "undo": "api",
}

__all__ = [
    "LLM",
    "Approver",
    "Benchmark",
    "Budget",
    "Completion",
    "Debugger",
    "Entered",
    "Entry",
    "FinetuneError",
    "InvalidDocument",
    "LLMError",
    "Leaving",
    "Loop",
    "LoopState",
    "Message",
    "Observer",
    "Problem",
    "Reply",
    "Request",
    "Rollout",
    "Run",
    "ScriptedLLM",
    "Stop",
    "Suite",
    "SuiteReport",
    "Workflow",
    "choose_llm",
    "compare_workflows",
    "finetune",
    "finish",
    "fork_run",
    "load_suite",
    "load_workflow",
    "open_loop",
    "open_run",
    "reopen_run",
    "run_suite",
    "run_workflow",
    "undo",
]

__version__ = "0.1.0"

stay_silent()


def __getattr__(name: str) -> object:
    """Load the public name *name* from its module (PEP 562)."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = home.partition(":")
    return getattr(importlib.import_module(f"{__name__}.{module}"), attribute or name)


def __dir__() -> list[str]:
    """The public names."""
    return sorted([*__all__, "__version__"])
