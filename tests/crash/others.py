"""What else a killed or starved run must do: the lock, and a file system that is really full."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from crash.disk import obey
from crash.trial import Bench, Found, held_by, uncounted


def others(bench: Bench, folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the name of each trial and what is wrong, or nothing; *folder* is for the last."""
    found = Found()
    latency = locked(bench, found)
    name = f"second process in the folder: exit 7 after {latency:.2f} s, and free after SIGKILL"
    yield name, "; ".join(found.differences)
    found = Found()
    said = full(bench, folder, found)
    yield f"file system that is really full: {said}", "; ".join(found.differences)


def locked(bench: Bench, found: Found) -> float:
    """Hold a run in its middle; return how long another process takes to be sent away."""
    pid = held_by(bench, 60)
    slowest = 0.0
    for command in (bench.resume, lambda: bench.begin(obey)):
        began = time.monotonic()
        ended = command()
        slowest = max(slowest, time.monotonic() - began)
        found.demand(ended.code == 7, "exit code", ended.code)
        found.demand(f"process {pid}" in ended.err, "names no process:", ended.err)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    ended = bench.resume()
    found.demand(ended.code == bench.whole.code, "not free after SIGKILL:", ended)
    bench.compare(ended, found)
    return slowest


SIZES = range(24, 108, 12)  # KiB; the last ones are large enough


def full(bench: Bench, folder: Path, found: Found) -> str:
    """Run on file systems that are too small, make them larger, go on; return what happened."""
    small = Bench(folder / "small", bench.model, digests=bench.digests, aside=folder / "aside")
    stopped = 0
    for size in SIZES:
        try:
            with _mounted(folder / "small", size):
                stopped += _starved(small, folder / "small", size, found)
        except PermissionError:
            return "not tried, mounting is not allowed here"
    found.demand(stopped > 2, "hardly anything was stopped")
    return f"{stopped} of {len(SIZES)} sizes stopped the run with exit 3, and all were ended"


def _starved(bench: Bench, folder: Path, size: int, found: Found) -> bool:
    bench.clear()
    ended = bench.begin(obey)
    if ended.code == bench.whole.code:
        return False
    found.demand(ended.code == 3, size, "KiB: exit code", ended.code, ended.err[-300:])
    found.demand("No space left" in ended.err and str(folder) in ended.err, ended.err[-300:])
    found.demand("Traceback" not in ended.err, ended.err)
    journaled, asked = bench.journaled(), bench.model.asked()
    _mount(folder, "remount,size=4m")
    bench.compare(bench.go_on(found), found, uncounted)
    again = bench.model.asked()
    found.demand(not journaled.intersection(again), size, "KiB: journaled calls were made again")
    found.demand(len(asked + again) <= len(set(asked + again)) + 1, size, "KiB: extra calls")
    return True


@contextmanager
def _mounted(folder: Path, size: int) -> Iterator[None]:
    _mount(folder, f"size={size}k")
    try:
        yield
    finally:
        subprocess.run(("umount", str(folder)), check=True)


def _mount(folder: Path, options: str) -> None:
    command = ("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PermissionError(done.stderr)
