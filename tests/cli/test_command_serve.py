"""The command on a real process: what it prints, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from commandline import Agentmech

PATIENCE = 60.0  # seconds after which a test gives up; never how long it takes


@contextmanager
def serve(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "finetune_fsm", "serve", *arguments]
    pipe = subprocess.PIPE
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=pipe, stderr=pipe, text=True
    ) as process:
        watchdog = threading.Timer(PATIENCE, process.kill)
        watchdog.start()
        try:
            yield process
        finally:
            watchdog.cancel()
            process.kill()


def test_it_prints_an_address_with_a_key_and_ctrl_c_ends_it(greeter: Path) -> None:
    with serve(greeter.parent) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        url = line.rpartition(" at ")[2].strip()
        origin, _, token = url.partition("/#")
        assert line.startswith(f"Serving {greeter.parent}")
        assert httpx.URL(origin).host == "127.0.0.1"
        headers = {"origin": origin}
        answer = httpx.post(f"{origin}/enter", data={"token": token}, headers=headers, timeout=60)
        assert answer.status_code == 204
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130
        with_cookie = {"cookie": answer.headers["set-cookie"].partition(";")[0]}
        try:
            httpx.get(origin, headers=with_cookie, timeout=5)
        except httpx.ConnectError:
            return
    raise AssertionError("it still answers")


def test_a_program_is_told_the_address_as_a_document(greeter: Path) -> None:
    with serve(greeter.parent, "--json") as process:
        assert process.stdout is not None
        text = "".join(process.stdout.readline() for _ in range(3))
        assert json.loads(text)["url"].startswith("http://127.0.0.1:")


def test_there_is_no_option_to_listen_elsewhere(agentmech: Agentmech) -> None:
    done = agentmech("serve", "--help")
    assert "--host" not in done.out
    assert "127.0.0.1 alone" in " ".join(done.out.split())


def test_a_port_that_is_none_is_refused(agentmech: Agentmech) -> None:
    assert agentmech("serve", "--port", "70000").code == 2
