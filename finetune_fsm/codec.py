"""Frozen values to plain JSON and back, and the digest of both.

Plain means: what `json` writes without help. A dataclass becomes a mapping of its fields, an enum
its value, a tuple a list, a `Path` its text. Reading needs the wanted type and follows its
annotations. Canonical text has sorted keys, no spaces and no NaN, so that equal values have equal
bytes and equal digests. A field marked `LATER` is left out while it holds its default: it came to
its class when digests and files without it were about already, and both stay what they are.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import types
import typing
from collections.abc import Mapping
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

T = TypeVar("T")

LATER: Mapping[str, bool] = types.MappingProxyType({"later": True})
"""Metadata of a field that came later to its class; its default is not a factory."""


def plain(value: object) -> Any:
    """Return *value* as JSON-ready data; raises TypeError for what has no plain form. Pure."""
    if value is None or (isinstance(value, bool | int | float) and not isinstance(value, Enum)):
        return value
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            name: plain(getattr(value, name))
            for name, later, default in _fields(type(value))
            if not later or getattr(value, name) != default
        }
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(plain(item) for item in value)
    raise TypeError(f"no plain form for {type(value).__name__}")


@lru_cache(maxsize=256)
def _fields(kind: type) -> tuple[tuple[str, bool, object], ...]:
    """The fields of *kind*: name, whether it came later, default."""
    fields = dataclasses.fields(kind)
    return tuple((field.name, "later" in field.metadata, field.default) for field in fields)


def canonical(value: object) -> str:
    """Return the one JSON text of *value*: sorted keys, no spaces, no NaN. Pure."""
    return json.dumps(
        plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def digest(value: object) -> str:
    """Return the SHA-256 of *value*'s canonical text, in hexadecimal. Pure."""
    return hashlib.sha256(canonical(value).encode("utf-8", "surrogatepass")).hexdigest()


def restore(kind: type[T], data: object) -> T:
    """Return the value of type *kind* that `plain` turned into *data*.

    Raises:
        TypeError: *data* does not have the shape of *kind*.
        ValueError: an enum or literal has no such member.
    """
    return typing.cast("T", _restore(kind, data))


@lru_cache(maxsize=256)
def _field_types(kind: type) -> Mapping[str, Any]:
    return typing.get_type_hints(kind)


def _restore(kind: Any, data: Any) -> Any:
    origin = get_origin(kind)
    if kind is Any or kind is object:
        return data
    if origin in (typing.Union, types.UnionType):
        return _restore_union(kind, data)
    if origin is typing.Literal:
        if data not in get_args(kind):
            raise ValueError(f"{data!r} is not one of {get_args(kind)}")
        return data
    if origin is tuple:
        return _restore_tuple(kind, data)
    if origin is not None and issubclass(origin, Mapping):
        _demand(isinstance(data, Mapping), kind, data)
        return {key: _restore(get_args(kind)[1], item) for key, item in data.items()}
    if dataclasses.is_dataclass(kind):
        _demand(isinstance(data, Mapping), kind, data)
        hints = _field_types(typing.cast("type", kind))
        if not data.keys() <= hints.keys():
            raise TypeError(f"{kind} has no {sorted(data.keys() - hints.keys())}")
        return kind(**{name: _restore(hints[name], item) for name, item in data.items()})  # type: ignore[operator]  # a dataclass type is callable
    return _restore_scalar(kind, data)


def _restore_scalar(kind: Any, data: Any) -> Any:
    if kind is None or kind is type(None):
        _demand(data is None, kind, data)
        return None
    if issubclass(kind, Enum | Path):
        return kind(data)
    if kind is bytes:
        _demand(isinstance(data, str), kind, data)
        return base64.b64decode(data)
    if kind is float:
        _demand(isinstance(data, int | float) and not isinstance(data, bool), kind, data)
        return float(data)
    if kind is int:
        _demand(isinstance(data, int) and not isinstance(data, bool), kind, data)
        return data
    _demand(isinstance(data, kind), kind, data)
    return data


def _restore_union(kind: Any, data: Any) -> Any:
    for member in get_args(kind):
        try:
            return _restore(member, data)
        except (TypeError, ValueError):
            continue
    raise TypeError(f"{data!r} fits no member of {kind}")


def _restore_tuple(kind: Any, data: Any) -> Any:
    _demand(isinstance(data, list | tuple), kind, data)
    members = get_args(kind)
    if len(members) == 2 and members[1] is Ellipsis:
        return tuple(_restore(members[0], item) for item in data)
    _demand(len(members) == len(data), kind, data)
    return tuple(_restore(member, item) for member, item in zip(members, data, strict=True))


def _demand(fits: bool, kind: Any, data: Any) -> None:
    if not fits:
        raise TypeError(f"expected {kind}, got {type(data).__name__}")
