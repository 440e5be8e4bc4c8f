"""Models on the workers of a Dask cluster, each with a server of its own.

What is distributed is the call to a model, not the rollout: a call takes seconds, and everything
else about a rollout takes less than a millisecond. So rollouts, memory of answers, budget, journal,
files and verdicts stay with the client, none of them has to be shared, and every promise of a run
on one machine holds as it is: no reply that was written down is asked for again, the budget is
exact, and what a scheduler or a worker takes along as it dies are the calls under way. One task is
one `Request`, and what comes back is a `Completion` or an error as a value.

Dask brings the connections, the workers that come and go, and the queue at each of them. Which
worker is asked, and whether a request is sent once more, is decided here, where the budget is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from typing import TypeVar

from finetune_fsm import __version__
from finetune_fsm.errors import FATAL, LLMError, LLMErrorKind, MissingExtra, UsageError
from finetune_fsm.llm.base import LLM, Completion, OnText, Request, Stop
from finetune_fsm.llm.dask_cluster import Cluster, Gone
from finetune_fsm.llm.dask_crew import Crew
from finetune_fsm.llm.dask_worker import (
    Again,
    Elsewhere,
    Failed,
    Hello,
    Missed,
    answer,
    embed,
    greet,
)
from finetune_fsm.llm.retry import with_retries
from finetune_fsm.llm.several import BROKEN, nobody
from finetune_fsm.llm.vectors import Vectors
from finetune_fsm.sinks import one_line

T = TypeVar("T")

DISTRIBUTION = "finetune-fsm"

PATIENCE = 5.0
"""Seconds that new workers are waited for when all are gone; a nanny needs two or three."""

_GREETERS = 16  # workers asked at the same time what they have; reading weights takes seconds


class DaskLLM:
    """An `LLM` whose calls are made by the workers of a cluster. Making one touches no network.

    Workers may come and go. One whose server broke is left out for a while, and its calls go to
    others. A reply arrives whole: `on_text` gets it in one piece.

    Args:
        cluster: The way there.
        spec: What each worker asks, as ``--llm`` names it, seen from there; empty for what the
            worker's own environment and machine give.
        sleep: Waits so many seconds; between two tries.
        patience: Seconds that new workers are waited for when all are gone.

    Raises:
        MissingExtra: Dask is not installed.
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        spec: str = "",
        sleep: Callable[[float], None] = time.sleep,
        patience: float = PATIENCE,
    ) -> None:
        if find_spec("distributed") is None:
            raise MissingExtra("dask", "--executor dask://HOST:PORT")
        self._cluster = cluster
        self._crew = Crew()
        self._spec = spec
        self._sleep = sleep
        self._patience = patience
        self._manned = False  # whether there was a worker ever

    @property
    def name(self) -> str:
        """What people call it."""
        return f"Dask at {self._cluster.address}"

    @property
    def slots(self) -> int:
        """How many requests it serves at the same time: the threads of all workers.

        Raises:
            LLMError: there is no scheduler, or no worker.
        """
        return sum(self._workers(None).values())

    def complete(
        self, request: Request, *, on_text: OnText | None = None, stop: Stop | None = None
    ) -> Completion:
        """Return the whole reply to *request*, of the worker with the least to do.

        Raises:
            LLMError: no usable reply after three tries, or one that no further try can cure.
            UsageError: a worker has another version of this package, or other weights.
            Cancelled: *stop* was asked for, or `close` called by another thread.
        """

        def send(worker: str, process: str) -> Completion | Missed:
            return self._cluster.ask(worker, answer, stop, process, self._spec, request)

        started = time.monotonic()
        said = self._sent(send, request.model, stop)
        if on_text:
            on_text(said.text)
        return Completion(
            said.text,
            said.prompt_tokens,
            said.completion_tokens,
            seconds=time.monotonic() - started,
            cut=said.cut,
            tool_calls=said.tool_calls,
        )

    def embed(self, model: str, texts: Sequence[str], *, stop: Stop | None = None) -> Vectors:
        """Return a vector for each of *texts*, all of the worker with the least to do.

        Raises:
            LLMError: there are none, after three tries.
            UsageError: a worker has another version of this package, or other weights.
            Cancelled: *stop* was asked for, or `close` called by another thread.
        """
        asked = tuple(texts)
        if not asked:
            return ()

        def send(worker: str, process: str) -> Vectors | Missed:
            return self._cluster.ask(worker, embed, stop, process, self._spec, model, asked)

        return self._sent(send, model, stop)

    def models(self) -> tuple[str, ...]:
        """Return the models that all workers have, sorted.

        Raises:
            LLMError: there is no worker, or none that can say.
            UsageError: a worker has another version of this package.
        """
        hellos = self._greeted(None, None)
        common = set.intersection(*(set(hello.models) for hello in hellos.values()))
        return tuple(sorted(common))

    def fingerprint(self, model: str, *, stop: Stop | None = None) -> str:
        """Return what the workers that have *model* say of its weights.

        Raises:
            LLMError: there is no worker, or none that can say.
            UsageError: two have different weights, or one another version of this package.
            Cancelled: *stop* was asked for, or `close` called by another thread.
        """
        hellos = self._greeted(model, stop)
        self._crew.settle(model)
        for worker, hello in hellos.items():
            self._crew.meet(worker, hello.process, model, hello.weights)
        return max(hello.weights for hello in hellos.values())  # one of them, or empty

    def close(self) -> None:
        """Leave the cluster, which goes on, and cancel what is under way; twice is harmless."""
        self._cluster.close()

    def _sent(self, send: Callable[[str, str], T | Missed], model: str, stop: Stop | None) -> T:
        """Return what *send*, given a worker and its process, gets out of one for *model*."""
        if stop:
            stop.check()
        worker = ""
        while True:
            ask = partial(self._ask, send, model, stop, worker)
            said, worker = with_retries(ask, stop=stop, sleep=self._sleep)
            if not isinstance(said, Again):
                return said
            if stop:
                stop.again()

    def _ask(
        self, send: Callable[[str, str], T | Missed], model: str, stop: Stop | None, before: str
    ) -> tuple[T | Again, str]:
        """Have it sent once, by the worker *before* if it is there, and say by whom."""
        there = self._workers(stop, patience=self._patience if self._manned else 0.0)
        worker = self._crew.take(there, again=before)
        try:
            process = self._known(worker, model, stop)
            outcome = send(worker, process)
        except Gone:
            self._crew.forget(worker)
            raise
        finally:
            self._crew.leave(worker)
        if isinstance(outcome, Failed):
            raise self._learned(worker, outcome)
        if isinstance(outcome, Elsewhere):
            self._crew.forget(worker)
            raise Gone(LLMErrorKind.UNREACHABLE, f"the Dask worker {worker} was started anew")
        self._crew.answered(worker)
        return outcome, worker

    def _known(self, worker: str, model: str, stop: Stop | None) -> str:
        """The process behind *worker*, whose weights of *model* are the right ones."""
        process = self._crew.process(worker, model)
        if not process:
            hello = self._greet(worker, model, stop)
            if hello.failed:
                raise self._learned(worker, hello.failed)
            self._crew.meet(worker, hello.process, model, hello.weights)
            process = hello.process
        return process

    def _greeted(self, model: str | None, stop: Stop | None) -> dict[str, Hello]:
        """What the workers say, by address, those that cannot left out; one at least."""
        there = sorted(self._workers(stop))

        def ask(worker: str) -> Hello | LLMError:
            try:
                hello = self._greet(worker, model, stop)
            except Gone as gone:
                return gone
            return self._learned(worker, hello.failed) if hello.failed else hello

        with ThreadPoolExecutor(min(len(there), _GREETERS)) as pool:
            answers = dict(zip(there, pool.map(ask, there), strict=True))
        hellos = {worker: said for worker, said in answers.items() if isinstance(said, Hello)}
        if not hellos:
            raise nobody([(w, said) for w, said in answers.items() if isinstance(said, LLMError)])
        return hellos

    def _greet(self, worker: str, model: str | None, stop: Stop | None) -> Hello:
        # A worker that cannot load a function ends, so the first comes with Python itself.
        theirs = self._cluster.ask(worker, version, stop, DISTRIBUTION)
        if theirs != __version__:
            raise UsageError(
                f"the Dask worker {worker} has finetune-fsm {one_line(theirs)}, and this is "
                f"{__version__} — install the same version on all"
            )
        return self._cluster.ask(worker, greet, stop, self._spec, model)

    def _workers(self, stop: Stop | None, *, patience: float = 0.0) -> dict[str, int]:
        """The threads of the workers, one at least; waits for one if there was one before."""
        end = time.monotonic() + patience
        while not (there := dict(self._cluster.workers(stop))):
            if time.monotonic() >= end:
                raise self._deserted()
            if stop:
                stop.check()
            time.sleep(0.1)
        self._manned = True
        return there

    def _deserted(self) -> LLMError:
        address = self._cluster.address
        return LLMError(
            LLMErrorKind.UNREACHABLE,
            f"the Dask scheduler at {address} has no workers",
            hint=f"start one on each machine with a model: dask worker tcp://{address} "
            "--nthreads N, with N the requests that its server takes at once",
        )

    def _learned(self, worker: str, failed: Failed) -> LLMError:
        """The error that *failed* is, after taking note of what it says of *worker*."""
        message = failed.message
        if failed.kind in BROKEN:
            self._crew.broke(worker, at_least=failed.retry_after or 0.0)
        if failed.kind in FATAL:  # others speak of the question, and are the same everywhere
            message = f"{message} (Dask worker {worker})"
        return LLMError(failed.kind, message, hint=failed.hint, retry_after=failed.retry_after)


_: type[LLM] = DaskLLM  # the protocol is kept, and mypy says so
