"""The tracker: the one equation that all neurons are cases of."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from snnconvert.errors import InputError, StateError
from snnconvert.ops.clock import Clock
from snnconvert.ops.neurons.checks import (
    checked_bounds,
    checked_ladder,
    checked_rest,
    checked_threshold,
    shown,
)
from snnconvert.ops.neurons.gains import check_gain, gain_at
from snnconvert.ops.neurons.scan import DUST, ladder_scan_
from snnconvert.ops.neurons.spike import (
    LadderSpike,
    Straight,
    fire_ladder_,
    ladder_spike,
)
from snnconvert.ops.sequence import (
    accumulate,
    accumulation_dtype,
    check_increments,
    check_time,
    subtract,
)
from snnconvert.ops.state import StepState
from snnconvert.ops.surrogate import Surrogate, surrogate_named

if TYPE_CHECKING:
    from typing_extensions import Self

_BLOCK = 2**19  # values that are taken through all steps at once: as measured, 2^18 to 2^20

State = dict[str, Tensor]
"""What a neuron carries between steps, by name; empty at rest."""


class Tracker(nn.Module):
    """A neuron whose spikes add up to its drive: the base of all neurons.

    With the cumulative drive ``X_t``, its target ``A_t = clip(X_t, bounds)`` and the
    reconstruction ``R_t``, which starts at ``rest``::

        r   = A_t - R_{t-1}
        l   = largest level with |r| >= fire_at * l
        s_t = sign(r) * l   (0 where there is no such level)
        R_t = R_{t-1} + s_t

    Levels are ``g_t v_threshold 2^-k (1 + j / per_octave)`` with ``0 <= k < levels`` and ``0 <= j <
    per_octave``, none larger than ``g_t v_threshold``.

    A spike that would carry ``R`` out of its bounds is cut to the largest level that does not,
    or to 0.

    Args:
        v_threshold: largest level, in the unit of the activation: a number, or ``[C]``; a
            Parameter is shared and can be trained.
        rest: ``R_{-1}``, in the unit of the activation, a number or ``[C]``: what the drive is
            without news. It is a constant, which enters the operator behind the neuron once.
        levels: number of powers of two among the levels, each half of the one before.
        per_octave: number of levels from one power of two to the next, evenly spaced: 1, 2, 4 or 8.
            An operator on these spikes has a sum for each ``j``, which spikes add to, and joins
            the sums once a step, by ``2 (per_octave - 1)`` additions: their factors are whole
            multiples of ``1 / per_octave``.
        gain: ``g_t``: ``constant`` (1), ``inverse_time`` (1/(t+1)) or ``halving`` (2^-t).
        signed: whether there are negative spikes.
        bounds: lowest and highest ``R``, in the unit of the activation; None: none.
        fire_at: share of a level from which on it fires.
        axis: dimension of one step's drive ``[B, ...]`` that ``[C]`` lies along.
        surrogate: of the gradient, see :mod:`snnconvert.ops.surrogate`.

    Attributes:
        ladder: ``levels``, ``per_octave``, ``fire_at`` and ``signed``.

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
    rest: Tensor
    state_names: ClassVar[tuple[str, ...]] = ("R",)

    def __init__(
        self,
        v_threshold: float | Tensor = 1.0,
        *,
        levels: int = 1,
        per_octave: int = 1,
        gain: str = "constant",
        signed: bool = True,
        bounds: tuple[float | None, float | None] = (None, None),
        fire_at: float = 0.5,
        axis: int | None = None,
        rest: float | Tensor = 0.0,
        surrogate: str | Surrogate = "atan",
    ) -> None:
        super().__init__()
        where = type(self).__name__
        self.ladder = checked_ladder(where, levels, per_octave, fire_at, signed)
        self.bounds = checked_bounds(where, bounds)
        threshold = checked_threshold(where, v_threshold, axis)
        if isinstance(v_threshold, nn.Parameter):
            self.v_threshold = v_threshold
        else:
            self.register_buffer("v_threshold", threshold)
        self.register_buffer("rest", checked_rest(where, rest, axis, self.v_threshold, bounds))
        self.gain, self.axis = check_gain(where, gain), axis
        self.surrogate = surrogate_named(surrogate)
        self._state, self._steps = StepState(), 0

    def advance(self, drive: Tensor, state: State, start: int) -> Tensor:
        """Return ``R`` of steps ``start, start + 1, ...``.

        Args:
            drive: ``X_t`` of these steps, ``[T, B, ...]``.
            state: of the step before; replaced by that of the last step.
            start: index of the first step in the run.

        Raises:
            InputError: the drive is not ``[T, B, ...]`` in floating point, or does not fit.
            StateError: the state is of other shape, dtype or device.
        """
        check_increments(type(self).__name__, [drive])
        check_time(type(self).__name__, [drive])
        time_steps, *shape = drive.shape
        dtype = accumulation_dtype(drive.dtype)
        self._check_state(state, drive[0], dtype)
        # All dimensions but the threshold's are one: rows before it, and what is behind it.
        before, features, behind = self._folded(shape)
        steps = drive.reshape(time_steps, before, features, behind)
        threshold = self.v_threshold.to(dtype).reshape(-1, 1)
        carried = {name: x.reshape(steps.shape[1:]) for name, x in state.items()}
        if "R" not in carried and bool(self.rest.any()):
            rest = self.rest.to(dtype).reshape(-1, 1)
            carried["R"] = rest.expand(steps.shape[1:])
        if self._needs_gradient(drive, *carried.values()):
            emitted = [
                self._emit(x.to(dtype), carried, threshold, start + t)
                for t, x in enumerate(steps.unbind(0))
            ]
            followed = torch.stack(emitted).to(drive.dtype)
        else:
            # All steps of one block before the next: what a step leaves is still in the cache.
            followed = torch.empty(steps.shape, dtype=drive.dtype, device=drive.device)
            size = max(1, _BLOCK // max(1, features * behind))
            ends: list[State] = []
            for first in range(0, max(1, before), size):
                rows = slice(first, first + size)
                end = {name: x[rows] for name, x in carried.items()}
                self._scan(steps[:, rows], end, threshold, start, followed[:, rows])
                ends.append(end)
            carried = {name: torch.cat([end[name] for end in ends]) for name in ends[0]}
        state.update({name: x.reshape(shape) for name, x in carried.items()})
        return followed.reshape(drive.shape)

    def _scan(
        self, steps: Tensor, state: State, threshold: Tensor, start: int, out: Tensor
    ) -> None:
        """Take all steps of a block without gradient: write ``R`` to ``out``, replace the state."""
        gains = [gain_at(self.gain, start + t) for t in range(len(steps))]
        tops = {g: threshold * g for g in gains}
        wide = steps.to(threshold.dtype)
        into = out if out.dtype is wide.dtype else torch.empty_like(wide)
        state["R"] = ladder_scan_(
            wide,
            state.get("R"),
            [tops[g] for g in gains],
            self.ladder,
            self.bounds,
            into,
        )
        if into is not out:
            out.copy_(into)

    def _scan_by_steps(
        self, steps: Tensor, state: State, threshold: Tensor, start: int, out: Tensor
    ) -> None:
        """`_scan` for neurons with a step of their own."""
        for t, x in enumerate(steps.unbind(0)):
            out[t] = self._emit(x.to(threshold.dtype), state, threshold, start + t)

    def _check_state(self, state: State, step: Tensor, dtype: torch.dtype) -> None:
        for name, x in state.items():
            if (x.shape, x.dtype, x.device) != (step.shape, dtype, step.device):
                raise StateError(
                    f"{type(self).__name__}: '{name}' of earlier steps is {list(x.shape)} "
                    f"{x.dtype} on {x.device}, this drive needs {list(step.shape)} {dtype} on "
                    f"{step.device}; start a new run from an empty state"
                )

    def _emit(self, drive: Tensor, state: State, threshold: Tensor, t: int) -> Tensor:
        """Take one step: replace the state, return ``R_t``."""
        before = state.get("R")
        target = self.target(drive)
        residual = target if before is None else target - before
        top = threshold * gain_at(self.gain, t)
        spike = self.spike(residual, top)
        if self.bounds != (None, None):
            spike = self._within(spike, before, top)
        after = spike if before is None else before + spike
        if self.bounds != (None, None):
            after = self._inside(after, top)
        state["R"] = after
        return after

    def resting(self, drive: Tensor) -> Tensor | None:
        """Return ``R_{-1}`` in a shape that broadcasts to one step's drive; None where it is 0."""
        if not bool(self.rest.any()):
            return None
        return self._along(self.rest, drive)

    def _along(self, values: Tensor, drive: Tensor) -> Tensor:
        values = values.to(drive.dtype)
        if self.axis is None or values.dim() == 0:
            return values
        axis = self.axis % drive.dim()
        return values.reshape([-1 if d == axis else 1 for d in range(drive.dim())])

    def target(self, drive: Tensor) -> Tensor:
        """Return ``A`` of a drive: the drive within the bounds."""
        return drive if self.bounds == (None, None) else drive.clamp(*self.bounds)

    def spike(self, residual: Tensor, top: Tensor) -> Tensor:
        """Return the spike of a residual, with the largest level ``top``."""
        if self._needs_gradient(residual):
            spike: Tensor = LadderSpike.apply(residual, top, self.ladder, self.surrogate)
            return spike
        return ladder_spike(residual, top, self.ladder)

    def _within(self, spike: Tensor, before: Tensor | None, top: Tensor) -> Tensor:
        """Cut spikes to the largest level that does not leave the bounds, or to 0."""
        low, high = self.bounds
        with torch.no_grad():
            last = torch.zeros_like(spike) if before is None else before
            per = (1 + DUST) / top  # levels per unit of room
            cut = spike
            if high is not None:
                cut = torch.minimum(cut, fire_ladder_((high - last) * per, self.ladder) * top)
            if low is not None and self.ladder.signed:
                cut = torch.maximum(cut, fire_ladder_((low - last) * per, self.ladder) * top)
            share = torch.where(spike == 0, 1.0, cut / spike)
        # What the bounds hold back has no gradient.
        within: Tensor = Straight.apply(spike * share, cut)
        return within

    def _inside(self, after: Tensor, top: Tensor) -> Tensor:
        # At a bound a clamp has no gradient; a sum that rests there would never learn.
        if self._needs_gradient(after):
            inside: Tensor = Straight.apply(after, self._bounded(after.detach(), top.detach()))
            return inside
        return self._bounded(after, top)

    def _bounded(self, after: Tensor, top: Tensor) -> Tensor:
        """Remove what a sum of levels is beyond the bounds by rounding."""
        return after.clamp(*self.bounds)

    def forward(self, x_seq: Tensor) -> Tensor:
        """Return the spikes of a sequence of increments, ``[T, B, ...]``, from rest."""
        where = type(self).__name__
        check_increments(where, [x_seq])
        check_time(where, [x_seq])
        drive = accumulate(x_seq).to(accumulation_dtype(x_seq.dtype))
        followed = self.advance(drive, {}, 0)
        resting = self.resting(drive[0])
        first = followed[:1] if resting is None else subtract(followed[:1], resting)
        changes = torch.cat([first, subtract(followed[1:], followed[:-1])])
        spikes = [self._spike_of(x, t) for t, x in enumerate(changes.unbind(0))]
        return torch.stack(spikes).to(x_seq.dtype)

    def _spike_of(self, change: Tensor, t: int) -> Tensor:
        """Return the spike that changed ``R``: a difference of sums is rounded, a spike is not."""
        threshold = self._along(self.v_threshold.detach(), change)
        exact = self._nearest(change.detach(), threshold * gain_at(self.gain, t))
        spike: Tensor = Straight.apply(change, exact)
        return spike

    def _nearest(self, change: Tensor, top: Tensor) -> Tensor:
        fire_at = 1 - 0.25 / self.ladder.per_octave if self.ladder.levels > 1 else 0.5
        return ladder_spike(change, top, self.ladder._replace(fire_at=fire_at))

    def cumulative(self, x_seq: Tensor) -> Tensor:
        """Return ``R_t`` of cumulative drives ``X_t``, ``[T, B, ...]``, from rest."""
        return self.advance(x_seq, {}, 0)

    def step(self, x_t: Tensor) -> Tensor:
        """Take one increment of the drive, ``[B, ...]``, and return the spikes."""
        where = type(self).__name__
        check_increments(where, [x_t])
        totals = self._state.add([x_t], where)
        drive = totals[0].to(x_t.dtype).to(totals[0].dtype)
        kept = self._state.output or {}
        state: State = {name: x.to(totals[0].dtype) for name, x in kept.items()}
        before = state["R"] if "R" in state else self.resting(drive)
        followed = self.advance(drive.unsqueeze(0), state, self._steps)[0]
        self._state = StepState(totals, (x_t.dtype,), state)
        spike = self._spike_of(
            followed if before is None else subtract(followed, before), self._steps
        )
        self._steps += 1
        return spike.to(x_t.dtype)

    def reset(self) -> None:
        """Forget all earlier steps: the next `step` is a first step."""
        self._state, self._steps = StepState(), 0

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
            name: clock.state[prefix + name]
            for name in self.state_names
            if prefix + name in clock.state
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
        options = [f"v_threshold={shown(self.v_threshold)}", *self._shown_options()]
        if bool(self.rest.any()):
            options.append(f"rest={shown(self.rest)}")
        if self.axis is not None:
            options.append(f"axis={self.axis}")
        return ", ".join(options)

    def _shown_options(self) -> list[str]:
        options = [f"levels={self.ladder.levels}"]
        options += [f"per_octave={self.ladder.per_octave}"] if self.ladder.per_octave > 1 else []
        options += [f"gain={self.gain}"]
        return options + ([f"bounds={self.bounds}"] if self.bounds != (None, None) else [])

    def _folded(self, shape: Sequence[int]) -> tuple[int, int, int]:
        """Return the sizes before, along and behind the axis of one step's drive."""
        features = max(self.v_threshold.numel(), self.rest.numel())
        if self.axis is None or features == 1:
            return math.prod(shape), 1, 1
        axis = self.axis + len(shape) if self.axis < 0 else self.axis
        if not 0 < axis < len(shape) or shape[axis] != features:
            raise InputError(
                f"{type(self).__name__}: a drive of shape {list(shape)} (one step) needs "
                f"{features} features, one for each v_threshold, along axis={self.axis}, which is "
                "not the batch"
            )
        return math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])

    def _needs_gradient(self, *tensors: Tensor) -> bool:
        return torch.is_grad_enabled() and any(
            x.requires_grad for x in (*tensors, self.v_threshold)
        )

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        super()._apply(fn, recurse)
        self._state = self._state.moved(fn)
        return self

    def __getstate__(self) -> Mapping[str, Any]:
        return {**self.__dict__, "_state": self._state.detached()}
