"""Where Ollama listens, as its own tools understand an address, and whether it answers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from finetune_fsm.errors import LLMError, UsageError
from finetune_fsm.llm.deadlines import Connection, Timeouts, guarded
from finetune_fsm.sinks import one_line

DEFAULT_HOST = "http://localhost:11434"

_PORTS = {"http": 80, "https": 443}
_DEFAULT_PORT = 11434  # of an address without a scheme
_ALLOWED = (
    "an address looks like 'http://host:11434', 'https://host', 'host', 'host:port' or ':port'"
)


def normalise_host(text: str) -> str:
    """Return the full URL of the Ollama server that *text*, from ``-u`` or OLLAMA_HOST, means.

    As in Ollama's own tools a bare host listens on 11434, ``http://host`` on 80 and
    ``https://host`` on 443; an address to listen everywhere (0.0.0.0, ``[::]``) is this machine,
    and so is empty text. A path stays; user and password stay, for the connection only. Pure.

    Raises:
        UsageError: no server can have this address; says what is allowed.
    """
    text = text.strip()
    if not text:
        return DEFAULT_HOST
    scheme, found, rest = text.partition("://")
    if not found:
        scheme, rest = "http", text
    scheme = scheme.lower()
    if text.isdecimal() or (not found and _is_bare_ipv6(text)):
        rest = f":{text}" if text.isdecimal() else f"[{text}]"
    if scheme not in _PORTS:
        raise _wrong(text, "only http and https are spoken")
    split = _split(scheme, rest, text)
    host = split.hostname or ""
    if not host and (found or split.port is None):
        raise _wrong(text, "it names no host")
    port = split.port or (_PORTS[scheme] if found else _DEFAULT_PORT)
    user, at, _ = split.netloc.rpartition("@")
    return f"{scheme}://{user}{at}{_reachable(host, text)}:{port}{split.path.rstrip('/')}"


def _split(scheme: str, rest: str, text: str) -> SplitResult:
    try:
        split = urlsplit(f"{scheme}://{rest}")
        port = split.port
    except ValueError:  # not chained: its text may hold the password
        raise _wrong(text, "the port is a number from 1 to 65535, IPv6 stands in [ ]") from None
    if port == 0:
        raise _wrong(text, "the port is a number from 1 to 65535")
    if split.query or split.fragment:
        raise _wrong(text, "it has a '?' or a '#'")
    return split


def _reachable(host: str, text: str) -> str:
    try:
        address = ip_address(host)
    except ValueError:
        if not host:
            return "localhost"
        if not _is_name(host):
            raise _wrong(text, "that is no host name") from None
        return host
    if address.is_unspecified:
        return "localhost"
    return f"[{host}]" if address.version == 6 else host


def _is_name(host: str) -> bool:
    try:
        host.encode("idna")  # as every connection will; refuses empty and overlong labels
    except UnicodeError:
        return False
    return re.search(r"[^\w.-]", host) is None


def _is_bare_ipv6(text: str) -> bool:
    try:
        return ip_address(text).version == 6
    except ValueError:
        return False


def _wrong(text: str, why: str) -> UsageError:
    scheme, found, rest = text.rpartition("://")
    shown = scheme + found + rest.rpartition("@")[2]
    return UsageError(f"'{one_line(shown)}' is no address of a server: {why} — {_ALLOWED}")


def answers(url: str, timeout: float = 0.5) -> bool:
    """Whether an Ollama server answers at *url* within *timeout* seconds, all in all.

    For choosing a default only: it asks directly, past every proxy, and needs no HTTP library that
    is slow to import.
    """
    limits = Timeouts(timeout, timeout, timeout)
    try:
        return any(guarded(lambda line: _probe(url, timeout, line), timeouts=limits, who=url))
    except (LLMError, OSError, ValueError):
        return False


def _probe(url: str, timeout: float, line: Connection) -> Iterator[bool]:
    import json
    from http.client import HTTPConnection, HTTPException, HTTPSConnection

    split = urlsplit(url)
    kind = HTTPSConnection if split.scheme == "https" else HTTPConnection
    try:
        with closing(kind(split.hostname or "localhost", split.port, timeout=timeout)) as http:
            http.connect()
            line.hold(http.sock)
            http.request("GET", f"{split.path}/api/version")
            response = http.getresponse()
            version = json.loads(response.read(10_000))
            yield response.status == 200 and isinstance(version, dict) and "version" in version
    except HTTPException:
        yield False
