"""Which worker of a cluster is asked next, and what is known of each; nothing is asked here."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping

from finetune_fsm.llm.roster import FIRST_PAUSE, LONGEST_PAUSE
from finetune_fsm.llm.several import differ


class Crew:
    """The workers, by address; they come and go. Safe to use from several threads.

    Args:
        clock: Seconds that only grow.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._load: Counter[str] = Counter()
        self._pauses: dict[str, tuple[float, float]] = {}  # how long, and until when
        self._processes: dict[str, str] = {}
        self._met: set[tuple[str, str]] = set()  # workers and models
        self._weights: dict[str, tuple[str, str]] = {}  # by model: digest, and who has it

    def take(self, there: Mapping[str, int], *, again: str = "") -> str:
        """Take a place at the worker with the least to do, one that is well if there is any.

        Args:
            there: Threads of each worker; one at least.
            again: The one to be asked if it is there still.

        Returns:
            Its address, to be given back with `leave`.
        """

        def rank(worker: str) -> tuple[bool, bool, float, str]:
            rests = self._clock() < self._pauses.get(worker, (0.0, 0.0))[1]
            return worker != again, rests, self._load[worker] / there[worker], worker

        with self._lock:
            worker = min(there, key=rank)
            self._load[worker] += 1
            return worker

    def leave(self, worker: str) -> None:
        """Give the place back."""
        with self._lock:
            self._load[worker] -= 1

    def broke(self, worker: str, *, at_least: float = 0.0) -> None:
        """Leave *worker* out for a while, twice as long as the last time."""
        with self._lock:
            before = self._pauses.get(worker, (0.0, 0.0))[0]
            pause = min(LONGEST_PAUSE, before * 2 or FIRST_PAUSE)
            self._pauses[worker] = pause, self._clock() + max(pause, at_least)

    def answered(self, worker: str) -> None:
        """Take note that *worker* is well."""
        with self._lock:
            self._pauses.pop(worker, None)

    def process(self, worker: str, model: str) -> str:
        """Return the process behind *worker* once its *model* was compared, else empty text."""
        with self._lock:
            return self._processes.get(worker, "") if (worker, model) in self._met else ""

    def forget(self, worker: str) -> None:
        """Compare everything anew: another process is there."""
        with self._lock:
            self._processes.pop(worker, None)
            self._met = {pair for pair in self._met if pair[0] != worker}

    def meet(self, worker: str, process: str, model: str, digest: str) -> None:
        """Compare the weights of *model*, with *digest*, to those of the others.

        The first that has any decides.

        Raises:
            UsageError: a reply would depend on who is idle.
        """
        with self._lock:
            if digest:
                known, where = self._weights.setdefault(model, (digest, worker))
                if known != digest:
                    raise differ(model, (known, where), (digest, worker))
            self._processes[worker] = process
            self._met.add((worker, model))

    def settle(self, model: str) -> None:
        """Compare the weights of *model* anew, with whoever is met next deciding."""
        with self._lock:
            self._weights.pop(model, None)
            self._met = {pair for pair in self._met if pair[1] != model}
