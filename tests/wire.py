"""A small HTTP server that speaks a model server's wire format, faults included.

It writes raw bytes, so a test decides about every packet: where a line is split, when nothing
comes, how the connection ends. ::

    with Server({("POST", "/api/chat"): lambda call: chat("Hello")}) as server:
        ...server.url, server.calls

An answer is an iterable of bytes to send, of seconds to wait, and of `RESET`.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

RESET = "reset"
"""Ends the connection with a TCP reset."""

Act = bytes | float | str


@dataclass
class Call:
    """One request that came in."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float
    gone: threading.Event = field(default_factory=threading.Event)
    """Set when the client hung up while the answer was under way."""

    @property
    def json(self) -> dict:
        return json.loads(self.body)


Route = Callable[[Call], Iterable[Act]]


class Server:
    """Answers on a free port of this machine until its ``with`` block ends."""

    def __init__(self, routes: Mapping[tuple[str, str], Route], *, port: int = 0) -> None:
        self._routes = dict(routes)
        self._closing = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", port), backlog=64)
        self._url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._threads: list[threading.Thread] = []
        self.calls: list[Call] = []
        self.keeps_alive = False
        """Whether a connection serves one request after the other; then each must have an end."""

    @property
    def url(self) -> str:
        return self._url

    def asked(self, path: str) -> list[Call]:
        return [call for call in self.calls if call.path == path]

    def __enter__(self) -> Self:
        self._spawn(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self.die()
        for thread in self._threads:
            thread.join(5)

    def die(self) -> None:
        """Answer nobody from now on; a route may ask for it, and its own answer breaks off."""
        self._closing.set()
        self._socket.close()

    def _spawn(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closing.is_set():
            with suppress(OSError, ValueError):
                if select.select([self._socket], [], [], 0.05)[0]:
                    self._spawn(self._serve, self._socket.accept()[0])

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while (call := _read(connection)) is not None:
                self.calls.append(call)
                route = self._routes.get((call.method, call.path), lambda _: page(404, "not found"))
                if not all(self._do(act, call, connection) for act in route(call)):
                    break
                if not self.keeps_alive:
                    break

    def _do(self, act: Act, call: Call, connection: socket.socket) -> bool:
        if self._closing.is_set():
            act = RESET
        try:
            if isinstance(act, bytes):
                return self._send(act, call, connection)
            if act == RESET:
                linger = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                return False
            return self._wait(float(act), call, connection)
        except OSError:
            call.gone.set()
            return False
        return True

    def _send(self, data: bytes, call: Call, connection: socket.socket) -> bool:
        """Send all of *data*, unless the client hangs up; `sendall` would wait for its window."""
        left = memoryview(data)
        while left:
            said, takes, _ = select.select([connection], [connection], [])
            if said and not connection.recv(1, socket.MSG_PEEK):
                call.gone.set()
                return False
            if takes:
                left = left[connection.send(left, socket.MSG_DONTWAIT) :]
        return True

    def _wait(self, seconds: float, call: Call, connection: socket.socket) -> bool:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not self._closing.is_set():
            if select.select([connection], [], [], min(0.02, left))[0]:
                if connection.recv(1, socket.MSG_PEEK):
                    time.sleep(0.01)
                    continue
                call.gone.set()
                return False
        return not self._closing.is_set()


def _read(connection: socket.socket) -> Call | None:
    with connection.makefile("rb") as stream:
        first = stream.readline().decode("latin-1").split()
        if len(first) != 3:
            return None
        headers: dict[str, str] = {}
        while (line := stream.readline().decode("latin-1").strip()) != "":
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        body = stream.read(int(headers.get("content-length", 0)))
        return Call(first[0], first[1], headers, body, time.monotonic())


def head(status: int = 200, **headers: str) -> bytes:
    """The head of an answer; underscores in header names become dashes."""
    fields = {"content_type": "application/x-ndjson", "connection": "close"} | headers
    lines = [f"HTTP/1.1 {status} Some words"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def page(status: int, body: str | bytes, **headers: str) -> Iterator[Act]:
    """A whole answer."""
    data = body.encode() if isinstance(body, str) else body
    yield head(status, content_length=str(len(data)), **headers) + data


def refusal(status: int, words: str, **headers: str) -> Iterator[Act]:
    """A refusal as Ollama writes it."""
    return page(status, json.dumps({"error": words}), **headers)


def chunked(parts: Iterable[Act], *, whole: bool = True) -> Iterator[Act]:
    """Each of *parts* as one HTTP chunk; not *whole*: the end is missing."""
    yield head(transfer_encoding="chunked")
    for part in parts:
        yield b"%x\r\n%b\r\n" % (len(part), part) if isinstance(part, bytes) else part
    if whole:
        yield b"0\r\n\r\n"


def piece(content: str, **more: object) -> bytes:
    """One line of a streamed reply."""
    message = {"role": "assistant", "content": content}
    return json.dumps({"model": "m", "message": message, "done": False} | more).encode() + b"\n"


def thought(text: str) -> bytes:
    """One line of thinking."""
    return piece("", message={"role": "assistant", "content": "", "thinking": text})


def final(reason: str = "stop", *, read: int = 7, written: int = 3) -> bytes:
    """The line that ends a reply properly."""
    counts = {"prompt_eval_count": read, "eval_count": written}
    return piece("", done=True, done_reason=reason, **counts)


def chat(*pieces: str, reason: str = "stop") -> Iterator[Act]:
    """A whole reply."""
    return chunked([*(piece(text) for text in pieces), final(reason)])


def vector_of(text: str) -> list[float]:
    """A vector that tells most texts apart."""
    codes = text.encode("utf-8", "replace")
    return [float(len(text)), sum(codes) / 7, -float(sum(n * c for n, c in enumerate(codes)))]


def embeddings(call: Call) -> Iterator[Act]:
    """The vectors that are asked for, as Ollama writes them."""
    vectors = [vector_of(text) for text in call.json["input"]]
    return page(200, json.dumps({"model": call.json["model"], "embeddings": vectors}))


def in_turn(*answers: Sequence[Act] | Iterable[Act]) -> Route:
    """A route that gives each answer once, and the last one for ever."""
    fixed = [list(answer) for answer in answers]
    lock = threading.Lock()

    def route(_: Call) -> Iterable[Act]:
        with lock:
            return fixed.pop(0) if len(fixed) > 1 else fixed[0]

    return route


def ollama(
    answer: Route | None = None,
    *,
    models: Mapping[str, int] | None = None,
    digests: Mapping[str, str] | None = None,
    port: int = 0,
    **routes: Route,
) -> Server:
    """A server with Ollama's routes.

    Args:
        answer: The route of ``/api/chat``.
        models: Context length by name of the installed models.
        digests: Of their weights, by name; read anew for every request. None without.
        port: Where to listen; any free one without.
        routes: Others, in place of the usual ones: ``embed``, ``show``, ``tags``, ``version``.
    """
    installed = {"tiny": 4096} if models is None else models

    def show(call: Call) -> Iterable[Act]:
        length = installed.get(call.json["model"])
        if length is None:
            return refusal(404, f"model '{call.json['model']}' not found")
        info = {"general.architecture": "llama", "llama.context_length": length}
        return page(200, json.dumps({"model_info": info, "capabilities": ["completion"]}))

    def tags(_: Call) -> Iterable[Act]:
        known = digests or {}
        entries = [{"name": n} | ({"digest": known[n]} if n in known else {}) for n in installed]
        return page(200, json.dumps({"models": entries}))

    def embed(call: Call) -> Iterable[Act]:
        name = call.json["model"]
        there = name in installed
        return embeddings(call) if there else refusal(404, f'model "{name}" not found')

    return Server(
        {
            ("POST", "/api/embed"): routes.get("embed", embed),
            ("POST", "/api/chat"): answer or (lambda _: chat("Hello")),
            ("POST", "/api/show"): routes.get("show", show),
            ("GET", "/api/tags"): routes.get("tags", tags),
            ("GET", "/api/version"): routes.get("version", lambda _: page(200, '{"version":"1"}')),
        },
        port=port,
    )
