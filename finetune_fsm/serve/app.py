"""The addresses of the server.

Every request passes the guard before anything else looks at it. What changes something is a POST
with a form; everything else only reads.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files

from loguru import logger
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from finetune_fsm.errors import BadRun, Busy, FinetuneError, InvalidDocument, UsageError
from finetune_fsm.serve.desk import Work
from finetune_fsm.serve.frame import message
from finetune_fsm.serve.guard import Guard
from finetune_fsm.serve.markup import Markup
from finetune_fsm.serve.orders import Orders
from finetune_fsm.serve.pages import Pages
from finetune_fsm.serve.views import Changes, Look, event
from finetune_fsm.serve.wire import Guarded, Unusable, fields_of, page_answer, turned_away

LIVE = "x-agentmech"
"""Header of a request whose page stays: it is told that all went well, and no more."""

_LOOK = 0.15  # seconds between two looks at work of this server
_SLOW_LOOK = 1.5  # seconds between two looks at the disk
_PULSE = 15.0  # seconds after which a silent stream says that it is alive

STATIC: Mapping[str, str] = {
    "page.css": "text/css",
    "page.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
"""Files that are sent to anybody on this machine, by name."""

_STATUS = (
    (Busy, 409, "It is being done already"),
    (InvalidDocument, 422, "A file is wrong"),
    (UsageError, 400, "This cannot be done"),
    (BadRun, 422, "This run cannot be read"),
)


@dataclass(frozen=True, slots=True)
class Site:
    """All that the addresses lead to.

    Attributes:
        guard: Judges requests.
        pages: What is shown.
        orders: What is done.
        closing: Says whether the server is about to end, so that streams end, too.
    """

    guard: Guard
    pages: Pages
    orders: Orders
    closing: Callable[[], bool]

    def application(self) -> ASGIApp:
        """Return the whole as an ASGI application."""
        routes = [
            Route("/", self._overview),
            Route("/enter", self._enter, methods=["POST"]),
            Route("/events", self._overview_events),
            Route("/static/{name}", self._static),
            Route("/start/{what}", self._start, methods=["POST"]),
            Route("/workflow/{key:path}", self._workflow),
            Route("/job/{key}", self._work),
            Route("/job/{key}/events", self._work_events),
            Route("/job/{key}/answer", self._answer, methods=["POST"]),
            Route("/job/{key}/stop", self._stop, methods=["POST"]),
            Route("/run/{key:path}", self._run),
            Route("/run-events/{key:path}", self._run_events),
        ]
        handlers = {Unusable: _unusable, Exception: _broken}
        return Guarded(Starlette(routes=routes, exception_handlers=handlers), self.guard)

    async def _overview(self, _: Request) -> Response:
        return await _shown(self.pages.overview)

    async def _overview_events(self, request: Request) -> Response:
        return self._stream(request, self.pages.first_view, pause=_SLOW_LOOK)

    async def _enter(self, request: Request) -> Response:
        fields = await fields_of(request)
        if not self.guard.knows(fields.get("token", "")):
            told = message("This page is locked", "The key is not that of this server.")
            return page_answer(told, 403)
        return Response(status_code=204, headers={"set-cookie": self.guard.cookie})

    async def _static(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in STATIC:
            return _nowhere()
        data = files("finetune_fsm.serve").joinpath("static", name).read_bytes()
        return Response(data, media_type=STATIC[name])

    async def _workflow(self, request: Request) -> Response:
        path = self.pages.space.workflow(_key(request))
        return await _shown(lambda: self.pages.workflow(path)) if path else _nowhere()

    async def _run(self, request: Request) -> Response:
        folder = self.pages.space.run(_key(request))
        return await _shown(lambda: self.pages.run(folder)) if folder else _nowhere()

    async def _run_events(self, request: Request) -> Response:
        folder = self.pages.space.run(_key(request))
        if folder is None:
            return _nowhere()
        look, over = (
            lambda: self.pages.run_view(folder, now=False),
            lambda: self.pages.over(folder),
        )
        mine = self.pages.desk.on_run(folder) is not None
        return self._stream(request, look, over, pause=_LOOK if mine else _SLOW_LOOK)

    async def _work(self, request: Request) -> Response:
        work = self._found(request)
        return await _shown(lambda: self.pages.work(work)) if work else _nowhere()

    async def _work_events(self, request: Request) -> Response:
        work = self._found(request)
        if work is None:
            return _nowhere()
        return self._stream(request, lambda: self.pages.work_view(work), work.over.is_set)

    async def _start(self, request: Request) -> Response:
        fields = await fields_of(request)
        return await _done(request, lambda: self.orders.start(request.path_params["what"], fields))

    async def _answer(self, request: Request) -> Response:
        work, fields = self._found(request), await fields_of(request)
        return (
            await _done(request, lambda: self.orders.answer(work, fields)) if work else _nowhere()
        )

    async def _stop(self, request: Request) -> Response:
        work = self._found(request)
        await fields_of(request)
        return await _done(request, lambda: self.orders.stop(work)) if work else _nowhere()

    def _found(self, request: Request) -> Work | None:
        return self.pages.desk.find(request.path_params["key"])

    def _stream(
        self,
        request: Request,
        look: Look,
        over: Callable[[], bool] = lambda: False,
        *,
        pause: float = _LOOK,
    ) -> Response:
        """Return what *look* shows as server-sent events, until it is *over*."""

        async def events() -> AsyncIterator[str]:
            changes, silent = Changes(), 0.0
            while not self.closing() and not await request.is_disconnected():
                last = await run_in_threadpool(over)
                view = await run_in_threadpool(look)
                told = "".join(changes.since(view))
                if told or silent >= _PULSE:
                    silent = 0.0
                    yield told or ": still here\n\n"
                if last:
                    yield event("end", {})
                    return
                await asyncio.sleep(pause)
                silent += pause

        return StreamingResponse(_quietly(events()), media_type="text/event-stream")


async def _quietly(events: AsyncIterator[str]) -> AsyncIterator[str]:
    """Pass on *events*; when what they tell of cannot be read, say so and end."""
    try:
        async for one in events:
            yield one
    except FinetuneError as error:
        logger.warning("A stream ended: {}", error)
        yield event("end", {})


async def _shown(make: Callable[[], Markup]) -> Response:
    """Return the page that *make* makes, in a thread of its own: it may read many files."""
    try:
        return page_answer(await run_in_threadpool(make))
    except FinetuneError as error:
        return _refused(error)


async def _done(request: Request, order: Callable[[], str]) -> Response:
    try:
        place = await run_in_threadpool(order)
    except FinetuneError as error:
        return _refused(error)
    if request.headers.get(LIVE):
        return Response(status_code=204)
    return RedirectResponse(place, 303)


async def _unusable(_: Request, error: Exception) -> Response:
    assert isinstance(error, Unusable)  # noqa: S101  # it is registered for these
    return turned_away(error.refusal)


async def _broken(_: Request, error: Exception) -> Response:
    del error  # it is raised again behind us, and logged there
    return page_answer(message("Internal error", "With -vv the server says more."), 500)


def _nowhere() -> Response:
    told = message("There is nothing here", "It may have been removed or renamed.")
    return page_answer(told, 404)


def _refused(error: FinetuneError) -> Response:
    status, title = next(
        ((status, title) for kind, status, title in _STATUS if isinstance(error, kind)),
        (500, "It did not work"),
    )
    problems = error.problems[:20] if isinstance(error, InvalidDocument) else ()
    texts = [str(problem) for problem in problems] or [str(error)]
    return page_answer(message(title, *texts), status)


def _key(request: Request) -> str:
    """The name as `Workspace.key` made it: what stands in the address, not decoded."""
    raw = request.scope.get("raw_path") or request.url.path.encode()
    path: str = raw.decode("ascii", "replace").partition("?")[0]
    return path.split("/", 2)[2]
