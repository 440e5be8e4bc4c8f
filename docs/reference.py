"""The reference, made from the program itself while the site is built: ``docs/hooks.py`` asks.

Made at that time and not committed, it needs no second copy, and no change of an option can leave
it behind. In the repository ``agentmech COMMAND --help`` says the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

import click

from finetune_fsm.cli import known
from finetune_fsm.cli import main as program
from finetune_fsm.cli.registry import COMMANDS, load
from finetune_fsm.errors import ExitCode
from finetune_fsm.schema import SUITE, WORKFLOW, schema

_ROW = re.compile(r"^(\d+) +(\S.*)$", re.MULTILINE)
_MORE = {ExitCode.NO_SCENARIO: "no scenario is left to run"}

OTHERS: Mapping[str, str] = {
    "AGENTMECH_CONFIG": "the file of settings; `/dev/null` for none",
    "AGENTMECH_TIMEOUT": "how long to wait for a model",
    "OLLAMA_HOST": "address of the Ollama server",
    "OPENAI_API_KEY": "key for `--llm openai:…`",
    "OLLAMA_API_KEY": "key for an Ollama server that wants one",
    "FINETUNE_FSM_MODELS": "folder of the embedded engine's weights",
    "NO_COLOR": "no colours",
    "FORCE_COLOR": "colours even where there is no terminal",
    "CI": "nothing moves, nothing is asked",
}
"""Environment variables that belong to no option."""


def commands() -> str:
    """Return a section for each command, as its help has it."""
    return "\n".join(line for name in COMMANDS for line in _command(load(name), name))


def _command(command: click.Command, name: str, level: str = "##") -> Iterator[str]:
    context = click.Context(command, info_name=f"agentmech {name}")
    pieces = " ".join(command.collect_usage_pieces(context))
    yield f"{level} `{name}`\n"
    yield f"```text\nagentmech {name} {pieces}\n```\n"
    yield f"{_told(command.help or '')}\n"
    records = (parameter.get_help_record(context) for parameter in command.params)
    yield "| option | what it does |\n|---|---|"
    yield from (f"| `{_cell(record[0])}` | {_plain(record[1])} |" for record in records if record)
    yield ""
    if isinstance(command, click.Group):
        for inner, its in command.commands.items():
            yield from _command(its, f"{name} {inner}", "###")


def _told(text: str) -> str:
    """Return a help text as Markdown, in which no sign means anything."""
    return re.sub(r"([<>*_`|])", r"\\\1", re.sub(r"\n +", "\n", text.replace("\b", "")))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _plain(text: str) -> str:
    return " ".join(_told(text).split())


def settings() -> str:
    """Return all options with the names that settings have for them, then other variables."""
    where: dict[str, list[str]] = {}
    for name, options in known.all_options().items():
        for key in options:
            where.setdefault(key, []).append(name)
    lines = ["| key | environment variable | in a file | commands |", "|---|---|---|---|"]
    for key, names in sorted(where.items()):
        told = "all" if len(names) == len(COMMANDS) else ", ".join(names)
        in_file = "yes" if key in known.IN_FILES else f"no: {known.REASONS.get(key, 'not there')}"
        lines.append(f"| `{key}` | `{known.variable_of(key)}` | {in_file} | {told} |")
    lines += ["", "## Other variables", "", "| variable | what it says |", "|---|---|"]
    return "\n".join([*lines, *(f"| `{name}` | {what} |" for name, what in OTHERS.items())])


def exit_codes() -> str:
    """Return every exit code with what it means."""
    told = {int(code): what for code, what in _ROW.findall(program.__doc__ or "")}
    told |= {int(code): what for code, what in _MORE.items()}
    lines = ["| code | name | meaning |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {c.value} | {c.name} | {told[c.value]} |" for c in ExitCode)])


def formats() -> str:
    """Return the keys of workflows and of test files, from their schemas."""
    pieces = []
    for title, name in (("Workflow", WORKFLOW), ("Test file", SUITE)):
        rules = schema(name)
        pieces.append(f"## {title}\n\nIts schema is called `{rules['$id']}`.\n")
        pieces.append(_keys(rules, rules["$defs"]))
        for key, part in rules["$defs"].items():
            if part.get("properties"):
                heading = str(part.get("title", key)).replace("_", " ")
                pieces.append(f"### {heading}: `{key}`\n\n{_keys(part, rules['$defs'])}")
    return "\n".join(pieces)


Rules = Mapping[str, object]


def _keys(part: Rules, definitions: Mapping[str, Rules]) -> str:
    lines = ["| key | type | needed | meaning |", "|---|---|---|---|"]
    required = part.get("required", ())
    properties = part.get("properties", {})
    assert isinstance(properties, Mapping)  # noqa: S101  # of a schema
    for key, own in properties.items():
        rules = {**_named(own, definitions), **own}
        meaning = rules.get("description") or rules.get("hint") or ""
        needed = "yes" if key in required else ""  # type: ignore[operator]  # a list of a schema
        lines.append(f"| `{key}` | {_type(rules)} | {needed} | {_plain(str(meaning))} |")
    return "\n".join([*lines, ""])


def _named(rules: Rules, definitions: Mapping[str, Rules]) -> Rules:
    name = str(rules.get("$ref", "")).removeprefix("#/$defs/")
    return definitions.get(name, {})


def _type(rules: Rules) -> str:
    if "const" in rules:
        return f"`{rules['const']}`"
    if isinstance(rules.get("enum"), list):
        return " or ".join(f"`{value}`" for value in rules["enum"])  # type: ignore[attr-defined]
    kind = rules.get("type", "")
    kinds = kind if isinstance(kind, list) else [kind]
    words = {"array": "list", "object": "mapping", "string": "text", "boolean": "true or false"}
    return " or ".join(words.get(str(k), str(k)) for k in kinds if k and k != "null")


PARTS: Mapping[str, Callable[[], str]] = {
    "commands": commands,
    "settings": settings,
    "exit codes": exit_codes,
    "formats": formats,
}
"""What may stand in a page as ``<!-- generated: NAME -->``."""


def filled(text: str) -> str:
    """Return the Markdown *text* with each such mark replaced by what it names."""
    mark = re.compile(r"^<!-- generated: ([\w ]+) -->$", re.MULTILINE)
    return mark.sub(lambda found: PARTS[found[1]](), text)
