"""``agentmech completion``: what a shell has to read to complete our words; and those words.

A shell starts `agentmech` at a key press, with ``_AGENTMECH_COMPLETE`` set. Then nothing is
imported but the one command that is being typed, no server is asked, and no settings are read.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from shlex import quote
from types import MappingProxyType

import click
from click.shell_completion import CompletionItem, ShellComplete, get_completion_class

from finetune_fsm.cli import options
from finetune_fsm.cli.console import Console
from finetune_fsm.errors import ExitCode
from finetune_fsm.sinks import one_line

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_AGENTMECH_COMPLETE"

_FILES_LIMIT = 2_000  # names in one folder that are looked at
_SIZE_LIMIT = 1_000_000  # bytes of a test file that is read for its scenarios' names

_SOURCED: Mapping[str, str] = MappingProxyType(
    {
        "bash": 'eval "$(agentmech completion bash)" in ~/.bashrc',
        "zsh": 'eval "$(agentmech completion zsh)" in ~/.zshrc',
        "fish": "agentmech completion fish | source in ~/.config/fish/config.fish",
    }
)


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@options.OUTPUT_OPTIONS
@click.pass_obj
def completion(console: Console, /, shell: str) -> ExitCode:
    """Print what a shell has to read to complete commands, options, files, runs and models.

    For bash, add to ~/.bashrc: eval "$(agentmech completion bash)"; zsh is alike, in ~/.zshrc; for
    fish, add to ~/.config/fish/config.fish: agentmech completion fish | source
    """
    text = script(shell)
    if console.json:
        console.document({"shell": shell, "script": text})
    else:
        console.out.raw(text)
        if console.out.interactive:
            console.note(f"to have it in every shell, put {_SOURCED[shell]}")
    return ExitCode.OK


def script(shell: str) -> str:
    """Return the text that *shell*, one of `SHELLS`, has to read."""
    from finetune_fsm.cli.main import PROGRAM, commands

    made = get_completion_class(shell)
    assert made is not None  # noqa: S101  # click knows all of `SHELLS`
    # click's own for bash first starts a bash to ask for its version.
    return ShellComplete.source(made(commands, {}, PROGRAM, VARIABLE)).strip() + "\n"


Complete = Callable[[click.Context, str], Iterable[str]]
"""Given what stands on the command line and how the word begins, yields words."""


def attach(command: click.Command) -> click.Command:
    """Return *command*, whose parameters complete what `WORDS` has for their names."""
    for inner in command.commands.values() if isinstance(command, click.Group) else ():
        attach(inner)
    for parameter in command.params:
        words = scenarios if "-k" in parameter.opts else WORDS.get(parameter.name or "")
        if words is not None:
            # An attribute of the instance: the commands need not import this module for it.
            vars(parameter)["shell_complete"] = _completing(words)
    return command


def _completing(words: Complete) -> Callable[[click.Context, str], list[CompletionItem]]:
    in_bash = os.environ.get(VARIABLE, "").startswith("bash")  # the others quote by themselves

    def complete(context: click.Context, begun: str) -> list[CompletionItem]:
        try:
            found = sorted({w for w in words(context, begun) if w.startswith(begun)})
        except Exception:  # noqa: BLE001  # a traceback in the middle of a line helps nobody
            return []
        shown = [word for word in found if one_line(word, limit=1000) == word]
        return [CompletionItem(quote(word) if in_bash else word) for word in shown]

    return complete


def yaml_files(context: click.Context, begun: str) -> Iterable[str]:
    """Yield the YAML files and the folders that *begun* may become."""
    del context
    head, _, tail = begun.rpartition("/")
    folder = Path(f"{head}/" if begun.startswith("/") or head else ".").expanduser()
    prefix = f"{head}/" if "/" in begun else ""
    with suppress(OSError), os.scandir(folder) as entries:
        for _, entry in zip(range(_FILES_LIMIT), entries, strict=False):
            if entry.name.startswith(".") and not tail.startswith("."):
                continue
            if entry.is_dir():
                if not entry.name.endswith(".agentmech"):
                    yield f"{prefix}{entry.name}/"
            elif entry.name.endswith((".yaml", ".yml")):
                yield f"{prefix}{entry.name}"


def runs(context: click.Context, begun: str) -> Iterable[str]:
    """Yield the names of the runs here and below, and the workflows there are."""
    from finetune_fsm.runs.places import below

    yield from (run.name for run in below(Path()))
    yield from yaml_files(context, begun)


def scenarios(context: click.Context, begun: str) -> Iterable[str]:
    """Yield the names of the scenarios of the file that stands on the command line."""
    del begun
    from finetune_fsm.scenarios.load import find_suite
    from finetune_fsm.workflow.text import parse, read_file

    file = context.params.get("file")
    if not isinstance(file, str):
        return
    path = Path(file)
    suite = path if ".test." in path.name else find_suite(path) or path
    document = parse(read_file(suite, limit=_SIZE_LIMIT)).document
    for scenario in document.get("test_scenarios", ()) if isinstance(document, dict) else ():
        if isinstance(scenario, dict) and isinstance(scenario.get("name"), str):
            yield scenario["name"]


def models(context: click.Context, begun: str) -> Iterable[str]:
    """Yield the models that a server listed last; none is asked now."""
    del context, begun
    from finetune_fsm.cli.remembered import models as remembered

    return remembered()


def providers(context: click.Context, begun: str) -> Iterable[str]:
    """Yield what ``--llm`` may begin with, and script files."""
    if begun.startswith("script:"):
        rest = begun.removeprefix("script:")
        return (f"script:{name}" for name in yaml_files(context, rest))
    return ("llamacpp", "ollama", "openai:", "script:")


def templates(context: click.Context, begun: str) -> Iterable[str]:
    """Yield the templates of ``generate``."""
    del context, begun
    from finetune_fsm.generate.templates import TEMPLATES

    return (*TEMPLATES, "own")


WORDS: Mapping[str, Complete] = MappingProxyType(
    {
        "file": yaml_files,
        "files": yaml_files,
        "tests": yaml_files,
        "workflow": yaml_files,
        "workflows": yaml_files,
        "run": runs,
        "what": runs,
        "model": models,
        "llm_spec": providers,
        "template": templates,
    }
)
"""What completes a parameter, by its name."""
