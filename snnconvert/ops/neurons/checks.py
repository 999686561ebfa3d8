"""What neurons check of their arguments, and how they show them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.autograd.forward_ad import unpack_dual

from snnconvert.errors import InputError, StateError
from snnconvert.ops.neurons.spike import PER_OCTAVE, Ladder
from snnconvert.ops.targets import Limits


def checked_ladder(
    where: str, levels: int, per_octave: int, fire_at: float, signed: bool
) -> Ladder:
    """Return the levels of a neuron, or raise InputError."""
    if isinstance(levels, bool) or not isinstance(levels, int) or levels < 1:
        raise InputError(f"{where}: levels must be a whole number >= 1, received {levels!r}")
    if per_octave not in PER_OCTAVE or (levels == 1 and per_octave > 1):
        raise InputError(
            f"{where}: per_octave must be one of {', '.join(map(str, PER_OCTAVE))}, and 1 with one "
            f"level; received {per_octave!r} with levels {levels}"
        )
    if not 0.5 <= fire_at <= 1:
        # Below a half, a spike leaves a larger residual than it found.
        raise InputError(f"{where}: fire_at must be from 0.5 to 1, received {fire_at!r}")
    return Ladder(levels, per_octave, fire_at, signed)


def checked_bursts(where: str, bursts: int) -> int:
    """Return how often a neuron may answer within a step, or raise InputError."""
    if isinstance(bursts, bool) or not isinstance(bursts, int) or bursts < 1:
        raise InputError(f"{where}: bursts must be a whole number >= 1, received {bursts!r}")
    return bursts


def checked_threshold(where: str, v_threshold: float | Tensor, axis: int | None) -> Tensor:
    """Return a threshold as a tensor of its own, or raise InputError."""
    threshold = torch.as_tensor(v_threshold)
    if not threshold.is_floating_point():
        threshold = threshold.to(torch.get_default_dtype())
    if axis is None and threshold.dim() != 0:
        raise InputError(
            f"{where}: v_threshold of shape {list(threshold.shape)} needs axis, the dimension of "
            "one step's drive that it lies along"
        )
    if axis == 0 or threshold.dim() > 1:
        raise InputError(
            f"{where}: v_threshold is a number or [C] along axis, which is not 0, the batch; "
            f"received shape {list(threshold.shape)} and axis={axis}"
        )
    if not bool(torch.isfinite(threshold).all()) or not bool((threshold > 0).all()):
        raise InputError(
            f"{where}: v_threshold must be finite and above 0, received {shown(threshold)}"
        )
    return threshold.detach().clone()


def checked_rest(
    where: str,
    rest: float | Tensor,
    axis: int | None,
    v_threshold: Tensor,
    limits: Limits,
) -> Tensor:
    """Return where a neuron rests as a tensor like its threshold's, or raise InputError."""
    found = torch.as_tensor(rest, dtype=v_threshold.dtype)
    sizes = {x.shape for x in (found, v_threshold) if x.dim()}
    if found.dim() > (axis is not None) or len(sizes) > 1 or not bool(torch.isfinite(found).all()):
        raise InputError(
            f"{where}: rest must be finite, a number or, with axis, [C] as v_threshold; received "
            f"shape {list(found.shape)} beside {list(v_threshold.shape)}, axis={axis}"
        )
    low, high = limits
    outside = (low is not None and bool((found < low).any())) or (
        high is not None and bool((found > high).any())
    )
    if outside:
        raise InputError(
            f"{where}: rest must lie within the limits {limits}, received {shown(found)}"
        )
    return found.detach().clone()


def shown(threshold: Tensor) -> str:
    """Return a number, or the extremes of several; on the meta device there are none."""
    threshold = threshold.detach()
    if threshold.is_meta:
        return f"[{', '.join(map(str, threshold.shape))}] on meta"
    if threshold.dim() == 0:
        return f"{float(threshold):.4g}"
    return f"[{len(threshold)}: {float(threshold.min()):.4g} to {float(threshold.max()):.4g}]"


def checked_positive(where: str, name: str, value: float) -> float:
    """Return a finite number above 0, or raise InputError."""
    if not math.isfinite(value) or value <= 0:
        raise InputError(f"{where}: {name} must be a finite number above 0, received {value!r}")
    return float(value)


def checked_choice(where: str, name: str, value: str, allowed: tuple[str, ...]) -> str:
    """Return a word that is allowed, or raise InputError."""
    if value not in allowed:
        raise InputError(f"{where}: {name} must be one of {', '.join(allowed)}, received {value!r}")
    return value


def check_state(where: str, state: Mapping[str, Tensor], step: Tensor, dtype: torch.dtype) -> None:
    """Raise StateError where a state of earlier steps is not one of this drive."""
    for name, x in state.items():
        if (x.shape, x.dtype, x.device) != (step.shape, dtype, step.device):
            raise StateError(
                f"{where}: '{name}' of earlier steps is {list(x.shape)} {x.dtype} on {x.device}, "
                f"this drive needs {list(step.shape)} {dtype} on {step.device}; start a new run "
                "from an empty state"
            )


def sizes_around(
    where: str, shape: Sequence[int], axis: int | None, features: int
) -> tuple[int, int, int]:
    """Return the sizes before, along and behind the axis of one step's drive, or raise InputError
    where that has not as many features as there are thresholds."""
    if axis is None or features == 1:
        return sizes_along(shape, None)
    own = axis + len(shape) if axis < 0 else axis
    if not 0 < own < len(shape) or shape[own] != features:
        raise InputError(
            f"{where}: a drive of shape {list(shape)} (one step) needs {features} features, one "
            f"for each v_threshold, along axis={axis}, which is not the batch"
        )
    return sizes_along(shape, own)


def sizes_along(shape: Sequence[int], axis: int | None) -> tuple[int, int, int]:
    """Return the sizes before, along and behind an axis; without one all are before it."""
    if axis is None:
        return math.prod(shape), 1, 1
    return math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])


def needs_derivative(*tensors: Tensor) -> bool:
    """Tell whether what is made of tensors has to have a derivative. A scan has none, and would
    lose the tangents of forward mode without a word; a spike says that it has none of these."""
    if torch.is_grad_enabled() and any(x.requires_grad for x in tensors):
        return True
    if torch.compiler.is_compiling():
        return False
    return any(unpack_dual(x).tangent is not None for x in tensors)
