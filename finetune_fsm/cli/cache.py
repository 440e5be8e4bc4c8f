"""``agentmech cache``: the replies that are kept for other runs."""

from __future__ import annotations

import click

from finetune_fsm.cli import options
from finetune_fsm.cli.console import Console
from finetune_fsm.errors import ExitCode


@click.group(invoke_without_command=True)
@options.OUTPUT_OPTIONS
@click.pass_context
def cache(ctx: click.Context, /) -> ExitCode:
    """Look at the replies kept for other runs, or remove them.

    Kept is what would come out the same again: replies at temperature 0, from weights that the
    provider can tell from others of the same name.
    """
    if ctx.invoked_subcommand is None:
        ctx.invoke(show)
    return ExitCode.OK


@cache.command("ls")
@options.OUTPUT_OPTIONS
@click.pass_obj
def show(console: Console, /) -> ExitCode:
    """Show where they are, and how many."""
    from finetune_fsm.llm.cache import Store, folder

    store = Store(folder())
    size = store.size()
    if console.json:
        console.document({"folder": store.root, "replies": size.files, "bytes": size.bytes})
    else:
        console.result(f"{size.files} replies, {size.bytes / 1e6:.1f} MB, in {store.root}")
    return ExitCode.OK


@cache.command("clear")
@options.OUTPUT_OPTIONS
@click.pass_obj
def clear(console: Console, /) -> ExitCode:
    """Remove all of them."""
    from finetune_fsm.llm.cache import Store, folder

    store = Store(folder())
    gone = store.clear()
    if console.json:
        console.document({"folder": store.root, "removed": gone.files, "bytes": gone.bytes})
    else:
        console.result(f"{gone.files} replies removed, {gone.bytes / 1e6:.1f} MB")
    return ExitCode.OK
