"""The commands by name, so that help can be shown without importing one of them."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import click


@dataclass(frozen=True, slots=True)
class Entry:
    """One command.

    Attributes:
        home: ``module:name`` of its click command.
        help: One line for the list of commands.
    """

    home: str
    help: str


_HOME = "finetune_fsm.cli"

COMMANDS: Mapping[str, Entry] = MappingProxyType(
    {
        "finetune": Entry(f"{_HOME}.finetune:finetune", "Improve a workflow, tested at every step"),
        "resume": Entry(f"{_HOME}.resume:resume", "Go on with a finetune that was stopped"),
        "runs": Entry(f"{_HOME}.runs:runs", "List the finetunes made here, or repair one"),
        "show": Entry(f"{_HOME}.show:show", "Show what a finetune did"),
        "diff": Entry(f"{_HOME}.diff:diff", "Say what differs between two workflows"),
        "report": Entry(f"{_HOME}.report:report", "Write what a finetune did into a page"),
        "replay": Entry(f"{_HOME}.replay:replay", "Tell a finetune again, up to any step"),
        "fork": Entry(f"{_HOME}.fork:fork", "Begin a finetune with the first steps of another"),
        "undo": Entry(f"{_HOME}.undo:undo", "Take the last accepted change back"),
        "capture": Entry(f"{_HOME}.capture:capture", "Make a test of what a finetune's best did"),
        "run": Entry(f"{_HOME}.run:run", "Run a workflow once"),
        "test": Entry(f"{_HOME}.test:test", "Run a workflow's test scenarios"),
        "compare": Entry(f"{_HOME}.compare:compare", "Run workflows on the same scenarios"),
        "validate": Entry(f"{_HOME}.validate:validate", "Check workflow and test files"),
        "lint": Entry(f"{_HOME}.lint:lint", "Say what rules find in a workflow, without a model"),
        "list-models": Entry(f"{_HOME}.list_models:list_models", "List the models that can answer"),
        "pull": Entry(f"{_HOME}.pull:pull", "Fetch the embedded model's weights"),
        "generate": Entry(f"{_HOME}.generate:generate", "Make a workflow from a description"),
        "init": Entry(f"{_HOME}.init:init", "Write a workflow that passes its tests offline"),
        "doctor": Entry(f"{_HOME}.doctor:doctor", "Look at what agentmech needs, and at settings"),
        "completion": Entry(f"{_HOME}.completion:completion", "Complete commands in your shell"),
        "schema": Entry(f"{_HOME}.schema:schema", "Print a JSON Schema, for editors"),
        "serve": Entry(f"{_HOME}.serve:serve", "Show workflows and runs on a page of this machine"),
        "graph": Entry(f"{_HOME}.graph:graph", "Draw a workflow or what a run did"),
        "cache": Entry(f"{_HOME}.cache:cache", "Look at the replies kept for other runs"),
    }
)
"""In the order that help shows them."""


MEANS_OTHERWISE: Mapping[str, frozenset[str]] = MappingProxyType({"compare": frozenset({"model"})})
"""Options that mean something else here than in other commands: `compare` asks that model alone,
whatever its workflows name. No setting for all commands reaches them."""


def load(name: str) -> click.Command:
    """Import and return the command *name* of the registry."""
    module, _, attribute = COMMANDS[name].home.partition(":")
    command = getattr(importlib.import_module(module), attribute)
    assert isinstance(command, click.Command)  # noqa: S101  # the registry says so
    return command


def with_settings(command: click.Command) -> click.Command:
    """Return *command*, whose help ends with the environment variables of its options."""
    options = [p for p in command.params if isinstance(p, click.Option) and p.opts]
    names = [max(o.opts, key=len).lstrip("-").replace("-", "_") for o in options]
    apart = MEANS_OTHERWISE.get(command.name or "", frozenset())
    listed = ", ".join(f"AGENTMECH_{name.upper()}" for name in names if name not in apart)
    where = "agentmech.toml, or [tool.agentmech] of pyproject.toml, by the options' names"
    command.epilog = command.epilog or f"Environment: {listed}. Files: {where}."
    return command


class Commands(click.Group):
    """A group that imports a command only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in order."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return the command *cmd_name*, or None when there is none."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        if "_AGENTMECH_COMPLETE" in os.environ:
            from finetune_fsm.cli.completion import attach

            return attach(load(cmd_name))
        return with_settings(load(cmd_name))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that *args* begin with.

        Raises:
            click.UsageError: there is none of that name; says which was likely meant.
        """
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            raise click.UsageError(f"no command '{name}'{meant(name, COMMANDS)}", ctx)
        if name in COMMANDS:
            from finetune_fsm.cli.defaults import Defaults

            ctx.default_map = {name: Defaults(name)}
        return super().resolve_command(ctx, args)

    def shell_complete(
        self, ctx: click.Context, incomplete: str
    ) -> list[click.shell_completion.CompletionItem]:
        """Return the commands that *incomplete* may become, from the registry alone."""
        from click.shell_completion import CompletionItem

        found = [(name, e) for name, e in COMMANDS.items() if name.startswith(incomplete)]
        return [
            *(CompletionItem(name, help=entry.help) for name, entry in found),
            *click.Command.shell_complete(self, ctx, incomplete),
        ]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from the registry alone."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


def meant(word: str, known: Mapping[str, object]) -> str:
    """Return `` — did you mean 'x'?`` for the likeliest of *known*, else what there is. Pure."""
    from difflib import get_close_matches

    close = get_close_matches(word.lower(), known, n=1, cutoff=0.5)
    return f" — did you mean '{close[0]}'?" if close else f" — one of: {', '.join(known)}"
