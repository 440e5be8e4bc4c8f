"""What every request goes through: the guard, the size of its form, and the same headers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import parse_qsl

from loguru import logger
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from finetune_fsm.serve.frame import door, message
from finetune_fsm.serve.guard import HEADERS, Guard, Refusal
from finetune_fsm.serve.markup import Markup

BODY_LIMIT = 1_000_000
"""Bytes of a form at most."""

FORM = "application/x-www-form-urlencoded"


def page_answer(content: Markup, status: int = 200) -> Response:
    """Return *content* as an answer."""
    return HTMLResponse(content.encode("utf-8", "replace"), status)


async def fields_of(request: Request) -> Mapping[str, str]:
    """Return the fields of a form, the last of a name.

    Raises:
        Unusable: there is more than anybody types, or it is no form.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip() != FORM:
        raise Unusable(415, "A form is sent in another way.")
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > BODY_LIMIT:
            raise Unusable(413, "That is more text than a form takes.")
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=100)
    except ValueError as error:  # UnicodeDecodeError is one
        raise Unusable(400, "The form cannot be read.") from error
    return dict(pairs)


class Unusable(Exception):
    """A request that nobody made with our pages."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.refusal = Refusal(status, reason)


class Guarded:
    """Passes to *app* the requests that *guard* lets in; every answer has the same headers."""

    def __init__(self, app: ASGIApp, guard: Guard) -> None:
        self._app = app
        self._guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return

        async def safely(told: Message) -> None:
            if told["type"] == "http.response.start":
                headers = MutableHeaders(scope=told)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(told)

        try:
            await self._judged(scope)(scope, receive, safely)
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001  # answered, and a bug must not end the server
            logger.opt(exception=error).error("A request broke off")

    def _judged(self, scope: Scope) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
        headers = _joined(Headers(scope=scope))
        refusal = self._guard.foreign(scope["method"], headers)
        if refusal is not None:
            return turned_away(refusal)
        path = scope["path"]
        if self._guard.stranger(headers) and path != "/enter" and not path.startswith("/static/"):
            return page_answer(door(), 401)
        return self._app


def turned_away(refusal: Refusal) -> Response:
    """Return the answer to a request that is not done."""
    return page_answer(message("Not here", refusal.reason), refusal.status)


def _joined(headers: Headers) -> Mapping[str, str]:
    """The headers by lower-case name; of one that came twice no value is right."""
    found: dict[str, str] = {}
    for name, value in headers.items():
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found
