"""What looks like a credential, whoever's it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

Shapes = tuple[tuple[tuple[str, ...], re.Pattern[str]], ...]
"""Some lower-case words that a text must hold, and the pattern whose group 1 is to be hidden."""

_PARAMETER = r"""[\w-]+=(?:"[^"\n]*"|[^\s"',;]*)"""


@cache
def _shapes() -> Shapes:  # compiled when there is something to hide, not by ``--help``
    # Paths fold two slashes into one.
    user = r""":/{1,2}([^\s/?#@:"'<>]*:[^\s/"'<>]*|[^\s/?#"'<>]*)@"""
    # RFC 9110, section 11.4: a scheme, then a token or parameters
    header = (
        r"""authorization["']?[ \t]*[:=][ \t]*["']?("""
        rf"""(?:[\w-]+[ \t]+)?(?:{_PARAMETER}|[^\s"',;]+)(?:,[ \t]*{_PARAMETER})*)"""
    )
    key = r"""api[-_]key["']?[ \t]*[:=][ \t]*["']?([^\s"',;&#]+)"""
    # RFC 6750, section 2.1; shorter ones are words: the bearer of this letter
    bearer = r"bearer[ \t]+([\w.~+/=-]{6,})"
    query = r"""[?&;](?:api[-_]?key|access_token|auth_token|key|token)=([^\s&;#"'<>]+)"""
    return (
        ((":/",), re.compile(user)),
        (("authorization",), re.compile(header, re.IGNORECASE)),
        (("api-key", "api_key"), re.compile(key, re.IGNORECASE)),
        (("bearer",), re.compile(bearer, re.IGNORECASE)),
        (("key=", "token="), re.compile(query, re.IGNORECASE)),
    )


@cache
def _begun() -> re.Pattern[str]:
    header = (
        r"""(?:authorization|api[-_]key|bearer)["']?[ \t]*[:=]?[ \t]*["']?(?:[\w-]+[ \t]+)?\S*"""
    )
    url = r"[a-z][a-z0-9+.-]*:/\S*|[?&;][a-z_-]+=\S*"
    return re.compile(rf"(?:{header}|{url}|[!-~]*|\r)\Z", re.IGNORECASE)


def waiting(text: str, since: int) -> int:
    """Where, from *since* on, the end of *text* begins that may go on as a credential. Pure.

    It is the last word, if nothing more.
    """
    found = _begun().search(text, since)
    return found.start() if found else len(text)


def credentials_in(text: str) -> Iterator[tuple[int, int, int]]:
    """Yield where what makes it a credential begins, then where what to hide begins and ends."""
    lower = text.lower()
    for words, pattern in _shapes():
        for word in words:  # all that is ever shown or kept comes by here: no generator
            if word in lower:
                break
        else:
            continue
        for match in pattern.finditer(text):
            if match[1]:
                yield match.start(), *match.span(1)
