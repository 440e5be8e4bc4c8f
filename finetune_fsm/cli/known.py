"""The options that settings may name: what each is called, and what values it takes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import click

from finetune_fsm.cli.options import Single
from finetune_fsm.cli.registry import COMMANDS, MEANS_OTHERWISE, load

PREFIX = "AGENTMECH_"
"""Begins the environment variable of every option."""

ALIASES: Mapping[str, str] = {"url": "ollama_url"}

IN_FILES = frozenset(
    {
        "approve",
        "candidates",
        "color",
        "fail_on_regression",
        "format",
        "goal",
        "holdout",
        "jobs",
        "llm",
        "max_calls",
        "max_iterations",
        "max_steps",
        "max_time",
        "max_tokens",
        "model",
        "no_cache",
        "ollama_url",
        "on_tie",
        "port",
        "quiet",
        "repeat",
        "seed",
        "strict",
        "template",
        "tests",
        "verbose",
        "workflow",
    }
)
"""Options that a file of settings may give. It may be somebody else's: what is not here is not."""

REASONS: Mapping[str, str] = {
    "allow": "it lets drafts do more",
    "executor": "it decides whose programs talk to this one",
    "force": "it overwrites files",
    **dict.fromkeys(("log_file", "output", "report", "trace"), "it writes a file"),
}
"""Why not, where that is worth a word."""

MODEL_CHOICE = frozenset({"ollama_url", "llm", "executor"})
"""Options that say together which model answers: the highest level that gives one gives all."""

PATHS = frozenset({"tests", "workflow"})
"""Options with a path; in a file it is relative to the file."""

Options = Mapping[str, click.Option]
"""Options by key."""


@cache
def options_of(command: str) -> Options:
    """Return the options of the command called *command*, help aside."""
    found = (p for p in load(command).params if isinstance(p, click.Option))
    return {key_of(option): option for option in found}


@cache
def all_options() -> Mapping[str, Options]:
    """Return the options of every command."""
    return {command: options_of(command) for command in COMMANDS}


def key_of(option: click.Option) -> str:
    """Return what settings call *option*: its long name, with underscores. Pure."""
    return max(option.opts, key=len).lstrip("-").replace("-", "_")


def normal(key: str) -> str:
    """Return *key* as `options_of` has it. Pure."""
    plain = key.replace("-", "_")
    return ALIASES.get(plain, plain)


def variable_of(key: str) -> str:
    """Return the environment variable of the option *key*. Pure."""
    return f"{PREFIX}{key.upper()}"


def is_many(option: click.Option) -> bool:
    """Whether *option* takes several values. Pure."""
    return option.multiple and not isinstance(option, Single)


def converted(option: click.Option, value: object) -> object:
    """Return *value*, from a file or the environment, as click takes it for *option*. Pure.

    Raises:
        ValueError: it is no value of this option; says what would be.
    """
    if option.is_flag:
        return _flag(option, value)
    if is_many(option):
        listed = value if isinstance(value, list) else [value]
        return [_scalar(option, item) for item in listed]
    scalar = _scalar(option, value)
    return [scalar] if option.multiple else scalar


def _flag(option: click.Option, value: object) -> object:
    if isinstance(value, str):
        value = _WORDS.get(value.strip().lower(), value)
    if not isinstance(value, bool):
        raise ValueError("must be true or false")  # noqa: TRY004  # a value, not a type
    on = option.flag_value if isinstance(option.flag_value, bool) else True
    return on if value else not on


_WORDS = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}


def _scalar(option: click.Option, value: object) -> str | int | float:
    text = isinstance(option.type, click.types.StringParamType | click.Choice)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("must be text" if text else f"must be {_wanted(option)}")  # noqa: TRY004
    if text and not isinstance(value, str):
        raise ValueError("must be text: put it in quotes")
    if isinstance(value, float) and isinstance(option.type, click.types.IntParamType):
        raise ValueError("must be a whole number")  # noqa: TRY004  # the same
    if isinstance(value, str) and "\0" in value:
        raise ValueError("must not hold NUL")
    try:
        option.type.convert(value, option, None)
    except click.BadParameter as error:
        raise ValueError(f"is wrong: {error.message.removesuffix('.')}") from error
    return value


def _wanted(option: click.Option) -> str:
    return f"a value as {max(option.opts, key=len)} takes it"


def from_environment(option: click.Option, text: str) -> object:
    """Return the value that the *text* of an environment variable gives *option*. Pure.

    Several values stand on lines of their own; addresses also with spaces between.

    Raises:
        ValueError: it is no value of this option.
    """
    if not is_many(option):
        return converted(option, text)
    spaced = key_of(option) == "ollama_url"
    return converted(option, text.split() if spaced else [t for t in text.split("\n") if t])


def environment_of(command: str, environ: Mapping[str, str]) -> Mapping[str, tuple[str, str]]:
    """Return what *environ* gives options of *command*: variable and text by key. Pure.

    An empty text is none. The full name goes before its alias.
    """
    apart = MEANS_OTHERWISE.get(command, frozenset())
    keys = {key: key for key in options_of(command) if key not in apart}
    names = {alias: key for alias, key in ALIASES.items() if key in keys} | keys
    found = {
        key: variable_of(name) for name, key in names.items() if environ.get(variable_of(name))
    }
    return {key: (name, environ[name]) for key, name in found.items()}
