"""Stands in for the package with the embedded engine, inside the engine's real process.

Weights called ``loads*`` load for ever and keep the interpreter's lock, as the real package does
while it loads. All others answer every question with one word and then compute for ever.
"""

from __future__ import annotations

import re
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from types import SimpleNamespace

EVENT = b'data: {"choices": [{"delta": {"content": "Hello there, my friend. "}}]}\n\n'


class CommonParams(SimpleNamespace):
    def __init__(self) -> None:
        super().__init__(
            model=SimpleNamespace(), cpuparams=SimpleNamespace(), cpuparams_batch=SimpleNamespace()
        )


class Server:
    def __init__(self, wanted: CommonParams) -> None:
        if Path(wanted.model.path).name.startswith("loads"):
            re.search("(a+)+$", "a" * 60 + "!")
        (host,) = wanted.hostnames
        self.listening_address = f"unix://{host}"
        serve = _Socket(host, _Handler).serve_forever
        threading.Thread(target=serve, daemon=True).start()


class _Socket(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.write(EVENT)
        self.wfile.flush()
        time.sleep(600)

    def do_GET(self) -> None:
        self.send_error(404)

    def address_string(self) -> str:
        return "socket"

    def log_message(self, *_: object) -> None: ...
