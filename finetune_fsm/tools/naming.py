"""Names under which a model is offered the tools of several servers: safe, and each once. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from finetune_fsm.tools.model import Offer

LENGTH = 64
"""Characters of a name: what servers of models take."""

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")


def safe(name: str) -> str:
    """Return *name* with letters, digits, ``_`` and ``-`` alone, `LENGTH` at most; never empty."""
    return _UNSAFE.sub("_", name)[:LENGTH] or "_"


def distinct(offers: Mapping[str, Sequence[Offer]]) -> dict[str, tuple[str, Offer]]:
    """Return the tools of all servers, by a name that no other has, each with its server's name.

    A tool keeps its own name where no other server has it; else the server's goes before.

    Args:
        offers: Tools by server, in the order in which the state names the servers.
    """
    pairs = [(server, offer) for server, found in offers.items() for offer in found]
    counts = Counter(safe(offer.tool.name) for _, offer in pairs)
    named: dict[str, tuple[str, Offer]] = {}
    for server, offer in pairs:
        own = safe(offer.tool.name)
        name = own if counts[own] == 1 else _free(safe(f"{server}_{own}"), {*counts, *named})
        named[name] = (server, replace(offer, tool=replace(offer.tool, name=name)))
    return named


def _free(wanted: str, taken: Collection[str]) -> str:
    """Return *wanted*, or with a number where that is *taken*."""
    name, number = wanted, 1
    while name in taken:
        number += 1
        name = f"{wanted[: LENGTH - len(str(number)) - 1]}_{number}"
    return name
