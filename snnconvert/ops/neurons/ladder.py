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

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from snnconvert.errors import InputError
from snnconvert.ops.neurons.blocks import by_blocks
from snnconvert.ops.neurons.checks import sizes_along
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


class _Scan(NamedTuple):
    """The arguments of the operator (see `ladder_scan`)."""

    drive: Tensor
    before: Tensor
    tops: Tensor
    rates: Tensor
    pers: Tensor
    levels: int
    per_octave: int
    signed: bool
    low: float | None
    high: float | None
    bursts: int
    kept: int
    axis: int | None

    @property
    def factors(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.tops, self.rates, self.pers

    @property
    def feature_axis(self) -> int | None:
        """The axis, where features have thresholds of their own."""
        if self.axis is None or self.tops.shape[1] == 1:
            return None
        return self.axis % self.before.dim()


def _check(*given: Any) -> None:
    """Refuse what a compiled form would read beyond."""
    scan = _Scan(*given)
    drive, tops = scan.drive, scan.tops
    features = 1 if scan.axis is None else drive.shape[1:][scan.axis]
    if (
        drive.dim() < 2
        or drive.dtype not in (torch.float32, torch.float64)
        or any(x.dtype is not drive.dtype for x in (scan.before, *scan.factors))
        or scan.before.shape != drive.shape[1:]
        or any(x.shape != tops.shape for x in scan.factors)
        or tops.dim() != 2
        or tops.shape[0] not in (1, len(drive))
        or tops.shape[1] not in (1, features)
        or scan.levels < 1
        or scan.per_octave not in PER_OCTAVE
        or not 1 <= scan.kept <= scan.bursts
    ):
        found = ", ".join(f"{list(x.shape)} {x.dtype}" for x in given[:5])
        others = ("levels", "per_octave", "kept", "bursts", "axis")
        raise InputError(
            "ladder_scan: a drive [T, B, ...] in float32 or float64, R of the step before "
            "[B, ...] and three factors [T or 1, F] are needed, of one dtype, F features along "
            f"axis or 1, levels >= 1, per_octave of {PER_OCTAVE}, and 1 <= kept <= bursts; "
            f"received {found}, {', '.join(f'{n}={getattr(scan, n)!r}' for n in others)}"
        )


def _in_blocks(*given: Any) -> Tensor:
    scan = _Scan(*given)
    factors = [tuple(x.expand(len(scan.drive), -1).unsqueeze(-1)) for x in scan.factors]
    ladder = Ladder(scan.levels, scan.per_octave, signed=scan.signed)
    limits = (scan.low, scan.high)

    def take(steps: Tensor, state: dict[str, Tensor], out: Tensor) -> None:
        ladder_scan_(steps, state.pop("R"), factors, ladder, limits, scan.bursts, out)

    sizes = sizes_along(scan.drive.shape[1:], scan.feature_axis)
    return by_blocks(take, scan.drive, {"R": scan.before}, sizes, scan.kept)


def _compiled(*given: Any) -> Tensor:
    scan = _Scan(*given)
    drive, tops, before = scan.drive, scan.tops, scan.before
    out = answers_like(drive, scan.kept)
    if not out.numel():
        return out
    features = tuple(int(d == scan.feature_axis) for d in range(drive.dim() - 1))
    tensors = (drive, before, *(x.contiguous() for x in scan.factors), out)
    numbers = (
        *(torch.get_num_threads(), len(drive), drive.stride(0), out.stride(0)),
        tops.shape[1] if len(tops) > 1 else 0,
        *(scan.levels, scan.per_octave, scan.signed, scan.bursts, scan.kept),
    )
    _native(
        drive.dtype is torch.float64,
        tuple(x.data_ptr() for x in tensors),
        numbers,
        scan.low,
        scan.high,
        tuple(drive.shape[1:]),
        drive.stride()[1:],
        before.stride(),
        features,
        out.stride()[1:],
    )
    return out


def _on_gpu(*given: Any) -> Tensor:
    scan = _Scan(*given)
    tops, rates, pers = (x.expand(len(scan.drive), -1) for x in scan.factors)
    each: tuple[Any, ...] = scan._replace(tops=tops, rates=rates, pers=pers, axis=scan.axis or 0)
    return scan_on_gpu(*each)


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
    _FORMS,
)
