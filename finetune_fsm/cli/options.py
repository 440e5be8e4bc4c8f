"""Options that several commands share, and how their values become what the library takes."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import reduce
from typing import Protocol, TypeVar

import click

from finetune_fsm.cli.console import Console

F = TypeVar("F", bound=Callable[..., object])


class Decorator(Protocol):
    """Adds options to a command's function."""

    def __call__(self, function: F, /) -> F:
        """Return *function* with the options."""
        ...


JOBS_LIMIT = 256


class Single(click.Option):
    """An option that takes many values, so that its callback can refuse all but one."""


def value(*names: str, default: object = None, **settings: object) -> Decorator:
    """Return an option with one value, refused when it is given twice.

    Args:
        names: As `click.option` takes them.
        default: The value when it is not given.
        settings: Further ones of `click.option`.
    """

    def one(ctx: click.Context, parameter: click.Parameter, given: tuple[object, ...]) -> object:
        if len(given) > 1:  # of two values one would be ignored in silence
            raise click.UsageError(f"{parameter.opts[-1]} is given {len(given)} times", ctx)
        return given[0] if given else default

    return click.option(*names, cls=Single, multiple=True, callback=one, **settings)


def together(*options: Decorator) -> Decorator:
    """Return one decorator that adds *options*, shown in this order."""

    def add(function: F, /) -> F:
        return reduce(lambda f, option: option(f), reversed(options), function)

    return add


def _verbose(ctx: click.Context, _: click.Parameter, count: int) -> None:
    console = ctx.ensure_object(Console)
    console.verbosity = count
    _agree(ctx, console)


def _quiet(ctx: click.Context, _: click.Parameter, quiet: bool) -> None:
    console = ctx.ensure_object(Console)
    console.quiet = quiet
    _agree(ctx, console)


def _agree(ctx: click.Context, console: Console) -> None:
    if console.quiet and console.verbosity:
        raise click.UsageError("--quiet and --verbose contradict each other", ctx)


def _color(ctx: click.Context, _: click.Parameter, choice: str | None) -> None:
    ctx.ensure_object(Console).paint(choice or "auto")


VERBOSE = click.option(
    "-v",
    "--verbose",
    count=True,
    expose_value=False,
    callback=_verbose,
    help="Log what happens to standard error; -vv also prompts, replies and tracebacks",
)

QUIET = click.option(
    "-q",
    "--quiet",
    is_flag=True,
    expose_value=False,
    callback=_quiet,
    help="Only failures and the result",
)

JSON = click.option(  # `main` looks for it, as it matters for errors too
    "--json", is_flag=True, expose_value=False, help="Print one JSON document and nothing else"
)

COLOR = click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    expose_value=False,
    callback=_color,
    help="Colours; auto looks at $FORCE_COLOR, $NO_COLOR and the terminal (default: auto)",
)

OUTPUT_OPTIONS = together(JSON, VERBOSE, QUIET, COLOR)
"""Those of every command that prints."""

URL = click.option(
    "-u",
    "--ollama-url",
    "ollama_urls",
    multiple=True,
    metavar="<url>",
    help='Ollama API URL (default: "http://localhost:11434", or $OLLAMA_HOST); '
    "several, -u <url> -u <url>, share the work",
)

LLM = value(
    "--llm",
    "llm_spec",
    metavar="<spec>",
    help="Another provider: llamacpp, llamacpp:<file>, openai:<url>[,<url>...] or script:<file>",
)

EXECUTOR = value(
    "--executor",
    metavar="<url>",
    help="Spread the calls over the workers of a Dask cluster: dask://<host>:<port>; "
    "-u and --llm are then as the workers see them",
)

CACHE = click.option(
    "--no-cache",
    "cached",
    is_flag=True,
    flag_value=False,
    default=True,
    help="Ask again what an earlier run asked at temperature 0",
)


TOOLS = click.option(
    "--no-tools",
    "tools",
    is_flag=True,
    flag_value=False,
    default=True,
    help="Start no tool server (mcp_servers); states go on without, with a warning",
)


class Duration(click.ParamType[float]):
    """Seconds, as ``90``, ``90s``, ``30m``, ``2h`` or ``1h30m``; more than none."""

    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the seconds; fails with what would be right."""
        match = _DURATION.fullmatch(str(value).strip())
        hours, minutes, seconds = match.groups() if match else (None, None, None)
        total = float(hours or 0) * 3600 + float(minutes or 0) * 60 + float(seconds or 0)
        if not total:
            self.fail(f"'{value}' is no time: write 90s, 30m, 2h or 1h30m", param, ctx)
        return total


_DURATION = re.compile(r"(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,9}(?:\.\d{1,3})?)s?)?")

BUDGET = together(
    value(
        "--max-calls",
        type=click.IntRange(1),
        metavar="<number>",
        help="End with the best so far before one more LLM call",
    ),
    value(
        "--max-tokens",
        type=click.IntRange(1),
        metavar="<number>",
        help="Begin no LLM call once so many tokens are read and written",
    ),
    value(
        "--max-time",
        type=Duration(),
        metavar="<time>",
        help="End with the best so far after 90s, 30m, 2h or 1h30m",
    ),
)

JOBS = value(
    "-j",
    "--jobs",
    type=click.IntRange(1, JOBS_LIMIT),
    metavar="<number>",
    help="Scenarios run at once (default: what the server allows)",
)
