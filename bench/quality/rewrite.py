"""A plain loop, the way that AgentMech goes: run the tests, ask what is wrong, have all rewritten.

One iteration is all scenarios, one call for an analysis and one for the whole workflow written
anew. What comes back is taken when it is YAML with a name, states and a start state, whether it
runs or not, and whether it is better or not; the last one taken is shipped. The loop ends when
all scenarios pass, after so many iterations, or when the cap is spent.
"""

from __future__ import annotations

import re
from string import Template

from finetune_fsm.errors import Cancelled, InvalidDocument
from finetune_fsm.llm.base import Message, Purpose, Request
from finetune_fsm.scenarios.evaluate import run_suite
from finetune_fsm.scenarios.model import SuiteReport
from finetune_fsm.workflow.load import check_text
from finetune_fsm.workflow.text import parse
from quality.ways import Seen, Shipped, Task

ITERATIONS = 5

TEMPERATURE = 0.8  # what Ollama and llama.cpp use when nobody says

REPLY_TOKENS = 1536

NEEDED = ("name", "states", "start_state")

_ANALYSIS = Template("""\
You improve workflows. A workflow is a YAML file: its states ask people (type input) or a language \
model (type prompt), save the answers as variables (save_as) and go on to another state (next). \
A prompt reads a variable by {{its_name}}.

The workflow:

```yaml
$workflow
```

How its tests went:

$results

What is wrong with the workflow, and what should be changed? Answer in a few sentences.""")

_REWRITE = Template("""\
You improve workflows. A workflow is a YAML file: its states ask people (type input) or a language \
model (type prompt), save the answers as variables (save_as) and go on to another state (next). \
A prompt reads a variable by {{its_name}}.

The workflow:

```yaml
$workflow
```

What should be changed:

$analysis

Write the whole improved workflow. Reply with the YAML only, between ```yaml and ```.""")


def improve(task: Task) -> Shipped:
    """Improve the workflow of *task* by rewriting it."""
    text, seen, ending = task.start.text, [], "iterations"
    iterations = task.options.get("iterations", ITERATIONS)
    assert isinstance(iterations, int)
    try:
        for number in range(iterations):
            passed, results = _tested(task, text)
            seen.append(Seen(task.llm.spent, text))
            if passed:
                ending = "solved"
                break
            analysis = _asked(task, number, _ANALYSIS, workflow=text, results=results)
            reply = _asked(task, number, _REWRITE, workflow=text, analysis=analysis)
            written = fenced(reply)
            text = written if acceptable(written) else text
    except Cancelled:
        ending = "calls"
    return Shipped(text, ending, tuple(seen))


def fenced(reply: str) -> str:
    """Return what stands in the first fence of *reply*, or all of it without one. Pure."""
    found = re.search(r"```[a-zA-Z]*\n(.*?)(?:```|\Z)", reply, re.DOTALL)
    return found[1] if found else reply


def acceptable(text: str) -> bool:
    """Whether *text* is YAML with the keys that a workflow cannot do without. Pure."""
    try:
        document = parse(text).document
    except InvalidDocument:
        return False
    return isinstance(document, dict) and all(document.get(key) for key in NEEDED)


def _tested(task: Task, text: str) -> tuple[bool, str]:
    """Whether all scenarios pass, and how they went, for a model to read."""
    checked = check_text(text, folder=task.start.folder)
    if checked.workflow is None:
        problems = "\n".join(f"- {problem.message}" for problem in checked.problems[:5])
        return False, f"No scenario could be run, since the workflow is not valid:\n{problems}"
    report = run_suite(checked.workflow, task.train, task.llm, seed=task.seed)
    return report.solved, _results(report)


def _results(report: SuiteReport) -> str:
    lines = [f"{report.passed} of {report.total} scenarios passed."]
    for result in report.results:
        if not result.passed:
            said = [result.error] if result.error else [f.message for f in result.failures]
            lines.append(f"- {result.scenario.name}: {'; '.join(said)}")
    return "\n".join(lines)


def _asked(task: Task, number: int, template: Template, **values: str) -> str:
    purpose = Purpose.ANALYSIS if template is _ANALYSIS else Purpose.PROPOSAL
    request = Request(
        model=task.start.default_model,
        messages=(Message("user", template.substitute(values)),),
        options={
            "temperature": TEMPERATURE,
            "seed": 1000 * task.seed + number,
            "num_predict": REPLY_TOKENS,
        },
        purpose=purpose,
        reuse_prefix=True,
        label=f"rewrite {purpose}",
    )
    return task.llm.complete(request).text
