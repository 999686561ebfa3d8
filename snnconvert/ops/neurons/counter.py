"""The scan of a counter as one operator, ``snnconvert::counter_scan``.

For each step ``t`` and each of ``K`` answers, elementwise::

    N = N + clip(clip(floor((X_t - rest) / q + 1/2), low, high) - N, -1, 1)
    R = rest + q N

``N`` is a whole number, so no sum is rounded. Every form gives the same bits: a Triton kernel on
GPUs (:mod:`snnconvert.ops.neurons.counter_triton`), where there is Triton; blocks of in-place ATen
operators elsewhere. It has no gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from snnconvert.errors import InputError
from snnconvert.ops.neurons.blocks import by_blocks
from snnconvert.ops.neurons.checks import sizes_along
from snnconvert.ops.neurons.counter_triton import counter_scan as scan_on_gpu
from snnconvert.ops.neurons.lanes import HAS_TRITON
from snnconvert.ops.neurons.operators import define, in_order
from snnconvert.ops.neurons.scan import counter_scan_


def counter_scan(
    drive: Tensor,
    before: Tensor,
    q: Tensor,
    ends: tuple[Tensor, Tensor],
    rest: Tensor,
    bursts: int,
    kept: int,
    axis: int | None,
) -> Tensor:
    """Return ``R`` after the last answers of each step, ``[T kept, *shape]``.

    Args:
        drive: ``X_t``, ``[T, *shape]``, float32 or float64, of any strides.
        before: ``R`` of the step before, ``shape``, of any strides.
        q: size of a spike, ``[F]``; ``F`` is 1 or the features along ``axis``.
        ends: lowest and highest ``N``, ``[F]``.
        rest: ``R`` before any spike, ``[F]``.
        bursts: ``K``, the answers of a step.
        kept: how many of them, the last, are returned.
        axis: dimension of ``shape`` that features lie along; None: one threshold.
    """
    return _OPERATOR(drive, before, q, *ends, rest, bursts, kept, axis)


def _check(drive: Tensor, before: Tensor, *others: Any) -> None:
    """Refuse what a compiled form would read beyond (arguments as of the operator)."""
    each, (bursts, kept, axis) = others[:4], others[4:]
    features = 1 if axis is None else drive.shape[1:][axis]
    if (
        drive.dtype not in (torch.float32, torch.float64)
        or any(x.dtype is not drive.dtype for x in (before, *each))
        or before.shape != drive.shape[1:]
        or any(x.shape != each[0].shape for x in each)
        or each[0].shape not in ((1,), (features,))
        or not 1 <= kept <= bursts
    ):
        found = ", ".join(f"{list(x.shape)} {x.dtype}" for x in (drive, before, *each))
        raise InputError(
            "counter_scan: a drive [T, ...] in float32 or float64, R of the step before [...] and "
            "four of [F] are needed, of one dtype, F features along axis or 1, and "
            f"1 <= kept <= bursts; received {found}, {kept=}, {bursts=}, {axis=}"
        )


def _in_blocks(
    drive: Tensor,
    before: Tensor,
    q: Tensor,
    low: Tensor,
    high: Tensor,
    rest: Tensor,
    bursts: int,
    kept: int,
    axis: int | None,
) -> Tensor:
    sizes = sizes_along(drive.shape[1:], axis if len(q) > 1 else None)
    q, low, high, rest = (x.unsqueeze(-1) for x in (q, low, high, rest))

    def take(steps: Tensor, state: dict[str, Tensor], out: Tensor) -> None:
        counter_scan_(steps, state.pop("R"), q, low, high, rest, bursts, out)

    return by_blocks(take, drive, {"R": before}, sizes, kept)


def _on_gpu(
    drive: Tensor,
    before: Tensor,
    q: Tensor,
    low: Tensor,
    high: Tensor,
    rest: Tensor,
    bursts: int,
    kept: int,
    axis: int | None,
) -> Tensor:
    return scan_on_gpu(drive, before, q, low, high, rest, bursts, kept, axis or 0)


_FORMS: dict[str, Callable[..., Tensor]] = {"CompositeExplicitAutograd": in_order(_in_blocks)}
if HAS_TRITON:
    _FORMS["CUDA"] = in_order(_on_gpu)

_OPERATOR = define(
    "counter_scan",
    "Tensor before, Tensor q, Tensor low, Tensor high, Tensor rest, int bursts, int kept, "
    "int? axis",
    _check,
    _FORMS,
)
