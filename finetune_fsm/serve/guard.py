"""Who may ask for anything: this machine, this browser, this page.

The server listens on 127.0.0.1 alone, but every page in the browser can send requests there, and a
name that its owner points at 127.0.0.1 makes any page one of ours (DNS rebinding). So each request
is judged by what a page cannot forge: ``Host`` names this server, what changes anything has our
``Origin``, and all but the way in carries the token, which only the person who started the server
has seen. Other local users cannot reach anything either.

Source: Fetch Standard, 3.2 (Origin); RFC 6265bis, 5.5 (SameSite).
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie

HOSTS = ("127.0.0.1", "localhost")

READS = frozenset({"GET", "HEAD"})

HEADERS: Mapping[str, str] = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",  # with no-referrer, forms have 'Origin: null'
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
"""Those of every answer."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not answered.

    Attributes:
        status: HTTP status.
        reason: One sentence; holds nothing of the request.
    """

    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class Guard:
    """Judges requests to the server at *port*, whose secret is *token*."""

    port: int
    token: str

    @classmethod
    def new(cls, port: int) -> Guard:
        """Return a guard with a token that nobody can guess."""
        return cls(port, secrets.token_urlsafe(32))

    @property
    def origin(self) -> str:
        """The address of the server, without a path."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The address that a person opens; what stands behind # is never sent to any server."""
        return f"{self.origin}/#{self.token}"

    @property
    def cookie(self) -> str:
        """The value of ``Set-Cookie`` that lets a browser in until it is closed."""
        return f"{self._name}={self.token}; Path=/; HttpOnly; SameSite=Strict"

    @property
    def _name(self) -> str:
        return f"agentmech_{self.port}"  # cookies do not know ports, and there may be two servers

    def foreign(self, method: str, headers: Mapping[str, str]) -> Refusal | None:
        """Return why a request comes from elsewhere, or None. Pure.

        Args:
            method: Its HTTP method, upper case.
            headers: By lower-case name; one that came twice is there as ``a, b``.
        """
        hosts = [f"{host}:{self.port}" for host in HOSTS]
        host = headers.get("host", "")
        if host not in hosts:
            return Refusal(421, "This server answers at its own address alone.")
        if method in READS:
            return None
        if method != "POST":
            return Refusal(405, "There is nothing here that is asked for in this way.")
        if headers.get("origin") != f"http://{host}":
            return Refusal(403, "The request comes from another page.")
        return None

    def stranger(self, headers: Mapping[str, str]) -> bool:
        """Whether the request lacks the token. Pure."""
        try:
            cookies = SimpleCookie(headers.get("cookie", ""))
        except CookieError:
            return True
        found = cookies.get(self._name)
        return found is None or not self.knows(found.value)

    def knows(self, token: str) -> bool:
        """Whether *token* is the right one; takes as long for one that is nearly right. Pure."""
        return hmac.compare_digest(
            token.encode("utf-8", "surrogatepass"), self.token.encode("ascii")
        )
