"""The tracker: the one equation that all neurons are cases of."""

from __future__ import annotations

import torch
from torch import Tensor

from snnconvert.ops.neurons.alphabet import Alphabet
from snnconvert.ops.neurons.blocks import State
from snnconvert.ops.neurons.checks import checked_ladder
from snnconvert.ops.neurons.digits import digits_of_levels
from snnconvert.ops.neurons.gains import check_gain, gain_at
from snnconvert.ops.neurons.ladder import ladder_scan
from snnconvert.ops.neurons.neuron import Neuron
from snnconvert.ops.neurons.scan import DUST
from snnconvert.ops.neurons.spike import LadderSpike, Straight, fire_ladder_, ladder_spike
from snnconvert.ops.surrogate import Surrogate
from snnconvert.ops.targets import DRIVE, NO_LIMITS, Target


class Tracker(Neuron):
    """A neuron whose spikes add up to its target.

    With the cumulative drive ``X_t``, its target ``A_t`` and the reconstruction ``R_t``, which
    starts at ``rest``::

        r   = A_t - R_{t-1}
        l   = largest level with |r| >= fire_at * l
        s_t = sign(r) * l   (0 where there is no such level)
        R_t = R_{t-1} + s_t

    Levels are ``g_t v_threshold 2^-k (1 + j / per_octave)`` with ``0 <= k < levels`` and ``0 <= j <
    per_octave``, none larger than ``g_t v_threshold``.

    With ``bursts = K`` these lines are gone through up to ``K`` times a step.

    A spike that would carry ``R`` out of the target's limits is cut to the largest level that
    does not, or to 0.

    Args:
        v_threshold: largest level, in the unit of the activation: a number, or ``[C]``.
        levels: number of powers of two among the levels, each half of the one before.
        per_octave: number of levels from one power of two to the next, evenly spaced: 1, 2, 4 or 8.
            An operator on these spikes has a sum for each ``j``, which spikes add to, and joins
            the sums once a step where spikes reached it, by ``2 (per_octave - 1)`` additions:
            their factors are whole multiples of ``1 / per_octave``.
        gain: ``g_t``: ``constant`` (1), ``inverse_time`` (1/(t+1)) or ``halving`` (2^-t).
        signed: whether there are negative spikes.
        fire_at: share of a level from which on it fires.
        target, rest, bursts, axis, surrogate: see :class:`Neuron`, also for shapes, state and
            errors.

    Attributes:
        ladder: ``levels``, ``per_octave``, ``fire_at`` and ``signed``.

    Source: the multi-threshold neuron of ECMT (ACM MM 2024) and differential coding (ICML 2025),
    ST-BIF of SpikeZIP-TF (arXiv 2406.03470).
    """

    def __init__(
        self,
        v_threshold: float | Tensor = 1.0,
        *,
        levels: int = 1,
        per_octave: int = 1,
        gain: str = "constant",
        signed: bool = True,
        fire_at: float = 0.5,
        target: Target = DRIVE,
        rest: float | Tensor | None = None,
        bursts: int = 1,
        axis: int | None = None,
        surrogate: str | Surrogate = "atan",
    ) -> None:
        super().__init__(
            v_threshold, target=target, rest=rest, bursts=bursts, axis=axis, surrogate=surrogate
        )
        where = type(self).__name__
        self.ladder = checked_ladder(where, levels, per_octave, fire_at, signed)
        self.gain = check_gain(where, gain)

    @property
    def alphabet(self) -> Alphabet:
        levels, per_octave, _, signed = self.ladder
        spikes = (1 + (levels - 1) * per_octave) * (2 if signed else 1)
        return Alphabet(None if self.graded else spikes, per_octave, levels > 1, signed)

    @property
    def steady(self) -> bool:
        return self.gain == "constant"

    def _scan(self, drive: Tensor, state: State, start: int, kept: int) -> Tensor:
        dtype = state["R"].dtype
        tops = self.v_threshold.detach().to(dtype).reshape(1, -1)
        if not self.steady:
            tops = torch.cat([tops * gain_at(self.gain, start + t) for t in range(len(drive))])
        wide = self.target.unclipped(drive.to(dtype))
        axis = None if self.axis is None else self.axis % (drive.dim() - 1)
        followed = ladder_scan(
            wide, state["R"], tops, self.ladder, self.target.limits, self.bursts, kept, axis
        )
        state["R"] = followed[-1]
        return followed.to(drive.dtype)

    def _emit(
        self, drive: Tensor, state: State, threshold: Tensor, t: int, *, first: bool
    ) -> Tensor:
        """Give one answer: replace the state, return ``R``."""
        before = state["R"]
        top = threshold * gain_at(self.gain, t)
        spike = self.spike(self.target.followed(drive) - before, top)
        if self.target.limits != NO_LIMITS:
            spike = self._within(spike, before, top)
        after = before + spike
        if self.target.limits != NO_LIMITS:
            after = self._inside(after)
        state["R"] = after
        return after

    def spike(self, residual: Tensor, top: Tensor) -> Tensor:
        """Return the spike of a residual, with the largest level ``top``."""
        if self._needs_gradient(residual):
            spike: Tensor = LadderSpike.apply(residual, top, self.ladder, self.surrogate)
            return spike
        return ladder_spike(residual, top, self.ladder)

    def _within(self, spike: Tensor, before: Tensor, top: Tensor) -> Tensor:
        """Cut spikes to the largest level within the limits, or to 0."""
        low, high = self.target.limits
        with torch.no_grad():
            per = (1 + DUST) / top  # levels per unit of room
            cut = spike
            if high is not None:
                cut = torch.minimum(cut, fire_ladder_((high - before) * per, self.ladder) * top)
            if low is not None and self.ladder.signed:
                cut = torch.maximum(cut, fire_ladder_((low - before) * per, self.ladder) * top)
            share = torch.where(spike == 0, 1.0, cut / spike)
        # What the limits hold back has no gradient.
        within: Tensor = Straight.apply(spike * share, cut)
        return within

    def _inside(self, after: Tensor) -> Tensor:
        # At a limit a clamp has no gradient; a sum that rests there would never learn.
        if self._needs_gradient(after):
            inside: Tensor = Straight.apply(after, self._clipped(after.detach()))
            return inside
        return self._clipped(after)

    def _clipped(self, after: Tensor) -> Tensor:
        """Remove what a sum of levels is beyond the limits by rounding."""
        return after.clamp(*self.target.limits)

    def _nearest(self, change: Tensor, threshold: Tensor, t: int) -> Tensor:
        if self.bursts > 1:  # all levels are multiples of the finest difference of two
            finest = 2.0 ** (1 - self.ladder.levels) / self.ladder.per_octave
            quantum = threshold * gain_at(self.gain, t) * finest
            return torch.round(change / quantum) * quantum
        fire_at = 1 - 0.25 / self.ladder.per_octave if self.ladder.levels > 1 else 0.5
        return ladder_spike(
            change, threshold * gain_at(self.gain, t), self.ladder._replace(fire_at=fire_at)
        )

    def binary_digits(self, changes: Tensor, t: int) -> Tensor:
        top = self._along(self.v_threshold, changes[0]) * gain_at(self.gain, t)
        return digits_of_levels(changes.abs() / top, self.ladder.per_octave)

    def _shown_options(self) -> list[str]:
        options = [f"levels={self.ladder.levels}"]
        options += [f"per_octave={self.ladder.per_octave}"] if self.ladder.per_octave > 1 else []
        return [*options, f"gain={self.gain}"]
