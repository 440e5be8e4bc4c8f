"""The socket and its life; the only module that knows `uvicorn`."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from finetune_fsm.errors import FinetuneError, MissingExtra, UsageError
from finetune_fsm.llm.base import Stop

if TYPE_CHECKING:
    from finetune_fsm.llm.select import Chosen

HOST = "127.0.0.1"
"""The one address it listens on; there is no option for another."""

GRACE = 8.0
"""Seconds that work under way has to come to its own end."""

_SLICE = 0.1  # seconds between two looks at the stop flag
_STREAMS = 1  # seconds that open streams have to end


def serve(
    folder: Path,
    *,
    choose: Callable[[], Chosen],
    port: int,
    ready: Callable[[str], None],
    stop: Stop,
) -> None:
    """Serve the page of *folder* until *stop* is asked for; then stop what runs.

    Args:
        folder: Whose workflows and runs are shown.
        choose: Returns the model to ask; called when one is needed.
        port: Where to listen; 0 takes a free one.
        ready: Told the address, key included, once it answers.
        stop: Ends the server.

    Raises:
        MissingExtra: the packages it needs are not installed.
        UsageError: the port is taken.
    """
    try:
        import uvicorn

        from finetune_fsm.serve.app import Site
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("uvicorn", "starlette", "anyio"):
            raise
        raise MissingExtra("serve", "the page") from error
    from finetune_fsm.serve.desk import Desk
    from finetune_fsm.serve.guard import Guard
    from finetune_fsm.serve.orders import Orders
    from finetune_fsm.serve.pages import Pages
    from finetune_fsm.serve.watching import Watch
    from finetune_fsm.serve.workspace import Workspace

    with _listening(port) as listener:
        guard = Guard.new(listener.getsockname()[1])
        space, desk, watch = Workspace.at(folder), Desk(choose), Watch()
        pages, orders = Pages(space, desk, watch), Orders(space, desk, watch)
        site = Site(guard, pages, orders, lambda: stop.asked)
        server = uvicorn.Server(
            uvicorn.Config(
                site.application(),
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=_STREAMS,
            )
        )
        with _running(server, listener):
            ready(guard.url)
            while not stop.asked:
                threading.Event().wait(_SLICE)
            desk.close(GRACE)


@contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
            listener.listen(64)
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise UsageError(
                f"cannot listen on {HOST}:{port}: {why} — --port 0 takes a free one"
            ) from error
        yield listener


@contextmanager
def _running(server: Server, listener: socket.socket) -> Iterator[None]:
    """Run *server* in a thread of its own while the block does."""
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True, name="server")
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise FinetuneError("the server did not start")
        thread.join(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(GRACE)


if TYPE_CHECKING:
    from uvicorn import Server
