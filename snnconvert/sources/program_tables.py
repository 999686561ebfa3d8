"""How much memory an entry of a program's table of tensors asks for."""

from __future__ import annotations

import math
from typing import Any

from snnconvert.torch_private import dtype_of_code

_LARGEST = 1 << 60


def tensor_bytes(meta: Any) -> tuple[int, int]:
    """The bytes of a tensor's own numbers, and those that its record must have for them.

    Arguments:
        meta: a ``TensorMeta`` of the program's JSON, of whatever it says of sizes and strides.
            What makes no sense asks for more than any file has.
    """
    try:
        sizes, strides = _numbers(meta["sizes"]), _numbers(meta["strides"])
        (offset,) = _numbers([meta["storage_offset"]])
        each = dtype_of_code(meta["dtype"]).itemsize
    except (KeyError, TypeError, ValueError):
        return _LARGEST, _LARGEST
    if len(sizes) != len(strides) or min([0, offset, *sizes, *strides]) < 0:
        return _LARGEST, _LARGEST
    count = math.prod(sizes)
    if count == 0:
        return 0, 0
    last = offset + sum((n - 1) * step for n, step in zip(sizes, strides, strict=True))
    return count * each, (last + 1) * each


def _numbers(sizes: Any) -> list[int]:
    return [size["as_int"] for size in sizes]
