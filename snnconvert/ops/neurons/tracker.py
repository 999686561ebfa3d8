"""The tracker: the one equation that all neurons are cases of."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from snnconvert.errors import InputError, StateError
from snnconvert.ops.clock import Clock
from snnconvert.ops.neurons.gains import check_gain, gain_at
from snnconvert.ops.neurons.spike import LadderSpike, ladder_spike
from snnconvert.ops.sequence import accumulation_dtype, check_increments, check_time, subtract
from snnconvert.ops.surrogate import Surrogate, surrogate_named

if TYPE_CHECKING:
    from typing_extensions import Self

_DUST = 1e-3  # of a spike: what a sum of levels is off by rounding is far less

State = dict[str, Tensor]
"""What a neuron carries between steps, by name; empty at rest."""


class Tracker(nn.Module):
    """A neuron whose spikes add up to its drive: the base of all neurons.

    With the cumulative drive ``X_t``, its target ``A_t = clip(X_t, bounds)`` and the
    reconstruction ``R_t``, all starting at 0::

        r   = A_t - R_{t-1}
        k   = smallest k < levels with |r| >= fire_at * g_t * v_threshold * 2^-k
        s_t = sign(r) * g_t * v_threshold * 2^-k   (0 where there is no such k)
        R_t = R_{t-1} + s_t

    A spike that would carry ``R`` out of its bounds is cut to the largest level that does not,
    or to 0.

    Args:
        v_threshold: largest level, in the unit of the activation: a number, or ``[C]``.
        levels: number of levels, each half of the one before.
        gain: ``g_t``: ``constant`` (1), ``inverse_time`` (1/(t+1)) or ``halving`` (2^-t).
        signed: whether there are negative spikes.
        bounds: lowest and highest ``R``, in the unit of the activation; None: none.
        fire_at: share of a level from which on it fires.
        axis: dimension of one step's drive ``[B, ...]`` that ``v_threshold`` ``[C]`` lies along.
        surrogate: of the gradient, see :mod:`snnconvert.ops.surrogate`.

    Shapes: `forward` and `cumulative` ``[T, B, ...]`` to ``[T, B, ...]``, `step` ``[B, ...]`` to
    ``[B, ...]``. `forward` and `step` take increments of the drive and return spikes;
    `cumulative` takes ``X_t`` and returns ``R_t``.

    State: `step` keeps ``X`` and ``R`` until `reset`. The state follows ``.to()`` and is not in
    the ``state_dict``; ``v_threshold`` is. `forward` and `cumulative` start from rest.

    Raises:
        InputError: a threshold is not positive, or an increment does not fit.
        StateError: shape, dtype or device of a step differ from those of earlier steps.

    Source: the multi-threshold neuron of ECMT (ACM MM 2024) and differential coding (ICML 2025),
    ST-BIF of SpikeZIP-TF (arXiv 2406.03470).
    """

    v_threshold: Tensor

    def __init__(
        self,
        v_threshold: float | Tensor = 1.0,
        *,
        levels: int = 1,
        gain: str = "constant",
        signed: bool = True,
        bounds: tuple[float | None, float | None] = (None, None),
        fire_at: float = 0.5,
        axis: int | None = None,
        surrogate: str | Surrogate = "atan",
    ) -> None:
        super().__init__()
        where = type(self).__name__
        if isinstance(levels, bool) or not isinstance(levels, int) or levels < 1:
            raise InputError(f"{where}: levels must be a whole number >= 1, received {levels!r}")
        low, high = bounds
        if (low is not None and low > 0) or (high is not None and high < 0) or low == high == 0:
            raise InputError(
                f"{where}: bounds must have 0, where a neuron starts, between them, "
                f"received {bounds}"
            )
        self.register_buffer("v_threshold", _checked_threshold(where, v_threshold, axis))
        self.levels, self.gain, self.signed = levels, check_gain(where, gain), signed
        self.bounds, self.fire_at, self.axis = bounds, fire_at, axis
        self.surrogate = surrogate_named(surrogate)
        self._steps = 0
        self._drive: Tensor | None = None
        self._state: State = {}

    def advance(self, drive: Tensor, state: State, start: int) -> Tensor:
        """Return ``R`` of steps ``start, start + 1, ...``.

        Args:
            drive: ``X_t`` of these steps, ``[T, B, ...]``.
            state: of the step before; replaced by that of the last step.
            start: index of the first step in the run.
        """
        dtype = accumulation_dtype(drive.dtype)
        wide = drive.to(dtype)
        threshold = self._aligned(drive.dim() - 1, dtype)
        if self._needs_gradient(drive):
            steps = [
                self._emit(x, state, threshold, start + t) for t, x in enumerate(wide.unbind(0))
            ]
            return torch.stack(steps).to(drive.dtype)
        result = torch.empty(drive.shape, dtype=drive.dtype, device=drive.device)
        for t, x in enumerate(wide.unbind(0)):
            result[t] = self._emit(x, state, threshold, start + t)
        return result

    def _emit(self, drive: Tensor, state: State, threshold: Tensor, t: int) -> Tensor:
        """Take one step: replace the state, return ``R_t``."""
        before = state.get("R")
        target = self.target(drive)
        residual = target if before is None else target - before
        top = threshold * gain_at(self.gain, t)
        spike = self.spike(residual, top)
        after = spike if before is None else before + spike
        if self.bounds != (None, None):
            spike = self._within(spike, after, top)
            after = spike if before is None else before + spike
            after = self._bounded(after, top)
        state["R"] = after
        return after

    def target(self, drive: Tensor) -> Tensor:
        """Return ``A`` of a drive: the drive within the bounds."""
        return drive if self.bounds == (None, None) else drive.clamp(*self.bounds)

    def spike(self, residual: Tensor, top: Tensor) -> Tensor:
        """Return the spike of a residual, with the largest level ``top``."""
        if self._needs_gradient(residual):
            spike: Tensor = LadderSpike.apply(
                residual, top, self.levels, self.fire_at, self.signed, self.surrogate
            )
            return spike
        return ladder_spike(residual, top, self.levels, self.fire_at, self.signed)

    def _within(self, spike: Tensor, after: Tensor, top: Tensor) -> Tensor:
        """Cut spikes that would leave the bounds. A spike that was rounded up goes past them by a
        part of itself; half of it does not, and the smallest level has no half."""
        size = spike.abs()
        outside = (after - after.clamp(*self.bounds)).abs() > _DUST * size
        smaller = spike / 2 if self.levels > 1 else torch.zeros_like(spike)
        smaller = smaller.masked_fill(size < top * (1.5 * 2.0 ** (1 - self.levels)), 0.0)
        return torch.where(outside, smaller, spike)

    def _bounded(self, after: Tensor, top: Tensor) -> Tensor:
        """Remove what a sum of levels is beyond the bounds by rounding."""
        return after.clamp(*self.bounds)

    def forward(self, x_seq: Tensor) -> Tensor:
        """Return the spikes of a sequence of increments, ``[T, B, ...]``, from rest."""
        where = type(self).__name__
        check_increments(where, [x_seq])
        check_time(where, [x_seq])
        drive = x_seq.cumsum(0, dtype=accumulation_dtype(x_seq.dtype)).to(x_seq.dtype)
        followed = self.advance(drive, {}, 0)
        return torch.cat([followed[:1], subtract(followed[1:], followed[:-1])])

    def cumulative(self, x_seq: Tensor) -> Tensor:
        """Return ``R_t`` of cumulative drives ``X_t``, ``[T, B, ...]``, from rest."""
        return self.advance(x_seq, {}, 0)

    def step(self, x_t: Tensor) -> Tensor:
        """Take one increment of the drive, ``[B, ...]``, and return the spikes."""
        where = type(self).__name__
        check_increments(where, [x_t])
        wide = x_t.to(accumulation_dtype(x_t.dtype))
        if self._drive is not None:
            _check_same(where, self._drive, wide)
            wide = self._drive + wide
        state = dict(self._state)
        followed = self.advance(wide.unsqueeze(0), state, self._steps)[0]
        before = self._state.get("R")
        self._drive, self._state, self._steps = wide, state, self._steps + 1
        spike = followed if before is None else subtract(followed, before)
        return spike.to(x_t.dtype)

    def reset(self) -> None:
        """Forget all earlier steps: the next `step` is a first step."""
        self._drive, self._state, self._steps = None, {}, 0

    def track(self, x: Tensor, clock: Clock, site: str, dim: int) -> Tensor:
        """Return ``R`` inside a converted graph.

        Args:
            x: the cumulative drive; its dimension ``dim`` holds ``T * B``, step by step.
            clock: the run; its state holds the neuron's, under ``site``.
            site: name of the neuron.
            dim: the dimension with the folded time.
        """
        prefix = f"{site}."
        state = {
            key.removeprefix(prefix): value
            for key, value in clock.state.items()
            if key.startswith(prefix)
        }
        if clock.steps == 1:
            followed = self.advance(x.unsqueeze(0), state, clock.start)[0]
        else:
            steps = x.unflatten(dim, (clock.steps, x.shape[dim] // clock.steps)).movedim(dim, 0)
            followed = self.advance(steps, state, clock.start).movedim(0, dim)
            followed = followed.flatten(dim, dim + 1)
        clock.state.update({prefix + key: value for key, value in state.items()})
        return followed

    def extra_repr(self) -> str:
        shown = [f"v_threshold={_shown(self.v_threshold)}", *self._shown_options()]
        if self.axis is not None:
            shown.append(f"axis={self.axis}")
        return ", ".join(shown)

    def _shown_options(self) -> list[str]:
        shown = [f"levels={self.levels}", f"gain={self.gain}"]
        return shown + ([f"bounds={self.bounds}"] if self.bounds != (None, None) else [])

    def _aligned(self, dims: int, dtype: torch.dtype) -> Tensor:
        """Return the threshold in a shape that broadcasts to one step's drive."""
        threshold = self.v_threshold.to(dtype)
        if self.axis is None:
            return threshold
        axis = self.axis % dims
        return threshold.reshape([-1 if d == axis else 1 for d in range(dims)])

    def _needs_gradient(self, x: Tensor) -> bool:
        return torch.is_grad_enabled() and (x.requires_grad or self.v_threshold.requires_grad)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        super()._apply(fn, recurse)
        self._drive = None if self._drive is None else fn(self._drive)
        self._state = {name: fn(x) for name, x in self._state.items()}
        return self

    def __getstate__(self) -> Mapping[str, Any]:
        drive = None if self._drive is None else self._drive.detach()
        state = {name: x.detach() for name, x in self._state.items()}
        return {**self.__dict__, "_drive": drive, "_state": state}


def _checked_threshold(where: str, v_threshold: float | Tensor, axis: int | None) -> Tensor:
    threshold = torch.as_tensor(v_threshold)
    if not threshold.is_floating_point():
        threshold = threshold.to(torch.get_default_dtype())
    if axis is None and threshold.dim() != 0:
        raise InputError(
            f"{where}: v_threshold of shape {list(threshold.shape)} needs axis, the dimension of "
            "one step's drive that it lies along"
        )
    if axis is not None and (threshold.dim() != 1 or axis == 0):
        raise InputError(
            f"{where}: with axis={axis} v_threshold must be [C], and axis not 0, the batch; "
            f"received shape {list(threshold.shape)}"
        )
    if not bool(torch.isfinite(threshold).all()) or not bool((threshold > 0).all()):
        raise InputError(
            f"{where}: v_threshold must be finite and above 0, received {_shown(threshold)}"
        )
    return threshold.detach().clone()


def _shown(threshold: Tensor) -> str:
    if threshold.dim() == 0:
        return f"{float(threshold):.4g}"
    return f"[{len(threshold)}: {float(threshold.min()):.4g} to {float(threshold.max()):.4g}]"


def _check_same(where: str, before: Tensor, now: Tensor) -> None:
    if before.shape != now.shape or before.dtype != now.dtype or before.device != now.device:
        raise StateError(
            f"{where}: the state of earlier steps is of {list(before.shape)} {before.dtype} on "
            f"{before.device}, this step is of {list(now.shape)} {now.dtype} on {now.device}; "
            "call reset() before a new sequence"
        )


def checked_positive(where: str, name: str, value: float) -> float:
    """Return a finite number above 0, or raise InputError."""
    if not math.isfinite(value) or value <= 0:
        raise InputError(f"{where}: {name} must be a finite number above 0, received {value!r}")
    return float(value)
