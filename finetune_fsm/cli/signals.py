"""Ctrl+C in two stages: the main thread only waits, so that it can answer at once.

The first signal raises the flag that every wait looks at, and the work comes to its own end with
the best so far. The second ends the process on the spot; so does SIGTERM or SIGHUP after `GRACE`
seconds. An engine in a child process is closed in either case.

Nothing here waits for a reader: a terminal that was stopped, or a pipe that is full, gets no words.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol, TypeVar

from finetune_fsm.errors import Cancelled, ExitCode, LLMError
from finetune_fsm.llm.base import Stop

GRACE = 10.0
"""Seconds from SIGTERM or SIGHUP to the hard end."""

CLOSING = 0.3
"""Seconds that closing the model may take at the hard end."""

NUDGE = 0.1
"""Seconds between two looks for a signal while a person is asked."""

MESSAGE = "\nfinishing this step; Ctrl+C again stops now\n"

_SHOW_CURSOR = "\x1b[?25h"  # a progress bar hides it

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
_A = TypeVar("_A")


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
        self._deadline: float | None = None
        self._ending = False
        self._question: tuple[Callable[[], None], threading.Event] | None = None
        self._asking = False
        self.news = threading.Event()  # something for the thread in front

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
        if self._deadline is None and code is not ExitCode.INTERRUPTED:
            self._deadline = time.monotonic() + GRACE
        if self._signal is None:
            self._signal = code
            self.stop.ask()
            _say("\n" if self._asking else MESSAGE)
            if self._asking:  # it waits for a key; nothing else would wake it
                self._asking = False
                raise KeyboardInterrupt
        elif code is not ExitCode.HANGUP:  # a shell passes on a hangup that we had from the system
            self._end()

    def in_front(self, question: Callable[[], _A]) -> _A:
        """Return what *question* returns, asked in the main thread, which has the terminal.

        Raises:
            Cancelled: a signal came meanwhile.
            Exception: whatever *question* raises.
        """
        self.stop.check()
        answers: list[_A] = []
        errors: list[BaseException] = []
        done = threading.Event()

        def ask() -> None:
            try:
                answers.append(question())
            except BaseException as error:  # noqa: BLE001  # raised again where it was asked
                errors.append(error)

        self._question = (ask, done)
        self.news.set()
        done.wait()
        if answers and not self.stop.asked:
            return answers[0]
        self.stop.check()
        raise errors[0]

    def serve(self) -> None:
        """Ask what waits to be asked; called in the main thread."""
        waiting, self._question = self._question, None
        if waiting is None:
            return
        question, done = waiting
        try:
            with suppress(KeyboardInterrupt), _nudged():  # a signal just before or just behind it
                self._asking = True
                question()
        finally:
            self._asking = False
            done.set()

    def check_grace(self) -> None:
        """End the process when it was told to terminate and takes too long."""
        if self._deadline is not None and time.monotonic() > self._deadline:
            self._end()

    def _end(self) -> None:
        if self._ending:  # whoever keeps the keys pressed must not hold it up
            return
        self._ending = True
        closing = threading.Thread(target=self.close, daemon=True)
        closing.start()
        closing.join(CLOSING)
        _say(f"{_show_cursor()}{self.farewell}")
        os._exit(self._signal or ExitCode.INTERRUPTED)


@contextmanager
def _nudged() -> Iterator[None]:
    """Wake this thread again and again while the block runs, if it is the main one.

    A signal that comes between the prompt and the wait for a key is noted, and wakes nobody: the
    handler would run after the next key only.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or sys.platform == "win32":
        yield
        return
    handler = signal.signal(signal.SIGALRM, lambda *_: None)
    timer = signal.setitimer(signal.ITIMER_REAL, NUDGE, NUDGE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *timer)
        signal.signal(signal.SIGALRM, handler)


def _say(text: str) -> None:
    """Write *text* to standard error, past its buffers and their locks, if it takes it now."""
    with suppress(OSError, ValueError):
        if sys.platform == "win32" or select.select((), (2,), (), 0)[1]:
            os.write(2, text.encode())


def _show_cursor() -> str:
    dumb = os.environ.get("TERM", "dumb") in ("dumb", "unknown")
    return "" if dumb or not os.isatty(2) else _SHOW_CURSOR


def supervised(work: Callable[[Job], ExitCode]) -> ExitCode:
    """Do *work* in a thread of its own and return its exit code, or that of the signal that came.

    Raises:
        Exception: whatever *work* raises and no signal explains.
    """
    job = Job()
    worker = _Worker(work, job)
    with _handlers(job):
        worker.start()
        while not worker.done.is_set():
            job.news.wait(0.1)
            job.news.clear()
            job.serve()
            job.check_grace()
    # A model that is cut off by a stop may call it an error, and Ctrl+C ends the reader of our
    # output too; the stop is what happened.
    excused = Cancelled | LLMError | BrokenPipeError
    stopped = job.signalled is not None and isinstance(worker.error, excused)
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
                self._job.news.set()


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
