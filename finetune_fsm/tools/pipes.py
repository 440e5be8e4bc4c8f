"""A tool server's process and the messages that go through its pipes.

The server's side is trusted with nothing: a message has a limit, so does their number between two
answers, what is no message is counted, and what it says to standard error is kept short.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from loguru import logger

from finetune_fsm.sinks import one_line
from finetune_fsm.tools.launch import Launch

if TYPE_CHECKING:
    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
    from mcp.shared.message import SessionMessage

    Incoming = MemoryObjectReceiveStream[SessionMessage | Exception]
    Outgoing = MemoryObjectSendStream[SessionMessage]

MESSAGE = 8_000_000
"""Bytes of one message at most."""

GARBAGE = 1000
"""Lines that are no messages, such as greetings, before a server is given up."""

FLOOD = 20_000
"""Messages between two of ours before a server is given up."""

LOGGED = 200
"""Lines of a server's standard error that go to the log."""

LEAVE = 1.0
"""Seconds that a server has to end by itself when its standard input has ended."""

_TAIL = 2000  # characters kept of a server's last words


@dataclass(slots=True)
class Wire:
    """A running server, as far as one can see it from here.

    Attributes:
        incoming: Its messages; ends when it does.
        outgoing: Takes ours.
        process: The guard, which ends with the server's code.
        gave_up: Why we listen no more, or empty.
        words: The end of what it said to standard error.
        unanswered: Messages of its own since our last.
    """

    incoming: Incoming
    outgoing: Outgoing
    process: asyncio.subprocess.Process
    gave_up: str = ""
    words: str = ""
    unanswered: int = 0

    @property
    def end(self) -> str:
        """How it ended, as a sentence without its subject, for people."""
        if self.gave_up:
            return self.gave_up
        code = self.process.returncode
        how = "ended" if code is None else f"ended with code {code}"
        return f"{how}: {one_line(self.words[-300:], limit=300)}" if self.words.strip() else how


def command_of(launch: Launch, lifeline: int) -> Sequence[str]:
    """Return what is really started: our guard, which starts the server, where there are groups."""
    guard = str(Path(__file__).with_name("guard.py"))
    if os.name != "posix":
        return launch.command
    return (sys.executable, "-I", "-S", guard, str(lifeline), *launch.command)


@asynccontextmanager
async def wired(launch: Launch) -> AsyncIterator[Wire]:
    """Start the server and carry messages while the block runs; then it is ended.

    Raises:
        OSError: it cannot be started.
    """
    import anyio
    from mcp.shared.message import SessionMessage

    read, write = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            *command_of(launch, read),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=dict(launch.env),
            cwd=launch.folder,
            limit=MESSAGE,
            start_new_session=True,  # Ctrl+C at the terminal is for us
            pass_fds=(read,) if os.name == "posix" else (),
        )
    except BaseException:
        os.close(write)
        raise
    finally:
        os.close(read)
    inbox, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    outgoing, outbox = anyio.create_memory_object_stream[SessionMessage](0)
    wire = Wire(incoming, outgoing, process)
    tasks = [
        asyncio.create_task(_hear(wire, inbox)),
        asyncio.create_task(_say(wire, outbox)),
        asyncio.create_task(_overhear(wire, launch.name)),
    ]
    try:
        yield wire
    finally:
        await _ended(process, write)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for stream in (inbox, incoming, outgoing, outbox):
            stream.close()


async def _ended(process: asyncio.subprocess.Process, lifeline: int) -> None:
    """End the server: its input ends, then it is asked, then made to; the guard does the rest."""
    try:
        if process.stdin:
            process.stdin.close()
        with suppress(TimeoutError):
            await asyncio.wait_for(_exited(process), LEAVE)
    finally:
        os.close(lifeline)  # at the latest now, and when we die
    if os.name != "posix" and process.returncode is None:
        process.kill()
    with suppress(TimeoutError):
        await asyncio.wait_for(_exited(process), LEAVE + 4)


async def _exited(process: asyncio.subprocess.Process) -> None:
    """Wait for the process alone: `Process.wait` waits for its pipes too, which others may hold."""
    while process.returncode is None:  # noqa: ASYNC110  # there is no such event
        await asyncio.sleep(0.01)


async def _hear(wire: Wire, inbox: MemoryObjectSendStream[SessionMessage | Exception]) -> None:
    """Hand on what the server sends until it ends or goes too far."""
    from mcp.shared.message import SessionMessage
    from mcp_types import JSONRPCNotification, jsonrpc_message_adapter

    stdout = wire.process.stdout
    assert stdout is not None  # noqa: S101  # it was asked for
    garbage = 0
    async with inbox:
        while not wire.gave_up:
            try:
                line = await stdout.readuntil(b"\n")
            except asyncio.IncompleteReadError:
                return
            except asyncio.LimitOverrunError:
                wire.gave_up = f"sent a message of more than {MESSAGE // 1_000_000} MB"
                return
            try:
                message = jsonrpc_message_adapter.validate_json(line, by_name=False)
            except ValueError:
                garbage += 1
                if garbage > GARBAGE:
                    wire.gave_up = "wrote what is no message of the protocol, and did not stop"
                continue
            wire.unanswered += 1
            if wire.unanswered > FLOOD:
                wire.gave_up = f"sent {FLOOD} messages that nobody asked for"
                return
            if not isinstance(message, JSONRPCNotification):  # nothing here changes with one
                await inbox.send(SessionMessage(message))


async def _say(wire: Wire, outbox: MemoryObjectReceiveStream[SessionMessage]) -> None:
    """Send what the session wants sent."""
    stdin = wire.process.stdin
    assert stdin is not None  # noqa: S101  # it was asked for
    async with outbox:
        async for item in outbox:
            text = item.message.model_dump_json(by_alias=True, exclude_unset=True)
            with suppress(OSError):  # it died, as `_hear` finds out
                stdin.write(text.encode("utf-8", "replace") + b"\n")
                await stdin.drain()


async def _overhear(wire: Wire, name: str) -> None:
    """Keep the end of what the server says to standard error; the first lines go to the log."""
    stderr = wire.process.stderr
    assert stderr is not None  # noqa: S101  # it was asked for
    told = 0
    while chunk := await stderr.read(65_536):
        text = chunk.decode("utf-8", "replace")
        wire.words = (wire.words + text)[-_TAIL:]
        for line in text.splitlines()[: max(0, LOGGED - told)]:
            told += 1
            logger.debug("Tool server {}: {}", name, one_line(line, limit=500))
