"""Which value of an option holds: command line, then environment, then file, then default.

What a file may not decide, as it comes with a repository and may be anybody's, is here too.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import click
from click.core import ParameterSource

from finetune_fsm.cli import known
from finetune_fsm.cli.config import Config, Setting
from finetune_fsm.cli.console import Console
from finetune_fsm.cli.registry import MEANS_OTHERWISE
from finetune_fsm.errors import InvalidDocument, UsageError
from finetune_fsm.sinks import one_line

OF_ITS_RUN = "resume"
"""The command whose options change what a run was begun with: only its own table counts."""

SEES_ALL = "doctor"
"""The command that looks at settings itself, and works beside wrong ones."""

_OUTPUT = ("verbose", "quiet")
_KEYS = ("OPENAI_API_KEY", "OLLAMA_API_KEY")


@dataclass(frozen=True, slots=True)
class Effective:
    """A value that the environment or a file gives.

    Attributes:
        key: The option, as `known.key_of` calls it.
        value: As click takes it.
        source: For people: the variable's name, or file and line.
        written: The value as it was given.
    """

    key: str
    value: object
    source: str
    written: object


def effective(
    command: str,
    config: Config,
    *,
    environ: Mapping[str, str],
    given: frozenset[str] = frozenset(),
) -> Mapping[str, Effective]:
    """Return what environment and *config* give options of *command*, by key.

    Args:
        command: Its name.
        config: A file of settings.
        environ: The environment.
        given: Keys that the command line gives.

    Raises:
        UsageError: a variable holds no value of its option.
        InvalidDocument: the file has problems.
    """
    if config.problems:
        raise InvalidDocument(config.problems)
    options = known.options_of(command)
    levels = (
        {key: _from_variable(options[key], key, *said) for key, said in _asked(command, environ)},
        {s.key: _from_file(options, s, config) for s in config.tables.get(command, ())},
        {
            s.key: _from_file(options, s, config)
            for s in config.tables.get("", ())
            if s.key in options
            and s.key not in MEANS_OTHERWISE.get(command, ())
            and (command != OF_ITS_RUN or s.key in _OUTPUT)
        },
    )
    found: dict[str, Effective] = {}
    taken = set(given)
    if environ.get("OLLAMA_HOST", "").strip():
        levels[1].pop("ollama_url", None)
        levels[2].pop("ollama_url", None)
    for level in levels:
        chosen = bool(taken & known.MODEL_CHOICE)
        hidden = taken | (known.MODEL_CHOICE if chosen else set())
        found |= {key: value for key, value in level.items() if key not in hidden}
        taken |= set(level)
    return found


def _asked(command: str, environ: Mapping[str, str]) -> Iterator[tuple[str, tuple[str, str]]]:
    for key, text in known.environment_of(command, environ).items():
        if key != "json" and (command != OF_ITS_RUN or key in _OUTPUT):
            yield key, text


def _from_variable(option: click.Option, key: str, name: str, text: str) -> Effective:
    try:
        value = known.from_environment(option, text)
    except ValueError as error:
        raise UsageError(f"{name} {one_line(str(error))}") from error
    return Effective(key, value, name, text)


def _from_file(options: known.Options, setting: Setting, config: Config) -> Effective:
    option = options[setting.key]
    source = f"{config.file}:{setting.line}" if setting.line else config.file
    value = _beside(setting.key, setting.value, Path(config.file).parent)
    try:
        return Effective(setting.key, known.converted(option, value), source, setting.value)
    except ValueError as error:  # fits another command's option of that name
        message = f"{source}: '{setting.key}' {one_line(str(error))}"
        raise UsageError(f"{message} — set it in the table of a command") from error


def _beside(key: str, value: object, folder: Path) -> object:
    """Return *value* with a path in it resolved against the file's folder. Pure but for links."""
    if not isinstance(value, str):
        return value
    if key in known.PATHS:
        return str(folder / value)
    provider, sign, rest = value.partition(":")
    if key == "llm" and sign and rest and (provider == "script" or _is_path(provider, rest)):
        return f"{provider}:{folder / rest}"
    return value


def _is_path(provider: str, rest: str) -> bool:
    return provider == "llamacpp" and ("/" in rest or "\\" in rest)


def looked_up(command: str, context: click.Context) -> dict[str, object]:
    """Return the values by parameter, and tell where they come from when that is wanted."""
    from finetune_fsm.cli.config_file import find

    if command == SEES_ALL:
        return {}
    console = context.ensure_object(Console)
    found = find(*folders(context), environ=os.environ)
    for note in found.notes:
        console.note(note)
    options = known.options_of(command)
    given = frozenset(
        key
        for key, option in options.items()
        if context.get_parameter_source(option.name or "") is ParameterSource.COMMANDLINE
    )
    values = effective(command, found.config, environ=os.environ, given=given)
    if not found.trusted:
        check_reach(values, os.environ, console)
    if console.verbosity:
        for value in values.values():
            console.tell(f"{value.key} = {one_line(str(value.written))} ({value.source})")
    return {options[key].name or "": value.value for key, value in values.items()}


def folders(context: click.Context) -> tuple[Path, ...]:
    """Return where to look for a file of settings: beside the command's file, then here."""
    arguments = [p for p in context.command.params if isinstance(p, click.Argument)]
    given = [context.params.get(p.name or "") for p in arguments]
    named = next((value for value in given if value), None)
    first = named[0] if isinstance(named, tuple | list) else named
    here = Path()
    return (Path(first).parent, here) if isinstance(first, str) and first != "-" else (here,)


def check_reach(
    values: Mapping[str, Effective], environ: Mapping[str, str], console: Console
) -> None:
    """Tell when a file sends the work to another machine; refuse it where a key would go along.

    A file of settings comes with a repository and may be anybody's; whoever clones that has not
    asked for prompts and keys to leave.

    Raises:
        UsageError: a key of the environment would be sent there, or programs be taken from there.
    """
    for key in ("ollama_url", "llm"):
        value = values.get(key)
        if value is None or value.source.startswith(known.PREFIX):
            continue
        shown = one_line(str(value.written))
        aloud = f"say --{key.replace('_', '-')} yourself, or {known.variable_of(key)}"
        if str(value.written).startswith("dask:"):
            raise UsageError(f"{value.source}: {shown} takes programs from elsewhere — {aloud}")
        if any(map(_is_elsewhere, _addresses(value))):
            if any(environ.get(name) for name in _KEYS):
                raise UsageError(f"{value.source}: {shown} would be sent your key — {aloud}")
            console.note(f"{value.source} sends the work to {shown}")


def _addresses(value: Effective) -> list[str]:
    written = value.written if isinstance(value.written, list) else [value.written]
    texts = [str(item) for item in written]
    if value.key != "llm":
        return texts
    provider, _, rest = texts[0].partition(":")
    return rest.split(",") if rest and provider in ("ollama", "openai") else []


def _is_elsewhere(address: str) -> bool:
    from ipaddress import ip_address
    from urllib.parse import urlsplit

    try:
        url = address if "://" in address else f"http://{address}"
        host = (urlsplit(url.strip()).hostname or "localhost").rstrip(".")
        return not (host == "localhost" or ip_address(host).is_loopback)
    except ValueError:
        return True
