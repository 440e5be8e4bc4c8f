"""Tool servers that run as processes and speak MCP, behind a face without asyncio.

All of them live on one event loop, in one thread of its own, which starts with the first of them.
Callers wait in their own threads, with a clock and a flag in hand: whatever a server does or does
not do, a wait ends.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import Future
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from finetune_fsm.errors import Cancelled, MissingExtra, ToolError
from finetune_fsm.llm.base import Stop, Tool
from finetune_fsm.llm.deadlines import POLL, Running
from finetune_fsm.sinks import one_line, visible
from finetune_fsm.tools.launch import Launch
from finetune_fsm.tools.model import Offer, ToolResult, ToolServer
from finetune_fsm.tools.pipes import Wire, wired
from finetune_fsm.tools.results import PARTS, joined, left_out

if TYPE_CHECKING:
    import mcp_types
    from mcp.client.session import ClientRequestContext, ClientSession

T = TypeVar("T")

TOOLS = 200
"""Tools of one server that are looked at."""

DESCRIPTION = 2000
"""Characters of a tool's description."""

SCHEMA = 20_000
"""Characters of a tool's schema; a longer one is as good as none for a model."""

_PAGES = 50  # of a list of tools
_LEAVING = 8.0  # seconds that a server's end may take us; its guard goes on without us


class McpServer:
    """A tool server in a process of its own; made by `start`."""

    def __init__(self, launch: Launch, root: Path) -> None:
        self._launch = launch
        self._root = root
        self._ready: Future[tuple[Offer, ...]] = Future()
        self._ending: asyncio.Event | None = None
        self._session: ClientSession | None = None
        self._wire: Wire | None = None
        self._offers: tuple[Offer, ...] = ()
        self._life = _submit(self._live())

    @classmethod
    def start(cls, launch: Launch, root: Path, *, stop: Stop | None = None) -> McpServer:
        """Return a server that runs and has listed its tools.

        Args:
            launch: How it is started.
            root: The folder that it is given when it asks which it may use.
            stop: Ends the wait.

        Raises:
            ToolError: it cannot be started, or does not list its tools in time.
            MissingExtra: the library that speaks to it is not installed.
            Cancelled: *stop* was asked for.
        """
        _demand_library()
        server = cls(launch, root)
        try:
            server._offers = _result(server._ready, launch.start_seconds, stop)
        except TimeoutError:
            server._abandon()
            seconds = f"{launch.start_seconds:g} seconds"
            raise ToolError(f"it has not listed its tools after {seconds}") from None
        except BaseException:
            server._abandon()
            raise
        return server

    @property
    def offers(self) -> tuple[Offer, ...]:
        """Its tools, in its own order."""
        return self._offers

    def call(
        self, name: str, arguments: Mapping[str, object], *, stop: Stop | None = None
    ) -> ToolResult:
        """Return what its tool *name* answers; see `ToolServer`."""
        answer = _submit(self._call(name, dict(arguments)))
        try:
            return _result(answer, self._launch.call_seconds, stop)
        except TimeoutError:
            self._abandon()
            seconds = f"{self._launch.call_seconds:g} seconds"
            raise ToolError(f"it has not answered after {seconds}") from None
        except Cancelled:
            answer.cancel()
            self._abandon()
            raise

    def close(self) -> None:
        """End it: within a second when it is willing, else by force."""
        self._abandon()
        concurrent.futures.wait([self._life], timeout=_LEAVING)

    def _abandon(self) -> None:
        """Let it be ended, and wait for nothing."""
        _loop().call_soon_threadsafe(self._leave)

    def _leave(self) -> None:
        if self._ending is None:
            self._life.cancel()
        else:
            self._ending.set()

    async def _live(self) -> None:
        """Hold the process and the session open until `_ending`, or until it dies at the start."""
        from mcp.client.session import ClientSession

        self._ending = asyncio.Event()
        try:
            async with wired(self._launch) as self._wire:
                session = ClientSession(
                    self._wire.incoming,
                    self._wire.outgoing,
                    list_roots_callback=self._roots,
                    message_handler=_ignore,
                    client_info=_who(),
                )
                async with session:
                    beginning = asyncio.create_task(self._begin(session))
                    leaving = asyncio.create_task(self._ending.wait())
                    await asyncio.wait((beginning, leaving), return_when=asyncio.FIRST_COMPLETED)
                    if beginning.done():
                        self._session = session
                        self._ready.set_result(beginning.result())
                    beginning.cancel()
                    await leaving
        except Exception as error:  # noqa: BLE001  # whatever the library raises is the server's doing
            if not self._ready.done():
                self._ready.set_exception(ToolError(self._obituary(error)))

    async def _begin(self, session: ClientSession) -> tuple[Offer, ...]:
        await session.initialize()
        return await _listed(session)

    async def _call(self, name: str, arguments: dict[str, Any]) -> ToolResult:
        import mcp_types

        if self._session is None or self._wire is None:
            raise ToolError("it does not run")
        self._wire.unanswered = 0
        params = mcp_types.CallToolRequestParams(name=name, arguments=arguments)
        try:
            # not call_tool(): that holds the answer against the server's schema, patterns and all,
            # on the loop that every other server shares
            found = await self._session.send_request(
                mcp_types.CallToolRequest(params=params), mcp_types.CallToolResult
            )
        except Exception as error:
            if _is_answer(error):
                return ToolResult(joined([str(error)]), failed=True)
            raise ToolError(self._obituary(error)) from error
        return ToolResult(joined(_texts(found)), failed=bool(found.is_error))

    async def _roots(self, context: ClientRequestContext) -> mcp_types.ListRootsResult:
        import mcp_types

        del context
        root = mcp_types.Root(uri=self._root.absolute().as_uri(), name="run directory")  # type: ignore[arg-type]  # text becomes an address
        return mcp_types.ListRootsResult(roots=[root])

    def _obituary(self, error: BaseException) -> str:
        """What became of the server: its own end, if it came to one, else what was said of it."""
        if self._wire is None:
            why = error.strerror if isinstance(error, OSError) else str(error)
            return f"it cannot be started: {one_line(why or type(error).__name__)}"
        if self._wire.gave_up or _is_closed(error):
            return f"it {self._wire.end}"
        return f"it answered with nonsense: {one_line(_first(error))}"


def _demand_library() -> None:
    try:
        import mcp.client.session  # noqa: F401  # slow, so once, and not on the loop
    except ImportError as error:
        raise MissingExtra("mcp", "using tool servers (mcp_servers)") from error
    for name in ("client", "mcp"):  # it logs every oddity of a server with a traceback
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


_ONE = threading.Lock()


def _loop() -> asyncio.AbstractEventLoop:
    """The one event loop, running."""
    with _ONE:
        return _made_loop()


@cache
def _made_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()  # its thread is a daemon: servers have guards of their own
    threading.Thread(target=loop.run_forever, name="tool-servers", daemon=True).start()
    return loop


def _submit(work: Coroutine[Any, Any, T]) -> Future[T]:
    return asyncio.run_coroutine_threadsafe(work, _loop())


def _result(answer: Future[T], seconds: float, stop: Stop | None) -> T:
    """Wait for *answer*; raises TimeoutError after so many *seconds* of ours."""
    ran = Running()
    while True:
        if stop:
            stop.check()
        done, _ = concurrent.futures.wait([answer], timeout=POLL)
        if done:
            return answer.result()
        if ran() > seconds:
            answer.cancel()
            raise TimeoutError


async def _listed(session: ClientSession) -> tuple[Offer, ...]:
    import mcp_types

    found: list[Offer] = []
    cursor: str | None = None
    for _ in range(_PAGES):
        params = mcp_types.PaginatedRequestParams(cursor=cursor) if cursor else None
        request = mcp_types.ListToolsRequest(params=params)
        page = await session.send_request(request, mcp_types.ListToolsResult)
        found += (_offer(tool) for tool in page.tools)
        cursor = page.next_cursor
        if not cursor or len(found) >= TOOLS:
            break
    return tuple(found[:TOOLS])


def _offer(tool: mcp_types.Tool) -> Offer:
    from finetune_fsm.codec import canonical

    schema: Mapping[str, object] = tool.input_schema
    hints = tool.annotations
    harmless = bool(hints and (hints.read_only_hint or hints.idempotent_hint))
    known = schema if len(canonical(schema)) <= SCHEMA else {"type": "object"}
    description = visible(tool.description or "", limit=DESCRIPTION)
    return Offer(Tool(tool.name, description, known), harmless)


def _texts(found: mcp_types.CallToolResult) -> Sequence[str]:
    from finetune_fsm.codec import canonical

    if not found.content and found.structured_content is not None:
        return [canonical(found.structured_content)]
    return [_text(part) for part in found.content[:PARTS]]


def _text(part: mcp_types.ContentBlock) -> str:
    import mcp_types

    match part:
        case mcp_types.TextContent():
            return part.text
        case mcp_types.ImageContent():
            return left_out("a picture", part.mime_type, len(part.data))
        case mcp_types.AudioContent():
            return left_out("a sound", part.mime_type, len(part.data))
        case mcp_types.EmbeddedResource():
            return _held(part.resource)
        case mcp_types.ResourceLink():
            return f"[{part.name}: {part.uri}]"


def _held(resource: mcp_types.TextResourceContents | mcp_types.BlobResourceContents) -> str:
    import mcp_types

    if isinstance(resource, mcp_types.TextResourceContents):
        return resource.text
    return left_out("a file", resource.mime_type or "unknown", len(resource.blob))


async def _ignore(message: object) -> None:
    """Do nothing: what is no answer changes nothing here."""


def _who() -> mcp_types.Implementation:
    import mcp_types

    from finetune_fsm import __version__

    return mcp_types.Implementation(name="finetune-fsm", version=__version__)


def _is_answer(error: Exception) -> bool:
    """Whether the server answered, with an error: of the call, not of itself."""
    from mcp.shared.exceptions import MCPError

    return isinstance(error, MCPError) and not _is_closed(error)


def _is_closed(error: BaseException) -> bool:
    from mcp.shared.exceptions import MCPError
    from mcp_types import CONNECTION_CLOSED

    inner = _innermost(error)
    if isinstance(inner, MCPError):
        return inner.code == CONNECTION_CLOSED
    return isinstance(inner, OSError | EOFError) or "Closed" in type(inner).__name__


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _first(error: BaseException) -> str:
    lines = str(_innermost(error)).strip().splitlines()
    return lines[0] if lines else type(_innermost(error)).__name__


_: type[ToolServer] = McpServer  # the protocol is kept, and mypy says so
