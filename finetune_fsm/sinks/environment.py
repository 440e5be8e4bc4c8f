"""The secrets of this process, found when a text is first cleaned and not before."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from finetune_fsm.sinks.secrets import Secrets


@cache
def known() -> Secrets:
    """Return the secrets of this process: those of its environment at the first call."""
    from finetune_fsm.sinks.secrets import Secrets

    return Secrets.of(os.environ)


def look_again() -> None:
    """Let the next call of `known` look at the environment anew; a command begins with it."""
    known.cache_clear()
