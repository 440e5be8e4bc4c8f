"""Dask's own client: made, kept quiet and closed, and the thread with a loop that it runs on."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from finetune_fsm.sinks import one_line

if TYPE_CHECKING:
    from distributed import Client

_TALKERS = ("distributed", "tornado")  # loggers that Dask sends to standard error


def client_of(address: str, timeout: float) -> Client:
    """Return Dask's client for the scheduler at *address*; to be awaited."""
    _quiet()
    from distributed import Client

    return Client(
        address,
        asynchronous=True,
        timeout=timeout,
        set_as_default=False,
        direct_to_workers=False,  # workers need not be reachable from here
    )


async def leave(client: Client, seconds: float) -> None:
    """Close *client*, in so many *seconds* at most and whatever state it is in."""
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(seconds):
            await client.close(seconds)


class LoopThread:
    """A thread with an event loop."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._end = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="dask-client", daemon=True)
        self._thread.start()

    def end(self, seconds: float) -> None:
        """Cancel what is left on it, and wait for its end so many *seconds* at most."""
        self.loop.call_soon_threadsafe(self._end.set)
        self._thread.join(seconds)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
            runner.run(self._end.wait())


def _quiet() -> None:
    """Send Dask's log to ours, unless the program uses Dask itself and has its own wishes."""
    if "distributed" in sys.modules:
        return
    import dask
    import distributed  # noqa: F401  # sets its log up, to standard error

    dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 GB"})  # pictures
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if name.partition(".")[0] in _TALKERS and isinstance(logger, logging.Logger):
            logger.handlers.clear()
            logger.propagate = True
    for name in _TALKERS:
        logging.getLogger(name).addHandler(_Ours())
        logging.getLogger(name).propagate = False


class _Ours(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        log(record.getMessage())


def log(text: str) -> None:
    """Log *text* of Dask's."""
    from loguru import logger

    logger.debug("Dask: {}", one_line(text))
