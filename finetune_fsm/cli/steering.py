"""The options by which a person takes part in a run, and the person at the terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import click

from finetune_fsm.cli import options
from finetune_fsm.cli.console import Console
from finetune_fsm.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from finetune_fsm.api import Session
    from finetune_fsm.cli.signals import Job
    from finetune_fsm.observers.debugger import Debugger
    from finetune_fsm.observers.dialogue import Dialogue

APPROVALS = ("always", "risky", "never")


def approve(default: str | None) -> options.Decorator:
    """Return the option ``--approve``."""
    told = f"default: {default}" if default else "default: as before"
    return options.value(
        "--approve",
        "approval",
        type=click.Choice(APPROVALS),
        default=default,
        help="Ask before a draft is tried: always, or only for risky ones, which change more than "
        f"the texts of prompts ({told})",
    )


STEPS = options.together(
    click.option("--step", is_flag=True, help="Stop before every state of the loop, and debug it"),
    click.option(
        "--break",
        "breakpoints",
        multiple=True,
        metavar="<state>",
        help="Stop before this state of the loop; more with commas, or given again",
    ),
)


def debugger_for(
    console: Console, *, step: bool, breakpoints: Sequence[str]
) -> Callable[[Job], Debugger | None]:
    """Return what makes the debugger that ``--step`` and ``--break`` ask for, or None.

    Raises:
        UsageError: there is no such state, or nobody at a terminal.
    """
    if not step and not breakpoints:
        return lambda _: None
    from finetune_fsm.observers.debugger import Debugger, states_named

    names = sorted(states_named(name for text in breakpoints for name in text.split(",")))
    demand_terminal("--step" if step else "--break", "leave it out")
    return lambda job: Debugger(dialogue(console, job), step=step, breakpoints=names)


def watched(console: Console, job: Job, session: Session, debugger: Debugger | None) -> ExitCode:
    """Step *session* to its end, which is a fork elsewhere when *debugger* says so.

    Raises:
        Detour: a person wants to go on in a fork.
    """
    from finetune_fsm.cli.session import ended
    from finetune_fsm.observers.debugger import Detour

    if debugger is not None:
        debugger.entries = session.loop.entries
    try:
        return ended(console, job, session)
    except Detour as detour:
        detour.folder = session.folder
        raise


def followed(
    console: Console,
    debugger: Debugger | None,
    first: Callable[[], ExitCode],
    again: Callable[[Path], ExitCode],
) -> ExitCode:
    """Do *first*, and for every fork that a person asks for what comes *again*, in its folder."""
    if debugger is None:
        return first()
    from finetune_fsm import api
    from finetune_fsm.observers.debugger import Detour
    from finetune_fsm.observers.narrator import shown

    turn = first
    while True:
        try:
            return turn()
        except Detour as detour:
            if detour.folder is None:
                raise
            fork = api.fork_run(detour.folder, at=detour.keep)
            console.talk.line(f"{shown(detour.folder)} stays as it is; going on in {shown(fork)}")
            debugger.go_on(detour)
            turn = partial(again, fork)


def demand_terminal(option: str, instead: str) -> None:
    """Say at once that nobody can be asked, rather than wait for ever.

    Raises:
        UsageError: standard input is no terminal.
    """
    if not (sys.stdin and sys.stdin.isatty()):
        raise UsageError(f"{option} asks a person, and standard input is no terminal — {instead}")


def dialogue(console: Console, job: Job) -> Dialogue:
    """Return the person at the terminal, whom any thread of *job* may ask."""
    from finetune_fsm.observers.dialogue import Dialogue

    with suppress(ImportError):
        import readline  # noqa: F401  # `input` then has a history and can be edited

    def ask(prompt: str) -> str:
        console.talk.settle()
        return job.in_front(_reader(console, prompt))

    return Dialogue(ask, console.talk.line)


def _reader(console: Console, prompt: str) -> Callable[[], str]:
    """What reads a line; standard output belongs to the document, if there is one."""

    def read() -> str:
        try:
            if sys.stdout.isatty() and not console.json:
                return input(prompt)
            sys.stderr.write(prompt)
            sys.stderr.flush()
            line = sys.stdin.readline()
        except OSError as error:  # the terminal is gone
            raise EOFError from error
        if not line:
            raise EOFError
        return line.rstrip("\n")

    return read
