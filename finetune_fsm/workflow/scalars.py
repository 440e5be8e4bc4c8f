"""Plain scalars by the core rules of YAML 1.2, and how to write text so that all readers agree.

YAML 1.1, which PyYAML follows, reads ``no`` as false, ``1:30`` as ninety and ``010`` as eight; here
these are text, text, and ten. What would not survive JSON (dates, infinities, huge whole numbers)
stays text as well.
"""

from __future__ import annotations

import math
import re
from functools import cache

import yaml

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")  # fits 64 bits, as servers read it
_BASED = re.compile(r"0o[0-7]{1,20}|0x[0-9a-fA-F]{1,15}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]{1,40}|[0-9]{1,40}(\.[0-9]{0,40})?)([eE][-+]?[0-9]{1,4})?")

INTEGER_LIMIT = 10**18
"""Whole numbers of this size or more are text when read."""

Value = str | int | float | bool | None


def resolved(plain: str) -> Value:
    """Return what the unquoted scalar *plain* means. Pure.

    Source: YAML 1.2.2, section 10.3.2, without ``.inf`` and ``.nan``, which JSON cannot say.
    """
    if plain in _NULL:
        return None
    if plain in _TRUE or plain in _FALSE:
        return plain in _TRUE
    if _INTEGER.fullmatch(plain):
        return int(plain)
    if _BASED.fullmatch(plain):
        value = int(plain, 0)
        return value if value < INTEGER_LIMIT else plain
    if _FLOAT.fullmatch(plain) and not plain.lstrip("+-").isdigit():
        number = float(plain)
        return number if math.isfinite(number) else plain
    return plain


_SIMPLE = re.compile(r"[^\W_]([\w ./'()+-]*[\w.)])?|_\w*")
_SHORT_BOOLEANS = frozenset({"y", "Y", "n", "N"})
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def inline(text: str) -> str:
    """Return *text* as one line of YAML, good after ``key: `` and in ``[…]``, as key too. Pure."""
    return text if _stays_plain(text) else double_quoted(text)


def _stays_plain(text: str) -> bool:
    if not _SIMPLE.fullmatch(text) or len(text) > 120 or not text.isprintable():
        return False
    return resolved(text) == text and text not in _SHORT_BOOLEANS and _text_in_yaml_1_1(text)


def _text_in_yaml_1_1(text: str) -> bool:
    tag = _resolver().resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]  # the stubs leave it out
    return str(tag) == "tag:yaml.org,2002:str"


@cache
def _resolver() -> yaml.resolver.Resolver:
    return yaml.resolver.Resolver()


def double_quoted(text: str) -> str:
    r"""Return *text* in double quotes; what cannot be seen becomes an escape. Pure."""
    return '"' + "".join(_ESCAPES.get(c) or _escaped(c) for c in text) + '"'


def single_quoted(text: str) -> str | None:
    """Return *text* in single quotes, or None when it needs escapes. Pure."""
    return "'" + text.replace("'", "''") + "'" if text.isprintable() else None


def _escaped(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def number(value: float | bool | None) -> str:
    """Return a number, a boolean or nothing as it is written in YAML. Pure."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    shown = repr(value)
    if isinstance(value, float) and "e" in shown and "." not in shown:
        return shown.replace("e", ".0e")  # YAML 1.1 reads 1e+22 as text
    return shown
