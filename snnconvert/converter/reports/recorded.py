"""Reports from files: plain data becomes the records that it was made of, each value checked."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any

from snnconvert.wording import shown

_LARGEST = 1 << 63
_LONGEST = 1000
_ENDLESS = ("inf", "-inf", "nan")  # as JSON, which has no number for it, is given them


def rebuilt(kind: Any, data: Any) -> Any:
    """Return the value of a type that JSON made plain data of; texts become printable.

    Args:
        kind: a dataclass, ``tuple[X, ...]``, ``Mapping[X, Y]``, ``X | None``, or a plain type.
        data: the plain data.

    Raises:
        TypeError, ValueError: it is not of that type, or a number is out of bounds.
    """
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return None if data is None else rebuilt(inner[0], data)
    if origin is tuple:
        if not isinstance(data, list | tuple):
            raise TypeError(f"{shown(data)} is not a list")
        kinds = [inner[0]] * len(data) if inner[-1] is Ellipsis else inner
        return tuple(rebuilt(k, item) for k, item in zip(kinds, data, strict=True))
    if origin in (dict, Mapping):
        if not isinstance(data, dict):
            raise TypeError(f"{shown(data)} is not a mapping")
        return {rebuilt(inner[0], k): rebuilt(inner[1], item) for k, item in data.items()}
    if dataclasses.is_dataclass(kind):
        return _record(kind, data)
    if kind is float and data in _ENDLESS:
        return float(data)
    if kind is float and type(data) is int and abs(data) < _LARGEST:
        return float(data)
    if type(data) is not kind or (kind is int and abs(data) >= _LARGEST):
        raise TypeError(f"{shown(data)} is not {kind.__name__}")
    return shown(data, _LONGEST) if kind is str else data


def _record(kind: Any, data: Any) -> Any:
    if not isinstance(data, dict):
        raise TypeError(f"{shown(data)} is not a {kind.__name__}")
    if as_recorded := getattr(kind, "as_recorded", None):  # other releases wrote it otherwise
        data = as_recorded(data)
    types_of = typing.get_type_hints(kind)
    unknown = data.keys() - types_of.keys()
    if unknown:
        raise TypeError(f"{shown(sorted(unknown)[0])} is not a part of a {kind.__name__}")
    return kind(**{name: rebuilt(types_of[name], value) for name, value in data.items()})
