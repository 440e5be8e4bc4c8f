"""Ollama's wire protocol in front of any model of ours: a server to test against where none runs.

::

    with ollama_front(weights) as url:
        ollama.Client(host=url).chat("any", messages=[...])

It answers as Ollama does: pieces as lines of JSON, a last line with ``done``, refusals with a
status before the first piece and as a line with ``error`` after it, 404 for a model it has not.
Nothing of a prompt is reused, and a client that hangs up ends the computing.
"""

from __future__ import annotations

import base64
import json
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from finetune_fsm.errors import Cancelled, LLMError, LLMErrorKind
from finetune_fsm.llm.base import LLM, Completion, Message, Request, Stop
from finetune_fsm.llm.llamacpp import N_CTX, LlamaCppLLM

NAME = "qwen2.5-coder:1.5b"
"""The model that is installed when no others are named."""

Json = dict[str, object]


@contextmanager
def ollama_front(model_path: Path, names: Sequence[str] = (NAME,)) -> Iterator[str]:
    """Serve the weights at *model_path* under *names* until the block ends; yields the URL."""
    llm = LlamaCppLLM(model_path)
    try:
        with front(llm, names) as url:
            yield url
    finally:
        llm.close()


@contextmanager
def front(llm: LLM, names: Sequence[str] = (NAME,)) -> Iterator[str]:
    """Serve *llm* under *names* until the block ends; yields the URL."""

    class Bound(Handler):
        model = llm
        installed = tuple(names)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Bound)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class Refused(Exception):
    """A request that is answered with a status and words."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


class Handler(BaseHTTPRequestHandler):
    """One connection; `model` and `installed` are set by `front`."""

    protocol_version = "HTTP/1.1"
    model: LLM
    installed: tuple[str, ...]

    def do_HEAD(self) -> None:
        self.whole(200, {})

    def do_GET(self) -> None:
        answers: dict[str, Json] = {
            "/api/version": {"version": "0.12.6"},
            "/api/tags": {"models": [self.listed(name) for name in self.installed]},
            "/api/ps": {"models": []},
        }
        found = answers.get(self.path)
        self.whole(200, found) if found else self.whole(404, {"error": "404 page not found"})

    def do_POST(self) -> None:
        routes: dict[str, Callable[[Json], None]] = {
            "/api/chat": self.chat,
            "/api/embed": self.embed,
            "/api/generate": self.generate,
            "/api/show": self.show,
        }
        try:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            self.check_model(body)
            routes.get(self.path, self.unknown)(body)
        except Refused as refused:
            self.whole(refused.status, {"error": str(refused)})
        except (ValueError, AttributeError) as error:
            self.whole(400, {"error": str(error)})

    def check_model(self, body: Json) -> None:
        if body.get("model") not in self.installed:
            raise Refused(404, f"model '{body.get('model')}' not found")

    def unknown(self, body: Json) -> None:
        raise Refused(404, "404 page not found")

    def show(self, body: Json) -> None:
        info = {"general.architecture": "qwen2", "qwen2.context_length": N_CTX}
        listed = self.listed(str(body["model"]))
        self.whole(
            200,
            {"details": listed["details"], "model_info": info, "capabilities": ["completion"]},
        )

    def chat(self, body: Json) -> None:
        def shaped(text: str) -> Json:
            return {"message": {"role": "assistant", "content": text}}

        self.answer(body, [message_of(turn) for turn in body.get("messages") or ()], shaped)

    def embed(self, body: Json) -> None:
        given = body.get("input") or []
        texts = [given] if isinstance(given, str) else [str(text) for text in given]
        try:
            vectors = self.model.embed(str(body["model"]), texts)
        except LLMError as error:
            raise Refused(500, error.message) from error
        self.whole(200, {"model": body["model"], "embeddings": vectors})

    def generate(self, body: Json) -> None:
        system = [Message("system", str(body["system"]))] if body.get("system") else []
        prompt = message_of({"role": "user", "content": body.get("prompt"), **body})
        self.answer(body, [*system, prompt], lambda text: {"response": text})

    def answer(
        self, body: Json, messages: Sequence[Message], shaped: Callable[[str], Json]
    ) -> None:
        if body.get("think"):
            raise Refused(400, f'"{body["model"]}" does not support thinking')
        if not messages:  # Ollama's way to load a model
            self.whole(200, self.line(body, shaped(""), done=True, done_reason="load"))
            return
        streaming = body.get("stream", True)
        stop = Stop()

        def on_text(piece: str) -> None:
            self.piece(self.line(body, shaped(piece), done=False))

        try:
            with self.watching(stop):
                completion = self.model.complete(
                    request_of(body, messages), on_text=on_text if streaming else None, stop=stop
                )
        except LLMError as error:
            self.fail(error)
        except (Cancelled, OSError):
            self.close_connection = True  # nobody listens any more
        else:
            text = "" if streaming else completion.text
            last = self.line(body, shaped(text), done=True, **counts(completion))
            self.end(last) if streaming else self.whole(200, last)

    def fail(self, error: LLMError) -> None:
        status, words = 500, str(error)
        if error.kind is LLMErrorKind.CONTEXT_OVERFLOW:
            status, words = 400, "the input length exceeds the context length"
        if error.kind is LLMErrorKind.BAD_REQUEST:
            status = 400
        self.end({"error": words}) if self.begun else self.whole(status, {"error": words})

    # The wire.

    begun = False

    def whole(self, status: int, value: Json) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def piece(self, value: Json) -> None:
        if not self.begun:
            self.begun = True
            self.send_response(200)
            self.send_header("Content-Type", "application/x-ndjson")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
        data = json.dumps(value, ensure_ascii=False).encode() + b"\n"
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        self.wfile.flush()

    def end(self, value: Json) -> None:
        self.piece(value)
        self.wfile.write(b"0\r\n\r\n")
        self.begun = False

    @contextmanager
    def watching(self, stop: Stop) -> Iterator[None]:
        """Ask for a stop when the client hangs up, also while nothing is sent."""
        done = threading.Event()

        def watch() -> None:
            while not done.wait(0.1):
                if select.select([self.connection], [], [], 0)[0]:
                    try:
                        here = self.connection.recv(1, socket.MSG_PEEK)
                    except OSError:
                        here = b""
                    if not here:
                        stop.ask()
                        return

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()

    def line(self, body: Json, content: Json, **more: object) -> Json:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        return {"model": body["model"], "created_at": now, **content, **more}

    def listed(self, name: str) -> Json:
        details = {
            "parent_model": "",
            "format": "gguf",
            "family": "qwen2",
            "families": ["qwen2"],
            "parameter_size": "1.5B",
            "quantization_level": "Q4_K_M",
        }
        when = "2025-01-01T00:00:00Z"
        known = {"name": name, "model": name, "modified_at": when, "size": 1_117_320_768}
        return {**known, "digest": "0" * 64, "details": details}

    def log_message(self, *_: object) -> None: ...


def message_of(turn: Mapping[str, object]) -> Message:
    images = tuple(base64.b64decode(image) for image in turn.get("images") or ())
    return Message(str(turn["role"]), str(turn.get("content") or ""), images)


def request_of(body: Json, messages: Sequence[Message]) -> Request:
    wanted = body.get("format") or None
    return Request(
        str(body["model"]),
        tuple(messages),
        options={"num_predict": -1} | dict(body.get("options") or {}),
        schema={"type": "object"} if wanted == "json" else wanted,
    )


def counts(completion: Completion) -> Json:
    nanoseconds = int(completion.seconds * 1e9)
    return {
        "done_reason": "length" if completion.cut else "stop",
        "total_duration": nanoseconds,
        "load_duration": 0,
        "prompt_eval_count": completion.prompt_tokens,
        "prompt_eval_duration": 0,
        "eval_count": completion.completion_tokens,
        "eval_duration": nanoseconds,
    }
