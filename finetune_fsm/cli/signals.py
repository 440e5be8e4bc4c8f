"""Ctrl+C in two stages: the main thread only waits, so that it can answer at once.

The first signal raises the flag that every wait looks at, and the work comes to its own end with
the best so far. The second ends the process on the spot; so does the first of SIGTERM or SIGHUP
after `GRACE` seconds. An engine in a child process is closed in either case.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn, Protocol, TypeVar

from finetune_fsm.errors import Cancelled, ExitCode, LLMError
from finetune_fsm.llm.base import Stop

GRACE = 10.0
"""Seconds from SIGTERM or SIGHUP to the hard end."""

CLOSING = 0.3
"""Seconds that closing the model may take at the hard end."""

MESSAGE = "\nfinishing this step; Ctrl+C again stops now\n"

_CODES = {
    name: code
    for name, code in (
        ("SIGINT", ExitCode.INTERRUPTED),
        ("SIGTERM", ExitCode.TERMINATED),
        ("SIGHUP", ExitCode.HANGUP),
    )
    if hasattr(signal, name)
}


class Closable(Protocol):
    """Something that must not outlive the process."""

    def close(self) -> None:
        """Let go of it; twice is harmless."""
        ...


_T = TypeVar("_T", bound=Closable)


class Job:
    """A piece of work that can be stopped.

    Attributes:
        stop: The flag that the work looks at.
        farewell: The last words when the process is ended on the spot.
    """

    def __init__(self) -> None:
        self.stop = Stop()
        self.farewell = ""
        self._held: list[Closable] = []
        self._signal: ExitCode | None = None
        self._since = 0.0

    def hold(self, thing: _T) -> _T:
        """Return *thing*, which is closed at the end, whichever that is."""
        self._held.append(thing)
        return thing

    def close(self) -> None:
        """Close everything held, the last first."""
        while self._held:
            self._held.pop().close()

    @property
    def signalled(self) -> ExitCode | None:
        """The exit code of the signal that came, or None."""
        return self._signal

    def interrupt(self, code: ExitCode) -> None:
        """Ask for a stop; asked again, end the process now."""
        if self._signal is not None:
            self._end()
        self._signal, self._since = code, time.monotonic()
        self.stop.ask()
        with suppress(OSError):
            os.write(2, MESSAGE.encode())  # the handler must not wait for a stream's lock

    def check_grace(self) -> None:
        """End the process when it was told to terminate and takes too long."""
        late = time.monotonic() - self._since > GRACE
        if self._signal in (ExitCode.TERMINATED, ExitCode.HANGUP) and late:
            self._end()

    def _end(self) -> NoReturn:
        closing = threading.Thread(target=self.close, daemon=True)
        closing.start()
        closing.join(CLOSING)
        with suppress(OSError):
            os.write(2, self.farewell.encode())
        os._exit(self._signal or ExitCode.INTERRUPTED)


def supervised(work: Callable[[Job], ExitCode]) -> ExitCode:
    """Do *work* in a thread of its own and return its exit code, or that of the signal that came.

    Raises:
        Exception: whatever *work* raises and no signal explains.
    """
    job = Job()
    worker = _Worker(work, job)
    with _handlers(job):
        worker.start()
        while not worker.done.wait(0.1):
            job.check_grace()
    # A model that is cut off by a stop may call it an error; the stop is what happened.
    stopped = job.signalled is not None and isinstance(worker.error, Cancelled | LLMError)
    if worker.error is not None and not stopped:
        raise worker.error
    return job.signalled or worker.code


class _Worker(threading.Thread):
    """Does the work and keeps what came of it."""

    def __init__(self, work: Callable[[Job], ExitCode], job: Job) -> None:
        super().__init__(daemon=True, name="work")
        self.done = threading.Event()
        self.code = ExitCode.BUG
        self.error: BaseException | None = None
        self._work = work
        self._job = job

    def run(self) -> None:
        try:
            self.code = self._work(self._job)
        except BaseException as error:  # noqa: BLE001  # raised again in the main thread
            self.error = error
        finally:
            try:
                self._job.close()
            finally:
                self.done.set()


@contextmanager
def _handlers(job: Job) -> Iterator[None]:
    """Let signals reach *job* while the block runs; elsewhere than in the main thread, nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {}
    try:
        for name, code in _CODES.items():
            number = getattr(signal, name)
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup means what it says
                before[number] = signal.signal(number, lambda *_, c=code: job.interrupt(c))
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
