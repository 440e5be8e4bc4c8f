"""A Dask cluster, as much of it as calls to models need.

All talk with Dask happens on one thread with an event loop, which the first use starts. Callers
wait for it in slices, so a stop is heard within 0.1 s whatever the network does. A task runs where
the caller says and nowhere else: Dask would run a lost task again by itself, and so send a request
twice without asking. That a worker is gone is seen by looking who is there, once in a second.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import wait
from typing import TYPE_CHECKING, ParamSpec, TypeVar
from uuid import uuid4

from finetune_fsm.errors import Cancelled, LLMError, LLMErrorKind, UsageError
from finetune_fsm.llm.base import Stop
from finetune_fsm.llm.dask_client import LoopThread, client_of, leave, log
from finetune_fsm.llm.deadlines import POLL
from finetune_fsm.sinks import one_line

if TYPE_CHECKING:
    from distributed import Client

T = TypeVar("T")
P = ParamSpec("P")

DEFAULT_PORT = 8786

_BATCH = 0.001  # seconds that messages are gathered; Dask's own 10 ms would be on every call

_LOOK = 1.0  # seconds between two looks at who is there
_INSTALL = "install the same finetune-fsm, with its extra 'dask', where scheduler and workers run"


class Gone(LLMError):
    """A worker went, or the scheduler did, with a call under way."""


class Cluster:
    """The way to a scheduler and its workers; safe to use from many threads.

    Making one touches no network.

    Args:
        host: Of the scheduler.
        port: The same.
        timeout: Seconds that the scheduler may take to connect, and to answer.
    """

    def __init__(self, host: str, port: int = DEFAULT_PORT, *, timeout: float = 10.0) -> None:
        self._host, self._port = host, port
        self._timeout = timeout
        self._lock = threading.Lock()
        self._thread: LoopThread | None = None
        self._closing = Stop()
        # What follows is changed on the loop's thread only.
        self._client: Client | None = None
        self._joining: asyncio.Task[Client] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._there: Mapping[str, int] = {}

    @property
    def address(self) -> str:
        """Of the scheduler, such as ``gpu-1:8786``."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{host}:{self._port}"

    def workers(self, stop: Stop | None = None) -> Mapping[str, int]:
        """Return the threads of each worker that takes tasks, by address; a second old at most.

        Raises:
            LLMError: the scheduler does not answer.
            Cancelled: *stop* was asked for, or `close` called by another thread.
        """
        if self._client is None:
            self._run(self._joined(), stop)
        return {address: threads for address, threads in self._there.items() if threads}

    def ask(
        self,
        worker: str,
        function: Callable[P, T],
        stop: Stop | None = None,
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Return what *function* returns on *worker*, where it runs once at most.

        Raises:
            Gone: the worker is not there any more, or the scheduler.
            LLMError: it cannot run the function.
            UsageError: the package is missing there.
            Cancelled: *stop* was asked for, or `close` called by another thread.
        """

        def check() -> None:
            if self._client is not None and worker not in self._there:
                raise self._gone(worker)

        task = self._asked(worker, function, *args, **kwargs)
        return self._run(task, stop, check)

    def close(self) -> None:
        """Leave the cluster, which goes on; what is under way is cancelled. Twice is harmless."""
        self._closing.ask()
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            leaving = asyncio.run_coroutine_threadsafe(self._leave(), thread.loop)
            wait((leaving,), self._timeout)
            thread.end(self._timeout)

    def _run(
        self,
        coroutine: Coroutine[object, object, T],
        stop: Stop | None,
        check: Callable[[], None] | None = None,
    ) -> T:
        """Wait for *coroutine* on the loop's thread, and look up from it now and then."""
        with self._lock:
            if self._closing.asked:
                coroutine.close()
                raise Cancelled
            self._thread = self._thread or LoopThread()
            handle = asyncio.run_coroutine_threadsafe(coroutine, self._thread.loop)
        try:
            while not wait((handle,), POLL).done:
                for asked in filter(None, (stop, self._closing)):
                    asked.check()
                if check:
                    check()
            self._closing.check()
            return handle.result()
        finally:
            handle.cancel()

    async def _joined(self) -> Client:
        """Dask's client, connected; those who come while it connects share one attempt."""
        if self._client is not None:
            if self._client.status == "running":
                return self._client
            await self._leave()
        if self._joining is None or self._joining.done():
            self._joining = asyncio.ensure_future(self._join())
            self._joining.add_done_callback(lambda task: task.cancelled() or task.exception())
        try:
            return await asyncio.shield(self._joining)
        except (OSError, TimeoutError) as error:
            raise self._unreachable(error) from error
        except ImportError as error:
            message = f"the Dask scheduler at {self.address} refuses: {one_line(str(error))}"
            raise UsageError(f"{message} — {_INSTALL}") from error

    async def _join(self) -> Client:
        async with asyncio.timeout(self._timeout):  # a refusal is told at once; Dask would go on
            _, knock = await asyncio.open_connection(self._host, self._port)
            knock.close()
        client = client_of(f"tcp://{self.address}", self._timeout)
        try:
            async with asyncio.timeout(self._timeout):  # its own holds for a part of it only
                await client
            if client.scheduler_comm is not None:  # it may be lost again already
                client.scheduler_comm.interval = _BATCH
            await self._look(client)
        except BaseException:
            await leave(client, self._timeout)
            raise
        self._client = client
        self._watching = asyncio.ensure_future(self._watch(client))
        return client

    async def _look(self, client: Client) -> None:
        async with asyncio.timeout(self._timeout):
            identity = await client.scheduler.identity(n_workers=-1)
        self._there = {
            address: worker["nthreads"] if worker["status"] == "running" else 0
            for address, worker in identity["workers"].items()
        }

    async def _watch(self, client: Client) -> None:
        while self._client is client:
            await asyncio.sleep(_LOOK)
            try:
                await self._look(client)
            except Exception as error:  # noqa: BLE001  # of whatever kind: it does not answer
                log(f"lost the scheduler at {self.address}: {error}")
                await self._leave()

    async def _leave(self) -> None:
        """Give Dask's client up; calls under way end as lost."""
        client, self._client = self._client, None
        self._there = {}
        watching, self._watching = self._watching, None
        if watching is not None and watching is not asyncio.current_task():
            watching.cancel()
        if client is not None:
            await leave(client, self._timeout)

    async def _asked(
        self, worker: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        from distributed.client import FutureCancelledError

        client = await self._joined()
        key = f"finetune-fsm-{uuid4().hex}"  # the same question, asked again, is another task
        future = client.submit(
            function, *args, **kwargs, key=key, workers=[worker], allow_other_workers=False
        )
        try:
            result: T = await future
        except FutureCancelledError as error:
            raise self._lost() from error
        except Exception as error:
            if future.status == "error":
                raise _unable(worker, error) from error
            raise self._lost() from error  # while the result was on its way
        else:
            return result
        finally:
            future.release()

    def _unreachable(self, error: Exception) -> LLMError:
        number = getattr(error, "errno", None) or 0
        why = getattr(error, "strerror", None) or str(error) or "no answer in time"
        if number > 0:  # asyncio's own words repeat the address
            why = os.strerror(number)
        return LLMError(
            LLMErrorKind.UNREACHABLE,
            f"no Dask scheduler answers at {self.address}: {one_line(why)}",
            hint="start one there with 'dask scheduler', and workers beside the models",
        )

    def _lost(self) -> Gone:
        message = f"the Dask scheduler at {self.address} ended the connection"
        hint = "start scheduler and workers again; a run goes on with 'agentmech resume'"
        return Gone(LLMErrorKind.UNREACHABLE, message, hint=hint)

    def _gone(self, worker: str) -> Gone:
        hint = f"start it again with 'dask worker tcp://{self.address}'"
        return Gone(LLMErrorKind.UNREACHABLE, f"the Dask worker {worker} is gone", hint=hint)


def _unable(worker: str, error: Exception) -> LLMError | UsageError:
    """The error of a task that ended with one of its own, which ours never do."""
    said = f"the Dask worker {worker} cannot ask its model: {type(error).__name__}: "
    said += one_line(str(error))
    if isinstance(error, ImportError | RuntimeError):  # a scheduler without it says RuntimeError
        return UsageError(f"{said} — {_INSTALL}")
    return LLMError(LLMErrorKind.PROTOCOL, said, hint=_INSTALL)
