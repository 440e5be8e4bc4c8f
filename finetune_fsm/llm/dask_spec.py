"""Where a Dask scheduler is, and what its workers ask: as ``--executor`` and ``--llm`` say it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from finetune_fsm.errors import UsageError
from finetune_fsm.llm.dask_cluster import DEFAULT_PORT, Cluster
from finetune_fsm.llm.dask_llm import DaskLLM
from finetune_fsm.llm.host import normalise_host
from finetune_fsm.llm.openai import normalise_base
from finetune_fsm.llm.select import Chosen, addresses, unknown
from finetune_fsm.llm.transport import shown_url
from finetune_fsm.sinks import one_line

SCHEME = "dask://"


@dataclass(frozen=True, slots=True)
class Inner:
    """What each worker asks.

    Attributes:
        spec: As ``--llm`` takes it there; empty for what the worker's machine has.
        shown: The same without passwords.
    """

    spec: str = ""
    shown: str = ""


def by_executor(executor: str, *, urls: Sequence[str], spec: str | None) -> Chosen:
    """Return the model behind ``--executor dask://HOST:PORT``.

    Args:
        executor: The option's value.
        urls: Of Ollama servers, seen from the workers, as ``-u`` gives them.
        spec: What the workers ask, as ``--llm`` gives it, or None.

    Raises:
        UsageError: one of them makes no sense.
        MissingExtra: Dask is not installed.
    """
    if spec is not None and spec.partition(":")[0] == "dask":
        raise UsageError("--executor and --llm dask both name a scheduler: give one of them")
    if urls:
        spec = "ollama:" + ",".join(normalise_host(url).replace(",", "%2C") for url in urls)
    return _chosen(scheduler(executor), inner(spec or ""))


def by_spec(rest: str) -> Chosen:
    """Return the model behind ``--llm dask:HOST:PORT`` or ``--llm dask:HOST:PORT/SPEC``.

    Args:
        rest: What stands after ``dask:``.

    Raises:
        UsageError: it makes no sense.
        MissingExtra: Dask is not installed.
    """
    address, _, spec = rest.partition("/")
    return _chosen(scheduler(SCHEME + address), inner(spec))


def scheduler(text: str) -> tuple[str, int]:
    """Return host and port of the scheduler at *text*, ``dask://HOST:PORT``; 8786 without. Pure.

    Raises:
        UsageError: no scheduler can have this address; says what is right.
    """
    scheme, found, rest = text.strip().partition("://")
    rest = (rest if found else scheme).rstrip("/")
    try:
        port = urlsplit(SCHEME + rest).port
        known = found and scheme.lower() == "dask" and "@" not in rest and port != 0
        host = urlsplit(normalise_host(f"http://{rest}")).hostname if known else None
    except (ValueError, UsageError):
        host = None
    if not host or "/" in rest:
        shown = one_line(rest.rpartition("@")[2].partition("/")[0]) or "HOST:PORT"
        raise UsageError(
            f"--executor takes the address of a Dask scheduler, dask://HOST:PORT, and this is "
            f"none — did you mean {SCHEME}{shown}?"
        )
    return host, port or DEFAULT_PORT


def inner(spec: str) -> Inner:
    """Return what workers are told that shall ask the model that *spec* names. Pure.

    Raises:
        UsageError: it makes no sense.
    """
    provider, _, rest = spec.partition(":")
    match provider:
        case "":
            return Inner()
        case "ollama":
            return _servers(provider, [normalise_host(url) for url in addresses(rest)])
        case "openai" if rest:
            return _servers(provider, [normalise_base(url) for url in addresses(rest)])
        case "llamacpp":
            return Inner(spec, spec)
        case "script" if rest:
            return Inner(spec, spec)
        case "dask":
            raise UsageError("the workers of a Dask cluster cannot spread their work again")
        case _:
            raise unknown(provider)


def asked_by_workers(spec: str) -> str | None:
    """Return what the workers of the cluster in *spec* ask; None if it names none, or no cluster.

    Pure. It goes with ``--executor`` to the same workers elsewhere.

    Args:
        spec: As ``--llm`` takes it, such as ``dask:HOST:PORT/openai:URL``.
    """
    provider, _, rest = spec.partition(":")
    return rest.partition("/")[2] or None if provider == "dask" else None


def _servers(provider: str, urls: Sequence[str]) -> Inner:
    def spec(urls: Sequence[str]) -> str:
        return f"{provider}:{','.join(url.replace(',', '%2C') for url in urls)}"

    return Inner(spec(urls), spec([shown_url(url) for url in urls]))


def _chosen(where: tuple[str, int], asked: Inner) -> Chosen:
    cluster = Cluster(*where)
    spec = f"dask:{cluster.address}" + (f"/{asked.shown}" if asked.shown else "")
    return Chosen(DaskLLM(cluster, spec=asked.spec), spec)
