"""``agentmech schema``: the JSON Schemas of our files, for editors and other programs."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import click

from finetune_fsm.cli import options
from finetune_fsm.cli.console import Console
from finetune_fsm.errors import ExitCode

KINDS: Mapping[str, str] = MappingProxyType({"workflow": "workflow", "tests": "suite"})
"""What people call a file, and the name of its schema."""


@click.command()
@click.argument("kind", type=click.Choice(tuple(KINDS)))
@options.OUTPUT_OPTIONS
@click.pass_obj
def schema(console: Console, /, kind: str) -> ExitCode:
    """Print the JSON Schema (draft 2020-12) of workflows or of test files.

    An editor with a YAML language server checks a file that begins with the line '#
    yaml-language-server: $schema=PATH', where PATH leads from the file to a copy of the schema;
    'agentmech init' writes both.
    """
    console.out.raw(schema_text(KINDS[kind]))
    return ExitCode.OK


def schema_text(name: str) -> str:
    """Return the schema called *name* as JSON text that ends with a newline. Pure."""
    import json

    from finetune_fsm.schema import schema as load

    return json.dumps(load(name), indent=2, ensure_ascii=True) + "\n"
