"""Stands in for the embedded engine's process: the same handshake, replies by the last prompt."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingMixIn, UnixStreamServer

SETTINGS = json.loads(sys.stdin.readline())


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        if self.headers["Authorization"] != f"Bearer {SETTINGS['key']}":
            return self.refuse(401, "Invalid API Key")
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/v1/embeddings":
            return self.embed(body["input"])
        word, _, rest = body["messages"][-1]["content"].partition(" ")
        if word == "die":
            print("out of memory", file=sys.stderr, flush=True)  # noqa: T201  # its last words
            abort()
        if word == "long":
            return self.refuse(400, "request exceeds the available context size")
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        if word == "hang":
            time.sleep(60)
        replies = {"pid": str(os.getpid()), "body": json.dumps(body)}
        if word == "slow":
            self.event({"choices": [{"delta": {"content": "slow "}}]})
            time.sleep(float(rest))
        self.event({"choices": [{"delta": {"content": replies.get(word, rest)}}]})
        self.event({"choices": [{"delta": {}, "finish_reason": "stop"}]})
        self.event({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}})
        self.wfile.write(b"data: [DONE]\n\n")
        return None

    def embed(self, texts: list[str]) -> None:
        if "die" in texts:
            abort()
        if not SETTINGS["pooling"]:
            return self.refuse(501, "This server does not support embeddings.")
        facts = [os.getpid(), SETTINGS["n_ctx"], len(SETTINGS["path"]), len(SETTINGS["pooling"])]
        entries = [{"embedding": [*facts, len(text)]} for text in texts]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"data": entries}).encode())
        return None

    def refuse(self, status: int, message: str) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps({"error": {"message": message}}).encode())

    def event(self, value: object) -> None:
        self.wfile.write(f"data: {json.dumps(value)}\n\n".encode())
        self.wfile.flush()

    def address_string(self) -> str:
        return "socket"

    def log_message(self, *_: object) -> None: ...


class Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True
    request_queue_size = 16


def abort() -> None:
    os.kill(os.getpid(), signal.SIGABRT)
    time.sleep(60)  # another thread may take the signal, a moment later


def end_with_parent() -> None:
    sys.stdin.read()
    shutil.rmtree(SETTINGS["folder"])
    os._exit(0)


def main() -> None:
    threading.Thread(target=end_with_parent, daemon=True).start()
    start = SETTINGS["path"].rpartition("/")[2].partition(".")[0]
    if start == "refuse":
        print("E load: error loading model: tensor 7 is torn", file=sys.stderr)  # noqa: T201
        print(json.dumps({"error": "RuntimeError: init"}), flush=True)  # noqa: T201
        sys.exit(1)
    if start == "crash":
        print("GGML_ASSERT \x1b[31mfailed", file=sys.stderr, flush=True)  # noqa: T201
        abort()
    if start == "babble":
        print("hello?", flush=True)  # noqa: T201
        sys.exit(0)
    if start == "sleep":
        time.sleep(60)
    server = Server(SETTINGS["host"], Handler)
    print(json.dumps({"address": f"unix://{SETTINGS['host']}"}), flush=True)  # noqa: T201
    server.serve_forever(0.05)


main()
