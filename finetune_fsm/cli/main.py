"""The entry point: one place where every ending becomes a message and an exit code.

======  ==============================================================================
code    meaning
======  ==============================================================================
0       all passed; improved; nothing to do
1       tests failed; the workflow's run failed; not improved
2       the command line or a file is wrong
3       the world failed: no model, a full disk, no permission
4       a bug
6       the directory of a run is damaged, or of another version
7       the directory of a run is in use
129     hung up
130     interrupted
141     nobody reads the output
143     terminated
======  ==============================================================================
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress

import click

from finetune_fsm.cli.console import Console
from finetune_fsm.cli.registry import Commands
from finetune_fsm.errors import Cancelled, ExitCode, FinetuneError, InvalidDocument, Paused
from finetune_fsm.observers.lines import Line, Tone
from finetune_fsm.sinks import one_line

PROGRAM = "agentmech"

_COMPLETION = "_AGENTMECH_COMPLETE"
_SIGNALLED = (ExitCode.HANGUP, ExitCode.INTERRUPTED, ExitCode.TERMINATED)
_PACKAGES = ("transitions", "pyyaml", "ollama", "jsonschema")
_ENDING = (
    "Exit codes: 0 passed or improved, 1 failed, 2 wrong input, 3 no model or no disk, 4 a bug, "
    "130 interrupted."
)


def _print_versions(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted or ctx.resilient_parsing:
        return
    import platform

    click.echo(f"{PROGRAM} {_version('finetune-fsm')}")
    click.echo(f"python {platform.python_version()}")
    for package in _PACKAGES:
        click.echo(f"{package} {_version(package)}")
    ctx.exit()


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


@click.command(
    PROGRAM,
    cls=Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=_ENDING,
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_print_versions,
    help="Show the versions of this program and of what it stands on.",
)
@click.pass_context
def commands(ctx: click.Context) -> ExitCode | None:
    """Make LLM workflows, small YAML state machines, better by themselves."""
    if ctx.invoked_subcommand is not None:
        return None
    click.echo(ctx.get_help(), err=True)
    return ExitCode.BAD_INPUT


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line *arguments*, those of the process by default; return the exit code."""
    _open_standard_streams()
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = given[: given.index("--")] if "--" in given else given
    console = Console(json="--json" in options or _is_on(os.environ.get("AGENTMECH_JSON", "")))
    code = ExitCode.OK
    try:
        code = _ended(console, given)
        console.settle()
    except BrokenPipeError:
        console.silence()
        code = code if code in _SIGNALLED else ExitCode.BROKEN_PIPE
    except OSError as error:  # the last bytes found no room
        code = ExitCode.WORLD
        with suppress(OSError):
            console.err.line(f"{PROGRAM}: error: cannot write the output: {error.strerror}")
        console.silence()
    if console.silent:
        _drop_unwritten()
    return int(code)


def _is_on(text: str) -> bool:
    return text.strip().lower() in ("1", "true", "yes", "on")


def _ended(console: Console, given: list[str]) -> ExitCode:
    if _COMPLETION in os.environ:  # a shell asks what could follow; click answers and exits
        commands.main(given, prog_name=PROGRAM)
    try:
        with commands.make_context(PROGRAM, list(given), obj=console) as context:
            return ExitCode(commands.invoke(context) or 0)
    except click.exceptions.Exit as ended:  # after --help and --version
        return ExitCode(ended.exit_code)
    except (KeyboardInterrupt, click.Abort, Cancelled, Paused):
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001  # the one place where nothing may pass
        return _told(console, error)


def _told(console: Console, error: Exception) -> ExitCode:
    """Tell *error* in a person's words, and in a program's where one listens."""
    problems: tuple[object, ...] = ()
    if isinstance(error, InvalidDocument):
        from finetune_fsm.cli.problems import as_data, as_text

        problems = tuple(as_data(problem) for problem in error.problems)
        lines = [Line(as_text(problem), Tone.PLAIN) for problem in error.problems]
        code, message = ExitCode.BAD_INPUT, str(error)
    else:
        code, message, more = _explained(error)
        lines = [Line(f"{PROGRAM}: error: {message}", Tone.BAD), *(Line(text) for text in more)]
    if console.json and not console.documented:
        shown = {"exit_code": code, "message": message, "problems": problems}
        console.document({"error": shown})
    for line in lines:
        console.err.line(line)
    if console.verbosity > 1:
        import traceback

        console.err.line("".join(traceback.format_exception(error)))
    return code


def _explained(error: Exception) -> tuple[ExitCode, str, tuple[str, ...]]:
    """Return exit code, message and further lines for *error*."""
    if isinstance(error, click.ClickException):
        command = getattr(error, "ctx", None)
        path = command.command_path if command else PROGRAM
        return ExitCode.BAD_INPUT, _lower(error.format_message()), (f"see '{path} --help'",)
    if isinstance(error, FinetuneError):
        return error.exit_code, str(error), ()
    if isinstance(error, OSError):
        if error.filename is None and _is_nowhere():
            return ExitCode.WORLD, "the present folder was removed: go to another one", ()
        where = f" {one_line(str(error.filename))}:" if error.filename else ""
        return ExitCode.WORLD, f"the system says no:{where} {error.strerror or error}", ()
    what = one_line(f"{type(error).__name__}: {error}", limit=400)
    advice = "this is a bug: please report it, with what the same command says with -vv"
    return ExitCode.BUG, f"internal error: {what}", (advice,)


def _is_nowhere() -> bool:
    """Whether the folder in which we stand is gone."""
    try:
        os.getcwd()  # noqa: PTH109  # `os` is here already
    except OSError:
        return True
    return False


def _lower(message: str) -> str:
    text = one_line(message, limit=1000).removesuffix(".")
    return text[:1].lower() + text[1:]


def _open_standard_streams() -> None:
    """Give a process that was started without them streams that lead nowhere.

    Otherwise the first file it opens would become its standard output.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            with suppress(OSError):
                while os.open(os.devnull, os.O_RDWR) < number:
                    pass
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115


def _drop_unwritten() -> None:
    """Give up what a stream does not take.

    The interpreter must not find it when it closes the streams: it would complain, and exit with
    a code of its own, 120.
    """
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
                continue
            os.dup2(nowhere, stream.fileno())
