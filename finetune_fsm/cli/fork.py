"""``agentmech fork``: a new run that begins like another one."""

from __future__ import annotations

import click

from finetune_fsm.cli import options
from finetune_fsm.cli.console import Console
from finetune_fsm.errors import ExitCode, UsageError

NUMBERS = ("max_iterations", "seed", "jobs", "candidates", "repeat")
TEXTS = ("model", "output", "on_tie", "goal", "approval")
MANY = ("allow",)


@click.command()
@click.argument("run", required=False, metavar="[<run>]")
@options.value(
    "--at",
    type=click.IntRange(1),
    required=True,
    metavar="<step>",
    help="The last step that both runs have in common; 'agentmech replay' numbers them",
)
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="<key>=<value>",
    help=f"Ask for something else from there on: {', '.join((*NUMBERS, *TEXTS, *MANY))}",
)
@options.OUTPUT_OPTIONS
@click.pass_obj
def fork(console: Console, /, run: str | None, *, at: int, changes: tuple[str, ...]) -> ExitCode:
    """Make a new run of the first steps of RUN; 'agentmech resume' goes on with it.

    RUN is its folder, its name or its workflow; the newest here or below when left out. It stays
    as it is. What its models said is not asked again, whether before the step or after it.
    """
    from finetune_fsm import api
    from finetune_fsm.cli.session import how_to_resume
    from finetune_fsm.observers.narrator import shown

    folder = api.fork_run(run, at=at, **parsed(changes))  # type: ignore[arg-type]  # checked there
    if console.json:
        console.document({"run": shown(folder), "steps": at})
        return ExitCode.OK
    console.result(f"forked at step {at}: {shown(folder)}")
    console.tell(how_to_resume(folder))
    return ExitCode.OK


def parsed(changes: tuple[str, ...]) -> dict[str, object]:
    """Return the values of ``--set`` by their keys. Pure.

    Raises:
        UsageError: a key is unknown or stands twice, or a number is none.
    """
    from finetune_fsm.cli.registry import meant
    from finetune_fsm.sinks import one_line

    found: dict[str, object] = {}
    for text in changes:
        key, equals, value = text.partition("=")
        name = key.strip().lower().replace("-", "_")
        if not equals:
            raise UsageError(f"--set {one_line(text)}: write it as KEY=VALUE")
        if name in MANY:
            found[name] = (*found.get(name, ()), value)  # type: ignore[misc]  # a tuple, as made here
            continue
        if name in found:
            raise UsageError(f"--set {name} is given twice")
        if name in NUMBERS:
            found[name] = _number(name, value)
        elif name in TEXTS:
            found[name] = value
        else:
            there = dict.fromkeys((*NUMBERS, *TEXTS, *MANY))
            raise UsageError(f"--set knows no '{one_line(name)}'{meant(name, there)}")
    return found


def _number(name: str, value: str) -> int:
    try:
        return int(value)
    except ValueError as error:
        from finetune_fsm.sinks import one_line

        raise UsageError(f"--set {name}={one_line(value)}: it must be a whole number") from error
