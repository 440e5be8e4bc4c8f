"""What every provider that speaks HTTP needs: lines out of bytes, errors out of answers."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from finetune_fsm.errors import LLMError, LLMErrorKind
from finetune_fsm.llm.deadlines import Timeouts
from finetune_fsm.sinks import one_line

if TYPE_CHECKING:
    import httpx

LINE_LIMIT = 8_000_000
"""Bytes of one line at most; a reply of `REPLY_LIMIT` characters fits escaped."""

CONNECT_SECONDS = 4.0
"""Time to connect: TCP knocks again after 1 and after 3 seconds."""

_BODY_LIMIT = 20_000  # bytes read of an error page
_BOM = b"\xef\xbb\xbf"


def lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    r"""Yield the lines of a byte stream, however it is cut into *chunks*.

    Only ``\n`` ends a line (JSON text may hold every other separator). A line keeps its ``\n``, so
    that a last line without one can be told: the stream broke off, or ends that way. Blank lines
    are left out, and so is a byte order mark.

    Raises:
        LLMError: a line is longer than `LINE_LIMIT`.
    """
    held: list[bytes] = []
    size = 0
    first = True
    for chunk in chunks:
        *ended, rest = chunk.split(b"\n")
        for part in ended:
            line = b"".join((*held, part, b"\n"))
            held, size = [], 0
            line = line.removeprefix(_BOM) if first else line
            first = False
            if line.strip():
                yield line
        held.append(rest)
        size += len(rest)
        if size > LINE_LIMIT:
            message = f"a line of the answer is longer than {LINE_LIMIT:,} bytes"
            raise LLMError(LLMErrorKind.PROTOCOL, message)
    last = b"".join(held).removeprefix(_BOM if first else b"")
    if last.strip():
        yield last


def whole(chunks: Iterable[bytes]) -> bytes:
    """Return all bytes of *chunks*.

    Raises:
        LLMError: there are more than `LINE_LIMIT`.
    """
    read = bytearray()
    for chunk in chunks:
        read += chunk
        if len(read) > LINE_LIMIT:
            message = f"the answer is longer than {LINE_LIMIT:,} bytes"
            raise LLMError(LLMErrorKind.PROTOCOL, message)
    return bytes(read)


def parsed(line: bytes | str, who: str) -> Mapping[str, object]:
    """Return the JSON object in *line*; bytes that are no UTF-8 become U+FFFD. Pure.

    Raises:
        LLMError: it holds something else (`PROTOCOL`).
    """
    text = line.decode("utf-8", "replace") if isinstance(line, bytes) else line
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise unexpected(text, who) from error
    if not isinstance(value, dict):
        raise unexpected(text, who)
    return value


def unexpected(text: str, who: str) -> LLMError:
    """The error of an answer that is no answer, with its first 80 characters. Pure."""
    return LLMError(
        LLMErrorKind.PROTOCOL,
        f"{who} sent something unexpected: {one_line(text, limit=80)}",
        hint="is this the address of a model server, and no proxy in between?",
    )


def error_text(body: str) -> str:
    """Return a server's own words out of the *body* of its refusal, on one clean line. Pure.

    Servers write ``{"error": "…"}``, ``{"error": {"message": "…"}}``, ``{"message": "…"}``,
    plain text or a page.
    """
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return one_line(body, limit=500)
    found = value
    for key in ("error", "message"):
        if isinstance(found, dict) and found.get(key):
            found = found[key]
    return one_line(found if isinstance(found, str) else json.dumps(found), limit=500)


def looks_like_page(body: str) -> bool:
    """Whether *body* is HTML, so that a proxy or another program wrote it. Pure."""
    return body.lstrip()[:15].lower().startswith(("<!doctype", "<html", "<head", "<?xml"))


_TOO_LONG = re.compile(
    r"exceeds? the (available )?context|context[ _](length|size|window)[ _](is )?exceed"
    r"|maximum context length|exceed_context_size|prompt is too long"
    r"|too large to process",
    re.IGNORECASE,
)


_UNABLE = re.compile(r"does not support (embedding|tool)", re.IGNORECASE)


def kind_of(status: int, body: str) -> LLMErrorKind:
    """Return what a refusal means, by its HTTP *status* and its *body*. Pure.

    Servers disagree on the status of a prompt that is too long, and on that of what a model cannot
    do at all, so the words come first.
    """
    if _TOO_LONG.search(body):
        return LLMErrorKind.CONTEXT_OVERFLOW
    if _UNABLE.search(body):  # some answer 501 to that, and a second try cures nothing
        return LLMErrorKind.BAD_REQUEST
    if status in (401, 403, 407):
        return LLMErrorKind.DENIED
    if status in (429, 503):
        return LLMErrorKind.BUSY
    if status < 400 or looks_like_page(body):
        return LLMErrorKind.PROTOCOL
    if status == 404:
        # Without a word of a model nobody looked for one: the wrong path, or no model server.
        return LLMErrorKind.MISSING_MODEL if "model" in body.lower() else LLMErrorKind.PROTOCOL
    return LLMErrorKind.SERVER if status >= 500 or status == 408 else LLMErrorKind.BAD_REQUEST


def retry_after(value: str | None, *, now: float | None = None) -> float | None:
    """Return the seconds that a ``Retry-After`` header asks for, or None. Pure with *now*.

    Args:
        value: The header: seconds, or a date (RFC 9110, section 10.2.3).
        now: Seconds since 1970; the clock's when None.
    """
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            date = parsedate_to_datetime(value).timestamp()
        except (ValueError, OverflowError):
            return None
        seconds = date - (time.time() if now is None else now)
    return max(0.0, seconds) if math.isfinite(seconds) else None


def body_of(response: httpx.Response) -> str:
    """Return the start of the *response*'s body, for a refusal."""
    read = b""
    for chunk in response.iter_bytes():
        read += chunk
        if len(read) > _BODY_LIMIT:
            break
    return read.decode("utf-8", "replace")


def shown_url(url: str) -> str:
    """Return *url* without user and password, safe to show. Pure."""
    split = urlsplit(url)
    return one_line(urlunsplit(split._replace(netloc=split.netloc.rpartition("@")[2])))


def is_loopback(url: str) -> bool:
    """Whether *url* names this machine, which no proxy can reach for us. Pure."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def client_settings(url: str, timeouts: Timeouts) -> dict[str, object]:
    """Return the arguments with which to make the httpx client for *url*.

    No redirects (prompts go only where the user said), no proxy for this machine, and no connection
    kept alive, so that `Connection.trace` sees every socket. The read limit is only the last resort
    for a thread that nobody waits for any more; `guarded` holds the real ones.
    """
    import httpx

    read = max(timeouts.first_token, timeouts.idle) + 5
    return {
        "follow_redirects": False,
        "trust_env": not is_loopback(url),
        "limits": httpx.Limits(max_keepalive_connections=0),
        "timeout": httpx.Timeout(read, connect=CONNECT_SECONDS, pool=None),
    }


def from_httpx(error: Exception, who: str, *, hint: str) -> LLMError:
    """Return what an exception of httpx means.

    Args:
        error: What httpx raised.
        who: Names the server in messages, without any password.
        hint: What to do when nothing can be reached.
    """
    import httpx

    why = one_line(str(error)) or type(error).__name__
    match error:
        case httpx.ProxyError():
            message = f"the proxy on the way to {who} refused: {why}"
            return LLMError(
                LLMErrorKind.UNREACHABLE, message, hint="see HTTP_PROXY, HTTPS_PROXY and NO_PROXY"
            )
        case httpx.ConnectError() | httpx.ConnectTimeout():
            return LLMError(LLMErrorKind.UNREACHABLE, f"cannot reach {who}: {why}", hint=hint)
        case httpx.TimeoutException():
            return LLMError(LLMErrorKind.TIMEOUT_IDLE, f"{who} fell silent")
        case httpx.RemoteProtocolError() if "clos" not in why and "disconnected" not in why:
            return unexpected(why, who)  # it does not speak HTTP
        case httpx.NetworkError() | httpx.RemoteProtocolError():
            message = f"{who} broke the connection off: {why}"
            return LLMError(LLMErrorKind.TRUNCATED_STREAM, message, hint="look at the server's log")
        case _:
            return LLMError(LLMErrorKind.PROTOCOL, f"no usable answer of {who}: {why}")
