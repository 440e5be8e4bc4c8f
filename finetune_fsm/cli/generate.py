"""``agentmech generate``: a workflow and its tests from a description in words."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from finetune_fsm.cli import options
from finetune_fsm.cli.console import Console
from finetune_fsm.cli.init import SCHEMA_FOLDER
from finetune_fsm.errors import FATAL, ExitCode, LLMError, Problem, UsageError
from finetune_fsm.sinks import one_line, visible_line

if TYPE_CHECKING:
    from finetune_fsm.cli.signals import Job
    from finetune_fsm.generate.maker import Ask, Made
    from finetune_fsm.llm.base import LLM, Completion, Request
    from finetune_fsm.scenarios.model import Suite, SuiteReport
    from finetune_fsm.workflow.model import Workflow

QUESTION = "What should the workflow do?"

INPUT_LIMIT = 100_000
"""Characters of a description that are read from standard input."""


@click.command()
@click.argument("description", required=False, metavar="[<description>]")
@options.value(
    "-o",
    "--output",
    metavar="<path>",
    help="Write the workflow there; without tests to standard output for - (default: its name)",
)
@options.value(
    "-m",
    "--model",
    default="gemma3:4b",
    metavar="<model>",
    help='Model to ask, and the workflow\'s own (default: "gemma3:4b")',
)
@options.value(
    "--template",
    metavar="<name>",
    help="Fill this template, or plan steps of their own with 'own' (default: the model picks)",
)
@click.option("--list", "listing", is_flag=True, help="List the templates, and do nothing else")
@click.option("--force", is_flag=True, help="Overwrite the workflow and its test file")
@options.URL
@options.LLM
@options.value("--seed", type=int, default=0, metavar="<number>", help="For sampling (default: 0)")
@options.OUTPUT_OPTIONS
@click.pass_obj
def generate(  # noqa: PLR0913  # one argument per option
    console: Console,
    /,
    description: str | None,
    *,
    output: str | None,
    model: str,
    template: str | None,
    listing: bool,
    force: bool,
    ollama_urls: tuple[str, ...],
    llm_spec: str | None,
    seed: int,
) -> ExitCode:
    """Make a workflow, with tests, from a description in words.

    Without DESCRIPTION it is asked for, or read from standard input. A model picks the template
    that fits and writes its texts, or plans steps when none fits; the YAML is always ours, and
    always valid. Tests are written, run once, and kept beside it in X.test.yaml as far as they
    hold.
    """
    from finetune_fsm.cli.models import open_llm
    from finetune_fsm.cli.signals import supervised
    from finetune_fsm.generate.maker import make
    from finetune_fsm.generate.suites import suite_for

    if listing:
        return _listed(console)
    _check_template(template)
    if not model.strip():
        raise UsageError("--model names no model")
    target = None if output is None else Target(Path(output), force=force)
    if target is not None and output != "-":
        target.check()
    wanted = description if description is not None else _asked(console)
    if not wanted.strip():
        raise UsageError("the description is empty: say in a sentence what the workflow should do")

    def work(job: Job) -> ExitCode:
        llm = open_llm(console, job, urls=ollama_urls, spec=llm_spec, executor=None)
        ask = _asking(llm, job)
        place = target or Target(Path(), force=force)
        console.tell("making the workflow …")
        made = make(
            wanted,
            model=visible_line(model),
            ask=ask,
            folder=place.path.parent.absolute(),
            template=template,
            seed=seed,
        )
        if output == "-":
            console.out.raw(made.workflow.text)
            _tell_notes(console, made.notes)
            return ExitCode.OK
        if target is None:
            place = Target(free(Path(f"{_file_name(made)}.yaml")), force=force)
        console.tell("writing and running its tests …")
        run = _running(llm, job, seed)
        suite, notes = suite_for(
            made.workflow, place.path.name, model=model, ask=ask, run=run, seed=seed
        )
        place.write(made.workflow.text, suite)
        return _told(console, made, place, len(suite.scenarios), (*made.notes, *notes))

    return supervised(work)


@dataclass(frozen=True, slots=True)
class Target:
    """Where the workflow goes, and its tests beside it.

    Attributes:
        path: Of the workflow.
        force: Whether what is there may be overwritten.
    """

    path: Path
    force: bool

    @property
    def tests(self) -> Path:
        """Of the test file."""
        return self.path.with_name(f"{self.path.stem}.test.yaml")

    def check(self) -> None:
        """Raise UsageError when one of them could not be written, or is there already."""
        if not self.path.name or self.path.is_dir():
            raise UsageError(f"'{one_line(str(self.path))}' is no name for a file")
        for path in (self.path, self.tests):
            if not self.force and (path.exists() or path.is_symlink()):
                shown = one_line(str(path), limit=1000)
                raise UsageError(f"'{shown}' exists — name another file with -o, or say --force")

    def write(self, workflow: str, suite: Suite) -> None:
        """Write both, each whole or not at all.

        Raises:
            UsageError: one of them has come to be in the meantime.
            StorageError: the disk or the permissions do not allow it.
        """
        from finetune_fsm.scenarios.load import dump_suite
        from finetune_fsm.storage.files import write_text

        self.check()
        head = (
            "# Made by 'agentmech generate'; each scenario marked as generated needs your eyes.\n"
        )
        write_text(self.tests, self._for_editors("suite") + head + dump_suite(suite))
        write_text(self.path, self._for_editors("workflow") + workflow)

    def _for_editors(self, schema: str) -> str:
        """The line that names the copy of a schema for editors, if `init` has left one there."""
        copy = f"{SCHEMA_FOLDER}/{schema}.schema.json"
        there = (self.path.parent / copy).is_file()
        return f"# yaml-language-server: $schema={copy}\n" if there else ""


def free(path: Path) -> Path:
    """Return *path*, with a number in its name when it or its test file exists."""
    number, found = 1, path
    while found.exists() or Target(found, force=False).tests.exists():
        number += 1
        found = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return found


def _file_name(made: Made) -> str:
    from finetune_fsm.generate.words import slug

    return slug(made.workflow.name, "workflow").replace("_", "-")


def _check_template(name: str | None) -> None:
    from finetune_fsm.generate.maker import OWN
    from finetune_fsm.generate.templates import TEMPLATES
    from finetune_fsm.schema import suggestion

    known = (*TEMPLATES, OWN)
    if name is not None and name not in known:
        hint = suggestion(name, known) or f"one of: {', '.join(known)}"
        raise UsageError(f"there is no template '{one_line(name)}' — {hint}")


def _listed(console: Console) -> ExitCode:
    from finetune_fsm.generate.maker import OWN
    from finetune_fsm.generate.templates import TEMPLATES

    kinds = {name: template.summary for name, template in TEMPLATES.items()}
    kinds[OWN] = "steps that the model plans, when no template fits"
    if console.json:
        console.document({"templates": kinds})
    else:
        for name, summary in kinds.items():
            console.result(f"{name:<24} {summary}")
    return ExitCode.OK


def _asked(console: Console) -> str:
    """Return a description from standard input: a line of a person's, else all of it."""
    try:
        if not sys.stdin.isatty():
            return sys.stdin.read(INPUT_LIMIT)
        console.err.piece(f"{QUESTION}\n> ")
        return sys.stdin.readline(INPUT_LIMIT)
    except ValueError as error:
        raise UsageError(f"the description cannot be read: {one_line(str(error))}") from error


def _asking(llm: LLM, job: Job) -> Ask:
    def ask(request: Request) -> Completion | Problem:
        try:
            return llm.complete(request, stop=job.stop)
        except LLMError as error:
            if error.kind in FATAL:
                raise
            return Problem(error.kind.value, one_line(str(error)))

    return ask


def _running(llm: LLM, job: Job, seed: int) -> Callable[[Workflow, Suite], SuiteReport]:
    def run(workflow: Workflow, suite: Suite) -> SuiteReport:
        from finetune_fsm.scenarios.evaluate import run_suite

        return run_suite(workflow, suite, llm, seed=seed, stop=job.stop)

    return run


def _tell_notes(console: Console, notes: tuple[str, ...]) -> None:
    for note in notes:
        console.note(one_line(note, limit=400))


def _told(
    console: Console, made: Made, place: Target, scenarios: int, notes: tuple[str, ...]
) -> ExitCode:
    following = f"agentmech finetune {shlex.quote(str(place.path))}"
    if console.json:
        console.document(
            {
                "workflow": place.path,
                "tests": place.tests,
                "name": made.workflow.name,
                "kind": made.kind,
                "states": list(made.workflow.states),
                "scenarios": scenarios,
                "notes": notes,
                "next": following,
            }
        )
        return ExitCode.OK
    kind = "steps of its own" if made.kind == "own" else f"template {made.kind}"
    states = len(made.workflow.states)
    console.result(f"wrote {one_line(str(place.path), limit=1000)} ({kind}, {states} states)")
    console.result(f"wrote {one_line(str(place.tests), limit=1000)} ({scenarios} scenarios)")
    _tell_notes(console, notes)
    console.tell(f"next: {one_line(following, limit=1000)}")
    return ExitCode.OK
