"""``agentmech doctor``: whether a command could work here, and which settings it would have."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from finetune_fsm.cli import options
from finetune_fsm.cli.console import Console
from finetune_fsm.errors import ExitCode, FinetuneError
from finetune_fsm.observers.lines import Line, Tone
from finetune_fsm.sinks import one_line

if TYPE_CHECKING:
    from finetune_fsm.cli.checkup import Answering, Check
    from finetune_fsm.cli.config_file import Found
    from finetune_fsm.cli.settings import Effective

OF = "finetune"
"""The command whose settings are shown: it has almost all."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One option's value, and who gave it."""

    key: str
    value: object
    source: str


@click.command()
@options.URL
@options.LLM
@options.OUTPUT_OPTIONS
@click.pass_obj
def doctor(console: Console, /, *, ollama_urls: tuple[str, ...], llm_spec: str | None) -> ExitCode:
    """Look at packages, models, folders and settings, and say what to do about what is wrong.

    The network gets two seconds at most, and no model is asked anything. The status is 0 when a
    model could answer, 3 when none could, and 2 when the settings are wrong.
    """
    from finetune_fsm.cli import checkup
    from finetune_fsm.cli.config_file import find
    from finetune_fsm.llm.llamacpp import installed

    found = find(Path(), environ=os.environ)
    settings, problems = _settings(found, ollama_urls, llm_spec)
    by_key = {shown.key: shown.value for shown in settings}
    urls, spec = _chosen(by_key)
    engine = checkup.embedded(installed=installed())
    answering = checkup.answering(urls, spec, os.environ, engine=engine)
    groups: Mapping[str, Sequence[Check]] = {
        "Packages": (_python(), *checkup.packages()),
        "Models": (*answering.checks, *_analysis(by_key, spec, answering)),
        "Folders": checkup.folders(_places()),
        "Settings": (*problems, *_left_out(found), *_unknown()),
    }
    if console.json:
        console.document(
            {
                "able": answering.able,
                "checks": {
                    name.lower(): [asdict(c) for c in checks] for name, checks in groups.items()
                },
                "settings": [asdict(shown) for shown in settings],
            }
        )
    else:
        _show(console, groups, settings)
    _remember(answering)
    if any(check.level is checkup.Level.PROBLEM for check in groups["Settings"]):
        return ExitCode.BAD_INPUT
    return ExitCode.OK if answering.able else ExitCode.WORLD


def _python() -> Check:
    import platform
    import sys

    from finetune_fsm import __version__
    from finetune_fsm.cli.checkup import Check, Level

    found = f"{platform.python_version()} at {sys.executable}, agentmech {__version__}"
    return Check("python", Level.OK, found)


def _settings(
    found: Found, urls: tuple[str, ...], spec: str | None
) -> tuple[tuple[Shown, ...], tuple[Check, ...]]:
    """Return every option of `OF` with its value and source, and what is wrong with them."""
    from finetune_fsm.cli import known
    from finetune_fsm.cli.checkup import Check, Level
    from finetune_fsm.cli.settings import check_reach, effective

    given = {"ollama_url": list(urls), "llm": spec}
    aloud = {key: value for key, value in given.items() if value}
    problems: tuple[Check, ...] = ()
    values: Mapping[str, Effective] = {}
    try:
        values = effective(OF, found.config, environ=os.environ, given=frozenset(aloud))
        if not found.trusted:
            check_reach(values, os.environ, Console(json=True))
    except FinetuneError as error:
        texts = [str(p) for p in getattr(error, "problems", ())] or [str(error)]
        problems = tuple(
            Check("setting", Level.PROBLEM, one_line(text, limit=1000)) for text in texts
        )
    shown = []
    for key, option in known.options_of(OF).items():
        if key in aloud:
            shown.append(Shown(key, aloud[key], "command line"))
        elif key in values:
            shown.append(Shown(key, _plain(option, values[key].value), values[key].source))
        else:
            shown.append(Shown(key, _default(option), "default"))
    return tuple(shown), problems


def _plain(option: click.Option, value: object) -> object:
    """Return *value*, as click takes it, as a person says it: a flag is on or off."""
    if option.is_flag:
        return value == (option.flag_value if isinstance(option.flag_value, bool) else True)
    return value[0] if isinstance(option, options.Single) and isinstance(value, list) else value


def _default(option: click.Option) -> object:
    if option.is_flag:
        return False
    with click.Context(click.Command(OF)) as context:
        if isinstance(option, options.Single):
            assert option.callback is not None  # noqa: S101  # `options.value` gave it one
            return option.callback(context, option, ())
        found = option.get_default(context)
    if isinstance(found, str | int | float):
        return found
    return [] if option.multiple else None


def _chosen(by_key: Mapping[str, object]) -> tuple[tuple[str, ...], str | None]:
    urls, spec = by_key.get("ollama_url"), by_key.get("llm")
    listed = tuple(str(url) for url in urls) if isinstance(urls, list) else ()
    return listed, str(spec) if spec else None


def _analysis(
    by_key: Mapping[str, object], spec: str | None, answering: Answering
) -> tuple[Check, ...]:
    """Whether Ollama has the model that analyses."""
    from finetune_fsm.cli.checkup import Check, Level

    model = str(by_key.get("model") or "")
    known = {name for models in answering.models.values() for name in models}
    if not answering.models or (spec and not spec.startswith("ollama")):
        return ()
    if model in known or f"{model}:latest" in known:
        return (Check("analysis model", Level.OK, model),)
    advice = f"ollama pull {one_line(model)}, or name another with -m"
    return (Check("analysis model", Level.WARNING, f"no server has {one_line(model)}", advice),)


def _places() -> tuple[tuple[str, Path], ...]:
    from finetune_fsm.execution.rundir import runs_folder
    from finetune_fsm.llm import cache, weights

    return (
        ("kept replies", cache.folder()),
        ("weights", weights.folder()),
        ("run directories", runs_folder()),
        ("this folder", Path.cwd()),
    )


def _left_out(found: Found) -> tuple[Check, ...]:
    from finetune_fsm.cli.checkup import Check, Level

    held = (Check("file", Level.OK, found.config.file or "no file of settings"),)
    return (*held, *(Check("file", Level.WARNING, note) for note in found.notes))


def _unknown() -> tuple[Check, ...]:
    """Variables that look like ours and are no option's."""
    from finetune_fsm.cli import known
    from finetune_fsm.cli.checkup import Check, Level
    from finetune_fsm.cli.config_file import VARIABLE
    from finetune_fsm.llm.select import TIMEOUT_VARIABLE
    from finetune_fsm.schema import suggestion

    keys = {key for each in known.all_options().values() for key in each} | set(known.ALIASES)
    ours = {known.variable_of(key) for key in keys} | {VARIABLE, TIMEOUT_VARIABLE}
    odd = [name for name in os.environ if name.startswith(known.PREFIX) and name not in ours]
    return tuple(
        Check(
            "variable",
            Level.WARNING,
            f"nothing reads {one_line(name)}",
            suggestion(name, sorted(ours)),
        )
        for name in sorted(odd)
    )


def _show(
    console: Console, groups: Mapping[str, Sequence[Check]], settings: Sequence[Shown]
) -> None:
    tones = {"ok": Tone.PLAIN, "warning": Tone.WARNING, "problem": Tone.BAD}
    for name, checks in groups.items():
        wanted = [check for check in checks if not console.quiet or check.level != "ok"]
        if wanted:
            console.result(Line(name, Tone.TITLE))
        for check in wanted:
            advice = f" — {check.advice}" if check.advice else ""
            text = one_line(f"{check.found}{advice}", limit=1000)
            console.result(Line(f"  {check.level:<8} {check.about}: {text}", tones[check.level]))
    if console.quiet:
        return
    for shown in settings:
        value = ", ".join(map(str, shown.value)) if isinstance(shown.value, list) else shown.value
        text = "-" if value is None or value == "" else one_line(str(value))
        console.result(f"  {shown.key} = {text}  ({one_line(shown.source, limit=1000)})")


def _remember(answering: Answering) -> None:
    from finetune_fsm.cli.remembered import remember_models

    remember_models(name for models in answering.models.values() for name in models)
