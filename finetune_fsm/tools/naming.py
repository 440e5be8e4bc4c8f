"""Names under which a model is offered the tools of several servers: safe, and each once. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from finetune_fsm.llm.base import Tool
from finetune_fsm.tools.model import Offer

LENGTH = 64
"""Characters of a name: what servers of models take."""

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Offered:
    """A tool as a model is offered it.

    Attributes:
        tool: Its name is the one for the model.
        server: Whose it is.
        own: What its server calls it.
    """

    tool: Tool
    server: str
    own: str


def safe(name: str) -> str:
    """Return *name* with letters, digits, ``_`` and ``-`` alone, `LENGTH` at most; never empty."""
    return _UNSAFE.sub("_", name)[:LENGTH] or "_"


def distinct(offers: Mapping[str, Sequence[Offer]]) -> dict[str, Offered]:
    """Return the tools of all servers, by a name that no other has.

    A tool keeps its own name where no other server has it; else the server's goes before.

    Args:
        offers: Tools by server, in the order in which the state names the servers.
    """
    pairs = [(server, offer) for server, found in offers.items() for offer in found]
    counts = Counter(safe(offer.tool.name) for _, offer in pairs)
    named: dict[str, Offered] = {}
    for server, offer in pairs:
        own = safe(offer.tool.name)
        name = own if counts[own] == 1 else _free(safe(f"{server}_{own}"), {*counts, *named})
        named[name] = Offered(replace(offer.tool, name=name), server, offer.tool.name)
    return named


def _free(wanted: str, taken: Collection[str]) -> str:
    """Return *wanted*, or with a number where that is *taken*."""
    name, number = wanted, 1
    while name in taken:
        number += 1
        name = f"{wanted[: LENGTH - len(str(number)) - 1]}_{number}"
    return name
