"""What must not be shown, and the one way to hide it.

Two kinds. Known values: environment variables whose name says that they are secret, such as
``OPENAI_API_KEY``. And what looks like a credential, whoever's it is: user and password in a URL,
``Authorization`` headers, bearer tokens, and keys in a URL's query.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from operator import itemgetter

from finetune_fsm.sinks.credentials import credentials_in, waiting
from finetune_fsm.sinks.environment import known

MASK = "***"

SHORTEST = 8
"""Characters of a value that is taken for a secret; shorter ones are words and numbers."""

_WORDS = ("KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL")
_OTHER_WORDS = frozenset(
    {"DONKEY", "HOCKEY", "HOTKEY", "JOCKEY", "MONKEY", "PUBKEY", "TURKEY", "WHISKEY"}
)
_PLACES = frozenset({"DIR", "DIRECTORY", "FILE", "FOLDER", "PATH"})
_PART = r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+"

_ORDINARY = frozenset(
    {"anything", "changeme", "disabled", "localhost", "not-needed", "password", "passwords"}
    | {"placeholder", "required", "undefined", "unlimited", "whatever"}
)
"""What people put where a secret is asked for and none is needed; hiding it hides nothing."""

_PLAIN = r"[A-Za-z0-9_.~-]+"

_AHEAD = 512
"""Characters beyond a cut in which a credential's end is looked for."""

_LONGEST_WAIT = 4096
"""Characters that wait for what follows them at most."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """What to hide besides what looks like a credential.

    Attributes:
        values: Longest first, each in every spelling in which it may turn up.
    """

    values: tuple[str, ...] = field(default=(), repr=False)

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Secrets:
        """Return the secrets among the variables of *environ*. Pure.

        A variable is secret by a part of its name (``MY_API_KEY``, ``pgPassword``, not
        ``KEYBOARD``), and if it is long enough, no ordinary word, and no place of a file.
        """
        found = {
            spelling
            for name, value in environ.items()
            if names_a_secret(name)
            for piece in _pieces(value)
            for spelling in _spellings(piece)
        }
        return cls(tuple(sorted(found, key=lambda value: (-len(value), value))))

    def mask(self, text: str) -> str:
        """Return *text* with every secret and credential in it as ``***``. Pure."""
        return _masked(text, self._spans(text))

    def head(self, text: str, limit: int) -> tuple[str, int]:
        """Return the first *limit* characters of *text*, masked, and how many are left. Pure.

        A secret that crosses the limit is hidden whole.
        """
        if len(text) <= limit:
            return self.mask(text), 0
        ahead = max(_AHEAD, len(self.values[0]) if self.values else 0)
        window = text[: limit + ahead]
        spans = [(start, end) for start, end in self._spans(window) if start < limit]
        cut = max([limit, *(end for _, end in spans)])
        return _masked(window[:cut], spans), len(text) - cut

    def split(self, text: str) -> tuple[str, str]:
        """Return the part of *text* that can be shown, masked, and the rest as it is. Pure.

        The rest may be the beginning of a secret: it waits for the text that follows.
        """
        at = self._waiting(text)
        for begin, _, end in sorted(credentials_in(text), key=itemgetter(2), reverse=True):
            if end < _edge(text, at):
                break
            at = min(at, begin)  # it may go on
        at = min([at, *(start for start, end in self._spans(text) if start < at < end)])
        if len(text) - at > _LONGEST_WAIT:
            return self.mask(text), ""
        return self.mask(text[:at]), text[at:]

    def _waiting(self, text: str) -> int:
        """Where the end of *text* begins that may become a secret."""
        since = max(0, len(text) - _LONGEST_WAIT)
        at = waiting(text, since)
        for value in self.values:
            start = max(len(text) - len(value) + 1, 0)
            while (start := text.find(value[0], start, at)) >= 0:
                if value.startswith(text[start:]):
                    at = start
                start += 1
        return at

    def _spans(self, text: str) -> list[tuple[int, int]]:
        """Where something to hide begins and ends, in order, apart from each other."""
        credentials = ((start, end) for _, start, end in credentials_in(text))
        found = sorted({*self._values_in(text), *credentials})
        apart: list[tuple[int, int]] = []
        for start, end in found:
            if apart and start < apart[-1][1]:
                apart[-1] = (apart[-1][0], max(end, apart[-1][1]))
            else:
                apart.append((start, end))
        return apart

    def _values_in(self, text: str) -> Iterator[tuple[int, int]]:
        for value in self.values:
            start = text.find(value)
            while start >= 0:
                yield start, start + len(value)
                start = text.find(value, start + 1)  # it may overlap itself


def _edge(text: str, at: int) -> int:
    """Where that ends before *at* in *text* which is more than white space and a comma."""
    while at and text[at - 1] in " \t,":
        at -= 1
    return at


def _masked(text: str, spans: list[tuple[int, int]]) -> str:
    if not spans:
        return text
    parts: list[str] = []
    shown = 0
    for start, end in spans:
        parts += (text[shown:start], MASK)
        shown = end
    return "".join((*parts, text[shown:]))


def names_a_secret(name: str) -> bool:
    """Whether a variable called *name* is meant to be secret. Pure."""
    parts = [part.upper().removesuffix("S") for part in re.findall(_PART, name)]
    if not parts or parts[-1] in _PLACES:
        return False
    return any(part.endswith(_WORDS) and part not in _OTHER_WORDS for part in parts)


def _pieces(value: str) -> Iterator[str]:
    """Yield what of *value* is secret: the whole, and its lines, as a log shows them one by one."""
    whole = value.strip()
    for piece in {whole, *(line.strip() for line in whole.splitlines())}:
        if len(piece) >= SHORTEST and piece.lower() not in _ORDINARY and piece.strip("*"):
            yield piece


def _spellings(value: str) -> Iterator[str]:
    """Yield *value* as it is, and as JSON, JSON Pointers, Python and URLs write it."""
    yield value
    if re.fullmatch(_PLAIN, value):
        return
    import json

    yield value.replace("\r\n", "\n")
    yield value.replace("\r\n", "\n").replace("\n", "\r\n")
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield repr(value)[1:-1]
    yield value.replace("~", "~0").replace("/", "~1")
    data = value.encode("utf-8", "surrogatepass")
    yield "".join(c if re.fullmatch(_PLAIN, c := chr(byte)) else f"%{byte:02X}" for byte in data)


def masked(value: object, *, secrets: Secrets | None = None) -> object:
    """Return plain data with the secrets in all its texts hidden, keys too."""
    hidden = secrets or known()
    if isinstance(value, str):
        return hidden.mask(value)
    if isinstance(value, Mapping):
        return _masked_items(value, hidden)
    if isinstance(value, list | tuple):
        return [masked(item, secrets=hidden) for item in value]
    return value


def _masked_items(value: Mapping[object, object], secrets: Secrets) -> dict[object, object]:
    shown: dict[object, object] = {}
    for key, item in value.items():
        name = hidden = masked(key, secrets=secrets)
        number = 1
        while name in shown:  # two keys that look alike now are still two
            number += 1
            name = f"{hidden} ({number})"
        shown[name] = masked(item, secrets=secrets)
    return shown
