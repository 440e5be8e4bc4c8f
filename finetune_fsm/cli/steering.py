"""The options by which a person takes part in a run, and the person at the terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from finetune_fsm.cli import options
from finetune_fsm.cli.console import Console
from finetune_fsm.errors import UsageError

if TYPE_CHECKING:
    from finetune_fsm.cli.signals import Job
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
