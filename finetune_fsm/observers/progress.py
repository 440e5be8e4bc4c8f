"""One line that says what is waited for, as long as the terminal is wide. Pure.

The line is made of parts in the order in which they are read. When they do not all fit, the least
important goes first, and what is left is cut where the terminal ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from finetune_fsm.reports.columns import cut, width_of
from finetune_fsm.sinks import one_line

if TYPE_CHECKING:  # who runs a workflow once needs no loop
    from finetune_fsm.llm.watch import CallSeen, Seen
    from finetune_fsm.loop.machine import Moment

SILENCE = 5.0
"""Seconds without a word after which that is said."""

SEPARATOR = " · "

_NAME = 60  # characters of a foreign name at most
_MINUTE, _HOUR = 60, 3600


@dataclass(slots=True)
class Standing:
    """Where the loop stands; an observer that remembers.

    Attributes:
        what: The loop's state, or what else is done.
        iteration: 1-based; 0 outside the loop.
        iterations: How many there are at most.
        candidates: On trial together, in this iteration.
        stopping: Whether a person asked for a stop.
        unit: What there are several of.
    """

    what: str = ""
    iteration: int = 0
    iterations: int = 0
    candidates: int = 0
    stopping: bool = False
    unit: str = "rollout"

    def __call__(self, moment: Moment) -> None:
        """Take note of *moment*."""
        from finetune_fsm.loop.machine import Entered
        from finetune_fsm.loop.table import LoopState

        if not isinstance(moment, Entered):
            return
        run = moment.run
        self.what = moment.state.value
        self.iteration = 0 if moment.state is LoopState.PREPARING else run.iteration
        self.iterations = run.settings.max_iterations
        self.candidates = len(run.candidates)
        alone = self.candidates < 2 and run.settings.repeat == 1
        self.unit = "scenario" if alone else "rollout"


def status(standing: Standing, seen: Seen, *, seconds: float, width: int) -> str:
    """Return the line: what is done, what is waited for, how far it is, what it took. Pure.

    Args:
        standing: Where the loop stands.
        seen: The calls and rollouts under way.
        seconds: Since the command began.
        width: Columns of the line at most, >= 1.
    """
    parts = [
        (1, _what(standing)),
        (0, _waits(seen)),
        (2, _batch(seen, standing)),
        (5, _place(seen, standing)),
        (3, _eta(seen)),
        (6, _spent(seen)),
        (7, _left(seen)),
        (4, span(seconds)),
    ]
    return _fitted([(rank, text) for rank, text in parts if text], width)


def heartbeat(standing: Standing, seen: Seen) -> str:
    """Return the same for a log: whole, however long it is, and without what a log has. Pure."""
    parts = (_what(standing), _batch(seen, standing), _waits(seen), _place(seen, standing))
    return SEPARATOR.join(part for part in (*parts, _eta(seen), _spent(seen)) if part)


def span(seconds: float) -> str:
    """Return so many *seconds* as people say it: ``7 s``, ``2 min 5 s``, ``1 h 2 min``. Pure."""
    whole = max(0, int(seconds))
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        minutes, rest = divmod(whole, _MINUTE)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, rest = divmod(whole // _MINUTE, _MINUTE)
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def _what(standing: Standing) -> str:
    words = [standing.what]
    if standing.iteration:
        words.append(f"{standing.iteration}/{standing.iterations}")
    if standing.stopping:
        words.append("(stopping)")
    return " ".join(word for word in words if word)


def _waits(seen: Seen) -> str:
    """What the call does that has taken longest, and how many there are."""
    if not seen.calls:
        return ""
    slowest = seen.calls[0]
    many = f" (slowest of {len(seen.calls)})" if len(seen.calls) > 1 else ""
    return f"{_one(slowest)}{many}"


def _one(call: CallSeen) -> str:
    model = one_line(call.model, limit=_NAME) or "the model"
    if call.pause > 0:
        of = f" of {call.tries}" if call.tries else ""
        return f"waiting {call.pause:.0f} s before try {call.number}{of}"
    if call.silent >= SILENCE:
        return f"no word from {one_line(call.who, limit=_NAME)} for {span(call.silent)} ({model})"
    if call.pieces == 0:
        return f"waiting for {model}"
    rate = f", {call.rate:.0f} tok/s" if call.rate else ""
    return f"{model} writes{rate}"


def _place(seen: Seen, standing: Standing) -> str:
    """Where the slowest call comes from: candidate, scenario, state."""
    if not seen.calls:
        return ""
    call = seen.calls[0]
    parts = [one_line(call.place, limit=_NAME)]
    if call.place or not standing.iteration:  # a step of the loop asks for itself
        parts.append(one_line(call.label, limit=_NAME))
    return ", ".join(part for part in parts if part)


def _batch(seen: Seen, standing: Standing) -> str:
    batch = seen.batch
    if batch is None:
        return ""
    return f"{standing.unit} {min(batch.done + 1, batch.total)}/{batch.total}"


def _eta(seen: Seen) -> str:
    left = seen.batch.left if seen.batch else None
    return "" if left is None else f"about {span(max(1.0, left))} left"


def _spent(seen: Seen) -> str:
    spent = seen.spent
    if not spent.calls and not spent.cached:
        return ""
    kept = f", {spent.cached} kept" if spent.cached else ""
    return f"{_calls(spent.calls)}, {spent.tokens:,} tokens{kept}"


def _left(seen: Seen) -> str:
    parts = []
    if seen.calls_left is not None:
        parts.append(_calls(seen.calls_left))
    if seen.tokens_left is not None:
        parts.append(f"{seen.tokens_left:,} tokens")
    if seen.seconds_left is not None:
        parts.append(span(seen.seconds_left))
    return f"budget left: {', '.join(parts)}" if parts else ""


def _calls(number: int) -> str:
    return f"{number} call{'s' * (number != 1)}"


def _fitted(parts: Sequence[tuple[int, str]], width: int) -> str:
    """Join *parts*, each behind its rank; those of the highest rank go until the rest fits."""
    kept = list(parts)
    while len(kept) > 1 and width_of(SEPARATOR.join(text for _, text in kept)) > width:
        kept.remove(max(kept))
    return cut(SEPARATOR.join(text for _, text in kept), width)
