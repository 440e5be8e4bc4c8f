"""The process that holds the embedded engine; started by `engine`, never imported by the package.

It reads one line of JSON with its settings from standard input, loads the model, and writes one
line of JSON to standard output: the address it serves OpenAI's protocol at, or why it cannot. It
ends when its standard input does, which is when its parent has died, however that happened.

The engine is native code: it may abort the process, keeps signals waiting while it computes, and
crashes an interpreter that ends during a call. Here it can do all that without harm.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

ERRORS_ONLY = 1  # verbosity of llama.cpp's log, which goes to standard error
BATCH = 256  # tokens read in one go; a call can be broken off only between two of them
# Megabytes of prompts kept for requests that may reuse a prefix. Measured: with another request in
# between, a prefix of 250 tokens took 20 s again without it and 2.5 s with it; 512 MB are 18,000
# tokens of a 1.5B model.
CACHE = 512
POOLINGS = {"mean": 1, "own": -1}  # as llama.cpp numbers them


def main() -> None:
    """Serve until standard input ends."""
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever native code prints must not look like the answer
    settings = json.loads(sys.stdin.readline())
    folder = settings.pop("folder")
    threading.Thread(target=_end_with_parent, args=(folder,), daemon=True).start()
    try:
        with _ended_by_the_system():
            server, address = start(**settings)
        said = {"address": address}
    except Exception as error:  # noqa: BLE001  # the parent tells it; nobody else can
        said = {"error": f"{type(error).__name__}: {error}"}
    answer.write(json.dumps(said) + "\n")
    answer.close()
    if "error" in said:
        os._exit(1)
    threading.Event().wait()
    del server  # held until here


def start(
    *, path: str, host: str, key: str, n_ctx: int, slots: int, threads: int, pooling: str
) -> tuple[object, str]:
    """Return the running server, to be held, and its address.

    Args:
        path: Of the weights.
        host: Path of a socket, ending in ``.sock``, or a numeric address.
        key: Asked of every request.
        n_ctx: Tokens of context of each slot.
        slots: Requests computed side by side.
        threads: Of the processor.
        pooling: ``mean`` or ``own`` when it shall make vectors of texts, else empty.
    """
    import xllamacpp

    wanted = xllamacpp.CommonParams()
    wanted.model.path = path
    wanted.hostnames = [host]
    wanted.port = 0
    wanted.api_keys = [key]
    wanted.n_parallel = slots
    wanted.n_ctx = n_ctx * slots  # it is divided among them
    for processor in (wanted.cpuparams, wanted.cpuparams_batch):
        processor.n_threads = threads
        processor.poll = 0  # sleep while waiting: the machine is shared
    wanted.verbosity = ERRORS_ONLY
    wanted.warmup = False
    wanted.fit_params = False  # else it may take less context than it was asked for
    wanted.n_batch = BATCH
    wanted.cache_ram_mib = CACHE
    if pooling:
        wanted.embedding = True
        wanted.pooling_type = POOLINGS[pooling]
        wanted.n_batch = wanted.n_ubatch = n_ctx  # a text is read in one go or not at all
    server = xllamacpp.Server(wanted)
    return server, server.listening_address


@contextmanager
def _ended_by_the_system() -> Iterator[None]:
    """Have the system end us with our parent, where it can, while the block runs.

    Loading keeps the interpreter's lock for as long as it takes, so that no thread of ours sees
    that standard input has ended. SIGIO, which says so, ends a process that does not ask for it.
    """
    try:
        import fcntl

        fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
        flags = fcntl.fcntl(0, fcntl.F_GETFL)
        fcntl.fcntl(0, fcntl.F_SETFL, flags | os.O_ASYNC)
    except (ImportError, AttributeError, OSError):
        yield
        return
    try:
        yield
    finally:
        fcntl.fcntl(0, fcntl.F_SETFL, flags)


def _end_with_parent(folder: str) -> None:
    sys.stdin.read()
    shutil.rmtree(folder, ignore_errors=True)  # the parent's, which it can no longer remove
    os._exit(0)  # not exit(): the engine's own clean-up may crash or wait for a running call


if __name__ == "__main__":
    main()
