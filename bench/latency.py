"""A model server in a process of its own that takes its time, and says when it was at work.

It speaks Ollama's wire format. Every reply takes the same number of seconds, so many at a time;
more wait for their turn, as they do at a real server.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Self

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from crash.guests import digest_of, reply
from wire import Act, Call, chat, ollama, page

Reply = Callable[[str, bool], str]
"""Says something to a prompt; the flag is whether it is sampled."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a server saw.

    Attributes:
        questions: A digest of each, in the order in which they came.
        spans: When it was at work on each, in seconds of the monotonic clock.
    """

    questions: tuple[str, ...]
    spans: tuple[tuple[float, float], ...]

    @property
    def makespan(self) -> float:
        """Seconds from the first question to the last answer."""
        return max(end for _, end in self.spans) - min(start for start, _ in self.spans)

    @property
    def busy(self) -> float:
        """Seconds with at least one question at work."""
        total, until = 0.0, 0.0
        for start, end in sorted(self.spans):
            total += max(0.0, end - max(start, until))
            until = max(until, end)
        return total


class SlowModel:
    """The server, until its ``with`` block ends.

    Args:
        seconds: For a reply.
        slots: Replies at work at the same time.
        says: What it replies.
    """

    def __init__(self, *, seconds: float, slots: int = 8, says: Reply | None = None) -> None:
        context = multiprocessing.get_context("fork")
        mine, its = context.Pipe()
        arguments = (mine, its, seconds, slots, says or _by_rote)
        self._process = context.Process(target=_serve, args=arguments, daemon=True)
        self._process.start()
        its.close()
        self.url: str = mine.recv()
        self._pipe = mine

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.close()
        self._process.join(5)

    def seen(self) -> Seen:
        """Return what it saw since this was last called."""
        with urllib.request.urlopen(f"{self.url}/seen", timeout=10) as answer:  # noqa: S310  # our own
            rows: Sequence[tuple[str, float, float]] = json.load(answer)
        return Seen(tuple(row[0] for row in rows), tuple((row[1], row[2]) for row in rows))


def _by_rote(text: str, warm: bool) -> str:
    return reply(text, warm=warm)


def _serve(its: Connection, pipe: Connection, seconds: float, slots: int, says: Reply) -> None:
    its.close()  # else the end of the process that asked for us would not be noticed
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    turns = threading.BoundedSemaphore(slots)
    rows: list[tuple[str, float, float]] = []

    def answer(call: Call) -> Iterator[Act]:
        body = call.json
        warm = body["options"].get("temperature", 0) > 0
        said = chat(says(body["messages"][-1]["content"], warm))
        with turns:
            began = time.monotonic()
            if seconds:
                yield seconds
            yield from said
            rows.append((digest_of(body), began, time.monotonic()))

    def report(_: Call) -> Iterable[Act]:
        found = rows[:]
        del rows[: len(found)]
        return page(200, json.dumps(found))

    server = ollama(answer, models={"tiny": 32_768})
    server._routes["GET", "/seen"] = report  # noqa: SLF001  # a route of our own
    with server, suppress(EOFError, OSError):
        pipe.send(server.url)
        pipe.recv()  # until the other end is closed
    os._exit(0)
