"""The door through which foreign text leaves, one function for each place it can go.

Foreign is whatever a model, a file, a server or a test wrote. It may hold terminal escapes,
bidirectional overrides, broken surrogates, markup and formulas, and it may repeat a secret.

====================  ==========================================================================
where to              function
====================  ==========================================================================
terminal, log         `clean`, `one_line`
HTML                  `html`, for text and for attributes in quotes
XML (JUnit)           `xml`; a writer such as ElementTree escapes the markup
GitHub's runner       `command` for one command, `stopped` for a foreign block, `inert` for lines
CSV                   `csv_cell`; the csv module quotes
JSON                  `json_text`, and `ascii_json` for pipes of any encoding
a file's name         `slug`, and `distinct_slug` where two texts must not share a name
a model               `visible`, `visible_line`: not masked
====================  ==========================================================================

All but the last two hide `Secrets`, those of the process's environment unless told otherwise, and
do it first: what is cleaned, cut or wrapped afterwards holds none. `Secrets` says what counts.

Three things are never masked, as they must stay exact: the workflow files that are written, the
prompts that models are sent, and the journal of a run, which its owner alone can read.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from finetune_fsm.sinks.cleaning import LIMIT, clean, one_line, visible, visible_line
from finetune_fsm.sinks.environment import known, look_again

if TYPE_CHECKING:
    from finetune_fsm.sinks.forms import ascii_json, csv_cell, html, json_text, xml
    from finetune_fsm.sinks.github import command, inert, stopped
    from finetune_fsm.sinks.names import distinct_slug, slug
    from finetune_fsm.sinks.secrets import MASK, Secrets, masked

_HOMES = {
    **dict.fromkeys(("ascii_json", "csv_cell", "html", "json_text", "xml"), "forms"),
    **dict.fromkeys(("command", "inert", "stopped"), "github"),
    **dict.fromkeys(("distinct_slug", "slug"), "names"),
    **dict.fromkeys(("MASK", "Secrets", "masked"), "secrets"),
}
"""What loads on first use: ``agentmech --help`` needs the core alone."""

__all__ = [
    "LIMIT",
    "MASK",
    "Secrets",
    "ascii_json",
    "clean",
    "command",
    "csv_cell",
    "distinct_slug",
    "html",
    "inert",
    "json_text",
    "known",
    "look_again",
    "masked",
    "one_line",
    "slug",
    "stopped",
    "visible",
    "visible_line",
    "xml",
]


def __getattr__(name: str) -> object:
    """Load the public name *name* from its module (PEP 562)."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
