"""A real Dask cluster on this machine: a scheduler and workers, each a process of its own. ::

with cluster({"OLLAMA_HOST": first.url}, {"OLLAMA_HOST": second.url}) as there:
    ...there.port, there.workers[0].kill()
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from finetune_fsm.llm.dask_cluster import Cluster

THREADS = 4

Environment = Mapping[str, str]


PROGRAM = """\
import os, sys, threading
threading.Thread(target=lambda: (sys.stdin.buffer.read(), os._exit(9)), daemon=True).start()
{prelude}
from distributed.cli.dask_{kind} import main
main()
"""
"""A scheduler or a worker that ends with whoever started it, however that came to its end."""


class Process:
    """A scheduler or a worker, in a process with a group of its own.

    Args:
        kind: ``scheduler`` or ``worker``.
        arguments: Of the command.
        env: What its environment has more than ours.
        log: Where it writes to.
        prelude: Python that runs in it first.
    """

    def __init__(
        self, kind: str, *arguments: str, env: Environment, log: Path, prelude: str = ""
    ) -> None:
        with log.open("ab") as out:
            self._popen = subprocess.Popen(
                [sys.executable, "-c", PROGRAM.format(kind=kind, prelude=prelude), *arguments],
                env={**os.environ, **env},
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def send(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._popen.pid, number)

    def kill(self) -> None:
        """End it and all that it started, and wait for that."""
        self.send(signal.SIGKILL)
        self._popen.wait(60)
        self._popen.stdin.close()

    @property
    def ended(self) -> int | None:
        """How it ended, or None while it runs."""
        return self._popen.poll()

    def wait(self, seconds: float) -> int:
        return self._popen.wait(seconds)


@dataclass
class Running:
    """Scheduler and workers; `scheduler` and `workers` are replaced when started anew."""

    port: int
    folder: Path
    scheduler: Process | None = None
    workers: list[Process] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    @property
    def executor(self) -> str:
        return f"dask://127.0.0.1:{self.port}"

    def start_scheduler(self, *, prelude: str = "") -> None:
        self.scheduler = Process(
            "scheduler",
            *("--host", "127.0.0.1", "--port", str(self.port)),
            *("--no-dashboard", "--dashboard-address", "127.0.0.1:0"),
            env={},
            log=self.folder / "scheduler.log",
            prelude=prelude,
        )

    def start_worker(
        self, env: Environment, *more: str, threads: int = THREADS, prelude: str = ""
    ) -> Process:
        worker = Process(
            "worker",
            self.address,
            *("--host", "127.0.0.1", "--nthreads", str(threads), "--no-nanny", "--no-dashboard"),
            *("--local-directory", str(self.folder), "--death-timeout", "60"),
            *more,
            env=env,
            log=self.folder / f"worker{len(self.workers)}.log",
            prelude=prelude,
        )
        self.workers.append(worker)
        return worker

    def wait_for(self, workers: int, seconds: float = 60.0) -> None:
        """Return when so many workers are there; a broken cluster is told with its last words."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with suppress(Exception):  # until the scheduler listens
                way = Cluster("127.0.0.1", self.port)
                try:
                    while time.monotonic() < end:
                        if len(way.workers()) == workers:
                            return
                        time.sleep(0.1)
                finally:
                    way.close()
            time.sleep(0.1)
        raise AssertionError(f"no {workers} workers after {seconds} s:\n{self.last_words()}")

    def last_words(self) -> str:
        """What scheduler and workers wrote last, and how those ended that did."""
        ends = [process.ended for process in (self.scheduler, *self.workers) if process]
        logs = (f"{log.name}: {log.read_text()[-2000:]}" for log in self.folder.glob("*.log"))
        return "\n".join([f"ended with {ends}", *logs])

    def stop(self) -> None:
        for process in (*self.workers, self.scheduler):
            if process is not None:
                process.kill()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


@contextmanager
def cluster(*environments: Environment, threads: int = THREADS) -> Iterator[Running]:
    """A scheduler and a worker for each of *environments*; ended whatever happens."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        running = Running(free_port(), folder)
        stack.callback(running.stop)
        running.start_scheduler()
        for env in environments:
            running.start_worker(env, threads=threads)
        running.wait_for(len(environments))
        yield running
