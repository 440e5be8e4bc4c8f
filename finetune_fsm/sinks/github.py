"""What GitHub's runner reads in the output of a step: its commands, and nobody else's.

The runner acts on every line that begins with ``::name``, whoever wrote it, and on ``##[name]``
anywhere in a line.

Source: docs.github.com, "Workflow commands for GitHub Actions"; the escapes are those of
actions/toolkit, the two forms those of ActionCommand in actions/runner.
"""

from __future__ import annotations

import hashlib
import re

from finetune_fsm.sinks.cleaning import LIMIT, clean
from finetune_fsm.sinks.secrets import Secrets

_DATA = {ord("%"): "%25", ord("\r"): "%0D", ord("\n"): "%0A"}
_PROPERTY = {**_DATA, ord(":"): "%3A", ord(","): "%2C"}

_COMMAND = re.compile(r"^([^\S\n]*)::|##\[", re.MULTILINE)


def command(
    name: str,
    message: str,
    *,
    limit: int = LIMIT,
    secrets: Secrets | None = None,
    **properties: str,
) -> str:
    """Return one command on one line, such as ``::error file=a,line=1::message``.

    Args:
        name: Ours, such as ``error``.
        message: Foreign text; its line ends survive.
        limit: Characters of the message and of each property.
        secrets: What to hide.
        properties: Foreign text by name; empty ones are left out.
    """
    told = ",".join(
        f"{key}={clean(value, limit=limit, secrets=secrets).translate(_PROPERTY)}"
        for key, value in properties.items()
        if value
    )
    shown = clean(message, limit=limit, secrets=secrets).translate(_DATA)
    return f"::{name}{' ' if told else ''}{told}::{shown}"


def stopped(text: str) -> str:
    """Return the lines of *text*, which is clean, so that the runner acts on none of them. Pure.

    The word that ends the block is a digest of the text, which a text cannot hold of itself.
    """
    token = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    end = "" if text.endswith("\n") else "\n"
    return f"::stop-commands::{token}\n{text}{end}::{token}::\n"


def inert(text: str, *, fresh: bool = True) -> str:
    r"""Return *text*, which is clean, with what would be a command made visible as ``\x3a:``.

    Args:
        text: One line or several.
        fresh: Whether the line that *text* begins on is blank so far.

    Pure.
    """
    return _COMMAND.sub(lambda match: _harmless(match, fresh=fresh), text)


def _harmless(match: re.Match[str], *, fresh: bool) -> str:
    if match[1] is None:
        return "#\\x23["
    if match.start() == 0 and not fresh:
        return match.group()
    return f"{match[1]}\\x3a:"
