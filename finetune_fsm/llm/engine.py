"""The embedded engine's process: started, spoken to through a private socket, never orphaned."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from finetune_fsm.errors import LLMError, LLMErrorKind
from finetune_fsm.llm.base import Stop
from finetune_fsm.llm.deadlines import POLL, Running, Timeouts
from finetune_fsm.llm.transport import client_settings
from finetune_fsm.sinks import one_line

if TYPE_CHECKING:
    import httpx

# The file and not the module's name: the parent may know the package by a path of its own.
COMMAND = (sys.executable, "-P", str(Path(__file__).with_name("llamacpp_child.py")))

LOAD_SECONDS = 180.0
"""Time that loading may take; 1 GB from a slow disk takes a minute."""

# Threads that wait for each other must not spin: on two processors that others use too, measured,
# a spinning engine writes 0.5 tokens a second and a sleeping one 5 to 12.
_WAITING = {"OMP_WAIT_POLICY": "passive"}

_SOCKET_PATH = 100  # bytes of a Unix socket's path that every system takes
_TAIL = 4000  # bytes read of the engine's last words


class Pooling(StrEnum):
    """How the vectors of a text's tokens become one."""

    NONE = ""
    MEAN = "mean"
    OWN = "own"  # as the file of an embedding model says


@dataclass(frozen=True, slots=True)
class Settings:
    """What the engine is started with.

    Attributes:
        path: The weights.
        n_ctx: Tokens of context of each slot.
        slots: Requests served side by side.
        threads: Of the processor.
        pooling: How it makes vectors of texts, if that is what it is for.
    """

    path: Path
    n_ctx: int
    slots: int
    threads: int
    pooling: Pooling = Pooling.NONE


class Engine:
    """One running process; made by `start`. It dies with `kill`, with this object, or with us.

    Attributes:
        key: What it wants to see as bearer token.
        pid: Its number.
    """

    def __init__(self, settings: Settings, command: Sequence[str]) -> None:
        self.key = secrets.token_urlsafe(24)
        self._folder = _private_folder()
        self._log = self._folder / "log"
        self._host = str(self._folder / "engine.sock") if os.name == "posix" else "127.0.0.1"
        self._address = ""
        try:
            self._process = self._spawn(command)
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        self.pid = self._process.pid
        self._end = weakref.finalize(self, _kill, self._process, self._folder, os.getpid())
        self._tell(settings)

    @classmethod
    def start(
        cls,
        settings: Settings,
        *,
        command: Sequence[str] = COMMAND,
        seconds: float = LOAD_SECONDS,
        stops: Sequence[Stop] = (),
    ) -> Engine:
        """Return an engine that has loaded its weights.

        Raises:
            LLMError: it cannot load them (`MISSING_MODEL`), died (`SERVER`), or takes longer than
                *seconds* (`TIMEOUT_TOTAL`).
            Cancelled: one of *stops* was asked for.
        """
        engine = cls(settings, command)
        try:
            engine._wait(settings, seconds, stops)
        except BaseException:
            engine.kill()
            raise
        return engine

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def died(self, within: float = 1.0) -> bool:
        """Whether the process ends in the next *within* seconds: its sockets close a bit before."""
        try:
            self._process.wait(within)
        except subprocess.TimeoutExpired:
            return False
        return True

    def obituary(self) -> LLMError:
        """The error of an engine that died, with how and its last words."""
        code = self._process.poll()
        how = f"code {code}" if code is None or code >= 0 else _signal_name(-code)
        words = self._last_words()
        said = f": {words}" if words else ""
        hint = "perhaps memory ran out: end other programs, or take smaller weights"
        return LLMError(LLMErrorKind.SERVER, f"the embedded engine died ({how}){said}", hint=hint)

    def client(self, timeouts: Timeouts) -> tuple[str, httpx.Client]:
        """Return the base address of its protocol and a session that leads there."""
        import httpx

        base = "http://localhost" if self._address.startswith("unix:") else self._address
        settings = client_settings(base, timeouts)
        if self._address.startswith("unix:"):
            limits = httpx.Limits(max_keepalive_connections=0)
            settings["transport"] = httpx.HTTPTransport(uds=self._host, limits=limits)
        return f"{base}/v1", httpx.Client(**settings)  # type: ignore[arg-type]  # right kinds

    def kill(self) -> None:
        """End the process now; twice is harmless."""
        self._end()

    def _spawn(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        # A session of its own: Ctrl-C at the terminal is for us, and we break calls off in order.
        with self._log.open("wb") as log:
            return subprocess.Popen(
                list(command),
                env=_WAITING | os.environ,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )

    def _tell(self, settings: Settings) -> None:
        said = {
            "path": str(settings.path),
            "host": self._host,
            "folder": str(self._folder),
            "key": self.key,  # not an argument: anybody may list those
            "n_ctx": settings.n_ctx,
            "slots": settings.slots,
            "threads": settings.threads,
            "pooling": settings.pooling,
        }
        assert self._process.stdin is not None  # noqa: S101  # it was asked for above
        # Left open: its end is how the process learns that we are gone.
        with suppress(BrokenPipeError):  # died already, as `_wait` will find
            self._process.stdin.write(json.dumps(said).encode("ascii") + b"\n")
            self._process.stdin.flush()

    def _wait(self, settings: Settings, seconds: float, stops: Sequence[Stop]) -> None:
        answer: list[bytes] = []
        stdout = self._process.stdout
        assert stdout is not None  # noqa: S101  # it was asked for above
        reader = threading.Thread(target=lambda: answer.append(stdout.readline()), daemon=True)
        reader.start()
        ran = Running()
        while reader.is_alive():
            for stop in stops:
                stop.check()
            if ran() > seconds:
                message = f"the embedded engine was not ready after {seconds:g} s"
                hint = "take smaller weights, or a smaller context"
                raise LLMError(LLMErrorKind.TIMEOUT_TOTAL, message, hint=hint)
            reader.join(POLL)
        said = _object(answer[0])
        if "error" in said:
            raise self._refusal(settings, str(said["error"]))
        if not said:
            self.died()
            raise self.obituary()
        self._address = str(said["address"])

    def _refusal(self, settings: Settings, error: str) -> LLMError:
        self.died()
        words = self._last_words(mark="error loading model:")
        return LLMError(
            LLMErrorKind.MISSING_MODEL,
            f"the embedded engine cannot load {settings.path}: {words or one_line(error)}",
            hint="the file may be torn or of another kind: fetch it again, "
            "or name another one with --llm llamacpp:FILE",
        )

    def _last_words(self, *, mark: str = "") -> str:
        """Return the end of its log; the first line with *mark* when there is one."""
        try:
            with self._log.open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL))
                text = log.read().decode("utf-8", "replace").strip()
        except OSError:
            return ""
        for line in text.splitlines() if mark else ():
            if mark in line:
                return one_line(line.partition(mark)[2])
        return one_line(text[-300:], limit=300)


def _private_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="agentmech-"))  # for this user only
    if len(os.fsencode(folder / "engine.sock")) > _SOCKET_PATH:
        folder.rmdir()
        folder = Path(tempfile.mkdtemp(prefix="agentmech-", dir="/tmp"))  # for this user only, too
    return folder


def _kill(process: subprocess.Popen[bytes], folder: Path, owner: int) -> None:
    if os.getpid() != owner:
        return  # a fork of us ends, not we
    with suppress(OSError):
        if sys.platform == "win32":
            process.kill()
        elif process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(OSError):
                stream.close()
    shutil.rmtree(folder, ignore_errors=True)


def _object(line: bytes) -> Mapping[str, object]:
    try:
        value = json.loads(line)
    except ValueError:
        return {}
    return value if isinstance(value, dict) and value.keys() & {"address", "error"} else {}


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
