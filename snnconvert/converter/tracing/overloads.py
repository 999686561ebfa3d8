"""The functional operator that computes what an in-place operator writes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, fx

from snnconvert.torch_private import OpOverload, overload_name, schema_of

_aten = torch.ops.aten


def functional_overload(overload: OpOverload) -> OpOverload | None:
    """Return the functional overload that takes just the arguments of an in-place one.

    Overloads of one name need not mean the same: ``pow_.Scalar`` takes a tensor and a number, and
    so does ``pow.Tensor_Scalar``, while ``pow.Scalar`` takes a number and a tensor.
    None: there is none.
    """
    name = overload.overloadpacket.__name__
    base = re.sub(r"^__i(\w+__)$", r"__\1", name) if name.startswith("__") else name[:-1]
    packet = getattr(_aten, base, None)
    if overload.namespace != "aten" or packet is None or not name.endswith("_"):
        return None
    wanted = _signature(overload)
    fitting = [o for o in _overloads(packet) if not _writes(o) and _signature(o) == wanted]
    same_name = [o for o in fitting if overload_name(o) == overload_name(overload)]
    return next(iter([*same_name, *fitting]), None)


def functional_dtype(
    overload: OpOverload, args: Any, kwargs: Mapping[str, Any]
) -> torch.dtype | None:
    """Return the dtype that an operator gives to its result; None where it cannot be tried.

    Args:
        overload: the operator.
        args, kwargs: of a node, each tensor a node with its value in ``meta["val"]``.
    """

    def small(node: fx.Node) -> Any:
        value = node.meta.get("val")
        if not isinstance(value, Tensor):
            return value
        return torch.empty([1] * value.dim(), dtype=value.dtype, device="meta")

    try:
        made = overload(*fx.map_arg(args, small), **fx.map_arg(dict(kwargs), small))
    except (RuntimeError, IndexError, ValueError, NotImplementedError):
        return None
    return made.dtype if isinstance(made, Tensor) else None


def _overloads(packet: Any) -> Iterator[OpOverload]:
    for name in packet.overloads():
        yield getattr(packet, name)


def _writes(overload: OpOverload) -> bool:
    return any(a.alias_info is not None and a.alias_info.is_write for a in _arguments(overload))


def _signature(overload: OpOverload) -> list[tuple[str, str, bool]]:
    """Return name, type and kind of each argument; the first has no name that matters."""
    given = [(a.name, str(a.real_type), a.kwarg_only) for a in _arguments(overload)]
    return [("", kind, keyword) for _, kind, keyword in given[:1]] + given[1:]


def _arguments(overload: OpOverload) -> Any:
    return schema_of(overload).arguments
