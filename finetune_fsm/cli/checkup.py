"""What a command of ours needs of the world, looked at piece by piece, each with what to do."""

from __future__ import annotations

import os
import shutil
import socket
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from finetune_fsm.sinks import one_line

if TYPE_CHECKING:
    from finetune_fsm.llm.base import LLM
    from finetune_fsm.llm.several import Stock

CONNECT_SECONDS = 1.0
"""Seconds in which a server has to take a connection."""

LIST_SECONDS = 2.0
"""Seconds in which it has to name its models, the connection included."""

LEAST_ROOM = 200_000_000
"""Bytes of free disk below which a folder is doubtful."""

REQUIRED = (
    "click",
    "jsonschema",
    "loguru",
    "ollama",
    "platformdirs",
    "pyyaml",
    "rich",
    "transitions",
)
OPTIONAL: Mapping[str, str] = {
    "xllamacpp": "embedded",
    "pypdf": "documents",
    "python-docx": "documents",
    "numpy": "knowledge",
    "msgpack": "knowledge",
    "distributed": "dask",
    "starlette": "serve",
    "uvicorn": "serve",
}
"""Packages that some command needs, and the extra that brings each."""


class Level(StrEnum):
    """How good a finding is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Check:
    """One finding.

    Attributes:
        about: What was looked at, in a word or two.
        level: How good it is.
        found: What is so.
        advice: What to do about it; empty when nothing is.
    """

    about: str
    level: Level
    found: str
    advice: str = ""


def packages() -> tuple[Check, ...]:
    """Return which packages are there, in which versions."""
    checks = [_package(name, "") for name in REQUIRED]
    return (*checks, *(_package(name, extra) for name, extra in OPTIONAL.items()))


def _package(name: str, extra: str) -> Check:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return Check(name, Level.OK, version(name))
    except PackageNotFoundError:
        if extra:
            advice = f"for the extra '{extra}': pip install 'finetune-fsm[{extra}]'"
            return Check(name, Level.OK, "not installed", advice)
        return Check(name, Level.PROBLEM, "not installed", f"pip install {name}")


@dataclass(frozen=True, slots=True)
class Answering:
    """Who could answer.

    Attributes:
        checks: One for each server, engine or script looked at.
        models: What servers have, by the name of each that can answer.
        able: Whether the one that a command would ask can answer.
    """

    checks: tuple[Check, ...]
    models: Mapping[str, tuple[str, ...]]
    able: bool


def answering(
    urls: Sequence[str],
    spec: str | None,
    environ: Mapping[str, str],
    *,
    engine: Check,
    seconds: float = LIST_SECONDS,
) -> Answering:
    """Return whether what `choose` would choose can answer; it asks nothing but for names.

    Args:
        urls: As ``-u`` gives them.
        spec: As ``--llm`` gives it.
        environ: Where ``OLLAMA_HOST`` is looked up.
        engine: What `embedded` found.
        seconds: How long servers may take, all in all.
    """
    from finetune_fsm.errors import FinetuneError

    if spec and spec.partition(":")[0] in ("script", "llamacpp", "dask"):
        return _unserved(spec, engine)
    named = environ.get("OLLAMA_HOST", "").strip()
    try:
        servers = _servers(urls, spec, named)
    except FinetuneError as error:
        return Answering((Check("model", Level.PROBLEM, str(error)), engine), {}, able=False)
    stocks = asked(servers, seconds)
    models = {stock.name: stock.models for stock in stocks if not stock.error}
    instead = not (urls or spec or named) and engine.level is Level.OK
    able = bool(models) or instead
    level = Level.WARNING if able else Level.PROBLEM
    checks = (_server(stock, level, instead=instead) for stock in stocks)
    return Answering((*checks, engine), models, able=able)


def _servers(urls: Sequence[str], spec: str | None, named: str) -> tuple[LLM, ...]:
    from finetune_fsm.llm.ollama import OllamaLLM
    from finetune_fsm.llm.select import addresses, unknown

    provider, _, rest = (spec or "").partition(":")
    if provider == "openai":
        from finetune_fsm.llm.openai import OpenAILLM

        return tuple(OpenAILLM(url) for url in addresses(rest))
    if provider not in ("", "ollama"):
        raise unknown(provider)
    return tuple(OllamaLLM(url) for url in urls or (addresses(rest) if spec else (named,)))


def _unserved(spec: str, engine: Check) -> Answering:
    """What to say of a provider that is no server."""
    from finetune_fsm.errors import FinetuneError
    from finetune_fsm.llm.select import choose

    if spec.startswith("dask"):
        found = "a Dask cluster is looked for only by a command that asks it"
        return Answering((Check("model", Level.WARNING, found), engine), {}, able=True)
    try:
        llm = choose(spec=spec).llm
        with suppress(FinetuneError):
            llm.close()
    except FinetuneError as error:
        return Answering((Check("model", Level.PROBLEM, str(error)), engine), {}, able=False)
    return Answering((Check("model", Level.OK, llm.name), engine), {}, able=True)


def _server(stock: Stock, level: Level, *, instead: bool) -> Check:
    if stock.error:
        advice = "the embedded engine answers instead" if instead else stock.error.hint
        return Check("server", level, stock.error.message, advice)
    if not stock.models:
        return Check(
            "server", Level.WARNING, f"{stock.name} has no models", "ollama pull gemma3:4b"
        )
    listed = ", ".join(one_line(name) for name in stock.models[:10])
    more = f" and {len(stock.models) - 10} more" if len(stock.models) > 10 else ""
    return Check("server", Level.OK, f"{stock.name} has {listed}{more}")


def asked(servers: Sequence[LLM], seconds: float) -> tuple[Stock, ...]:
    """Return what each of *servers* has, asked at the same time; who is late does not answer."""
    from finetune_fsm.errors import LLMError, LLMErrorKind
    from finetune_fsm.llm.several import Stock, stock_of

    found: dict[int, Stock] = {}

    def ask(number: int, llm: LLM) -> None:
        with suppress(OSError):
            if not _takes_connections(llm.name):
                return
        stock = stock_of(llm)
        found[number] = stock

    threads = [
        threading.Thread(target=ask, args=(number, llm), daemon=True)
        for number, llm in enumerate(servers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds / len(threads))
    return tuple(
        found.get(number) or Stock(llm.name, error=LLMError(
            LLMErrorKind.UNREACHABLE,
            f"{llm.name} does not answer",
            hint="start it ('ollama serve' for Ollama), or check its address",
        ))
        for number, llm in enumerate(servers)
    )  # fmt: skip


def _takes_connections(name: str) -> bool:
    """Whether the server whose address ends *name* takes a connection; True behind a proxy.

    Asked first, as it needs no client: those take half a second to import.
    """
    if any(os.environ.get(v) for v in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")):
        return True
    url = urlsplit(name.rpartition(" ")[2])
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        with socket.create_connection((url.hostname or "localhost", port), CONNECT_SECONDS):
            return True
    except OSError:
        return False


def embedded(*, installed: bool) -> Check:
    """Return whether the embedded engine, *installed* or not, could answer: it needs its weights.

    Weights bear their name only once their digest was right, so their size tells that they are
    whole; to hash a gigabyte again would take seconds.
    """
    from finetune_fsm.llm.weights import QWEN, default_path

    path = default_path()
    try:
        size = path.stat().st_size
    except OSError:
        size = -1
    if not installed:
        advice = "pip install 'finetune-fsm[embedded]', then agentmech pull"
        return Check("embedded engine", Level.WARNING, "not installed", advice)
    if size < 0:
        return Check("embedded engine", Level.WARNING, f"no weights at {path}", "agentmech pull")
    if size != QWEN.size:
        found = f"{path} has {size:,} bytes, not {QWEN.size:,}"
        return Check("embedded engine", Level.WARNING, found, "remove it, then agentmech pull")
    return Check(
        "embedded engine", Level.OK, f"{QWEN.name}, {QWEN.size / 1e9:.1f} GB, in {path.parent}"
    )


def folders(places: Iterable[tuple[str, Path]]) -> tuple[Check, ...]:
    """Return for each of *places* whether it can be written, and how much room is there."""
    return tuple(_folder(about, path) for about, path in places)


def _folder(about: str, path: Path) -> Check:
    there = path.absolute()
    while not there.exists() and there != there.parent:  # what is missing is made when needed
        there = there.parent
    if not there.is_dir():
        return Check(about, Level.PROBLEM, f"{path}: {there} is no folder", "move that file away")
    if not os.access(there, os.W_OK | os.X_OK):
        advice = f"give yourself the right to write there: ls -ld {there}"
        return Check(about, Level.PROBLEM, f"{path} cannot be written", advice)
    free = shutil.disk_usage(there).free
    found = f"{path}, {free / 1e9:.1f} GB free"
    if free < LEAST_ROOM:
        return Check(about, Level.WARNING, found, "make room: a run writes as it goes")
    return Check(about, Level.OK, found)
