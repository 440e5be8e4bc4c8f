"""A tool server that behaves as its argument says; it speaks the protocol by hand, to break it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

MODE = sys.argv[1]
CHILD = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(600)"
MARK = sys.argv[2] if len(sys.argv) > 2 else ""


def note(what: str) -> None:
    if MARK:
        with Path(MARK).open("a", encoding="utf-8") as stream:
            stream.write(f"{what}\n")


def write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def answer(number: object, **result: object) -> None:
    write(json.dumps({"jsonrpc": "2.0", "id": number, "result": result}) + "\n")


def tools() -> list[dict[str, object]]:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    return [{"name": "act", "description": "Act.", "inputSchema": schema}]


def called(number: object) -> None:  # noqa: C901, PLR0912  # one way to break after another
    match MODE:
        case "dies":
            sys.stderr.write("out of luck\n")
            os._exit(3)
        case "hangs":
            time.sleep(600)
        case "garbage":
            write("so it goes\n" * 10)
            answer(number, content=[{"type": "text", "text": "all is well"}])
        case "endless garbage":
            while True:
                write("so it goes\n" * 1000)
        case "floods":
            while True:
                write('{"jsonrpc":"2.0","method":"notifications/progress","params":{}}\n' * 100)
        case "long line":
            write("x" * 100_000_000)
        case "huge":
            answer(number, content=[{"type": "text", "text": "y" * 5_000_000}])
        case "many parts":
            answer(number, content=[{"type": "text", "text": "z"}] * 50_000)
        case "wrong shape":
            answer(number, content="yes")
        case "wrong version":
            write("[1, 2, 3]\n" + json.dumps({"jsonrpc": "1.0", "id": number}) + "\n")
            os._exit(0)
        case "error":
            error = {"code": -32603, "message": "not today"}
            write(json.dumps({"jsonrpc": "2.0", "id": number, "error": error}) + "\n")
        case "pictures":
            parts = [
                {"type": "text", "text": "here"},
                {"type": "image", "data": "AAAA", "mimeType": "image/png"},
            ]
            answer(number, content=parts)
        case "escapes":
            answer(number, content=[{"type": "text", "text": "\x1b]52;c;eA==\x07red\u202e"}])
        case _:
            note("called")
            answer(number, content=[{"type": "text", "text": f"{MODE} did it"}])


def main() -> None:  # noqa: C901  # the same
    note(f"pid {os.getpid()}")
    if MODE == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if MODE in ("stubborn", "family"):
        child = subprocess.Popen([sys.executable, "-c", CHILD])  # with our streams, as npx does
        note(f"pid {child.pid}")
    if MODE == "greets":
        write("Welcome to the best of servers!\n\n")
    if MODE == "says nothing":
        time.sleep(600)
    if MODE == "dies at start":
        sys.stderr.write("no such database\n")
        sys.exit(4)
    for line in sys.stdin:
        message = json.loads(line)
        match message.get("method"):
            case "initialize":
                version = message["params"]["protocolVersion"]
                info = {"name": MODE, "version": "1"}
                answer(message["id"], protocolVersion=version, capabilities={}, serverInfo=info)
            case "tools/list":
                answer(message["id"], tools=tools())
            case "tools/call":
                called(message["id"])
    if MODE in ("stubborn", "deaf"):
        time.sleep(600)


main()
