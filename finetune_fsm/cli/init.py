"""``agentmech init``: a folder with a workflow that passes its tests at once, offline.

Editors find the schemas through copies in ``.agentmech``, named relative to the files that they
check: that works without a network, for whoever clones the folder, and whatever Python or virtual
environment `finetune_fsm` is installed in. A URL would need the network, a path into an
environment breaks with it.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

import click

from finetune_fsm.cli import options
from finetune_fsm.cli.console import Console
from finetune_fsm.errors import ExitCode, StorageError, UsageError
from finetune_fsm.sinks import one_line

WORKFLOW = "support.yaml"
STARTER = (WORKFLOW, "support.test.yaml", "support.script.yaml", "agentmech.toml")
SCHEMAS = ("workflow", "suite")
SCHEMA_FOLDER = ".agentmech"


@click.command()
@click.argument("folder", default=".", metavar="[<folder>]")
@options.OUTPUT_OPTIONS
@click.pass_obj
def init(console: Console, /, folder: str) -> ExitCode:
    """Write a small workflow, its tests, a scripted model and agentmech.toml into FOLDER.

    'agentmech test' passes there at once: no server, no network. The files are made for editors
    with a YAML language server, which check them as one types.

    Nothing is ever overwritten: where one of the files exists already, none is written.
    """
    place = Path(folder)
    written = write_starter(place)
    workflow = shlex.quote(str(place / WORKFLOW))
    following = (
        f"agentmech test {workflow}",
        f"agentmech finetune {workflow}",
        f"agentmech run {workflow} --llm ollama",
    )
    if console.json:
        console.document({"files": written, "next": following})
        return ExitCode.OK
    for path in written:
        console.result(f"wrote {one_line(str(path), limit=1000)}")
    console.result()
    console.result("Try next, the first two without any model:")
    for command in following:
        console.result(f"  {one_line(command, limit=1000)}")
    return ExitCode.OK


def contents() -> Mapping[str, str]:
    """Return what `init` writes: text by path within the folder, the workflow first."""
    from finetune_fsm.cli.schema import schema_text

    starter = files("finetune_fsm.cli").joinpath("starter")
    texts = {name: starter.joinpath(name).read_text("utf-8") for name in STARTER}
    schemas = {f"{SCHEMA_FOLDER}/{name}.schema.json": schema_text(name) for name in SCHEMAS}
    return texts | schemas


def write_starter(folder: Path) -> tuple[Path, ...]:
    """Write all of `contents` into *folder*, which is made if need be; return their paths.

    Raises:
        UsageError: one of them exists; then nothing was written.
        StorageError: the disk or the permissions do not allow it.
    """
    from finetune_fsm.storage.files import write_text

    wanted = {folder / name: text for name, text in contents().items()}
    try:
        there = [path for path in wanted if path.exists() or path.is_symlink()]
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise StorageError(f"cannot write into {one_line(str(folder))}: {reason}") from error
    if there:
        names = ", ".join(one_line(str(path)) for path in there)
        hint = "name another folder: agentmech init <folder>"
        raise UsageError(f"nothing is overwritten, and there is already {names} — {hint}")
    for path, text in wanted.items():
        write_text(path, text)
    return tuple(wanted)
