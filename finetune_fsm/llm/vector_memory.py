"""Vectors of the texts that a run has asked for, in memory: none is asked for twice."""

from __future__ import annotations

import hashlib
import threading
from array import array
from collections.abc import Callable, Sequence

from finetune_fsm.llm.base import Stop
from finetune_fsm.llm.vectors import Vectors

LIMIT = 256_000_000
"""Bytes of numbers kept at most; beyond, what came first goes. A vector of 768 takes 6 kB."""

_LOOK = 0.05  # seconds between two looks at the stop flag while another thread asks


class VectorMemory:
    """Safe to use from several threads, which never ask for the same text at the same time.

    Args:
        limit: Bytes of numbers kept at most.
    """

    def __init__(self, *, limit: int = LIMIT) -> None:
        self._limit = limit
        self._size = 0
        self._known: dict[bytes, array[float]] = {}
        self._under_way: dict[bytes, threading.Event] = {}
        self._lock = threading.Lock()

    def embed(
        self,
        model: str,
        texts: Sequence[str],
        ask: Callable[[Sequence[str]], Vectors],
        *,
        stop: Stop | None = None,
    ) -> Vectors:
        """Return the vectors that *model* makes of *texts*, asking only for those not known.

        Args:
            model: Its name.
            texts: In any number, some of them the same.
            ask: Gets the texts that nobody asked for, each once; raises what this raises.
            stop: Looked at while another thread asks for some of them.
        """
        keys = [_key(model, text) for text in texts]
        wanted = dict(zip(keys, texts, strict=True))
        found: dict[bytes, array[float]] = {}
        while len(found) < len(wanted):
            mine, theirs = self._share(wanted, found)
            if mine:
                found |= self._asked({key: wanted[key] for key in mine}, ask)
            elif theirs:
                while not theirs.wait(_LOOK):
                    if stop:
                        stop.check()
        return tuple(tuple(found[key]) for key in keys)

    def _share(
        self, wanted: dict[bytes, str], found: dict[bytes, array[float]]
    ) -> tuple[list[bytes], threading.Event | None]:
        """Add what is known to *found*; return what we ask for, and when others have the rest."""
        with self._lock:
            found |= {key: self._known[key] for key in wanted if key in self._known}
            missing = [key for key in wanted if key not in found]
            mine = [key for key in missing if key not in self._under_way]
            theirs = next((self._under_way[key] for key in missing if key not in mine), None)
            self._under_way |= dict.fromkeys(mine, threading.Event())
        return mine, theirs

    def _asked(
        self, wanted: dict[bytes, str], ask: Callable[[Sequence[str]], Vectors]
    ) -> dict[bytes, array[float]]:
        try:
            vectors = ask(tuple(wanted.values()))
            new = {k: array("d", v) for k, v in zip(wanted, vectors, strict=True)}
            with self._lock:
                self._keep(new)
            return new
        finally:
            with self._lock:
                events = {self._under_way.pop(key) for key in wanted}
            for event in events:
                event.set()

    def _keep(self, new: dict[bytes, array[float]]) -> None:
        self._known |= new
        self._size += sum(map(_bytes, new.values()))
        while self._size > self._limit:
            self._size -= _bytes(self._known.pop(next(iter(self._known))))


def _key(model: str, text: str) -> bytes:
    """What stands for *text*, which may be long. Pure."""
    both = f"{len(model)} {model} {text}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(both, digest_size=16).digest()


def _bytes(vector: array[float]) -> int:
    return len(vector) * vector.itemsize
