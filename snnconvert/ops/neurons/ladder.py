"""The scan of a ladder of levels as one operator, ``snnconvert::ladder_scan``.

For each step ``t`` and each of ``K`` answers, elementwise::

    w = (X_t - R) / (fire_at top_t)
    w = min(w, (high - R) (1 + d) / top_t)      where there is an upper limit, and so for a lower
    s = w rounded towards 0 to a level, 0 below the smallest
    R = R + s top_t                             cut to the limits

Every form of it gives the same bits: no product and sum are fused, and factors are computed once,
by ATen. What is not a number stays so.

Three forms: compiled (``csrc/native.cpp``) on CPUs, where it was built; a Triton kernel on GPUs
(:mod:`snnconvert.ops.neurons.ladder_triton`), where there is Triton; in blocks of in-place ATen
operators elsewhere. It has no gradient: where one is needed a neuron goes step by step
(:meth:`snnconvert.ops.neurons.neuron.Neuron.advance`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from snnconvert.errors import InputError
from snnconvert.ops.neurons.blocks import by_blocks
from snnconvert.ops.neurons.ladder_triton import ladder_scan as scan_on_gpu
from snnconvert.ops.neurons.lanes import HAS_TRITON
from snnconvert.ops.neurons.operators import answers_like, define, in_order
from snnconvert.ops.neurons.scan import DUST, ladder_scan_
from snnconvert.ops.neurons.spike import PER_OCTAVE, Ladder
from snnconvert.ops.targets import Limits

try:
    from snnconvert.ops._native import ladder_scan as _native
except ImportError:  # it is built where there is a compiler
    _native = None  # type: ignore[assignment]


def ladder_scan(
    drive: Tensor,
    before: Tensor,
    tops: Tensor,
    ladder: Ladder,
    limits: Limits,
    bursts: int,
    kept: int,
    axis: int | None,
) -> Tensor:
    """Return ``R`` after the last answers of each step, ``[T kept, *shape]``.

    Args:
        drive: ``X_t``, ``[T, *shape]`` with ``shape = [B, ...]``, float32 or float64, of any
            strides.
        before: ``R`` of the step before, ``shape``, of any strides.
        tops: ``g_t v_threshold`` of each step or of all, ``[T or 1, F]``; ``F`` is 1 or the
            features along ``axis``.
        ladder: the levels, in parts of ``tops``.
        limits: lowest and highest ``R``; no negative spikes, no lower one.
        bursts: ``K``, the answers of a step.
        kept: how many of them, the last, are returned.
        axis: dimension of ``shape`` that features lie along; None: one threshold.
    """
    low, high = limits
    return _OPERATOR(
        drive,
        before,
        tops,
        (tops * ladder.fire_at).reciprocal_(),
        (1 + DUST) / tops,
        ladder.levels,
        ladder.per_octave,
        ladder.signed,
        low if ladder.signed else None,
        high,
        bursts,
        kept,
        axis,
    )


def _check(drive: Tensor, before: Tensor, *others: Any) -> None:
    """Refuse what a compiled form would read beyond (arguments as of the operator)."""
    factors, (levels, per_octave), (bursts, kept, axis) = others[:3], others[3:5], others[-3:]
    tops, features = factors[0], 1 if axis is None else drive.shape[1:][axis]
    if (
        drive.dim() < 2
        or drive.dtype not in (torch.float32, torch.float64)
        or any(x.dtype is not drive.dtype for x in (before, *factors))
        or before.shape != drive.shape[1:]
        or any(x.shape != tops.shape for x in factors)
        or tops.dim() != 2
        or tops.shape[0] not in (1, len(drive))
        or tops.shape[1] not in (1, features)
        or levels < 1
        or per_octave not in PER_OCTAVE
        or not 1 <= kept <= bursts
    ):
        found = ", ".join(f"{list(x.shape)} {x.dtype}" for x in (drive, before, *factors))
        raise InputError(
            "ladder_scan: a drive [T, B, ...] in float32 or float64, R of the step before "
            "[B, ...] and three factors [T or 1, F] are needed, of one dtype, F features along "
            f"axis or 1, levels >= 1, per_octave of {PER_OCTAVE}, and 1 <= kept <= bursts; "
            f"received {found}, {levels=}, {per_octave=}, {kept=}, {bursts=}, {axis=}"
        )


def _in_blocks(
    drive: Tensor,
    before: Tensor,
    tops: Tensor,
    rates: Tensor,
    pers: Tensor,
    levels: int,
    per_octave: int,
    signed: bool,
    low: float | None,
    high: float | None,
    bursts: int,
    kept: int,
    axis: int | None,
) -> Tensor:
    factors = [tuple(x.expand(len(drive), -1).unsqueeze(-1)) for x in (tops, rates, pers)]
    ladder = Ladder(levels, per_octave, signed=signed)

    def take(steps: Tensor, state: dict[str, Tensor], out: Tensor) -> None:
        ladder_scan_(steps, state.pop("R"), factors, ladder, (low, high), bursts, out)

    shape, sizes = drive.shape[1:], (drive[0].numel(), 1, 1)
    if axis is not None and tops.shape[1] > 1:
        sizes = (math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :]))
    return by_blocks(take, drive, {"R": before}, sizes, kept)


def _compiled(
    drive: Tensor,
    before: Tensor,
    tops: Tensor,
    rates: Tensor,
    pers: Tensor,
    levels: int,
    per_octave: int,
    signed: bool,
    low: float | None,
    high: float | None,
    bursts: int,
    kept: int,
    axis: int | None,
) -> Tensor:
    out = answers_like(drive, kept)
    if not out.numel():
        return out
    features = [0] * (drive.dim() - 1)
    if axis is not None and tops.shape[1] > 1:
        features[axis] = 1
    tensors = (drive, before, *(x.contiguous() for x in (tops, rates, pers)), out)
    numbers = (
        *(torch.get_num_threads(), len(drive), drive.stride(0), out.stride(0)),
        *(tops.shape[1] if len(tops) > 1 else 0, levels, per_octave, signed, bursts, kept),
    )
    _native(
        drive.dtype is torch.float64,
        tuple(x.data_ptr() for x in tensors),
        numbers,
        low,
        high,
        tuple(drive.shape[1:]),
        drive.stride()[1:],
        before.stride(),
        tuple(features),
        out.stride()[1:],
    )
    return out


def _on_gpu(
    drive: Tensor,
    before: Tensor,
    tops: Tensor,
    rates: Tensor,
    pers: Tensor,
    levels: int,
    per_octave: int,
    signed: bool,
    low: float | None,
    high: float | None,
    bursts: int,
    kept: int,
    axis: int | None,
) -> Tensor:
    tops, rates, pers = (x.expand(len(drive), -1) for x in (tops, rates, pers))
    kinds, bounds, answers = (levels, per_octave, signed), (low, high), (bursts, kept)
    return scan_on_gpu(drive, before, tops, rates, pers, *kinds, *bounds, *answers, axis or 0)


_FORMS: dict[str, Callable[..., Tensor]] = {"CompositeExplicitAutograd": in_order(_in_blocks)}
if _native is not None:
    _FORMS["CPU"] = _compiled
if HAS_TRITON:
    _FORMS["CUDA"] = in_order(_on_gpu)

_OPERATOR = define(
    "ladder_scan",
    "Tensor before, Tensor tops, Tensor rates, Tensor pers, int levels, int per_octave, "
    "bool signed, float? low, float? high, int bursts, int kept, int? axis",
    _check,
    lambda *others: others[-2],
    _FORMS,
)
